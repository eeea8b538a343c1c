// How fast a large trace opens and scrolls in a real browser. The API is a stand-in that sends a
// trace of the size asked for, so that only the UI is measured.
//
// Without --json the trace comes in columns; with it, as from a server that has none.
//
//   node scripts/measure.mjs [--spans 100000] [--json] [--runs 5] [--out DIR]

import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { syntheticColumns, syntheticJson } from "../bench/synthetic.mjs";
import { serve } from "./serve.mjs";

const { values } = parseArgs({
  options: {
    spans: { type: "string", default: "100000" },
    browser: { type: "string", default: "/usr/bin/chromium" },
    out: { type: "string" },
    json: { type: "boolean", default: false },
    runs: { type: "string", default: "1" },
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
/** How long the field waits for another key. */
const TYPING_MILLIS = 120;
const TRACE_ID = "000000000000000000000000000000aa";

const api = http.createServer(answer(Number(values.spans)));
await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
const server = await serve({ api: `http://127.0.0.1:${api.address().port}` });

const profiles = [];
const firstRows = [];
for (let run = 1; run < Number(values.runs); run += 1) {
  const { browser, opened } = await open();
  firstRows.push(opened);
  await browser.close();
}
const { browser, page, opened, inPage } = await open();
firstRows.push(opened);
report("first row", `${firstRows.join(", ")} ms; the last ${inPage} ms after it began to load`);
report("long tasks, opening", JSON.stringify(await takeLongTasks()));
await page.mouse.move(900, 600);
report("scroll", JSON.stringify(await frames(() => page.mouse.wheel(0, 400))));
report("zoom", JSON.stringify(await frames((step) => zoom(step))));
report("long tasks, moving", JSON.stringify(await takeLongTasks()));
await page.keyboard.press("0");
for (const text of ["op-77 err", "service:service-3 dur>1ms", "op-7"]) {
  report(
    `find “${text}”`,
    `${await find(text)} ms, ${TYPING_MILLIS} of them waiting for more keys`,
  );
}
report("long tasks, finding", JSON.stringify(await takeLongTasks()));
report("heap", `${await heap()} MB on the main thread`);
if (values.out) await page.screenshot({ path: join(values.out, `measure-${values.spans}.png`) });
await browser.close();
server.close();
api.close();
for (const each of profiles) {
  rmSync(each, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

/** A browser that has never seen the page opens it. */
async function open() {
  const profile = mkdtempSync(join(tmpdir(), "skua-measure-"));
  profiles.push(profile);
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
  const opened = Math.round(performance.now() - began);
  const inPage = await page.evaluate(() => Math.round(performance.now()));
  return { browser, page, opened, inPage };
}

/** From the last key to the count of what was found. */
async function find(text) {
  await page.getByLabel("Find in trace").fill("");
  await page.locator(".find output").waitFor({ state: "detached" });
  const asked = await page.evaluate(() => {
    window.foundAt = 0;
    const done = () => {
      if (document.querySelector(".find output") === null) return;
      window.foundAt = performance.now();
      watch.disconnect();
    };
    const watch = new MutationObserver(done);
    watch.observe(document.querySelector(".find"), { childList: true, subtree: true });
    return performance.now();
  });
  await page.getByLabel("Find in trace").fill(text);
  await page.locator(".find output").waitFor({ timeout: 60_000 });
  return Math.round((await page.evaluate(() => window.foundAt)) - asked);
}

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

/** The trace in both forms; the columns only if they are wanted. */
function answer(count) {
  const json = gzipSync(jsonOf(count), { level: 1 });
  const columns = values.json
    ? undefined
    : gzipSync(syntheticColumns(count, TRACE_ID), { level: 1 });
  const gzip = { "content-encoding": "gzip" };
  const asJson = { "content-type": "application/json" };
  return (request, response) => {
    if (request.url.endsWith("/columns")) {
      if (columns === undefined) return response.writeHead(404).end();
      const type = { "content-type": "application/vnd.skua.columns" };
      return response.writeHead(200, { ...type, ...gzip }).end(columns);
    }
    if (request.url.startsWith("/api/traces/")) {
      return response.writeHead(200, { ...asJson, ...gzip }).end(json);
    }
    return response.writeHead(200, asJson).end('{"services":[],"nodes":[],"shards":[]}');
  };
}

/** More than this is more than one text can hold. */
function jsonOf(count) {
  return count > 300_000 ? "{}" : JSON.stringify({ data: [syntheticJson(count, TRACE_ID)] });
}
