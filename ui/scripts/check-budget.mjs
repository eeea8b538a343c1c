// Do the pages stay small? What a page loads first, compressed, against its budget. And does every
// file find what it imports ready?

import { circles, sizeOfAll, sizeOfScripts, sizeOfStyles } from "./sizes.mjs";

const KILO = 1_000;
const budgets = [
  ["all scripts and styles", sizeOfAll(), 400 * KILO],
  ["a trace, scripts", sizeOfScripts("trace-page.js", "trace-worker.js"), 120 * KILO],
  ["a search, scripts", sizeOfScripts("search-page.js"), 200 * KILO],
  ["styles", sizeOfStyles(), 15 * KILO],
];
for (const [what, size, limit] of budgets) {
  console.log(`${what}: ${(size / KILO).toFixed(1)} of ${limit / KILO} kB, compressed`);
  if (size > limit) process.exitCode = 1;
}
for (const name of circles()) {
  console.log(`${name} imports itself through others`);
  process.exitCode = 1;
}
