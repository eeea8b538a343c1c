// What goes beyond one search: traces as they arrive, what sets failed spans apart, and the search
// in other forms.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { end, found, lines, SKUA } from "./skua.mjs";
import { stand } from "./stand.mjs";

const ONE = "00000000000000000000000000000001";
const TWO = "00000000000000000000000000000002";
const asked = [];
let reply;
let place;

before(async () => {
  place = await stand({
    ...SKUA,
    "/api/v3/services": { services: ["shop", "cart"] },
    "/api/skua/v1/search": (_, body) => {
      asked.push(body);
      return reply(body);
    },
    "/api/skua/v1/aggregate": (url, body) => {
      if (body.kind !== "top_values") return SKUA["/api/skua/v1/aggregate"](url, body);
      const isSelected = JSON.stringify(body.where).includes("status");
      const values = [
        { value: "500", spans: isSelected ? 28 : 30, errors: 0 },
        { value: "200", spans: isSelected ? 2 : 870, errors: 0 },
      ];
      const spans = isSelected ? 30 : 900;
      return { completeness: "complete", spans, errors: 0, traces: 1, other: 0, values };
    },
    "/api/skua/v1/cluster": { nodes: [], shards: [{ id: 0, epoch: 1, leader: "a", replicas: [] }] },
  });
});

beforeEach(() => {
  asked.length = 0;
  reply = () => lines(found(ONE), end());
});

after(() => place.close());

test("live traces come on top, wait while the list is held, and stop", async () => {
  const { page, complaints } = await place.open("/search?lookback=1h");
  await page.locator(".results li").first().waitFor();
  await page.keyboard.press(".");
  await page.waitForURL(/tail=1/);
  await page.getByRole("button", { name: "Live", pressed: true }).waitFor();
  // Newer than what was found.
  reply = () => lines(found(TWO, { index: -5 }), found(ONE), end());
  await page.locator(".results li:nth-child(2)").waitFor();
  assert.match(await page.locator(".results li a").first().getAttribute("href"), new RegExp(TWO));
  await page.locator(".results").hover();
  reply = () => lines(found("00000000000000000000000000000003", { index: -9 }), end());
  await page.getByRole("button", { name: "1 newer" }).waitFor();
  assert.equal(await page.locator(".results li").count(), 2);
  // On the way there the pointer leaves the list, and must find the button where it was.
  const button = await page.getByRole("button", { name: "1 newer" }).boundingBox();
  const list = await page.locator(".results").boundingBox();
  await page.mouse.move(button.x + button.width / 2, list.y - 5, { steps: 3 });
  await page.waitForTimeout(100);
  await page.getByRole("button", { name: "1 newer" }).click();
  await page.locator(".results li:nth-child(3)").waitFor();
  // Who looks elsewhere holds nothing back.
  await page.mouse.move(5, 5);
  reply = () => lines(found("00000000000000000000000000000004", { index: -12 }), end());
  await page.locator(".results li:nth-child(4)").waitFor();
  await page.getByRole("button", { name: "Live" }).click();
  await page.waitForURL((url) => !url.search.includes("tail"));
  assert.deepEqual(complaints, []);
  await page.close();
});

test("what sets failed spans apart is ranked, linked and leads to the search", async () => {
  const { page, complaints } = await place.open("/search?lookback=1h");
  await page.getByRole("button", { name: "Why do they fail?" }).click();
  await page.waitForURL(/sel=errors/);
  await page.reload();
  const panel = page.getByRole("region", { name: "What differs" });
  const key = panel.locator(".difference-key", { hasText: "http.status_code" });
  const value = key.getByRole("button", { name: /^500/ });
  await value.waitFor();
  assert.match(await value.textContent(), /93%/);
  await value.click();
  await page.waitForURL(/http.status_code/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a rectangle drawn with Shift is compared, and does not narrow the search", async () => {
  const { page, complaints } = await place.open("/search?lookback=1h");
  const cells = page.locator(".heatmap-cells");
  await cells.waitFor();
  const box = await cells.boundingBox();
  await page.keyboard.down("Shift");
  await page.mouse.move(box.x + 20, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + 120, box.y + 60, { steps: 4 });
  await page.mouse.up();
  await page.keyboard.up("Shift");
  await page.waitForURL(/sel=\d+/);
  await page.getByRole("region", { name: "What differs" }).waitFor();
  await page.locator(".heatmap-brush.marked").waitFor();
  assert.ok(!page.url().includes("start="));
  await page.getByRole("button", { name: "Close what differs" }).click();
  await page.waitForURL((url) => !url.search.includes("sel"));
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a search says what ran over what, and can be handed on", async () => {
  const { page, complaints } = await place.open("/search?lookback=1h&service=shop");
  await page.getByText(/complete · 1 of 1 shard · last 1h/).waitFor();
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("button", { name: "Copy the link to this time" }).waitFor();
  const file = page.getByRole("button", { name: "Jaeger JSON" });
  await file.waitFor();
  await page.keyboard.press("Escape");
  await file.waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await page.close();
});

test("two keys lead to each page, and a third shows the list of keys", async () => {
  const { page, complaints } = await place.open("/search?lookback=1h");
  await page.locator(".results li").first().waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.waitForURL(/\/cluster$/);
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.waitForURL(/\/search\?lookback=1h$/);
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("live traces on and off").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});
