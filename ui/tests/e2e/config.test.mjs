// The configuration of Jaeger's UI, as a node hands it to the page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { stand, summary, TRACE_ID, trace } from "./stand.mjs";

const CONFIG = {
  archiveEnabled: false,
  dependencies: { menuEnabled: false },
  disableFileUploadControl: true,
  menu: [{ label: "Help & more", items: [{ label: "Runbook", url: "https://wiki/runbook" }] }],
  search: { defaultLookback: { label: "2 days", value: "2d" }, maxLookback: { value: "7d" } },
  topTagPrefixes: ["zone"],
  tracking: { gaID: "none" },
  traceIdDisplayLength: 31,
  linkPatterns: [
    {
      type: "tags",
      key: "http.url",
      url: "https://logs/?u=#{http.url}&t=#{trace.traceID}&r=#{region}",
      text: 'Logs of "#{http.url}" <b>',
    },
    { type: "traces", url: "https://bill/#{traceID}", text: "Bill" },
    { type: "tags", key: "http.url", url: "javascript:alert(1)", text: "Evil" },
  ],
};

/** The region is known of the root alone, so a span's link has it from above. */
function spans() {
  const whole = trace(3);
  whole.spans[0].tags.push({ key: "region", type: "string", value: "north" });
  for (const span of whole.spans) span.tags.push({ key: "zone", type: "string", value: "z" });
  return whole;
}

let place;

before(async () => {
  const answers = {
    "/api/v3/services": { services: ["shop"] },
    "/api/v3/trace-summaries": { summaries: [summary(TRACE_ID)] },
    [`/api/traces/${TRACE_ID}`]: { data: [spans()] },
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  };
  place = await stand(answers, { config: CONFIG });
});

after(() => place.close());

test("patterns make links of attributes and traces, and never of a script", async () => {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}?span=0000000000000003`);
  const link = page.getByRole("link", { name: 'Logs of "http://x/2" <b>' });
  await link.waitFor();
  const href = `https://logs/?u=${encodeURIComponent("http://x/2")}&t=${TRACE_ID}&r=north`;
  assert.equal(await link.getAttribute("href"), href);
  const bill = page.getByRole("link", { name: "Bill" });
  assert.equal(await bill.getAttribute("href"), `https://bill/${TRACE_ID}`);
  assert.equal(await page.getByText("Evil").count(), 0);
  const keys = page.locator(".detail .attributes th");
  assert.equal(await keys.first().textContent(), "zone");
  assert.equal(await page.getByRole("button", { name: "Archive" }).count(), 0);
  await page.getByText(TRACE_ID.slice(0, 31), { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the menu, the search form and the settings follow it", async () => {
  const { page, complaints } = await place.open("/search");
  await page.locator("select", { hasText: "Last 2 d" }).waitFor();
  const lookbacks = page.getByLabel("Time", { exact: true });
  assert.equal(await lookbacks.inputValue(), "2d");
  assert.equal(await lookbacks.locator("option", { hasText: "Last 2 wk" }).count(), 0);
  const runbook = page.getByRole("link", { name: "Runbook" });
  assert.equal(await runbook.getAttribute("href"), "https://wiki/runbook");
  assert.equal(await page.getByRole("link", { name: "Open a file" }).count(), 0);
  const rail = page.getByRole("navigation", { name: "Pages" });
  assert.equal(await rail.getByRole("link", { name: "Map" }).count(), 0);
  await rail.getByRole("link", { name: "Settings" }).click();
  await page.getByText(/configuration of this page also has tracking, which/).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});
