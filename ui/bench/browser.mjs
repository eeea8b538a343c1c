// A real browser that is measured: cold starts, long tasks, frames, heap.

import { freshBrowser } from "../scripts/browser.mjs";

const OPEN_MILLIS_MAX = 120_000;

/** What a row of a trace is to who waits for it. */
export const FIRST_ROW = "[role=treegrid] [role=row]";

/** A browser that has never seen the page, and notes what it does; `close` forgets it. */
export async function measuredBrowser(executablePath) {
  const fresh = await freshBrowser({ executablePath, width: 1600, height: 900 });
  await fresh.browser.addInitScript(() => {
    window.seen = { tasks: [], shift: 0, lcp: 0 };
    const watch = (type, take) =>
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) take(entry);
      }).observe({ type, buffered: true });
    watch("longtask", (entry) => window.seen.tasks.push(Math.round(entry.duration)));
    watch("layout-shift", (entry) => {
      if (!entry.hadRecentInput) window.seen.shift += entry.value;
    });
    watch("largest-contentful-paint", (entry) => {
      window.seen.lcp = Math.round(entry.startTime);
    });
  });
  return fresh;
}

/** Opens an address; milliseconds until `selector` is there, from outside the browser. */
export async function open(browser, address, selector = FIRST_ROW) {
  const page = await browser.newPage();
  // A slow step is a number to be told, not an end.
  page.setDefaultTimeout(OPEN_MILLIS_MAX);
  page.on("pageerror", (error) => console.error(String(error)));
  const began = performance.now();
  await page.goto(address, { waitUntil: "commit" });
  await page.waitForSelector(selector, { state: "attached", timeout: OPEN_MILLIS_MAX });
  return { page, millis: Math.round(performance.now() - began) };
}

/** When what happened while a trace was opened, in milliseconds after the page was asked for. */
export async function opening(page) {
  return page.evaluate(() => {
    const asked = performance.getEntriesByType("navigation")[0].requestStart;
    const since = (time) => Math.round(time - asked);
    const mark = (name) => since(performance.getEntriesByName(name)[0]?.startTime ?? asked - 1);
    const [columns] = performance
      .getEntriesByType("resource")
      .filter(({ name }) => name.endsWith("/columns"));
    return {
      firstByte: since(columns.responseStart),
      lastByte: since(columns.responseEnd),
      kilobytes: Math.round(columns.transferSize / 1_000),
      read: mark("trace read"),
      drawn: mark("trace drawn"),
    };
  });
}

/** The longest task of the page's thread since it was last asked; 0 if none took 50 ms. */
export async function longestTask(page) {
  const tasks = await page.evaluate(() => window.seen.tasks.splice(0));
  return Math.max(0, ...tasks);
}

/**
 * Notes the tasks of the pages of a browser, until the function that it gives is called: for the
 * longest by processor time, in milliseconds. By the clock a task takes longer where more wants to
 * run than there are cores: the server and the browser's other processes are on them too.
 */
export async function noteTasks(browser) {
  const session = await browser.newCDPSession(await browser.newPage());
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const traceConfig = { includedCategories: ["toplevel"] };
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig });
  return async () => {
    const isComplete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
    await session.send("Tracing.end");
    await isComplete;
    const threadOf = ({ pid, tid }) => `${pid} ${tid}`;
    const named = events.filter(({ name }) => name === "thread_name");
    const ofPages = named.filter(({ args }) => args.name === "CrRendererMain");
    const threads = new Set(ofPages.map(threadOf));
    const tasks = events.filter((event) => event.ph === "X" && threads.has(threadOf(event)));
    return Math.round(Math.max(0, ...tasks.map(({ tdur = 0 }) => tdur)) / 1_000);
  };
}

/** First and largest paint, and how much moved about. */
export async function paints(page) {
  return page.evaluate(() => ({
    fcp: Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1),
    lcp: window.seen.lcp,
    cls: Math.round(1_000 * window.seen.shift) / 1_000,
  }));
}

/** Times between frames while `move` is called again and again for so long. */
export async function frames(page, millis, move) {
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
  const until = performance.now() + millis;
  for (let step = 0; performance.now() < until; step += 1) await move(step);
  return page.evaluate(() => {
    cancelAnimationFrame(window.ticking);
    const times = window.frameTimes.slice(1).sort((a, b) => a - b);
    const total = times.reduce((sum, time) => sum + time, 0);
    const at = (share) => Math.round(10 * times[Math.floor(share * (times.length - 1))]) / 10;
    return { fps: Math.round((times.length / total) * 1_000), p99: at(0.99), max: at(1) };
  });
}

/** Megabytes of script objects after a collection. */
export async function heap(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  await session.send("Performance.enable");
  const { metrics } = await session.send("Performance.getMetrics");
  await session.detach();
  const used = metrics.find(({ name }) => name === "JSHeapUsedSize")?.value ?? 0;
  return Math.round(used / 1e5) / 10;
}

/** Middle of several runs. */
export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
