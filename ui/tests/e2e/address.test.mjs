// Everything that a page shows is in its address: the link opened anew shows the same, a reload
// does, and so does "back" from another page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { syntheticJson } from "../../bench/synthetic.mjs";
import { columns, end, found, lines, SKUA } from "./skua.mjs";
import { stand, TRACE_ID } from "./stand.mjs";

const OTHER = "000000000000000000000000000000ee";
let place;

before(async () => {
  place = await stand({
    ...SKUA,
    "/api/skua/v1/search": lines(
      ...[TRACE_ID, OTHER].map((id, index) => found(id, { index })),
      end(),
    ),
    "/api/skua/v1/traces/": (url) => columns(400, url.includes(OTHER) ? OTHER : TRACE_ID),
    "/api/traces/": (url) => ({
      data: [syntheticJson(400, url.includes(OTHER) ? OTHER : TRACE_ID)],
    }),
    "/api/skua/v1/aggregate": (url, body) => {
      const answer = SKUA["/api/skua/v1/aggregate"](url, body);
      if (body.kind !== "top_values" || body.field === "span_id") return answer;
      // More values than a facet lists at first.
      const values = Array.from({ length: 9 }, (_, index) => `${200 + index}`);
      return { ...answer, values: values.map((value) => ({ value, spans: 5, errors: 0 })) };
    },
    "/api/v3/services": { services: ["shop", "cart"] },
    "/api/v3/operations": { operations: [] },
    "/api/dependencies": { data: [{ parent: "shop", child: "cart", callCount: 5 }] },
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
});

after(() => place.close());

const attribute = (label, key) => async (page) => {
  const choice = page.getByLabel(label, { exact: true });
  await choice.focus();
  await choice.locator("option", { hasText: key }).waitFor({ state: "attached" });
  await choice.selectOption(key);
};
const button = (name) => (page) => page.getByRole("button", { name, exact: true }).click();
const head = (name) => (page) =>
  page.getByRole("columnheader", { name }).getByRole("button").first().click();
const texts = (selector) => (page) => page.locator(selector).allTextContents();

/** Where, what is done there, what the address says then, and what is looked at. */
const STATES = [
  [
    "the grouping of the statistics",
    `/trace/${TRACE_ID}?v=statistics`,
    [
      attribute("By attribute", "http.status_code"),
      attribute("Then by", "http.url"),
      head("Self time: Total"),
    ],
    { by: "@http.status_code", second: "http.url", rank: "self" },
    texts(".statistics th, .statistics tbody tr:nth-child(-n+3)"),
  ],
  [
    "statistics the other way round",
    `/trace/${TRACE_ID}?v=statistics`,
    [head("Self time: Max"), head("Self time: Max")],
    { rank: "-selfMax" },
    texts(".statistics th, .statistics tbody tr:nth-child(-n+3)"),
  ],
  [
    "statistics, reset",
    `/trace/${TRACE_ID}?v=statistics&by=service&second=http.url&rank=name`,
    [button("Reset")],
    {},
    texts(".statistics th, .statistics tbody tr:nth-child(-n+3)"),
  ],
  [
    "statistics by service",
    `/trace/${TRACE_ID}?v=statistics`,
    [button("By service")],
    { by: "service" },
    texts(".statistics th, .statistics tbody tr:nth-child(-n+3)"),
  ],
  [
    "the order of the table",
    `/trace/${TRACE_ID}?v=table`,
    [head("Operation")],
    { order: "operation" },
    texts(".span-row"),
  ],
  [
    "a column of the table and the order by it",
    `/trace/${TRACE_ID}?v=table`,
    [attribute("Another column", "http.status_code"), head("http.status_code")],
    { column: "http.status_code", order: "value" },
    texts(".span-row"),
  ],
  [
    "a bar of the flame graph",
    `/trace/${TRACE_ID}?v=flame&flame=count`,
    [(page) => page.locator(".icicle li").nth(1).getByRole("button").click()],
    { bar: "1" },
    texts(".icicle li"),
  ],
  [
    "the colours of the graph",
    `/trace/${TRACE_ID}?v=graph`,
    [button("Self time")],
    { shade: "self" },
    (page) =>
      page.locator(".node-heat").evaluateAll((all) => all.map((each) => each.style.opacity)),
  ],
  [
    "the form of the raw trace",
    `/trace/${TRACE_ID}?v=raw`,
    [button("Unadjusted")],
    { form: "unadjusted" },
    texts(".raw [aria-pressed=true]"),
  ],
  [
    "matches only",
    `/trace/${TRACE_ID}?uiFind=err&v=table`,
    [button("Show matches only")],
    { only: "1", uiFind: "err" },
    texts(".span-table .row p"),
  ],
  [
    "which rows of the timeline are collapsed",
    `/trace/${TRACE_ID}`,
    [
      async (page) => {
        await page.getByRole("button", { name: "Collapse all (])" }).click();
        await page.locator("[role=treegrid]").focus();
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("ArrowRight");
      },
    ],
    { fold: "b4.1" },
    texts("[role=treegrid] [role=row]"),
  ],
  [
    "attributes of a pair that are the same",
    `/trace/${TRACE_ID}...${OTHER}?v=timeline&pair=0`,
    [
      (page) => page.locator(".aligned-rows li button").first().click(),
      (page) =>
        page
          .getByRole("button", { name: /^Show .* that are the same$/ })
          .first()
          .click(),
    ],
    { same: "1" },
    texts(".pair-attributes tr"),
  ],
  [
    "facets of which all values are listed",
    "/search?lookback=1h",
    [(page) => page.getByRole("button", { name: "3 more" }).first().click()],
    { long: "http.status_code" },
    texts(".facet li"),
  ],
  [
    "differences only",
    `/trace/${TRACE_ID}...${OTHER}?v=timeline`,
    [(page) => page.getByLabel("Differences only").check()],
    { only: "1" },
    texts(".aligned-bar [role=status]"),
  ],
  [
    "which services, in which order",
    "/services",
    [head("Service"), (page) => page.getByLabel("Filter services").fill("sho")],
    { sort: "name", find: "sho" },
    texts(".red-table th, .service-link"),
  ],
  [
    "what a service's spans are broken down by",
    "/services/shop",
    [
      async (page) => {
        const field = page.getByRole("combobox", { name: "By attribute: attribute" });
        await field.fill("cloud.zone");
        await field.press("Enter");
      },
    ],
    { attribute: "cloud.zone" },
    (page) => page.getByRole("combobox", { name: "By attribute: attribute" }).inputValue(),
  ],
  [
    "what is looked for on the map",
    "/dependencies",
    [(page) => page.getByLabel("Find a service").fill("cart")],
    { find: "cart" },
    (page) => page.getByLabel("Find a service").inputValue(),
  ],
  [
    "traces ticked for a comparison",
    "/search?lookback=1h",
    [(page) => page.locator(".results input[type=checkbox]").first().check()],
    { tick: TRACE_ID },
    texts(".results li:has(:checked), .result-bar .button"),
  ],
];

const LOOKS_MAX = 60;

/** Waits until what is looked at is there and stands still: parts of it come later than the page. */
async function settled(page, look, isNothing = false) {
  await page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => undefined);
  let last;
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const now = JSON.stringify(await look(page));
    if (now === last && (isNothing || (now !== "[]" && now !== '""'))) return now;
    last = now;
    await page.waitForTimeout(100);
  }
  throw new Error(`it does not stand still: ${last}`);
}

