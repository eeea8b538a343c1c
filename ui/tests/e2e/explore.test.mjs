// The search page before Skua's own reads: free conditions, pages, facets, the heatmap, and what is
// said when not all of it is there. Every state must be in the address.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { end, found, lines, SKUA } from "./skua.mjs";
import { stand } from "./stand.mjs";

const asked = [];
let reply;
let figures;
let place;

const ids = (from, count) =>
  Array.from({ length: count }, (_, index) => (from + index).toString(16).padStart(32, "0"));
const traces = (from, count) => ids(from, count).map((id, index) => found(id, { index }));

/** More than a number of JavaScript holds. */
const LARGE = "12345678901234567891";

/** The second trace is gone, and of the third not all spans come. */
function jaegerTrace(url) {
  const traceID = new URL(url, "http://x").pathname.split("/").at(-1);
  if (traceID === ids(2, 1)[0]) return [404, { errors: [{ msg: "trace not found" }] }];
  const lacks = traceID === ids(3, 1)[0] ? { "skua-completeness": "partial; truncated=9" } : {};
  return [200, `{"data":[{"traceID":"${traceID}","n":${LARGE}}],"total":0}`, lacks];
}

before(async () => {
  place = await stand({
    "/api/v3/services": { services: ["shop", "cart"] },
    "/api/v3/operations": { operations: [{ name: "GET /", spanKind: "server" }] },
    "/api/skua/v1/search": (_, body) => {
      asked.push(body);
      return reply(body);
    },
    "/api/traces/": jaegerTrace,
    "/api/v3/traces/": { result: { resourceSpans: [{ scopeSpans: [] }] } },
    ...SKUA,
    "/api/skua/v1/aggregate": (url, body) => figures(url, body),
    "/api/skua/v1/cluster": { nodes: [], shards: [] },
  });
});

beforeEach(() => {
  asked.length = 0;
  figures = SKUA["/api/skua/v1/aggregate"];
  reply = () => lines(...traces(1, 3), end());
});

after(() => place.close());

async function open(path) {
  const { page, complaints } = await place.open(path);
  return { page, complaints, rows: page.locator(".results li") };
}

const last = () => asked[asked.length - 1];
const query = (page) => new URL(page.url()).searchParams;

test("free conditions are typed with suggestions and go to the server and the address", async () => {
  const { page, complaints } = await open("/search?service=shop");
  const field = page.getByRole("combobox", { name: "Conditions" });
  await field.pressSequentially("http.st");
  await page.getByRole("option", { name: "http.status_code" }).click();
  assert.equal(await field.inputValue(), "http.status_code=");
  await page.getByRole("option", { name: "404" }).click();
  assert.equal(await field.inputValue(), "http.status_code=404 ");
  await field.pressSequentially("host.name=* -peer=redis trace.spans>10");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Find traces" }).click();
  await page.waitForURL(/q=/);
  assert.equal(query(page).get("q"), "host.name=* -peer=redis trace.spans>10");
  assert.equal(query(page).get("tags"), '{"http.status_code":"404"}');
  assert.deepEqual(last().where, {
    all: [
      {
        span: {
          all: [
            { field: "service", op: "=", value: "shop" },
            { tag: "http.status_code", value: "404" },
            { attribute: "host.name", op: "exists" },
          ],
        },
      },
      { not: { span: { attribute: "peer", op: "is", value: "redis" } } },
      { span_count: { op: ">", value: 10 } },
    ],
  });
  await page.reload();
  await page.locator(".results li").first().waitFor();
  assert.equal(
    await field.inputValue(),
    "http.status_code=404 host.name=* -peer=redis trace.spans>10",
  );
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a field that cannot be read says so and asks nothing", async () => {
  const { page } = await open("/search");
  await page.locator(".results li").first().waitFor();
  const before = asked.length;
  await page.getByRole("combobox", { name: "Conditions" }).fill('a="b');
  await page.keyboard.press("Enter");
  await page.getByText("cannot read").waitFor();
  assert.equal(asked.length, before);
  await page.close();
});

