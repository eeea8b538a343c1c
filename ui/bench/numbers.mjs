// The numbers that the UI must keep, in a real browser: before a real node with --skua, else before
// a stand-in for one. Each with its bound, and with the figure of Jaeger's UI 2.20 on a machine of
// the same kind (2 cores, software raster), where there is one.
//
//   node bench/numbers.mjs [--skua BINARY] [--sizes 1k,100k,1M] [--runs 3]
//     [--record [--note TEXT]]
//     [--parts trace,json,search,work,heap,sizes]
//
// A binary carries the UI that it was built with; --dist puts today's `dist` before its API.

import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { serve } from "../scripts/serve.mjs";
import { sizeOfScripts, sizeOfStyles } from "../scripts/sizes.mjs";
import {
  frames,
  heap,
  longestTask,
  measuredBrowser,
  median,
  noteTasks,
  open,
  opening,
  paints,
} from "./browser.mjs";
import { appendResult } from "./results.mjs";
import { realNode, standIn } from "./source.mjs";

const { values } = parseArgs({
  options: {
    skua: { type: "string" },
    dist: { type: "boolean", default: false },
    sizes: { type: "string", default: "1k,100k,1M" },
    runs: { type: "string", default: "3" },
    parts: { type: "string", default: "trace,json,search,work,heap,sizes" },
    browser: { type: "string", default: "/usr/bin/chromium" },
    record: { type: "boolean", default: false },
    note: { type: "string" },
  },
});
const MOVE_MILLIS = 4_000;
/** How long the find field waits for another key. */
const TYPING_MILLIS = 120;
const TRACES_OPENED = 50;

const sizes = values.sizes.split(",");
const parts = new Set(values.parts.split(","));
const source = values.skua ? await realNode(values.skua, sizes) : await standIn(sizes);
const front = values.dist ? await serve({ api: source.root }) : undefined;
const root = front ? `http://127.0.0.1:${front.address().port}` : source.root;
const rows = [];

const load = Number(loadavg()[0].toFixed(1));
warnOfPriority();
console.log(`before ${source.what}; ${cpus().length} cores, load ${load}`);
try {
  if (parts.has("trace")) for (const size of sizes) await measureTrace(size);
  if (parts.has("json") && sizes.includes("100k")) await measureJson();
  if (parts.has("search") && source.isReal) await measureSearch();
  if (parts.has("work")) await measureWork();
  if (parts.has("heap") && source.isReal) await measureHeap();
  if (parts.has("sizes")) measureSizes();
} finally {
  front?.close();
  await source.close();
}
if (values.record) record();
process.exitCode = rows.some((row) => row.isOver) ? 1 : 0;

/**
 * The browser begins a session of its own. With the kernel's grouping by session, a node that was
 * started from a session of higher priority leaves it next to nothing.
 */
function warnOfPriority() {
  try {
    const [, nice] = /nice (-?\d+)/.exec(readFileSync("/proc/self/autogroup", "utf8")) ?? [];
    if (nice !== "0") console.log(`this session has niceness ${nice}, the browser's has 0`);
  } catch {
    // No such grouping.
  }
}

/** `bound` must not be passed (or, where more is better, be reached); `peer` is Jaeger's. */
function note(name, value, unit, { bound, isLeast = false, peer } = {}) {
  const isOver = bound !== undefined && (isLeast ? value < bound : value > bound);
  rows.push({ name, value, unit, bound, peer, isOver });
  const ratio =
    peer === undefined ? "" : `  ${(isLeast ? value / peer : peer / value).toFixed(1)}x`;
  const limit = bound === undefined ? "" : `${isLeast ? ">=" : "<="} ${bound}`;
  console.log(
    `${isOver ? "OVER" : "    "} ${name.padEnd(46)} ${String(value).padStart(8)} ${unit.padEnd(4)}` +
      ` ${limit.padEnd(9)}${peer === undefined ? "" : ` Jaeger UI ${peer}${ratio}`}`,
  );
}

function record() {
  const results = Object.fromEntries(
    rows.map(({ name, value, unit }) => [`${name}, ${unit}`, value]),
  );
  const { sizes, parts, runs, dist, note } = values;
  const options = { sizes, parts, runs, dist, note, before: source.what };
  appendResult("ui", { options, load, results });
}