for (const [name, path, acts, parameters, look] of STATES) {
  test(name, async () => {
    const { page, complaints } = await place.open(path);
    const before = await settled(page, look, true);
    for (const act of acts) await act(page);
    for (const [parameter, value] of Object.entries(parameters)) {
      await page.waitForFunction(
        ([key, wanted]) => new URLSearchParams(location.search).get(key) === wanted,
        [parameter, value],
      );
    }
    const shown = await settled(page, look);
    assert.notEqual(shown, before, "what was done shows");
    await page.reload();
    assert.equal(await settled(page, look), shown, "after a reload");
    await page.getByRole("link", { name: "Settings" }).click();
    await page.waitForURL(/settings/);
    await page.goBack();
    assert.equal(await settled(page, look), shown, "after the way back");
    assert.deepEqual(complaints, []);
    await page.close();
  });
}

test("changes do not pile up between a page and the one before it", async () => {
  const { page } = await place.open("/settings");
  await page.goto(`${place.root}/trace/${TRACE_ID}?v=statistics`);
  await page.getByRole("button", { name: "By service" }).click();
  await head("Self time: Total")(page);
  await page.waitForURL(/rank=self/);
  await page.goBack();
  await page.waitForURL(/settings/);
  await page.close();
});

test("what an address says of another kind of state is no state", async () => {
  const { page, complaints } = await place.open(
    `/trace/${TRACE_ID}?v=statistics&by=@&second=&rank=colour&order=-x&bar=99999&form=x`,
  );
  await page.locator(".statistics tbody tr").first().waitFor();
  for (const view of ["table", "flame&flame=count", "raw"]) {
    await page.goto(`${place.root}/trace/${TRACE_ID}?v=${view}&order=-x&bar=99999&form=x`);
    await page.locator(".span-row, .icicle li, .raw pre").first().waitFor();
  }
  assert.deepEqual(complaints, []);
  await page.close();
});
