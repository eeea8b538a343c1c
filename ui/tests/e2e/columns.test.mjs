// A trace that comes in columns: the rows at once, attributes on demand, every view of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { syntheticJson } from "../../bench/synthetic.mjs";
import { columns, SKUA } from "./skua.mjs";
import { stand, TRACE_ID } from "./stand.mjs";

const SPANS = 400;
const HUGE = "0000000000000000000000000000b16b";
const CUT = "00000000000000000000000000000c07";
const BUSY = "0000000000000000000000000000b059";
const YOUNG = "000000000000000000000000000f2e54";
const KEPT = "0000000000000000000000000000ceb7";
const SLOW = "00000000000000000000000000051000";
const asked = [];
let timesSent = 0;
let letGo;
const slowly = new Promise((resolve) => {
  letGo = resolve;
});
let isGrown = false;
let spansReply;
let findReply = () => [404, ""];
const found = [];
let place;

/** The span that is asked for, which carries its id. */
function oneSpan(url) {
  const spanID = new URL(url, "http://node").searchParams.get("span_id");
  const tags = [{ key: "of.span", type: "string", value: spanID }];
  const times = { startTime: 1_790_000_000_000_000, duration: 1 };
  const span = { spanID, operationName: "op", processID: "p1", references: [], logs: [], tags };
  const processes = { p1: { serviceName: "shop", tags: [] } };
  return { data: [{ traceID: HUGE, spans: [{ ...span, ...times }], processes }] };
}

/** The id of a row of the server's columns. */
function idOfRow(row) {
  const [, body] = columns(260_000, HUGE);
  const end = body.indexOf("\n");
  const line = JSON.parse(body.subarray(0, end).toString());
  const { offset } = line.columns.find(({ name }) => name === "span_id");
  const at = end + 1 + offset + 8 * row;
  return body.subarray(at, at + 8).toString("hex");
}

