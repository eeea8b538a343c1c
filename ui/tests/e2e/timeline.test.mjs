// The timeline of a trace: runs of like spans as one row, links as arrows, details below a row.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { stand, TRACE_ID, trace } from "./stand.mjs";

let place;

/** Forty like calls one after another, one of which failed and one of which follows from the second. */
function answer() {
  const found = trace(45);
  for (const [index, span] of found.spans.entries()) {
    if (index > 0 && index <= 40) span.operationName = "select";
    if (index !== 7) continue;
    span.tags.push({ key: "error", type: "bool", value: true });
    const value = `Error\n${" at somewhere".repeat(40)}`;
    const fields = [{ key: "exception.stacktrace", type: "string", value }];
    span.logs = [{ timestamp: span.startTime, fields }];
  }
  const [, , second] = found.spans;
  found.spans[44].references.push({
    refType: "FOLLOWS_FROM",
    traceID: TRACE_ID,
    spanID: second.spanID,
  });
  return { data: [found] };
}

before(async () => {
  place = await stand({
    [`/api/traces/${TRACE_ID}`]: answer(),
    "/api/v3/services": { services: ["shop"] },
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
});

after(() => place.close());

async function open(path = "") {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}${path}`);
  const grid = page.locator("[role=treegrid]");
  await grid.locator("[role=row]").first().waitFor({ state: "attached" });
  return { page, complaints, grid, rows: grid.locator("[role=row]") };
}

test("many like spans become one row, and open again", async () => {
  const { page, complaints, grid, rows } = await open();
  await page.getByText("46 rows").waitFor();
  await page.keyboard.press("r");
  await page.getByText("7 rows").waitFor();
  const run = rows.filter({ hasText: "40 times" });
  await run.waitFor({ state: "attached" });
  assert.match(await run.textContent(), /select40 times, p95 90.µs, failed/);
  assert.equal(await run.getAttribute("aria-expanded"), "false");
  // It stays so in this browser, until it is opened: by a click on its caret, or by a key.
  await page.reload();
  await page.getByText("7 rows").waitFor();
  await grid.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await page.getByText("46 rows").waitFor();
  await page.getByRole("button", { name: "Fold runs" }).click();
  await page.getByRole("button", { name: "Fold runs" }).click();
  await page.getByText("7 rows").waitFor();
  // What is looked for shows, whatever hides it.
  await page.keyboard.press("e");
  await page.getByText("46 rows").waitFor();
  assert.match(await grid.locator("[aria-selected=true]").textContent(), /select.*failed/);
  await page.getByRole("button", { name: "Fold runs" }).click();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the next error, its details and the way back are keys away", async () => {
  const { page, complaints, grid } = await open();
  await page.keyboard.press("e");
  const detail = page.locator(".detail");
  await detail.getByText("at somewhere").waitFor();
  const hidden = await detail.evaluate((panel) => panel.scrollWidth - panel.clientWidth);
  assert.equal(hidden, 0, "a long line does not push the rest out of sight");
  await page.keyboard.press("Enter");
  assert.ok(await detail.evaluate((panel) => panel === document.activeElement));
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  await detail.waitFor({ state: "detached" });
  assert.ok(await grid.evaluate((list) => list === document.activeElement));
  assert.deepEqual(complaints, []);
  await page.close();
});

test("in a low window the rows are scrolled, however many there are", async () => {
  const { page, complaints, grid } = await open();
  await page.setViewportSize({ width: 720, height: 450 });
  const { seen, all } = await grid.evaluate(({ clientHeight, scrollHeight }) => ({
    seen: clientHeight,
    all: scrollHeight,
  }));
  assert.ok(seen < 450 && all > 1_000, `${seen} of ${all} pixels are seen`);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("links of the span under the pointer are arrows", async () => {
  const { page, complaints, grid } = await open();
  const accents = () =>
    grid.locator("canvas").evaluate((canvas) => {
      const probe = document.createElement("span");
      probe.style.color = "var(--accent)";
      document.body.append(probe);
      const [red, green, blue] = getComputedStyle(probe)
        .color.match(/[\d.]+/g)
        .map(Number);
      probe.remove();
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let at = 0; at < data.length; at += 4) {
        const distance =
          Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue);
        if (distance < 24) found += 1;
      }
      return found;
    });
  const until = async (isWanted) => {
    for (let tries = 0; tries < 100; tries += 1) {
      if (isWanted(await accents())) return;
      await page.waitForTimeout(50);
    }
    assert.fail(`${await accents()} pixels`);
  };
  const box = await grid.boundingBox();
  const rowHeight = 26;
  // The second row of the run is linked to by a row far below; the third is not.
  await page.mouse.move(box.x + 300, box.y + 2.5 * rowHeight);
  await until((pixels) => pixels > 40);
  await page.mouse.move(box.x + 300, box.y + 3.5 * rowHeight);
  await until((pixels) => pixels === 0);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("details stand below their row, and move with it", async () => {
  const { page, complaints, grid } = await open();
  await grid.focus();
  for (let step = 0; step < 4; step += 1) await page.keyboard.press("ArrowDown");
  const panel = page.getByRole("complementary", { name: "Selected span" });
  await panel.getByRole("button", { name: "Details below the row" }).click();
  const box = await grid.boundingBox();
  const until = async (top) => {
    const shown = page.locator(".below-row");
    for (let tries = 0; tries < 100; tries += 1) {
      const { y } = await shown.boundingBox();
      if (Math.abs(y - box.y - top) < 2) return;
      await page.waitForTimeout(50);
    }
    assert.fail(`${(await shown.boundingBox()).y - box.y} instead of ${top}`);
  };
  await until(4 * 26);
  await panel.getByText("http.url").waitFor();
  // The next row is below the details.
  await page.mouse.click(box.x + 300, box.y + 4 * 26 + (await panel.boundingBox()).height + 13);
  await page.waitForURL(/span=0000000000000005/);
  await until(5 * 26);
  // It is remembered, and taken back.
  await page.reload();
  await panel.getByRole("button", { name: "Details at the side" }).click();
  await page.locator(".below-row").waitFor({ state: "detached" });
  await panel.getByText("http.url").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the strip beside the rows shows where the error is, and leads to it", async () => {
  const { page, complaints } = await open();
  await page.setViewportSize({ width: 1280, height: 640 });
  const strip = page.locator(".row-strip canvas");
  await strip.waitFor();
  /** Where it is red, as shares of its height. */
  const red = () =>
    strip.evaluate((canvas) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      const isRed = (y) => {
        const at = 4 * (y * width + Math.round(width * 0.75));
        return data[at + 3] > 200 && data[at] > data[at + 1] + 60;
      };
      return Array.from({ length: height }, (_, y) => y)
        .filter(isRed)
        .map((y) => y / height);
    });
  await page.waitForFunction(() => document.querySelector(".row-strip canvas")?.height > 150);
  let places = [];
  for (let looks = 0; looks < 50 && places.length === 0; looks += 1) {
    await page.waitForTimeout(100);
    places = await red();
  }
  // The eighth of 46 rows, and the last, which failed too.
  assert.ok(
    places.some((place) => Math.abs(place - 7.5 / 46) < 0.03),
    places.join(),
  );
  assert.ok(
    places.every((place) => place < 0.22 || place > 0.94),
    places.join(),
  );
  const scrolled = () => page.locator(".waterfall-scroll").evaluate((each) => each.scrollTop);
  assert.equal(await scrolled(), 0);
  const { height } = await strip.boundingBox();
  await strip.click({ position: { x: 5, y: height - 4 } });
  assert.ok((await scrolled()) > 200, `at ${await scrolled()}`);
  assert.deepEqual(complaints, []);
  await page.close();
});
