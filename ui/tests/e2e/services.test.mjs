// Rates, errors and durations of services, and what Jaeger's Monitor links open.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { end, found, lines, SKUA } from "./skua.mjs";
import { stand } from "./stand.mjs";

let place;

/** The same a minute ago: marks of a chart stand within its time. */
function recent({ trace }) {
  const start = BigInt(Date.now() - 60_000) * 1_000_000n;
  const times = {
    start_time_unix_nano: String(start),
    end_time_unix_nano: String(start + 250_000_000n),
  };
  return { trace: { ...trace, ...times } };
}

before(async () => {
  place = await stand({
    ...SKUA,
    "/api/skua/v1/search": () => lines(recent(found("a1".padStart(32, "0"))), end()),
    "/api/v3/services": { services: ["shop", "cart", "idle"] },
    "/api/v3/operations": { operations: [{ name: "GET /", spanKind: "server" }] },
    "/api/dependencies": { data: [{ parent: "shop", child: "cart", callCount: 7200 }] },
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
});

after(() => place.close());

test("services have figures, and lead to charts and from there to spans", async () => {
  const { page, complaints } = await place.open("/services");
  const row = page.getByRole("row", { name: /shop/ });
  await row.getByText("%").first().waitFor();
  assert.match(await page.getByRole("row", { name: /idle/ }).textContent(), /–/);
  await row.getByRole("link", { name: "shop" }).click();
  await page.waitForURL(/\/services\/shop/);
  const chart = page.getByRole("img", { name: /^Errors over time/ });
  await chart.waitFor();
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 50);
  await page.mouse.down();
  await page.mouse.up();
  await page.waitForURL(/\/search\?.*start=/);
  assert.equal(new URL(page.url()).searchParams.get("q"), "status=error");
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a service tells what failed, on which instance, and since when", async () => {
  const { page, complaints } = await place.open("/services");
  // The answer for the window before is the same, but for the small group.
  await page.getByRole("row", { name: /shop/ }).getByText("steady").waitFor();
  await page.goto(`${place.root}/services/shop`);
  const failed = page.getByRole("region", { name: "What failed" });
  assert.equal(
    await failed.getByRole("combobox").inputValue(),
    "event.exception.message",
    "the most telling key first",
  );
  const link = failed.getByRole("link", { name: "500" });
  const asked = new URL(await link.getAttribute("href"), "http://here").searchParams.get("q");
  assert.equal(asked, "status=error event.exception.message=500");
  const instances = page.getByRole("region", { name: "By attribute" });
  await instances.getByRole("combobox").fill("http.method");
  await instances.getByRole("combobox").press("Enter");
  const values = instances.getByRole("link", { name: "200" });
  await values.waitFor();
  assert.match(await values.getAttribute("href"), /http\.method/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("operations are sorted by a click, filtered by a text, and found again after a reload", async () => {
  const { page, complaints } = await place.open("/services/shop");
  const operations = page.locator(".operations tbody").getByRole("link");
  const head = page.getByRole("columnheader", { name: /^Operation/ });
  await head.getByRole("button").click();
  assert.deepEqual(await operations.allTextContents(), ["GET /", "POST /pay"]);
  await head.getByRole("button").click();
  await page.waitForURL(/sort=-name/);
  await page.reload();
  await operations.first().waitFor();
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  assert.deepEqual(await operations.allTextContents(), ["POST /pay", "GET /"]);
  await page.getByLabel("Filter operations").fill("PAY");
  await page.waitForURL(/find=PAY/);
  assert.deepEqual(await operations.allTextContents(), ["POST /pay"]);
  assert.match(await head.textContent(), /1 of 2/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the charts of a service have traces to look at", async () => {
  const { page } = await place.open("/services/shop");
  const marks = page.getByRole("list", { name: "Longest traces" }).getByRole("link");
  await marks.first().waitFor();
  await marks.first().click();
  await page.waitForURL(/\/trace\/0+a1$/);
  await page.close();
});

test("the map is looked at around a service, without layers, and against the time before", async () => {
  const { page, complaints } = await place.open("/dependencies?service=shop&hops=2");
  assert.equal(await page.getByLabel("How far").inputValue(), "2");
  await page.getByRole("button", { name: "Changes" }).click();
  await page.waitForURL(/vs=before/);
  await page.getByText("against the time before 0 new, 0 gone, 0 changed").waitFor();
  await page.getByLabel("Without layers").check();
  await page.waitForURL(/layout=sfdp/);
  await page.getByLabel("Find a service").fill("CART");
  await page.getByText("1 service found").waitFor();
  await page.locator(".node.far", { hasText: "shop" }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("Monitor's links open the same service, kind and time", async () => {
  const { page } = await place.open("/monitor?service=shop&spanKind=client&timeframe=21600000");
  await page.getByRole("img", { name: /^Rate over time/ }).waitFor();
  assert.equal(await page.getByLabel("Kind of spans").inputValue(), "client");
  assert.equal(await page.getByLabel("Time", { exact: true }).inputValue(), "21600000");
  await page.goto(`${place.root}/monitor?service=shop&spanKind=nonsense&timeframe=-3`);
  assert.equal(await page.getByLabel("Kind of spans").inputValue(), "server");
  assert.equal(await page.getByLabel("Time", { exact: true }).inputValue(), "3600000");
  await page.close();
});

test("the map has rates, can be read as a table, and keeps both in the address", async () => {
  const { page, complaints } = await place.open("/dependencies");
  await page.getByRole("button", { name: /^cart.* in/ }).waitFor();
  await page.getByRole("button", { name: "Table" }).click();
  await page.waitForURL(/as=table/);
  await page.getByRole("cell", { name: "5/min" }).waitFor();
  await page.getByLabel("Around").selectOption("shop");
  await page.waitForURL(/service=shop/);
  await page.reload();
  await page.getByRole("cell", { name: "5/min" }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});