before(async () => {
  place = await stand({
    ...SKUA,
    [`/api/skua/v1/traces/${TRACE_ID}/columns`]: () => {
      timesSent += 1;
      return columns(SPANS, TRACE_ID);
    },
    [`/api/skua/v1/traces/${HUGE}/columns`]: columns(260_000, HUGE),
    [`/api/skua/v1/traces/${HUGE}/spans`]: (url) => spansReply(url),
    [`/api/skua/v1/traces/${HUGE}/find`]: (_, body) => {
      found.push(body);
      return findReply();
    },
    [`/api/skua/v1/traces/${YOUNG}/columns`]: (_, __, headers) => {
      const isKnown = headers["if-none-match"] !== undefined && !isGrown;
      return isKnown ? [304, ""] : columns(isGrown ? 40 : 30, YOUNG, Date.now() * 1_000);
    },
    [`/api/skua/v1/traces/${SLOW}/columns`]: columns(SPANS, SLOW),
    [`/api/traces/${SLOW}`]: async () => {
      await slowly;
      return { data: [syntheticJson(SPANS, SLOW)] };
    },
    [`/api/skua/v1/traces/${KEPT}/columns`]: (_, __, headers) => {
      const isKnown = headers["if-none-match"] !== undefined;
      const state = isKnown ? "partial; stale=3" : "complete";
      const [, body, type] = columns(30, KEPT);
      const head = { ...type, etag: 'W/"one"', "skua-completeness": state };
      return isKnown ? [304, "", head] : [200, body, head];
    },
    [`/api/skua/v1/traces/${CUT}/columns`]: [200, Buffer.from('{"format":"skua-columns"')],
    [`/api/skua/v1/traces/${BUSY}/columns`]: [503, { error: { message: "shard 2 has no leader" } }],
    "/api/traces/": (url) => {
      asked.push(url);
      return { data: [syntheticJson(SPANS, TRACE_ID)] };
    },
    "/api/v3/services": { services: ["shop"] },
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
});

after(() => place.close());

test("rows come from columns, attributes from the JSON, and both agree", async () => {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}`);
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  // The page names them and its code fetches them: that is one and the same request.
  assert.equal(timesSent, 1);
  await page.getByText("400", { exact: true }).first().waitFor();
  await page.keyboard.press("e");
  const selected = page.locator("[role=row][aria-selected=true]");
  await selected.waitFor({ state: "attached" });
  assert.match(await selected.textContent(), /failed/);
  const panel = page.getByRole("complementary", { name: "Selected span" });
  await panel.getByRole("rowheader", { name: "http.status_code" }).waitFor();
  assert.match(await panel.textContent(), /500/);
  const link = panel.getByRole("link", { name: "Traces with this http.status_code" });
  assert.match(await link.getAttribute("href"), /tags=.*http\.status_code.*500/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("find looks into attributes too", async () => {
  const { page } = await place.open(`/trace/${TRACE_ID}?uiFind=http.status_code%3D500`);
  // Until the attributes are there it says that there may be more.
  await page.locator(".find output", { hasText: /^[\d,]+$/ }).waitFor();
  const failed = Number((await page.locator(".find output").textContent()).replace(/.* of /, ""));
  await page.getByLabel("Find in trace").fill("err");
  await page.waitForURL(/uiFind=err/);
  await page.locator(".find output", { hasText: String(failed) }).waitFor();
  assert.ok(failed > 0);
  await page.close();
});

test("every view shows the trace and keeps its place in the address", async () => {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}`);
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  for (const [name, view] of [
    ["Flame", "flame"],
    ["Path", "path"],
    ["Table", "table"],
    ["Statistics", "statistics"],
    ["Events", "events"],
    ["Graph", "graph"],
    ["Raw", "raw"],
  ]) {
    await page.getByRole("button", { name, exact: true }).click();
    await page.waitForURL(new RegExp(`v=${view}`));
  }
  await page.getByText('"operationName"').waitFor();
  await page.keyboard.press("7");
  await page.getByRole("group", { name: /paths/ }).waitFor();
  await page.keyboard.press("4");
  await page.waitForURL(/v=table/);
  await page.getByRole("columnheader", { name: "Self" }).getByRole("button").click();
  await page.locator("[role=columnheader][aria-sort=descending]", { hasText: "Self" }).waitFor();
  await page.locator(".span-row .link").first().click();
  await page.waitForURL(/span=/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the flame graph is also one of what called what", async () => {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}?v=flame`);
  await page.getByRole("button", { name: "By count" }).click();
  await page.waitForURL(/flame=count/);
  await page.getByRole("button", { name: "By self time" }).click();
  await page.waitForURL(/flame=self/);
  const bars = page.locator(".icicle li");
  await bars.nth(1).waitFor();
  const all = await bars.count();
  // What is chosen is as wide as what is above it.
  await bars.nth(1).getByRole("button").click();
  await page.locator(".icicle [aria-pressed=true]").waitFor();
  const widths = await bars.evaluateAll((each) => each.slice(0, 2).map((bar) => bar.style.width));
  assert.deepEqual(widths, ["100%", "100%"]);
  await page.getByRole("button", { name: "Show all" }).click();
  assert.equal(await bars.count(), all);
  await page.reload();
  await bars.first().waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("any attribute groups the statistics and is a column of the table", async () => {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}?v=statistics`);
  const choice = page.getByLabel("By attribute");
  await choice.focus();
  await choice.locator("option", { hasText: "http.status_code" }).waitFor({ state: "attached" });
  await choice.selectOption("http.status_code");
  await page.getByRole("columnheader", { name: "http.status_code" }).waitFor();
  const groups = await page.locator(".statistics tbody tr td:first-child").allTextContents();
  assert.ok(groups.includes("200") && groups.includes("500"), groups.join());
  // By service, and within it by the attribute.
  await page.getByLabel("Then by").focus();
  await page.getByLabel("Then by").selectOption("http.status_code");
  await page.getByRole("button", { name: "By service" }).click();
  await page.getByRole("columnheader", { name: "Service", exact: true }).waitFor();
  const seconds = await page.locator(".statistics tbody tr td:nth-child(2)").allTextContents();
  assert.ok(seconds.includes("200") && seconds.includes("500"), seconds.join());
  await page.getByRole("button", { name: "Table", exact: true }).click();
  await page.waitForURL(/v=table/);
  const column = page.getByLabel("Another column");
  await column.focus();
  await column.locator("option", { hasText: "http.status_code" }).waitFor({ state: "attached" });
  await column.selectOption("http.status_code");
  const head = page.getByRole("columnheader", { name: "http.status_code" });
  await head.getByRole("button").click();
  await head.getByRole("button").click();
  await page.locator("[role=columnheader][aria-sort=descending]").waitFor();
  const first = page.locator(".span-row:not(.head)").first().getByRole("cell").last();
  await page.waitForFunction(
    () => document.querySelector(".span-row:not(.head) > :last-child")?.textContent === "500",
  );
  assert.equal(await first.textContent(), "500");
  assert.deepEqual(complaints, []);
  await page.close();
});

test("of a trace too large for its JSON the panel asks for the span alone", async () => {
  const before = asked.length;
  spansReply = oneSpan;
  const { page } = await place.open(`/trace/${HUGE}`);
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  await page.keyboard.press("j");
  const panel = page.getByRole("complementary", { name: "Selected span" });
  await panel.getByRole("rowheader", { name: "of.span" }).waitFor();
  assert.match(await panel.textContent(), /of\.span0000000000000001/);
  // A server that cannot is no failure; one that does not answer is, and can be asked again.
  spansReply = () => [404, ""];
  await page.keyboard.press("j");
  await panel.getByText("Nothing else is known of this span.").waitFor();
  spansReply = () => [503, { error: { message: "shard 2 has no leader" } }];
  await page.keyboard.press("j");
  await panel.getByText("shard 2 has no leader").waitFor();
  spansReply = oneSpan;
  await panel.getByRole("button", { name: "Try again" }).click();
  await panel.getByRole("rowheader", { name: "of.span" }).waitFor();
  const found = page.locator(".find output");
  await page.getByLabel("Find in trace").fill("op-7 err");
  await found.filter({ hasText: /^\d+ by name$/ }).waitFor();
  await page.getByLabel("Find in trace").fill("http.status_code=500");
  await found.filter({ hasText: "no match by name" }).waitFor();
  assert.match(await found.getAttribute("title"), /not searched/);
  await page.getByLabel("Find in trace").fill("err");
  await found.filter({ hasText: /^[\d,]+$/ }).waitFor();
  assert.equal(asked.length, before, "the JSON is left alone");
  await page.close();
});

test("attributes of a trace that is never read whole are searched by the server", async () => {
  const spans = 260_000;
  const bits = new Uint8Array(Math.ceil(spans / 8));
  // Rows 3 and 259,999 of the server's.
  bits[0] = 0b1000;
  bits[Math.floor((spans - 1) / 8)] |= 1 << ((spans - 1) % 8);
  const answer = (spans) => ({
    ...{ trace_id: HUGE, completeness: "complete", spans, found: 2 },
    rows: Buffer.from(bits).toString("base64"),
  });
  spansReply = oneSpan;
  findReply = () => answer(spans);
  const { page, complaints } = await place.open(`/trace/${HUGE}`);
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  const count = page.locator(".find output");
  const find = page.getByLabel("Find in trace");
  found.length = 0;
  await find.fill("http.status_code>=500 region=EU.1");
  await count.filter({ hasText: /^2$/ }).waitFor();
  assert.deepEqual(
    found.map(({ where }) => where.any[0]),
    [
      { attribute: "http.status_code", scope: "span_or_resource", op: ">=", value: 500 },
      { attribute: "region", scope: "span_or_resource", op: "=~", value: "(?i)eu\\.1" },
    ],
  );
  // Rows here are in the order of the tree, those of the server in order of start.
  const wanted = [3, spans - 1].map((row) => idOfRow(row)).sort();
  const selected = [];
  for (let step = 0; step < 2; step += 1) {
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => {
      const span = url.searchParams.get("span");
      return span !== null && !selected.includes(span);
    });
    selected.push(new URL(page.url()).searchParams.get("span"));
  }
  assert.deepEqual(selected.sort(), wanted);
  await find.fill("-nowhere");
  await count.filter({ hasText: "259,998" }).waitFor();
  assert.deepEqual(found.at(-1).where, { any: [{ mentions: "nowhere" }] });
  // Rows of another state of the trace are not these rows.
  findReply = () => answer(spans + 1);
  await find.fill("elsewhere");
  await count.filter({ hasText: "no match by name" }).waitFor();
  assert.deepEqual(complaints, []);
  findReply = () => [503, { error: { message: "shard 2 has no leader" } }];
  await find.fill("nowhere at all");
  await page.waitForURL(/uiFind=nowhere\+at\+all/);
  await count.filter({ hasText: "no match by name" }).waitFor();
  assert.match(await count.getAttribute("title"), /not searched/);
  await page.close();
});

test("spans that arrive later are offered, and what is shown stays", async () => {
  isGrown = false;
  const { page, complaints } = await place.open(`/trace/${YOUNG}?span=0000000000000003`);
  await page.getByText("30", { exact: true }).first().waitFor();
  isGrown = true;
  await page.getByRole("button", { name: "10 new spans: show" }).click();
  await page.getByText("40", { exact: true }).first().waitFor();
  await page.getByText("span 0000000000000003").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("columns that are cut off or refused are told, not taken for a trace", async () => {
  const { page } = await place.open(`/trace/${CUT}`);
  await page.getByText("Unexpected answer").waitFor();
  await page.goto(`${place.root}/trace/${BUSY}`);
  await page.getByText("shard 2 has no leader").waitFor();
  await page.getByRole("button", { name: "Try again" }).waitFor();
  await page.close();
});

test("a body that the browser kept does not hide that the answer is partial now", async () => {
  const { page, complaints } = await place.open(`/trace/${KEPT}`);
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  assert.equal(await page.getByText("Partial answer.").count(), 0);
  await page.reload();
  await page.getByText("Shard 3 may lack the latest spans.").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("find answers with what is at hand, and goes on when the attributes come", async () => {
  const { page, complaints } = await place.open(`/trace/${SLOW}?uiFind=host-7`);
  const count = page.locator(".find output");
  await page.getByText("0 so far").waitFor();
  await page.getByLabel("Find in trace").fill("op-7");
  await page.getByText(/^[1-9]\d* so far$/).waitFor();
  letGo();
  await page.getByText(/so far/).waitFor({ state: "detached" });
  assert.match(await count.textContent(), /^\d+$/);
  await page.getByLabel("Find in trace").fill("host-7");
  await page.waitForURL(/uiFind=host-7/);
  await page.waitForFunction(() =>
    /^[1-9]/.test(document.querySelector(".find output").textContent),
  );
  assert.deepEqual(complaints, []);
  await page.close();
});
