// How much of `dist` a page loads, compressed.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const ASSETS = fileURLToPath(new URL("../dist/assets", import.meta.url));
const sizes = new Map(
  readdirSync(ASSETS).map((name) => [name, gzipSync(readFileSync(join(ASSETS, name))).length]),
);
/** What every page loads. */
const START = ["start.js", "app.js"];

/** Everything that is built. */
export function sizeOfAll() {
  return sum(sizes.keys());
}

/** The scripts of a page: what every page loads, and these with what they import. */
export function sizeOfScripts(...names) {
  return sum([...START, ...names].flatMap((name) => [...needed(name)]));
}

export function sizeOfStyles() {
  return sum([...sizes.keys()].filter((name) => name.endsWith(".css")));
}

function sum(names) {
  return [...new Set(names)].reduce((total, name) => total + (sizes.get(name) ?? 0), 0);
}

/** Chunks that import themselves through others: what is in them may be used before it is there. */
export function circles() {
  const scripts = [...sizes.keys()].filter((name) => name.endsWith(".js"));
  return scripts.filter((name) => importsOf(name).some((other) => needed(other).has(name)));
}

/** A chunk and what it imports, however deep. */
function needed(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const other of importsOf(name)) needed(other, found);
  return found;
}

function importsOf(name) {
  const text = readFileSync(join(ASSETS, name), "utf8");
  const imports = text.matchAll(/(?:from|import)\s*["`]\.\/([\w-]+\.js)["`]/g);
  return [...imports].map(([, other]) => other);
}
