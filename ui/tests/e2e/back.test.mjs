// The way back from a page leads to the row or link that led there, and what is done by key is said.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { end, found, lines, SKUA } from "./skua.mjs";
import { stand, TRACE_ID, trace } from "./stand.mjs";

let place;

const traces = Array.from({ length: 60 }, (_, index) =>
  found((index + 1).toString(16).padStart(32, "0"), { index }),
);

function jaegerTrace(url) {
  const traceID = new URL(url, "http://x").pathname.split("/").at(-1);
  return { data: [JSON.parse(JSON.stringify(trace(3)).replaceAll(TRACE_ID, traceID))] };
}

before(async () => {
  place = await stand({
    ...SKUA,
    "/api/skua/v1/search": () => lines(...traces, end()),
    "/api/v3/services": { services: ["shop", "cart"] },
    "/api/v3/operations": { operations: [{ name: "GET /", spanKind: "server" }] },
    "/api/dependencies": { data: [{ parent: "shop", child: "cart", callCount: 7200 }] },
    "/api/traces/": jaegerTrace,
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
});

after(() => place.close());

const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("href"));

async function waitForFocus(page, href) {
  await page.waitForFunction(
    (wanted) => document.activeElement?.getAttribute("href") === wanted,
    href,
  );
}

const spansThere = (page) =>
  page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });

for (const form of ["list", "table"]) {
  test(`back from a trace the focus is on its row of the ${form}, however far down`, async () => {
    const { page, complaints } = await place.open(`/search?lookback=1h&v=${form}`);
    await page.locator("[data-row]").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("End");
    await page.waitForFunction(() => document.activeElement?.closest('[data-row="59"]') != null);
    await page.keyboard.press("k");
    await page.waitForFunction(() => document.activeElement?.closest('[data-row="58"]') != null);
    const href = await focused(page);
    await page.keyboard.press("Enter");
    await spansThere(page);
    await page.goBack();
    await waitForFocus(page, href);
    const isSeen = await page.evaluate(() => {
      const row = document.activeElement.getBoundingClientRect();
      const list = document.querySelector(".result-rows").getBoundingClientRect();
      return row.top >= list.top && row.bottom <= list.bottom;
    });
    assert.ok(isSeen, "the row is on the screen");
    // From there the keys go on.
    await page.keyboard.press("k");
    await page.waitForFunction(() => document.activeElement?.closest('[data-row="57"]') != null);
    assert.deepEqual(complaints, []);
    await page.close();
  });
}

test("the trace's own way back leads to the same row", async () => {
  const { page } = await place.open("/search?lookback=1h");
  const row = page.locator(".results li a").nth(3);
  const href = await row.getAttribute("href");
  await row.click();
  await spansThere(page);
  await page.getByLabel("Back to the traces found").click();
  await waitForFocus(page, href);
  await page.close();
});

test("a trace that was loaded anew leads back as well", async () => {
  const { page } = await place.open("/search?lookback=1h");
  const row = page.locator(".results li a").nth(2);
  const href = await row.getAttribute("href");
  await row.click();
  await spansThere(page);
  await page.reload();
  await spansThere(page);
  await page.goBack();
  await waitForFocus(page, href);
  await page.close();
});

test("who does something else on the way back is left alone", async () => {
  const { page } = await place.open("/search?lookback=1h");
  await page.locator(".results li a").nth(3).click();
  await spansThere(page);
  await page.goBack();
  await page.getByLabel("Conditions").click();
  await page.keyboard.type("status");
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "combobox");
  await page.close();
});

test("services lead back to the row and to the link that was followed", async () => {
  const { page, complaints } = await place.open("/services");
  const service = page.getByRole("row", { name: /cart/ }).getByRole("link", { name: "cart" });
  await service.waitFor();
  await service.focus();
  const href = await focused(page);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/services\/cart/);
  const operation = page.getByRole("link", { name: "POST /pay" }).first();
  await operation.waitFor();
  await operation.focus();
  const text = await operation.textContent();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/search/);
  await page.locator(".results li").first().waitFor();
  await page.goBack();
  await page.waitForFunction((wanted) => document.activeElement?.textContent === wanted, text);
  await page.goBack();
  await waitForFocus(page, href);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a link copied by key is said to be, for eyes and for screen readers", async () => {
  const { page, complaints } = await place.open(`/trace/${TRACE_ID}`);
  await spansThere(page);
  const said = page.locator(".notice[aria-live=polite]");
  assert.equal(await said.textContent(), "", "the place is there before anything is said");
  await page.evaluate(() => {
    navigator.clipboard.writeText = async (text) => {
      window.copied = text;
    };
  });
  await page.keyboard.press("y");
  await said.getByText("Link copied").waitFor();
  assert.equal(await page.evaluate(() => window.copied), page.url());
  await said.getByText("Link copied").waitFor({ state: "detached" });
  await page.evaluate(() => {
    navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed"));
    document.execCommand = () => false;
  });
  await page.locator("[role=treegrid]").focus();
  await page.keyboard.press("y");
  await said.getByText("Could not copy the link").waitFor();
  const role = await page.evaluate(() => document.activeElement.getAttribute("role"));
  assert.equal(role, "treegrid", "the other way to copy gives the focus back");
  assert.deepEqual(complaints, []);
  await page.close();
});
