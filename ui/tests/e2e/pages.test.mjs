// What a person does, in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { stand, summary, TRACE_ID, trace } from "./stand.mjs";

const HOSTILE = '<img src=x onerror="alert(1)"></title><script>alert(2)</script>';
/** The same trace under another id. */
function ofId(id, of) {
  return JSON.parse(JSON.stringify(of).replaceAll(TRACE_ID, id));
}

const ANSWERS = {
  "/api/v3/services": { services: ["shop", "cart"] },
  "/api/v3/operations": { operations: [{ name: "GET /", spanKind: "server" }] },
  "/api/v3/trace-summaries": { summaries: [summary(TRACE_ID), summary("ee", HOSTILE)] },
  [`/api/traces/${TRACE_ID}`]: { data: [trace(60)] },
  "/api/traces/ee": { data: [trace(3, HOSTILE)] },
  "/api/traces/dd": { data: [ofId("dd".padStart(32, "0"), trace(3))] },
  [`/api/archive/${TRACE_ID}`]: (url) => {
    archived.push(url);
    return archived.length === 1 ? { data: [] } : [503, { errors: [{ msg: "no leader" }] }];
  },
  "/api/dependencies": { data: [{ parent: "shop", child: "cart", callCount: 5 }] },
  "/api/skua/v1/cluster": { nodes: [], shards: [] },
};

const archived = [];
let place;

before(async () => {
  place = await stand(ANSWERS);
});

after(() => place.close());

async function row(page, text) {
  const found = page.locator("[role=treegrid] [role=row]", { hasText: text }).first();
  await found.waitFor({ state: "attached" });
  return found;
}

