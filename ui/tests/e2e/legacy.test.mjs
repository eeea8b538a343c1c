// Jaeger's addresses, each opened as a bookmark is: the same search, the same page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { columns, end, found, lines, SKUA } from "./skua.mjs";
import { stand, trace } from "./stand.mjs";

const SEARCHES = JSON.parse(readFileSync(new URL("../legacy-searches.json", import.meta.url)));
const FULL = "0000000000000000000000000000abcd";
const asked = [];
let place;
let page;
let complaints;

before(async () => {
  const note = (answer) => (url, body) => {
    asked.push({ url, body });
    return answer;
  };
  place = await stand({
    ...SKUA,
    "/api/skua/v1/search": note(lines(found(FULL), end())),
    "/api/traces?": note({ data: [trace(3)] }),
    "/api/skua/v1/traces/": note(columns(20, FULL)),
    "/api/traces/": { data: [trace(3)] },
    "/api/v3/services": { services: ["shop"] },
    "/api/v3/operations": { operations: [{ name: "GET /", spanKind: "server" }] },
    "/api/dependencies": { data: [{ parent: "a", child: "shop", callCount: 5 }] },
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
  ({ page, complaints } = await place.open("/settings"));
});

after(() => place.close());

async function visit(address) {
  asked.length = 0;
  await page.goto(`${place.root}${address}`);
  await page.locator("h1").first().waitFor({ state: "attached" });
}

/** What goes to the server for what a link means. */
function termsOf({ service, operation, tags, minDuration, maxDuration }) {
  const nanos = { "100ms": 1e8, "1.2s": 1.2e9, "1ms": 1e6, "2ms": 2e6 };
  const field = (name, value) => (value ? [{ field: name, op: "=", value }] : []);
  return [
    ...field("service", service),
    ...field("operation", operation),
    ...(tags ?? []).map(([tag, value]) => ({ tag, value })),
    ...(minDuration ? [{ field: "duration", op: ">=", value: nanos[minDuration] }] : []),
    ...(maxDuration ? [{ field: "duration", op: "<=", value: nanos[maxDuration] }] : []),
  ];
}

for (const { address, means } of SEARCHES) {
  test(`/search?${address}`, async () => {
    await visit(`/search?${address}`);
    await page.locator(".results li").first().waitFor();
    const [{ url, body }] = asked;
    if (means.traceIds) {
      assert.deepEqual(new URL(url, "http://x").searchParams.getAll("traceID"), means.traceIds);
      return;
    }
    const terms = termsOf(means);
    const where =
      terms.length === 0 ? true : { span: terms.length > 1 ? { all: terms } : terms[0] };
    assert.deepEqual(body.where, where);
    assert.equal(body.limit, means.limit ?? 20);
    const [start, finish] = [body.window.start, body.window.end].map((time) => Number(time) / 1e3);
    if (means.window?.kind === "range") {
      assert.deepEqual([start, finish], [means.window.start, means.window.end]);
    } else {
      const hours = { "5m": 1 / 12, "45m": 0.75, "2d": 48, "4w": 672 }[means.window?.lookback] ?? 1;
      assert.equal(Math.round((finish - start) / 36e8 / hours), 1);
    }
  });
}

const PAGES = [
  ["/", /\/search$/, () => page.getByRole("button", { name: "Find traces" })],
  ["/trace/ABCD", new RegExp(`/trace/${FULL}`), () => page.getByRole("treegrid")],
  // As Jaeger's own JSON of OTLP writes ids: base64.
  [
    "/trace/AAAAAAAAAAAAAAAAAACrzQ==",
    new RegExp(`/trace/${FULL}`),
    () => page.getByRole("treegrid"),
  ],
  ["/trace/abcd?uiFind=op-1", /uiFind=op-1/, () => page.locator(".find output")],
  ["/trace/abcd?uiFind=0000000000000003", /span=/, () => page.getByText("span 0000000000000003")],
  [
    // The first service of forty, by a checksum of all their names.
    "/trace/abcd?svcFilter=4f1c.1",
    /svcFilter=4f1c\.1/,
    () => page.getByRole("button", { name: "1 of 40 services" }),
  ],
  [
    // Made when the trace had other services.
    "/trace/abcd?svcFilter=ffff.1",
    new RegExp(`/trace/${FULL}$`),
    () => page.getByRole("button", { name: "Services", exact: true }),
  ],
  ["/trace/abcd?uiEmbed=v0&uiTimelineHideMinimap=1", /uiEmbed/, () => page.getByRole("treegrid")],
  ["/trace/abcd...ee", /abcd\.\.\.ee/, () => page.getByRole("columnheader", { name: "Self A" })],
  [
    "/trace/abcd...ee?cohort=abcd&cohort=ee",
    /cohort/,
    () => page.getByRole("columnheader", { name: "Self A" }),
  ],
  ["/trace/...ee", /\.\.\.ee/, () => page.getByText("A comparison needs two traces")],
  ["/trace/abcd...", /abcd\.\.\./, () => page.getByText("A comparison needs two traces")],
  ["/dependencies", /dependencies/, () => page.getByRole("heading", { name: "Map" })],
  [
    "/deep-dependencies?service=shop&showOp=1",
    /service=shop/,
    () => page.getByRole("heading", { name: "Map" }),
  ],
  ["/monitor", /monitor/, () => page.getByRole("heading", { name: /Services/ })],
  [
    "/monitor?service=shop&spanKind=client&timeframe=3600000",
    /monitor/,
    () => page.getByRole("heading", { name: /shop/ }),
  ],
  [
    "/quality-metrics?service=shop&lookback=48",
    /quality/,
    () => page.getByRole("heading", { name: /not measured/ }),
  ],
  [
    "/search?service=shop&uiEmbed=v0&uiSearchHideGraph=1",
    /uiEmbed/,
    () => page.locator(".results li").first(),
  ],
  ["/search?service=shop&uiTheme=dark", /uiTheme/, () => page.locator("html[data-theme=dark]")],
];

for (const [address, lands, shows] of PAGES) {
  test(address, async () => {
    await visit(address);
    await shows().waitFor({ state: "attached" });
    await page.waitForURL(lands);
    if (address.includes("uiEmbed")) assert.equal(await page.locator("nav").count(), 0);
    assert.deepEqual(complaints, []);
  });
}