async function measureTrace(size) {
  const address = `${root}/trace/${source.traceOf(size)}`;
  const bounds = { "1k": [600, 3_300], "100k": [1_000, 13_300], "1M": [2_500, undefined] }[size];
  const firstRows = [];
  let last;
  const stages = [];
  for (let run = 0; run < Number(values.runs); run += 1) {
    await last?.close();
    last = await measuredBrowser(values.browser);
    const before = source.cpuMillis();
    last.opened = await open(last.browser, address);
    firstRows.push(last.opened.millis);
    const server = source.cpuMillis() - before;
    stages.push({ ...(await opening(last.opened.page)), server });
  }
  const { page } = last.opened;
  note(`${size} spans, cold, first row`, median(firstRows), "ms", {
    bound: bounds[0],
    ...(bounds[1] === undefined ? {} : { peer: bounds[1] }),
  });
  const middle = (of) => median(stages.map((each) => each[of]));
  note(`${size} spans, within the page: first byte`, middle("firstByte"), "ms");
  note(`${size} spans, within the page: last byte`, middle("lastByte"), "ms");
  note(`${size} spans, within the page: columns read`, middle("read"), "ms");
  note(`${size} spans, within the page: first row`, middle("drawn"), "ms");
  note(`${size} spans, bytes over the wire`, middle("kilobytes"), "kB");
  note(`${size} spans, processor time of the server`, middle("server"), "ms");
  const { fcp, lcp, cls } = await paints(page);
  note(`${size} spans, first contentful paint`, fcp, "ms", { bound: 500, peer: 980 });
  note(`${size} spans, largest contentful paint`, lcp, "ms", { bound: Math.max(800, bounds[0]) });
  note(`${size} spans, layout shift`, cls, "", { bound: 0.02 });
  const whileOpening = await longestTask(page);
  const peers = size === "100k" ? { fps: 12.6, p99: 1_500, task: 5_500 } : {};
  await page.mouse.move(900, 600);
  const scrolled = await frames(page, MOVE_MILLIS, () => page.mouse.wheel(0, 400));
  const zoomed = await frames(page, MOVE_MILLIS, (step) => zoom(page, step));
  note(`${size} spans, scroll`, scrolled.fps, "fps", { bound: 58, isLeast: true, peer: peers.fps });
  note(`${size} spans, scroll, p99 frame`, scrolled.p99, "ms", { bound: 20, peer: peers.p99 });
  note(`${size} spans, zoom, p99 frame`, zoomed.p99, "ms", { bound: 20 });
  await page.keyboard.press("0");
  const finds = [];
  for (const text of ["op-77 err", "service:service-3 dur>1ms", "op-7", "http.status_code=500"]) {
    finds.push(await find(page, text));
  }
  const slowest = (times) => Math.max(...times);
  const first = slowest(finds.map(({ first }) => first));
  note(`${size} spans, find, slowest of four`, first, "ms", { bound: 300 });
  const whole = slowest(finds.map(({ whole }) => whole));
  note(`${size} spans, find, attributes included`, whole, "ms");
  const longest = Math.max(whileOpening, await longestTask(page));
  note(`${size} spans, longest task`, longest, "ms", { bound: 100, peer: peers.task });
  await last.close();
}

async function zoom(page, step) {
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, step % 40 < 20 ? -60 : 60);
  await page.keyboard.up("Control");
}

/**
 * From the last key to the count of what was found, without the wait for another key: to the first,
 * which names and ids say, and to the one that no attribute adds to.
 */
async function find(page, text) {
  await page.getByLabel("Find in trace").fill("");
  await page.locator(".find output").waitFor({ state: "detached" });
  const asked = await page.evaluate(() => {
    window.found = {};
    const watch = new MutationObserver(() => {
      const output = document.querySelector(".find output");
      if (output === null) return;
      window.found.first ??= performance.now();
      if (output.textContent.includes("so far")) return;
      window.found.whole = performance.now();
      watch.disconnect();
    });
    const seen = { childList: true, subtree: true, characterData: true };
    watch.observe(document.querySelector(".find"), seen);
    return performance.now();
  });
  await page.getByLabel("Find in trace").fill(text);
  await page.waitForFunction(() => window.found.whole !== undefined, undefined, {
    timeout: 60_000,
  });
  const found = await page.evaluate(() => window.found);
  const sinceAsked = (at) => Math.round(at - asked - TYPING_MILLIS);
  return { first: sinceAsked(found.first), whole: sinceAsked(found.whole) };
}

/** As from a server that has no columns. */
async function measureJson() {
  const times = [];
  for (let run = 0; run < Number(values.runs); run += 1) {
    const { browser, close } = await measuredBrowser(values.browser);
    await browser.route("**/columns", (route) => route.fulfill({ status: 404, body: "{}" }));
    const { millis } = await open(browser, `${root}/trace/${source.traceOf("100k")}`);
    times.push(millis);
    await close();
  }
  note("100k spans from Jaeger's JSON, first row", median(times), "ms", {
    bound: 3_000,
    peer: 13_300,
  });
}

