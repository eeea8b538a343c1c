// What the browser is measured before: a real node with synthetic traces in it, or a stand-in that
// sends the same traces, so that only the UI counts.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { FREE_PORTS } from "../scripts/free-ports.mjs";
import { serve } from "../scripts/serve.mjs";
import { writeRecording } from "./recording.mjs";
import { syntheticColumns, syntheticJson } from "./synthetic.mjs";

const RECORDED = new URL("../../bench/data/", import.meta.url).pathname;
const WAIT_MILLIS = 60_000;
/** More than this is more than one text can hold. */
const JSON_SPANS_MAX = 300_000;

export const SIZES = { "1k": 1_000, "100k": 100_000, "1M": 1_000_000 };
const idOf = (spans) => spans.toString(16).padStart(32, "a");

/** Addresses of the UI over each of the traces; `sizes` are names of `SIZES`. */
export async function realNode(binary, sizes) {
  const folder = mkdtempSync(join(tmpdir(), "skua-bench-"));
  const ports = join(folder, "ports");
  const flags = ["serve", "--data-dir", join(folder, "data"), "--ports-file", ports, ...FREE_PORTS];
  const node = spawn(binary, flags, { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(node, "exit");
  // What it says last is why it stopped.
  let said = "";
  node.stderr.on("data", (text) => {
    said = (said + text).slice(-2_000);
  });
  const close = async () => {
    node.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  try {
    const found = await portsIn(ports, () => {
      if (node.exitCode !== null || node.signalCode !== null)
        throw new Error(`the node stopped: ${said}`);
    });
    await fill(binary, folder, sizes, ["--to", `127.0.0.1:${found.otlp_grpc}`]);
    const root = `http://127.0.0.1:${found.ui}`;
    const traceOf = (size) => idOf(SIZES[size]);
    const cpuMillis = () => cpuMillisOf(node.pid);
    return { what: "a real node", root, traceOf, isReal: true, cpuMillis, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The recordings, for searches, and the traces. */
async function fill(binary, folder, sizes, to) {
  for (const name of ["hipster-20k.pb.zst", "trainticket-30k.pb.zst", "astronomy-oteltraces.zst"]) {
    await promisify(execFile)(binary, ["load", RECORDED + name, "--shift-to-now", ...to]);
  }
  for (const size of sizes) {
    const file = join(folder, size);
    await writeRecording({ file, traceId: idOf(SIZES[size]), spans: SIZES[size] });
    await promisify(execFile)(binary, ["load", file, ...to]);
    rmSync(file);
  }
}

/** User and system time of a process, all threads, since it began. */
function cpuMillisOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

async function portsIn(file, check) {
  const until = performance.now() + WAIT_MILLIS;
  for (;;) {
    try {
      return JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
      check();
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export async function standIn(sizes) {
  const bodies = new Map();
  for (const size of sizes) {
    const [spans, id] = [SIZES[size], idOf(SIZES[size])];
    const json =
      spans > JSON_SPANS_MAX ? "{}" : JSON.stringify({ data: [syntheticJson(spans, id)] });
    bodies.set(`/api/skua/v1/traces/${id}/columns`, [
      "application/vnd.skua.columns",
      gzipSync(syntheticColumns(spans, id), { level: 1 }),
    ]);
    bodies.set(`/api/traces/${id}`, ["application/json", gzipSync(json, { level: 1 })]);
  }
  const api = http.createServer((request, response) => {
    const [type, body] = bodies.get(request.url) ?? [];
    if (body === undefined) {
      const empty = '{"services":[],"nodes":[],"shards":[]}';
      return response.writeHead(200, { "content-type": "application/json" }).end(empty);
    }
    const headers = { "content-type": type, "content-encoding": "gzip" };
    return response.writeHead(200, headers).end(body);
  });
  await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
  const server = await serve({ api: `http://127.0.0.1:${api.address().port}` });
  return {
    what: "a stand-in for a node",
    root: `http://127.0.0.1:${server.address().port}`,
    traceOf: (size) => idOf(SIZES[size]),
    isReal: false,
    cpuMillis: () => 0,
    async close() {
      server.close();
      api.close();
    },
  };
}
