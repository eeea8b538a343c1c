// The way of a newcomer, before a real node with recorded traces. Wants the binary in SKUA_BIN.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writeRecording } from "../../bench/recording.mjs";
import { load, recorded, skip, startNode } from "./nodes.mjs";
import { standBefore } from "./stand.mjs";

let node;
let place;

before(async () => {
  if (skip) return;
  node = await startNode();
  await load(node.otlp, recorded("hipster-20k.pb.zst"), recorded("trainticket-30k.pb.zst"));
  place = await standBefore(node.ui);
});

after(async () => {
  await place?.close();
  await node?.close();
});

test("the slowest failed trace is found, opened and its cause seen", { skip }, async () => {
  const { page, complaints } = await place.open("/search?lookback=1h");
  await page.getByText(/20 of [\d,]+ traces/).waitFor();
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  await facets.getByRole("button", { name: /^error/ }).click();
  await page.waitForURL(/status/);
  await page.getByLabel("Order", { exact: true }).selectOption("longest");
  await page.waitForURL(/sort=longest/);
  await page.locator(".results li a").first().click();
  await page.waitForURL(/\/trace\//);
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  await page.keyboard.press("e");
  const panel = page.getByRole("complementary", { name: "Selected span" });
  await panel.getByRole("button", { name: /^Attributes/ }).waitFor();
  // The link of a colleague shows the same span.
  await page.waitForURL(/span=/);
  const title = await panel.getByRole("heading", { level: 2 }).textContent();
  await page.reload();
  await panel.getByRole("heading", { level: 2, name: title }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a node hands its configuration of the pages to them", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "skua-config-"));
  const file = join(folder, "ui.json");
  const config = { menu: [{ label: 'a"b</title>', url: "https://x/" }] };
  writeFileSync(file, JSON.stringify(config));
  const told = await startNode("--ui-config", file);
  try {
    const answer = await fetch(`${told.ui}/trace/abc`);
    assert.match(answer.headers.get("content-security-policy"), /script-src 'self'/);
    const [, content] = /<meta name="ui-config" content="([^"]*)"/.exec(await answer.text());
    const text = content.replaceAll("&lt;", "<").replaceAll("&quot;", '"');
    assert.deepEqual(JSON.parse(text.replaceAll("&amp;", "&")), config);
  } finally {
    await told.close();
    rmSync(folder, { recursive: true });
  }
});

test("conditions, pages and figures are the node's", { skip }, async () => {
  const { page, complaints } = await place.open("/search?lookback=1h&q=trace.spans%3E30&limit=50");
  await page.locator(".results li").first().waitFor();
  const spans = await page.locator(".results li .num:nth-child(3)").allTextContents();
  assert.ok(spans.length > 0 && spans.every((each) => Number(each.replaceAll(",", "")) > 30));
  await page.getByRole("button", { name: "Load more" }).click();
  await page.getByText(/^(1\d\d|100) traces/).waitFor();
  await page.goto(`${place.root}/services`);
  await page
    .getByRole("cell", { name: /\/(s|min)$/ })
    .first()
    .waitFor();
  await page.goto(`${place.root}/dependencies`);
  await page.locator(".map .node").first().waitFor();
  await page.goto(`${place.root}/cluster`);
  await page.getByText("All well").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("failures that have a message and nothing else are told apart by it", { skip }, async () => {
  const now = BigInt(Date.now()) * 1_000_000n;
  const messages = ["no route to host", "no route to host", "deadline exceeded", ""];
  const spans = messages.map((message, index) => ({
    traceId: `f${index}`.padStart(32, "0"),
    spanId: "1".padStart(16, "0"),
    name: "pay",
    kind: 2,
    startTimeUnixNano: String(now - BigInt(index + 1) * 1_000_000_000n),
    endTimeUnixNano: String(now),
    status: message === "" ? {} : { code: 2, message },
  }));
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "till" } }] };
  const body = JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] });
  const headers = { "content-type": "application/json" };
  const sent = await fetch(node.otlpHttp, { method: "POST", headers, body });
  assert.equal(sent.status, 200);
  const { page, complaints } = await place.open("/services/till");
  const failed = page.getByRole("region", { name: "What failed" });
  const link = failed.getByRole("link", { name: "no route to host" });
  await link.waitFor();
  assert.equal(await failed.getByRole("combobox").inputValue(), "status_message");
  assert.match(await failed.getByRole("row", { name: /no route/ }).textContent(), /2/);
  await failed.getByRole("link", { name: "deadline exceeded" }).waitFor();
  await link.click();
  await page.getByText(/^2 traces · complete/).waitFor();
  // The same counts beside a search, one click from a condition.
  await page.goto(`${place.root}/search?service=till&lookback=1h&facet=status_message`);
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  await facets.getByRole("button", { name: /^deadline exceeded/ }).click();
  await page.getByText(/^1 trace · complete/).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("q"), 'status_message="deadline exceeded"');
  assert.deepEqual(complaints, []);
  await page.close();
});

test("of a large trace a span is asked for alone", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "skua-large-"));
  const file = join(folder, "large");
  const traceId = "b16".padStart(32, "0");
  await writeRecording({ file, traceId, spans: 25_000 });
  await load(node.otlp, file);
  rmSync(folder, { recursive: true });
  const { page, complaints } = await place.open(`/trace/${traceId}`);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  await page.keyboard.press("e");
  const panel = page.getByRole("complementary", { name: "Selected span" });
  await panel.getByRole("rowheader", { name: "http.response.status_code" }).waitFor();
  assert.match(await panel.textContent(), /http\.response\.status_code500/);
  const ends = asked.filter((path) => path.includes(traceId)).map((path) => path.split("/").at(-1));
  assert.ok(ends.includes("spans") && !ends.includes(traceId), ends.join());
  assert.deepEqual(complaints, []);
  await page.close();
});