test("a trace opens with the spans marked that the search was about", async () => {
  const { page, rows } = await open(
    '/search?service=shop&tags={"http.status_code":"404"}&q=peer!=x',
  );
  const href = await rows.first().getByRole("link").getAttribute("href");
  const find = new URL(href, page.url()).searchParams.get("uiFind");
  assert.equal(find, "service=shop http.status_code=404 peer!=x");
  await page.close();
});

test("Ctrl K goes to conditions, operations and what is often wanted", async () => {
  const { page, complaints } = await open("/search");
  const goTo = async (text, option) => {
    await page.getByRole("combobox", { name: "Go to a trace" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type(text);
    await page.getByRole("option", { name: option }).click();
  };
  await goTo("peer=redis", "traces with this");
  await page.waitForURL(/q=peer%3Dredis/);
  await page.waitForFunction(() => document.querySelector(".tags input")?.value === "peer=redis");
  await goTo("GET", "GET /");
  await page.waitForURL(/operation=GET/);
  await goTo("errors", "Traces with errors");
  await page.waitForURL(/q=trace.errors/);
  await goTo("dark", "Dark theme");
  await page.waitForFunction(
    () => getComputedStyle(document.documentElement).colorScheme === "dark",
  );
  await goTo("settings", "Settings");
  await page.waitForURL(/settings$/);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("further pages continue where the last one ended, and no trace comes twice", async () => {
  reply = ({ cursor }) =>
    cursor === undefined
      ? lines(...traces(1, 20), end({ cursor: "next" }))
      : lines(...traces(20, 5), end({ moved: [1] }));
  const { page } = await open("/search");
  await page.getByText("20 of 120 traces").waitFor();
  await page.getByRole("button", { name: "Load more" }).click();
  await page.getByText("24 traces", { exact: true }).waitFor();
  assert.equal(last().cursor, "next");
  assert.deepEqual(last().window, asked[0].window, "the window stands still between pages");
  await page.getByRole("button", { name: /New spans arrived/ }).waitFor();
  await page.close();
});

test("the order is the server's and in the address", async () => {
  const { page } = await open("/search");
  await page.getByLabel("Order").selectOption("mostErrors");
  await page.waitForURL(/sort=mostErrors/);
  await page.locator(".results li").first().waitFor();
  assert.equal(last().order, "most_errors");
  await page.close();
});

test("facets switch conditions on, add alternatives and rule out", async () => {
  const { page } = await open("/search");
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  await facets.getByRole("button", { name: /^shop/ }).click();
  await page.waitForURL(/service=shop/);
  await facets.getByRole("button", { name: /^404/ }).first().click();
  await page.waitForURL(/tags=/);
  await facets.getByRole("button", { name: /^500/ }).first().click();
  await page.waitForURL(/q=/);
  assert.equal(query(page).get("q"), "http.status_code=404|500");
  await facets.getByRole("button", { name: "Without traces with kind server" }).click();
  await page.waitForURL(/-kind/);
  await page.locator(".results li").first().waitFor();
  assert.deepEqual(last().where.all[1], {
    not: { span: { field: "kind", op: "=", value: "server" } },
  });
  await facets
    .getByLabel("Add a facet")
    .selectOption("host.name")
    .catch(() => undefined);
  await page.goBack();
  await page.waitForURL((url) => !url.search.includes("-kind"));
  await page.close();
});

test("a value is found within a facet of many, also one too rare to be counted", async () => {
  figures = (url, body) => {
    const answer = SKUA["/api/skua/v1/aggregate"](url, body);
    if (body.kind !== "top_values" || body.key !== "host.name") return answer;
    const values = ids(1, 50).map((id, index) => ({
      value: `host-${Number.parseInt(id, 16)}`,
      spans: 100 - index,
      errors: 0,
    }));
    return { ...answer, values };
  };
  const { page, complaints } = await open("/search?facet=host.name");
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  assert.equal(await page.getByLabel("Find a value of host.name").count(), 0);
  await facets.getByRole("button", { name: "44 more" }).click();
  const find = facets.getByLabel("Find a value of host.name");
  await find.waitFor();
  assert.ok(await find.evaluate((input) => input === document.activeElement));
  await find.fill("HOST-4");
  const values = facets.getByRole("button", { name: /^host-/ });
  await facets.getByRole("button", { name: /^host-13/ }).waitFor({ state: "detached" });
  assert.equal(await values.count(), 11, "host-4 and host-40 to host-49");
  // What the server knows beside the counted ones.
  await find.fill("40");
  await facets.getByRole("button", { name: /^404 ?rare/ }).click();
  await page.waitForURL(/tags=/);
  assert.equal(query(page).get("tags"), '{"host.name":"404"}');
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the traces that are listed are saved as a file, and what it lacks is told", async () => {
  const saved = async (page, name) => {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name, exact: true }).click(),
    ]);
    return [download.suggestedFilename(), readFileSync(await download.path(), "utf8")];
  };
  const { page, complaints } = await open("/search?lookback=1h");
  await page.locator(".results li").first().waitFor();
  await page.getByRole("button", { name: "Share" }).click();
  const [name, file] = await saved(page, "Jaeger JSON");
  assert.equal(name, "traces.jaeger.json");
  assert.deepEqual(
    JSON.parse(file).data.map(({ traceID }) => traceID),
    [ids(1, 3)[0], ids(1, 3)[2]],
  );
  assert.ok(file.includes(LARGE), "numbers are as they were");
  await page
    .getByText("Saved 2 of 3 traces. 1 trace not found. 1 trace without all spans.")
    .waitFor();
  const [, otlp] = await saved(page, "OTLP JSON");
  assert.equal(JSON.parse(otlp).resourceSpans.length, 3);
  await page.getByText("Saved 3 of 3 traces.", { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a rectangle of the heatmap becomes time and duration", async () => {
  const { page } = await open("/search");
  const cells = page.locator(".heatmap-cells");
  await cells.waitFor();
  const box = await cells.boundingBox();
  const at = (x, y) => [box.x + box.width * x, box.y + box.height * y];
  await page.mouse.move(...at(0.25, 0.3));
  await page.mouse.down();
  await page.mouse.move(...at(0.5, 0.7));
  await page.mouse.up();
  await page.waitForURL(/start=/);
  const params = query(page);
  assert.equal(params.get("lookback"), "custom");
  assert.match(params.get("q"), /trace\.duration>=[\d.]+ms trace\.duration<[\d.]+ms/);
  await page.getByRole("button", { name: "Dots" }).click();
  await page.waitForURL(/plot=dots/);
  await page.locator(".scatter circle").first().waitFor();
  await page.close();
});

test("nothing found tells what each condition costs", async () => {
  reply = () => lines(end());
  const { page } = await open("/search?service=shop&tags=%7B%22a%22%3A%22b%22%7D&minDuration=5s");
  await page.getByRole("heading", { name: "No trace matches" }).waitFor();
  await page.getByRole("button", { name: "Without a=b" }).waitFor();
  await page.getByText("120 traces").first().waitFor();
  await page.getByRole("button", { name: "Without at least 5s" }).click();
  await page.waitForURL((url) => !url.search.includes("minDuration"));
  await page.close();
});

test("a partial end is told, and so is an answer that breaks off", async () => {
  reply = () => lines(...traces(1, 2), end({ completeness: "partial; missing=4", missing: [4] }));
  const { page } = await open("/search");
  await page.getByText("Shard 4 did not answer").waitFor();
  reply = () => lines(...traces(1, 2));
  await page.getByRole("button", { name: "Ask again" }).click();
  await page.getByText("The search stopped before its end").waitFor();
  assert.equal(await page.locator(".results li").count(), 2);
  reply = () => lines(...traces(1, 1), { error: { message: "no leader in shard 2" } });
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("no leader in shard 2").waitFor();
  await page.close();
});

test("searches are remembered and kept", async () => {
  const { page } = await open("/search?service=shop");
  await page.locator(".results li").first().waitFor();
  await page.getByRole("button", { name: "Searches" }).click();
  await page.getByRole("button", { name: "Keep this search" }).click();
  await page.goto(`${place.root}/search?service=cart`);
  await page.getByRole("button", { name: "Searches" }).click();
  await page.getByRole("link", { name: /^shop · last 1h/ }).click();
  await page.waitForURL(/service=shop/);
  await page.close();
});

test("from any page to the newest failed trace in three clicks", async () => {
  const { page } = await open("/cluster");
  await page.getByRole("link", { name: "Explore" }).click();
  await page.getByRole("button", { name: /^error/ }).click();
  await page.waitForURL(/status/);
  await page.locator(".results li a").first().click();
  await page.waitForURL(/\/trace\//);
  await page.close();
});

test("what failed is one click away before anything is counted, and / leads to the conditions", async () => {
  let count;
  const counted = new Promise((resolve) => {
    count = resolve;
  });
  figures = async (url, body) => {
    await counted;
    return SKUA["/api/skua/v1/aggregate"](url, body);
  };
  const { page, complaints, rows } = await open("/search");
  await rows.first().waitFor();
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  await facets.getByText("counting …").waitFor();
  await facets.getByRole("button", { name: /^error/ }).click();
  await page.waitForURL(/q=status/);
  assert.deepEqual(last().where, { span: { field: "status", op: "=", value: "error" } });
  count();
  await facets.getByText("900 spans").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type(" host.name=*");
  const field = page.getByRole("combobox", { name: "Conditions" });
  assert.match(await field.inputValue(), /host\.name=\*$/);
  // What is proposed goes first, then the keys are the page's again.
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  assert.match(await field.inputValue(), /host\.name=\*$/);
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "A");
  assert.deepEqual(complaints, []);
  await page.close();
});

test("figures leave connections for searches", async () => {
  let count;
  let waiting = 0;
  const counted = new Promise((resolve) => {
    count = resolve;
  });
  figures = async (url, body) => {
    waiting += 1;
    await counted;
    return SKUA["/api/skua/v1/aggregate"](url, body);
  };
  const { page, rows } = await open("/search?facet=a&facet=b&facet=c&facet=d&facet=e");
  await rows.first().waitFor();
  await page.getByText("counting …", { exact: true }).waitFor();
  await page.waitForLoadState("networkidle", { timeout: 1_000 }).catch(() => undefined);
  assert.equal(waiting, 3, "the others wait in the page");
  count();
  await page.getByText("900 spans").waitFor();
  await page.close();
});

const text = (...objects) => objects.map((each) => `${JSON.stringify(each)}\n`).join("");
const progress = (answered, missing = []) => ({
  progress: { shards: 4, answered, missing, spans_scanned: 1_000 * answered },
});

/** Pieces of an answer, each of which waits until it is let go. */
function pieces(...texts) {
  const gates = texts.map(() => withResolvers());
  async function* body() {
    for (const [index, piece] of texts.entries()) {
      await gates[index].promise;
      yield piece;
    }
  }
  return {
    answer: [200, body(), { "content-type": "application/x-ndjson" }],
    go: (index) => gates[index].resolve(),
  };
}

function withResolvers() {
  let resolve;
  const promise = new Promise((each) => {
    resolve = each;
  });
  return { promise, resolve };
}

test("traces appear as shards answer, and rows that are looked at do not move", async () => {
  const [first, second, third, fourth] = traces(1, 4);
  const early = (place, { trace }) => ({ early: { place, trace } });
  const stream = pieces(
    text(early(0, second), early(1, fourth), progress(1)),
    text(early(0, first), progress(2, [3])),
    text(first, second, third, end({ completeness: "partial;missing=3", missing: [3] })),
  );
  reply = () => stream.answer;
  const { page, complaints, rows } = await open("/search?lookback=1h");
  const shown = () =>
    rows.locator("a").evaluateAll((all) => all.map((each) => each.href.slice(-1)).join(""));
  stream.go(0);
  await page.getByText(/searching · 1 of 4 shards answered · 1,000 spans looked at/).waitFor();
  await page.getByText("others may come before these").waitFor();
  assert.equal(await shown(), "24");
  assert.equal(await page.getByRole("progressbar").getAttribute("value"), "1");
  await rows.first().hover();
  stream.go(1);
  await page.getByText(/2 of 4 shards answered · 1 failed/).waitFor();
  assert.equal(await shown(), "24", "the list is held");
  await page.getByRole("button", { name: "1 more found" }).click();
  await page.mouse.move(0, 0);
  assert.equal(await shown(), "124");
  stream.go(2);
  await page.getByText(/ · partial · 3 of 4 shards|3 traces · partial/).waitFor();
  await page.getByText("Partial answer.").waitFor();
  assert.equal(await shown(), "123");
  assert.equal(await page.getByRole("progressbar").count(), 0);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a search that is stopped keeps what was found, and does not call it whole", async () => {
  const [first, second] = traces(1, 2);
  const stream = pieces(text({ early: { place: 0, trace: first.trace } }, progress(1)), "");
  reply = () => stream.answer;
  const { page, rows } = await open("/search?lookback=1h");
  stream.go(0);
  await rows.first().waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText(/1 trace · stopped/).waitFor();
  assert.equal(await rows.count(), 1);
  reply = () => lines(first, second, end());
  await page.getByRole("button", { name: "Find traces" }).click();
  await page.getByText(/2 traces · complete/).waitFor();
  await page.close();
});

test("in a narrow window traces come before what narrows them down", async () => {
  const { page, complaints, rows } = await open("/search?lookback=1h");
  await rows.first().waitFor();
  const facet = page.locator(".facet").first();
  await facet.waitFor();
  await page.setViewportSize({ width: 500, height: 800 });
  await facet.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Narrow down" }).click();
  await page.waitForURL(/narrow=1/);
  await facet.waitFor();
  await page.reload();
  await facet.waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("what cannot be counted says so, and is counted again", async () => {
  figures = () => [503, { error: { message: "no leader" } }];
  const { page, complaints, rows } = await open("/search?lookback=1h");
  await rows.first().waitFor();
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  await facets.getByText("could not be counted").waitFor();
  figures = SKUA["/api/skua/v1/aggregate"];
  await facets.getByRole("button", { name: "Count again" }).click();
  await facets.getByText("900 spans").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a search starts without what costs it a long task", async () => {
  const { page } = await place.open("/settings");
  await page.addInitScript(() => {
    window.costs = [];
    const { NumberFormat } = Intl;
    Intl.NumberFormat = (...of) => {
      window.costs.push("a formatter");
      return new NumberFormat(...of);
    };
    for (const name of ["scrollTo", "getBoundingClientRect"]) {
      const own = Element.prototype[name];
      Element.prototype[name] = function (...of) {
        if (this.matches(".result-rows")) window.costs.push(name);
        return own.apply(this, of);
      };
    }
  });
  reply = () => lines(...traces(1, 60), end());
  await page.goto(`${place.root}/search?lookback=1h`);
  await page.locator(".results li").first().waitFor();
  assert.deepEqual(await page.evaluate(() => window.costs), []);
  // Those beyond the screen come once the page rests.
  const shown = await page.evaluate(() => document.querySelector(".result-rows").clientHeight / 46);
  await page.waitForFunction(
    (least) => document.querySelectorAll(".results li").length >= least,
    Math.floor(shown) + 10,
  );
  await page.close();
});