async function measureSearch() {
  const { browser, close } = await measuredBrowser(values.browser);
  const { page } = await open(browser, `${root}/search?lookback=1h`, ".results li");
  const { fcp } = await paints(page);
  note("search, first contentful paint", fcp, "ms", { bound: 500, peer: 1_000 });
  const times = await searches(page);
  note("search, first row after Run, warm", median(times.slice(1)), "ms", {
    bound: 200,
    peer: 1_000,
  });
  note("search, longest task", await longestTask(page), "ms", { bound: 100 });
  // Open the page, the errors, the newest of them.
  const began = performance.now();
  await page.goto(`${root}/`);
  await page
    .locator(".facets")
    .getByRole("button", { name: /^error/ })
    .click();
  await page.waitForURL(/status/);
  await page.locator(".results:not([data-stale=true] *) li a .badge.error").first().click();
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  note("newest failed trace, from the root, clicks", 2, "", { bound: 3, peer: 5 });
  note("newest failed trace, from the root", Math.round(performance.now() - began), "ms", {
    bound: 10_000,
  });
  await close();
}

/** Times from four questions to their first rows. */
async function searches(page) {
  const times = [];
  for (const service of ["frontend", "cartservice", "checkoutservice", "frontend"]) {
    await page.getByRole("combobox", { name: "Service", exact: true }).fill(service);
    await page.keyboard.press("Escape");
    times.push(await firstResult(page));
  }
  return times;
}

/** What the page's thread itself works at a time, whatever else is on the cores. */
async function measureWork() {
  const { browser, close } = await measuredBrowser(values.browser);
  const longestWork = await noteTasks(browser);
  for (const size of sizes) await open(browser, `${root}/trace/${source.traceOf(size)}`);
  if (source.isReal) {
    const { page } = await open(browser, `${root}/search?lookback=1h`, ".results li");
    await searches(page);
  }
  note("longest task of all, processor time", await longestWork(), "ms", { bound: 100 });
  await close();
}

/** Within the page, from the click to the first new row. */
async function firstResult(page) {
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        const list = document.querySelector(".results ul");
        const before = list?.querySelector("a")?.getAttribute("href");
        const began = performance.now();
        const look = () => {
          const first = document.querySelector(".results ul a")?.getAttribute("href");
          const isStale = document.querySelector("[data-stale=true] .results") !== null;
          if (first && (first !== before || performance.now() - began > 40) && !isStale) {
            resolve(Math.round(performance.now() - began));
          } else requestAnimationFrame(look);
        };
        document.querySelector(".search-form .run").click();
        requestAnimationFrame(look);
      }),
  );
}

async function measureHeap() {
  const { browser, close } = await measuredBrowser(values.browser);
  const address = `${root}/search?lookback=6h&limit=${TRACES_OPENED}`;
  const { page } = await open(browser, address, ".results li");
  const ids = await page.evaluate(async (limit) => {
    const answer = await fetch("api/skua/v1/search", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ limit, order: "most_spans" }),
    });
    const lines = (await answer.text()).trim().split("\n").map(JSON.parse);
    return lines.flatMap(({ trace }) => (trace && trace.span_count < 5_000 ? trace.trace_id : []));
  }, TRACES_OPENED + 5);
  await visit(page, ids[0]);
  await page.goBack();
  const before = await heap(page);
  for (const id of ids.slice(0, TRACES_OPENED)) {
    await visit(page, id);
    await page.goBack();
    await page.locator(".results li").first().waitFor();
  }
  const grown = Math.round(10 * ((await heap(page)) - before)) / 10;
  note(`heap after ${ids.slice(0, TRACES_OPENED).length} traces opened and closed`, grown, "MB", {
    bound: 60,
  });
  await close();
}

/** Within the page, as its own links do. */
async function visit(page, id) {
  await page.evaluate((path) => {
    history.pushState(null, "", new URL(path, document.baseURI).pathname);
  }, `trace/${id}`);
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
}

/** What goes over the wire, compressed. */
function measureSizes() {
  const kilo = (size) => Math.round(size / 100) / 10;
  const trace = kilo(sizeOfScripts("trace-page.js", "trace-worker.js"));
  note("scripts of a trace", trace, "kB", { bound: 120, peer: 840 });
  note("scripts of a search", kilo(sizeOfScripts("search-page.js")), "kB", {
    bound: 200,
    peer: 840,
  });
  note("styles", kilo(sizeOfStyles()), "kB", { bound: 15, peer: 18 });
}
