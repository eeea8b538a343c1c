// How fast a large trace opens and scrolls in a real browser. The API is a stand-in that sends a
// trace of the size asked for, so that only the UI is measured.
//
//   node scripts/measure.mjs [--spans 100000] [--out DIR]

import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { serve } from "./serve.mjs";

const { values } = parseArgs({
  options: {
    spans: { type: "string", default: "100000" },
    browser: { type: "string", default: "/usr/bin/chromium" },
    out: { type: "string" },
  },
});
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SCROLL_MILLIS = 4_000;
const TRACE_ID = "000000000000000000000000000000aa";

const api = http.createServer(answer(Number(values.spans)));
await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
const server = await serve({ api: `http://127.0.0.1:${api.address().port}` });
const profile = mkdtempSync(join(tmpdir(), "skua-measure-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: values.browser,
  args: FLAGS,
  viewport: { width: 1600, height: 900 },
});
const page = await browser.newPage();
page.on("pageerror", (error) => console.log(String(error)));
await page.addInitScript(() => {
  window.longTasks = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.longTasks.push(Math.round(entry.duration));
  }).observe({ type: "longtask", buffered: true });
});

const began = performance.now();
await page.goto(`http://127.0.0.1:${server.address().port}/trace/${TRACE_ID}`);
await page.waitForSelector("[role=treegrid] [role=row]", { state: "attached", timeout: 120_000 });
report("first row", `${Math.round(performance.now() - began)} ms`);
report("long tasks, opening", JSON.stringify(await takeLongTasks()));
await page.mouse.move(900, 600);
report("scroll", JSON.stringify(await frames(() => page.mouse.wheel(0, 400))));
report("zoom", JSON.stringify(await frames((step) => zoom(step))));
report("long tasks, moving", JSON.stringify(await takeLongTasks()));
await page.keyboard.press("0");
const asked = performance.now();
await page.getByLabel("Find in trace").fill("op-77 err");
await page.locator(".find output").waitFor({ timeout: 60_000 });
report("find", `${Math.round(performance.now() - asked)} ms, typing pause included`);
report("heap", `${await heap()} MB on the main thread`);
if (values.out) await page.screenshot({ path: join(values.out, `measure-${values.spans}.png`) });
await browser.close();
server.close();
api.close();
rmSync(profile, { recursive: true, force: true });

function report(name, value) {
  console.log(`${name}: ${value}`);
}

async function takeLongTasks() {
  return page.evaluate(() => window.longTasks.splice(0));
}

async function zoom(step) {
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, step % 40 < 20 ? -60 : 60);
  await page.keyboard.up("Control");
}

/** Times between frames while something moves. */
async function frames(move) {
  await page.evaluate(() => {
    window.frameTimes = [];
    let last = performance.now();
    const tick = (now) => {
      window.frameTimes.push(now - last);
      last = now;
      window.ticking = requestAnimationFrame(tick);
    };
    window.ticking = requestAnimationFrame(tick);
  });
  const until = performance.now() + SCROLL_MILLIS;
  for (let step = 0; performance.now() < until; step += 1) await move(step);
  return page.evaluate(() => {
    cancelAnimationFrame(window.ticking);
    const times = window.frameTimes.slice(1).sort((a, b) => a - b);
    const total = times.reduce((sum, time) => sum + time, 0);
    const at = (share) => Math.round(10 * times[Math.floor(share * (times.length - 1))]) / 10;
    return {
      fps: Math.round((times.length / total) * 1_000),
      p50: at(0.5),
      p99: at(0.99),
      max: at(1),
    };
  });
}

async function heap() {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session
    .send("Performance.enable")
    .then(() => session.send("Performance.getMetrics"));
  const used = metrics.find(({ name }) => name === "JSHeapUsedSize")?.value ?? 0;
  return Math.round(used / 1e5) / 10;
}

/** Forty services, calls some forty deep, five tags a span: about 600 bytes of JSON each. */
function answer(count) {
  const body = gzipSync(JSON.stringify({ data: [largeTrace(count)] }), { level: 1 });
  const headers = { "content-type": "application/json" };
  return (request, response) => {
    if (request.url.startsWith("/api/traces/")) {
      response.writeHead(200, { ...headers, "content-encoding": "gzip" }).end(body);
    } else {
      response.writeHead(200, headers).end('{"services":[],"nodes":[],"shards":[]}');
    }
  };
}

function largeTrace(count) {
  // A small generator with a fixed seed: the same trace every time.
  let seed = 42;
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const origin = 1_790_000_000_000_000;
  const spans = [];
  const open = [];
  for (let index = 0; index < count; index += 1) {
    while (open.length > 40 || (open.length > 1 && random() < 0.5)) open.pop();
    const parent = open[open.length - 1];
    const start = parent ? parent.startTime + Math.floor(random() * parent.duration * 0.5) : origin;
    const duration = parent
      ? Math.max(1, Math.floor(parent.duration * (0.3 + 0.6 * random())))
      : 6e7;
    const span = {
      traceID: TRACE_ID,
      spanID: (index + 1).toString(16).padStart(16, "0"),
      operationName: `op-${Math.floor(random() * 200)}`,
      references: parent ? [{ refType: "CHILD_OF", traceID: TRACE_ID, spanID: parent.spanID }] : [],
      startTime: start,
      duration,
      tags: [
        { key: "span.kind", type: "string", value: index % 2 ? "client" : "server" },
        { key: "http.method", type: "string", value: "GET" },
        { key: "http.status_code", type: "int64", value: random() < 0.01 ? 500 : 200 },
        { key: "http.url", type: "string", value: `http://host-${index % 40}/path/${index}` },
        ...(random() < 0.01 ? [{ key: "error", type: "bool", value: true }] : []),
      ],
      logs: [],
      processID: `p${Math.floor(random() * 40)}`,
      warnings: null,
    };
    spans.push(span);
    open.push(span);
  }
  const processes = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [
      `p${index}`,
      { serviceName: `service-${index}`, tags: [] },
    ]),
  );
  return { traceID: TRACE_ID, spans, processes, warnings: null };
}
