// Does every import point down? base, model, then api and timeline side by side, state,
// components, pages. A layer may use itself and what is below it.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("../src", import.meta.url));
const BELOW = {
  base: [],
  model: ["base"],
  api: ["base", "model"],
  timeline: ["base", "model"],
  state: ["base", "model", "api", "timeline"],
  components: ["base", "model", "api", "timeline", "state"],
  pages: ["base", "model", "api", "timeline", "state", "components"],
};
/** Names that only certain layers may use, and why. */
const RESERVED = [
  { pattern: /\bfetch\(|new Worker\(|new EventSource\(/, layers: ["api"], why: "only api fetches" },
  {
    pattern: /\bdocument\.|\bwindow\.(?!start|end|kind|lookback)|\blocalStorage\b/,
    layers: ["api", "timeline", "state", "components", "pages", "main.tsx"],
    why: "base and model know no browser",
  },
  { pattern: /\bDate\.now\(/, layers: ["base"], why: "base/time.ts asks the clock" },
  { pattern: /dangerouslySetInnerHTML|innerHTML/, layers: [], why: "text stays text" },
];

const problems = [];
for (const entry of readdirSync(SOURCE, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.tsx?$/.test(entry.name) || /\.test\.tsx?$/.test(entry.name)) continue;
  const file = join(entry.parentPath ?? entry.path, entry.name);
  check(file, readFileSync(file, "utf8"));
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function check(file, text) {
  const path = relative(SOURCE, file).replaceAll("\\", "/");
  const layer = path.split("/")[0];
  if (!text.startsWith("//")) problems.push(`${path}: does not begin by saying what it is`);
  for (const [, target] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
    const other = relative(SOURCE, join(dirname(file), target)).split("/")[0];
    if (layer === "main.tsx" || other === layer || other === "styles") continue;
    if (!BELOW[layer]?.includes(other)) problems.push(`${path}: ${layer} must not import ${other}`);
  }
  for (const { pattern, layers, why } of RESERVED) {
    if (pattern.test(text) && !layers.includes(layer)) problems.push(`${path}: ${why}`);
  }
}
