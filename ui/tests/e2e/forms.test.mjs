// The forms of the results: a list, a table that sorts by the server's orders, and the spans that
// matched. The form is in the address, and every row can be reached by keys.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { end, found, lines, SKUA, spans } from "./skua.mjs";
import { stand, trace } from "./stand.mjs";

const searches = [];
const figures = [];
let spansReply;
let place;

const traces = Array.from({ length: 40 }, (_, index) =>
  found((index + 1).toString(16).padStart(32, "0"), { index, errors: index % 3 }),
);

before(async () => {
  place = await stand({
    "/api/v3/services": { services: ["shop", "cart"] },
    "/api/v3/operations": { operations: [] },
    "/api/traces": () => ({ data: [{ ...trace(2), traceID: "1".padStart(32, "0") }] }),
    ...SKUA,
    "/api/skua/v1/search": (_, body) => {
      searches.push(body);
      return lines(...traces, end({ cursor: "next" }));
    },
    "/api/skua/v1/aggregate": (url, body) => {
      if (body.field === "span_id") figures.push(body);
      return SKUA["/api/skua/v1/aggregate"](url, body);
    },
    "/api/skua/v1/traces/": (url) => spansReply(url),
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
});

beforeEach(() => {
  searches.length = 0;
  figures.length = 0;
  spansReply = spans;
});

after(() => place.close());

const pressed = (page) =>
  page.locator(".result-bar .segmented button[aria-pressed=true]").textContent();

test("the form is in the address, stays with the next search and asks nothing anew", async () => {
  const { page, complaints } = await place.open("/search?lookback=1h");
  await page.locator(".results li").first().waitFor();
  assert.equal(await pressed(page), "List");
  const before = searches.length;
  await page.getByRole("button", { name: "Table", exact: true }).click();
  await page.waitForURL(/[?&]v=table/);
  await page.getByRole("table", { name: "Traces found" }).waitFor();
  assert.equal(searches.length, before, "the traces are there already");
  await page.getByLabel("Order", { exact: true }).selectOption("oldest");
  await page.waitForURL(/sort=oldest/);
  assert.match(page.url(), /[?&]v=table/);
  await page.goBack();
  await page.waitForURL((url) => !url.search.includes("sort="));
  assert.equal(await pressed(page), "Table");
  await page.reload();
  await page.getByRole("table", { name: "Traces found" }).waitFor();
  await page.keyboard.press("3");
  await page.waitForURL(/v=spans/);
  await page.keyboard.press("1");
  await page.waitForURL((url) => !url.search.includes("v="));
  await page.locator(".results li").first().waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a link that is handed on shows the same form", async () => {
  const { page } = await place.open("/search?lookback=1h&v=table&plot=dots");
  await page.getByRole("button", { name: "Share" }).click();
  await page.evaluate(() => {
    navigator.clipboard.writeText = async (text) => {
      window.copied = text;
    };
  });
  await page.getByRole("button", { name: "Copy the link", exact: true }).click();
  await page.waitForFunction(() => window.copied !== undefined);
  const copied = new URL(await page.evaluate(() => window.copied));
  assert.equal(copied.search, "?lookback=1h&v=table&plot=dots");
  await page.close();
});

test("a click on a column's head asks for the server's order", async () => {
  const { page } = await place.open("/search?lookback=1h&v=table");
  const head = (name) => page.getByRole("columnheader", { name });
  await head("Start").waitFor();
  assert.equal(await head("Start").getAttribute("aria-sort"), "descending");
  await head("Duration").getByRole("button").click();
  await page.waitForURL(/sort=longest/);
  await head("Duration").getByRole("button").click();
  await page.waitForURL(/sort=shortest/);
  assert.equal(await head("Duration").getAttribute("aria-sort"), "ascending");
  await head("Errors").getByRole("button").click();
  await page.waitForURL(/sort=mostErrors/);
  assert.equal(searches.at(-1).order, "most_errors");
  await page.close();
});

for (const [form, rowOf] of [
  ["list", ".results li"],
  ["table", ".results [data-row]"],
]) {
  test(`rows of the ${form} are gone through, ticked and opened by keys`, async () => {
    const { page } = await place.open(`/search?lookback=1h&v=${form}`);
    await page.locator(rowOf).first().waitFor();
    await page.locator(".result-rows").focus();
    const place_ = () =>
      page.evaluate(() => document.activeElement.closest("[data-row]")?.dataset.row);
    for (const [key, expected] of [
      ["ArrowDown", "0"],
      ["j", "1"],
      ["j", "2"],
      ["k", "1"],
      ["End", "39"],
      ["ArrowUp", "38"],
      ["Home", "0"],
      ["ArrowDown", "1"],
    ]) {
      await page.keyboard.press(key);
      await page.waitForFunction(
        (row) => document.activeElement.closest("[data-row]")?.dataset.row === row,
        expected,
        { timeout: 5_000 },
      );
      assert.equal(await place_(), expected, key);
    }
    await page.keyboard.press("x");
    await page.getByRole("button", { name: "Tick another to compare" }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/trace\/0{31}2/);
    await page.close();
  });
}

test("spans that matched are asked for trace by trace, as far as one looks", async () => {
  const { page, complaints } = await place.open(
    '/search?lookback=1h&v=spans&service=shop&tags={"http.status_code":"404"}&q=trace.spans>1',
  );
  const table = page.getByRole("table", { name: "Spans found" });
  await table.getByRole("link", { name: "SELECT 1" }).first().waitFor();
  const [first] = figures;
  assert.deepEqual(first.where, {
    all: [
      { field: "trace_id", op: "=", value: "1".padStart(32, "0") },
      {
        all: [
          { field: "service", op: "=", value: "shop" },
          { tag: "http.status_code", value: "404" },
        ],
      },
    ],
  });
  await page.getByText("2 of 3 spans").or(page.getByText("3 of 3 spans")).first().waitFor();
  assert.equal((await page.getByText("1 more span in the trace").count()) > 0, true);
  // In order of time, whatever order they came in.
  const operations = await table.locator("[data-is=span] a").allTextContents();
  assert.deepEqual(operations.slice(0, 2), ["SELECT 1", "SELECT 0"]);
  await table.getByText("http.status_code=404").first().waitFor();
  await page.waitForLoadState("networkidle");
  assert.ok(figures.length < traces.length, "not of those that nobody looks at");
  await table.getByRole("link", { name: "SELECT 0" }).first().click();
  await page.waitForURL(/\/trace\/0{31}1\?uiFind=.*&span=0{15}/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("spans that cannot be read are told and asked for again", async () => {
  spansReply = () => [503, { error: { message: "shard 1 did not answer" } }];
  const { page } = await place.open("/search?lookback=1h&v=spans");
  await page.getByText("Root spans: the search has no condition on spans").waitFor();
  await page.getByText("its spans could not be read").first().waitFor();
  spansReply = spans;
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.getByRole("link", { name: "SELECT 0" }).first().waitFor();
  await page.close();
});

test("spans that a link names are shown without asking which", async () => {
  const id = "1".padStart(32, "0");
  const { page, complaints } = await place.open(`/search?span=0c%200d@${id}&v=spans`);
  await page.getByText("Spans that the link names").waitFor();
  await page.getByRole("link", { name: "SELECT 1" }).waitFor();
  await page.getByText("2 of 3 spans").waitFor();
  assert.equal(figures.length, 0);
  assert.deepEqual(complaints, []);
  await page.close();
});
