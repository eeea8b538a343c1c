// Do the pages stay small? What a page loads first, compressed, against its budget.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const ASSETS = fileURLToPath(new URL("../dist/assets", import.meta.url));
const KILO = 1_000;
const sizes = new Map(
  readdirSync(ASSETS).map((name) => [name, gzipSync(readFileSync(join(ASSETS, name))).length]),
);
const css = [...sizes].filter(([name]) => name.endsWith(".css"));
/** What every page loads. */
const START = [...needed("start.js"), ...needed("app.js")];
const budgets = [
  ["all scripts and styles", [...sizes.keys()], 400 * KILO],
  ["a trace, scripts", [...START, ...needed("trace-page.js"), "trace-worker.js"], 120 * KILO],
  ["a search, scripts", [...START, ...needed("search-page.js")], 200 * KILO],
  ["styles", css.map(([name]) => name), 15 * KILO],
];
for (const [what, names, limit] of budgets) {
  const size = [...new Set(names)].reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
  console.log(`${what}: ${(size / KILO).toFixed(1)} of ${limit / KILO} kB, compressed`);
  if (size > limit) process.exitCode = 1;
}

/** A chunk and what it imports, however deep. */
function needed(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const text = readFileSync(join(ASSETS, name), "utf8");
  for (const [, other] of text.matchAll(/(?:from|import)\s*["`]\.\/([\w-]+\.js)["`]/g)) {
    needed(other, found);
  }
  return found;
}