test("from the root to a trace and back to the traces found", async () => {
  const { page, complaints } = await place.open("/");
  await page.getByRole("link", { name: /shop GET \// }).click();
  await page.waitForURL(`**/trace/${TRACE_ID}`);
  assert.ok(page.url().startsWith(place.root), "stays below the prefix");
  await row(page, "op-0");
  await page.getByLabel("Back to the traces found").click();
  await page.waitForURL(/\/search/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a link shows again what was on the screen", async () => {
  const { page } = await place.open(`/trace/${TRACE_ID}`);
  await row(page, "op-0");
  await page.keyboard.press("e");
  await page.keyboard.press("z");
  await page.waitForURL(/span=.*/);
  await page.waitForURL(/t0=.*/);
  await page.reload();
  const selected = page.locator("[role=row][aria-selected=true]");
  await selected.waitFor({ state: "attached" });
  assert.match(await selected.textContent(), /op-60.*failed/);
  await page.getByRole("button", { name: "Whole trace" }).waitFor();
  await page.close();
});

test("Jaeger's link to a span selects it", async () => {
  const { page } = await place.open(
    "/trace/abcd?uiFind=0000000000000005".replace("abcd", TRACE_ID),
  );
  const selected = page.locator("[role=row][aria-selected=true]");
  await selected.waitFor({ state: "attached" });
  assert.match(await selected.textContent(), /op-4/);
  await page.getByRole("heading", { name: "op-4" }).waitFor();
  await page.close();
});

test("the list of spans works by keyboard", async () => {
  const { page } = await place.open(`/trace/${TRACE_ID}`);
  const root = await row(page, "op-0");
  await page.locator("[role=treegrid]").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(() => document.querySelectorAll("[role=row]").length === 1);
  assert.equal(await root.getAttribute("aria-expanded"), "false");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("End");
  await row(page, "op-60");
  await page.keyboard.press("Escape");
  await page.locator("[role=row][aria-selected=true]").waitFor({ state: "detached" });
  await page.close();
});

test("find counts, steps and filters", async () => {
  const { page } = await place.open(`/trace/${TRACE_ID}`);
  await row(page, "op-0");
  await page.keyboard.press("/");
  await page.keyboard.type("op-1 dur<1ms");
  await page.locator("output", { hasText: "10" }).waitFor();
  await page.keyboard.press("Enter");
  await page.locator("output", { hasText: "1 of 10" }).waitFor();
  await page.getByLabel("Show matches only").click();
  await page.locator(".ruler-names", { hasText: "11 rows" }).waitFor();
  await page.close();
});

test("text of spans stays text", async () => {
  const { page, complaints } = await place.open("/search");
  await page.locator(".results").getByText(HOSTILE).first().waitFor();
  for (const view of ["timeline", "flame", "statistics", "events"]) {
    await page.goto(`${place.root}/trace/ee?v=${view}&span=0000000000000002`);
    await page.getByRole("heading", { name: HOSTILE }).first().waitFor();
    // What is still on its way when the next address opens is cut off, and says so.
    await page.waitForLoadState("networkidle");
  }
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("every page opens without a complaint", async () => {
  const paths = [
    "/search?service=shop&tags=%7B%22error%22%3A%22true%22%7D&lookback=2h",
    "/services",
    "/services/shop",
    "/monitor?service=cart",
    "/dependencies",
    "/deep-dependencies?service=shop",
    "/cluster",
    "/settings",
    "/file",
    `/trace/${TRACE_ID}...ee`,
    "/quality-metrics",
    "/no-such-page",
  ];
  for (const path of paths) {
    const { page, complaints } = await place.open(path);
    await page.getByRole("heading", { level: 1 }).first().waitFor({ state: "attached" });
    assert.deepEqual(complaints, [], path);
    await page.close();
  }
});

test("a trace is archived, and what cannot be is said", async () => {
  const { page } = await place.open(`/trace/${TRACE_ID}`);
  await page.getByRole("button", { name: "Archive" }).click();
  await page.getByText("Archived", { exact: true }).waitFor();
  assert.deepEqual(archived, [`/api/archive/${TRACE_ID}`]);
  await page.reload();
  await page.getByRole("button", { name: "Archive" }).click();
  await page.getByText("Not archived", { exact: true }).waitFor();
  await page.close();
});

test("from the list to the details and back by keyboard", async () => {
  const { page } = await place.open(`/trace/${TRACE_ID}`);
  await row(page, "op-0");
  await page.locator("[role=treegrid]").focus();
  await page.keyboard.press("Enter");
  await page.locator(".detail").waitFor();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.classList.contains("detail"));
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => document.activeElement?.closest(".detail") !== null);
  await page.close();
});

test("nothing is wider than a phone", async () => {
  const paths = [
    "/search",
    `/trace/${TRACE_ID}?span=0000000000000002`,
    `/trace/${TRACE_ID}?v=statistics`,
    `/trace/${TRACE_ID}...ee`,
    "/services",
    "/dependencies?as=table",
    "/cluster",
    "/settings",
  ];
  const { page } = await place.open("/settings");
  await page.setViewportSize({ width: 320, height: 640 });
  for (const path of paths) {
    await page.goto(place.root + path);
    await page.locator("h1, h2").first().waitFor({ state: "attached" });
    await page.waitForLoadState("networkidle");
    const width = await page.evaluate(() => document.querySelector("main").scrollWidth);
    assert.ok(width <= 320, `${path}: ${width}`);
  }
  await page.close();
});

test("one trace of two, the others of the cohort are offered", async () => {
  const { page } = await place.open(`/trace/${TRACE_ID}...?cohort=${TRACE_ID}&cohort=ee`);
  await page.getByRole("heading", { name: "Choose another trace" }).waitFor();
  await page.getByRole("link", { name: "ee" }).click();
  await page.getByRole("columnheader", { name: "Self A" }).waitFor();
  assert.match(page.url(), /\.\.\.ee\?cohort=/);
  for (const [name, text] of [
    ["Structure", /paths: \d+ alike/],
    ["Graph", /paths: \d+ alike/],
  ]) {
    await page.getByRole("button", { name, exact: true }).click();
    await page.getByText(text).waitFor();
  }
  assert.match(page.url(), /v=graph/);
  await page.getByRole("button", { name: "Swap" }).click();
  await page.waitForURL(new RegExp(`/trace/ee\\.\\.\\.${TRACE_ID}`));
  await page.close();
});

test("two traces lie on one axis, and a pair of spans is told apart by its attributes", async () => {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}...ee?v=timeline`);
  const lines = page.locator(".aligned-rows li");
  // The roots are of other services, so nothing of the one has a counterpart in the other.
  await lines.getByText("only A").first().waitFor();
  await page.goto(`${place.root}/trace/${TRACE_ID}...${TRACE_ID}?v=timeline`);
  await page.getByText("61 lines, spans paired by the way they were called").waitFor();
  await lines.first().getByRole("button").click();
  await page.waitForURL(/pair=0000000000000001\.\.\.0000000000000001/);
  const pair = page.getByRole("complementary", { name: "The chosen pair of spans" });
  await pair.getByText("all the same").first().waitFor();
  await pair.getByRole("button", { name: "Show 1 that are the same" }).click();
  await pair.getByRole("rowheader", { name: "http.url" }).waitFor();
  await lines.first().getByRole("button").focus();
  await page.keyboard.press("ArrowDown");
  await page.waitForURL(/pair=0000000000000002\.\.\./);
  // A link shows the same pair.
  await page.reload();
  await pair.getByRole("rowheader", { name: "Duration" }).waitFor();
  await page.getByLabel("Differences only").check();
  await page.getByText("Every span has its counterpart").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("several files are opened, one after another", async () => {
  const { page, complaints } = await place.open("/file");
  const fileOf = (name, spans) => ({
    name,
    mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify({ data: [trace(spans)] })),
  });
  const files = [fileOf("one.json", 2), fileOf("two.json", 5)];
  await page.locator("input[type=file]").setInputFiles(files);
  const spans = page.locator(".fact", { hasText: "Spans" }).locator("dd");
  await spans.getByText("3", { exact: true }).waitFor();
  await page.getByLabel("File", { exact: true }).selectOption("two.json");
  await spans.getByText("6", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Another file" }).click();
  await page.getByRole("heading", { name: "Open a file" }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("two ticked traces are compared", async () => {
  const { page } = await place.open("/search");
  await page.getByRole("checkbox").first().waitFor();
  for (const box of await page.getByRole("checkbox").all()) await box.check();
  await page.getByRole("button", { name: "Compare" }).click();
  await page.waitForURL(/\.\.\./);
  await page.getByRole("columnheader", { name: "Self A" }).waitFor();
  await page.close();
});

test("a side of a comparison takes further traces, and its figures are their means", async () => {
  const link = `/trace/${TRACE_ID}...dd?cohort=${TRACE_ID}&cohort=dd&cohort=ff`;
  const { page, complaints } = await place.open(link);
  const side = page.getByRole("region", { name: "Side B" });
  await side.getByText(/ 4 spans/).waitFor();
  await side.getByRole("button", { name: "Add a trace" }).click();
  await side.getByLabel("Trace for side B").fill(TRACE_ID);
  await page.keyboard.press("Enter");
  await page.waitForURL(/[?&]b=0000/);
  await side.getByText("mean of 2 traces").waitFor();
  await side.getByText(/ 32.5 spans/).waitFor();
  await page.getByText("Figures are means of a trace").waitFor();
  // A link shows the same, and what cannot be opened says so and can be left out.
  await page.reload();
  await side.getByText("mean of 2 traces").waitFor();
  await side.getByRole("button", { name: "Add a trace" }).click();
  await side.getByRole("button", { name: "ff" }).click();
  await side.getByText("not opened").waitFor();
  await side.getByRole("button", { name: "Leave trace ff out of side B" }).click();
  await side.getByText("not opened").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Structure" }).click();
  await page.getByRole("columnheader", { name: "Spans B" }).waitFor();
  assert.match(page.url(), /b=0+abcd/);
  assert.deepEqual(complaints, []);
  await page.close();
});
