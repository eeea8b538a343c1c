// Real nodes for browser tests: one, or three that are a cluster. The binary is in SKUA_BIN.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { FREE_PORTS } from "../../scripts/free-ports.mjs";

export const BINARY = process.env.SKUA_BIN;
export const skip = BINARY === undefined ? "SKUA_BIN names no binary" : false;

const WAIT_MILLIS = 60_000;
const NAP_MILLIS = 50;

/** A file of `bench/data`. */
export function recorded(name) {
  return fileURLToPath(new URL(`../../../bench/data/${name}`, import.meta.url));
}

/** Asks again and again until there is something other than undefined. */
export async function eventually(what, ask) {
  const until = performance.now() + WAIT_MILLIS;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    if (performance.now() > until) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, NAP_MILLIS));
  }
}

/** Sends recorded traces, moved in time so that they end now. */
export function load(address, ...files) {
  return promisify(execFile)(BINARY, ["load", ...files, "--shift-to-now", "--to", address]);
}

/** One node with free ports and what else it is told; `close` stops it and removes its data. */
export async function startNode(...flags) {
  const folder = mkdtempSync(join(tmpdir(), "skua-node-"));
  const file = join(folder, "ports");
  const node = run(folder, ["--ports-file", file, ...FREE_PORTS, ...flags]);
  // The file appears once every port is taken.
  const ports = await eventually("ports", async () => JSON.parse(readFileSync(file, "utf8")));
  return {
    ui: `http://127.0.0.1:${ports.ui}`,
    otlp: `127.0.0.1:${ports.otlp_grpc}`,
    otlpHttp: `http://127.0.0.1:${ports.otlp_http}/v1/traces`,
    close: () => stop([node], folder),
  };
}

/**
 * Three nodes on loopback addresses of their own, with the usual ports, ready and each shard led,
 * with `copies` of each shard. `kill` ends one of them as a failing machine would.
 */
export async function startCluster(copies = 3) {
  const folder = mkdtempSync(join(tmpdir(), "skua-cluster-"));
  const net = `127.${16 + (process.pid % 200)}.${Math.floor(process.pid / 200) % 250}`;
  const addresses = [1, 2, 3].map((last) => `${net}.${last}`);
  const seeds = ["--seeds", addresses.join(","), "--expected-nodes", "3"];
  const children = addresses.map((address, index) =>
    run(join(folder, String(index + 1)), [
      ...["--listen-address", address, "--node-name", `node-${index + 1}`, ...seeds],
      ...["--replication-factor", String(copies)],
    ]),
  );
  const nodes = addresses.map((address, index) => ({
    name: `node-${index + 1}`,
    ui: `http://${address}:16686`,
    otlp: `${address}:4317`,
    kill: () => gone(children[index], "SIGKILL"),
  }));
  const close = () => stop(children, folder);
  try {
    await eventually("a cluster of three", async () => {
      const views = await Promise.all(nodes.map(({ ui }) => statusOf(ui)));
      const isWhole = ({ nodes: known, shards }) =>
        known.length === 3 &&
        known.every(({ state }) => state === "ready") &&
        shards.length > 0 &&
        shards.every(({ leader, replicas }) => leader && replicas.length === copies);
      return views.every(isWhole) ? true : undefined;
    });
  } catch (error) {
    await close();
    throw error;
  }
  return { nodes, close };
}

/** The cluster as the node at this address sees it. */
export async function statusOf(ui) {
  const answer = await fetch(`${ui}/api/skua/v1/cluster`);
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

function run(folder, flags) {
  const data = join(folder, "data");
  return spawn(BINARY, ["serve", "--data-dir", data, ...flags], { stdio: "ignore" });
}

function gone(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  return ended;
}

async function stop(children, folder) {
  // Nothing that they keep is wanted.
  await Promise.all(children.map((child) => gone(child, "SIGKILL")));
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
