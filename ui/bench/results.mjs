// Keeps what was measured beside the results of the other benchmarks, with the machine and the
// commit, a line of JSON a run.

import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";

const RESULTS = fileURLToPath(new URL("../../bench/results/", import.meta.url));

export function appendResult(measurement, found) {
  const line = { machine: machine(), measurement, ...found };
  appendFileSync(`${RESULTS}${measurement}.jsonl`, `${JSON.stringify(line)}\n`);
}

function machine() {
  const git = (...words) => execFileSync("git", words, { cwd: RESULTS, encoding: "utf8" }).trim();
  const isDirty = git("status", "--porcelain", "--untracked-files=no") !== "";
  return {
    commit: git("rev-parse", "--short=12", "HEAD") + (isDirty ? "-dirty" : ""),
    cores: cpus().length,
    cpu: cpus()[0].model,
    kernel: release(),
    memory: /^MemTotal:\s*(.*)$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1],
    time: `${new Date().toISOString().slice(0, 19)}Z`,
  };
}
