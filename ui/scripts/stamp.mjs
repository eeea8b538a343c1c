// Is `dist` built from these sources, and as it was built? `dist/SOURCE` lists the CRC-32 of every
// file that goes into it and of every file that came out. A build writes the list; `--check`
// compares it. The list is plain, so that a test in another language can do the same without Node
// (node/tests/tidy/ui.rs does): each line is eight hexadecimal digits, two spaces and a path below
// `ui/`; lines are sorted by path.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LIST = join(ROOT, "dist", "SOURCE");
/** What a build reads and writes. Tests do not count. */
const FILES = [
  "dist",
  "index.html",
  "package-lock.json",
  "public",
  "src",
  "tsconfig.json",
  "vite.config.ts",
];

function filesOf(path) {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.flatMap((entry) => {
    const each = join(path, entry.name);
    return entry.isDirectory() ? filesOf(each) : [each];
  });
}

function list() {
  const files = FILES.flatMap((input) => {
    const path = join(ROOT, input);
    return input.includes(".") ? [path] : filesOf(path);
  });
  return files
    .map((file) => relative(ROOT, file).replaceAll("\\", "/"))
    .filter((path) => !/\.test\.tsx?$|\/testing\.ts$|^dist\/SOURCE$/.test(path))
    .sort()
    .map(
      (path) =>
        `${crc32(readFileSync(join(ROOT, path)))
          .toString(16)
          .padStart(8, "0")}  ${path}\n`,
    )
    .join("");
}

if (process.argv.includes("--check")) {
  const stored = new Set(readFileSync(LIST, "utf8").split("\n"));
  const present = new Set(list().split("\n"));
  const differing = [...(stored.symmetricDifference?.(present) ?? difference(stored, present))];
  if (differing.length > 0) {
    const paths = new Set(differing.map((line) => line.slice(10)));
    console.error(`ui/dist is stale, run "npm run build":\n${[...paths].sort().join("\n")}`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(LIST, list());
}

function difference(left, right) {
  return [...left, ...right].filter((line) => left.has(line) !== right.has(line));
}
