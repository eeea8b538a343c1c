// Nothing, not everything, and failure: each says which of them it is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { end, found, lines, SKUA } from "./skua.mjs";
import { stand, summary, TRACE_ID, trace } from "./stand.mjs";

const CLUSTER = { "/api/skua/v1/cluster": { nodes: [], shards: [] } };

async function see(answers, path, look) {
  const place = await stand({ ...CLUSTER, ...answers });
  try {
    const { page, complaints } = await place.open(path);
    await look(page);
    assert.deepEqual(complaints, []);
  } finally {
    await place.close();
  }
}

test("an empty node offers the recorded traces", async () => {
  const answers = {
    "/api/v3/services": { services: [] },
    "/api/v3/trace-summaries": { summaries: [] },
  };
  await see(answers, "/search", async (page) => {
    await page
      .getByText("target/release/skua load bench/data/hipster-20k.pb.zst --shift-to-now")
      .waitFor();
  });
});

test("a partial answer says what is missing, even with nothing in it", async () => {
  const partial = { "skua-completeness": "partial; missing=4" };
  const answers = (summaries) => ({
    "/api/v3/services": { services: ["shop"] },
    "/api/v3/trace-summaries": [200, { summaries }, partial],
  });
  await see(answers([summary(TRACE_ID)]), "/search", async (page) => {
    await page.getByText("Shard 4 did not answer").waitFor();
    await page.getByText("· partial ·").waitFor();
  });
  await see(answers([]), "/search", async (page) => {
    await page.getByText("Shard 4 did not answer").waitFor();
    assert.equal(await page.getByText("No trace matches").count(), 0);
  });
});

test("the cluster page tells what nodes and replicas do not", async () => {
  const [here, gone, thin] = ["a".repeat(32), "b".repeat(32), "c".repeat(32)];
  const minuteAgo = Date.now() - 61_000;
  const status = {
    nodes: [
      { id: here, name: "here", address: "10.0.0.1:1", state: "ready", version: "1", disk: {} },
      {
        id: gone,
        name: "gone",
        address: "10.0.0.2:1",
        state: "down",
        down: { since_ns: minuteAgo * 1e6, seconds: 61 },
        version: "",
        disk: {},
      },
      { id: thin, name: "thin", address: "10.0.0.3:1", state: "ready", version: "1", disk: {} },
    ],
    shards: [
      {
        id: 4,
        epoch: 1,
        leader: here,
        replicas: [
          { node: here, state: "present", applied: 9, lag: 0, spans: 5, bytes: 7 },
          { node: gone, state: "unreachable" },
          { node: thin, state: "absent" },
        ],
      },
    ],
    alarms: [
      { kind: "under-replicated", text: "shard 4 has 1 of 3 replicas", shard: 4, seconds: 3700 },
    ],
  };
  await see({ "/api/skua/v1/cluster": status }, "/cluster", async (page) => {
    await page.getByText("Degraded", { exact: true }).waitFor();
    await page.getByText("no answer for 61 s").waitFor();
    const cells = page.locator(".shards tbody td");
    assert.deepEqual((await cells.allTextContents()).slice(2), [
      "leader5 spans7 B",
      "no answer",
      "not there yet",
    ]);
    const alarm = page.locator(".alarms li");
    assert.equal(
      await alarm.textContent(),
      "under-replicatedshard 4 has 1 of 3 replicasfor 62 min",
    );
    // What was before the page was opened is among the events, in order, and outlives a reload.
    const events = page.locator(".cluster-events li");
    await page.reload();
    await events.nth(1).waitFor();
    const texts = await events.allTextContents();
    assert.match(texts[0], /Node gone stopped answering\.$/);
    assert.match(texts[1], /Alarm: shard 4 has 1 of 3 replicas\.$/);
    assert.equal(texts.length, 2);
  });
});

test("a shard tells what happened to it, and no other's", async () => {
  const ids = ["a", "b"].map((name) => name.repeat(16));
  // However often a slow machine looks, nothing moves before the page has been seen.
  let hasMoved = false;
  let looks = 0;
  const status = () => {
    if (hasMoved) looks += 1;
    const shard = (id, leader) => ({
      id,
      epoch: 1,
      leader,
      replicas: ids.map((node, index) => ({
        ...{ node, state: "present", spans: 5, bytes: 7 },
        applied: 110 + 10 * looks,
        lag: id === 4 && index === 1 ? 7 : 0,
      })),
    });
    return {
      nodes: ids.map((id, index) => ({
        ...{ id, name: `node-${index}`, address: `10.0.0.${index}:1`, state: "ready" },
        ...{ version: "1", disk: {} },
      })),
      shards: [shard(4, ids[hasMoved ? 1 : 0]), shard(5, ids[0])],
      events: hasMoved ? [moved] : [],
    };
  };
  const moved = {
    ...{ at_ns: Date.now() * 1e6, kind: "leader", text: "Shard 4 is led by node-1." },
    ...{ shard: 4, node: ids[1] },
  };
  await see({ "/api/skua/v1/cluster": status }, "/cluster?shard=9", async (page) => {
    const button = page.getByRole("button", { name: "History of shard 4" });
    assert.equal(await button.getAttribute("aria-expanded"), "false");
    await button.focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/shard=4/);
    assert.equal(await button.getAttribute("aria-expanded"), "true");
    const history = page.getByRole("region", { name: "Shard 4" });
    await history.getByText("led by node-0").waitFor();
    const cells = history.locator(".copies tbody tr").nth(1).locator("td");
    assert.deepEqual((await cells.allTextContents()).slice(1, 4), ["follower", "110", "7"]);
    await history.getByText(/^Nothing is known to have happened/).waitFor();
    hasMoved = true;
    await history.getByText("Shard 4 is led by node-1.").waitFor();
    await history.getByText(/^\d+(\.\d)? entries a second$/).waitFor();
    await page.reload();
    await history.getByText("Shard 4 is led by node-1.").waitFor();
    await page
      .getByRole("row", { name: /^History of shard 5|5/ })
      .last()
      .click();
    await page.waitForURL(/shard=5/);
    const other = page.getByRole("region", { name: "Shard 5" });
    await other.getByText(/^Nothing is known to have happened/).waitFor();
    await page.getByRole("button", { name: "History of shard 5" }).click();
    await page.waitForURL((url) => !url.search.includes("shard"));
    assert.equal(await other.count(), 0);
  });
});

test("copies that differ are told from those that are alike, once somebody asks", async () => {
  const ids = ["a", "b"].map((name) => name.repeat(16));
  const asked = [];
  const status = (url) => {
    const of = /digest=true&shard=(\d+)/.exec(url)?.[1];
    asked.push(of);
    const shard = (id, digests) => ({
      ...{ id, epoch: 1, leader: ids[0] },
      replicas: ids.map((node, index) => ({
        ...{ node, state: "present", applied: 1, lag: 0, spans: 5, bytes: 7 },
        ...(of === String(id) ? { digest: digests[index] } : {}),
      })),
    });
    return {
      nodes: ids.map((id) => ({ ...{ id, name: id[0], state: "ready", version: "1", disk: {} } })),
      shards: [shard(4, ["x", "x"]), shard(5, ["x", "y"]), shard(6, ["x"])],
    };
  };
  await see({ "/api/skua/v1/cluster": status }, "/cluster", async (page) => {
    const button = page.getByRole("button", { name: "Compare the copies" });
    await button.waitFor();
    assert.ok(asked.every((of) => of === undefined));
    await button.click();
    await page.getByText("copies of shard 5 differ").waitFor();
    await page.getByText("1 shard: all copies hold the same spans.").waitFor();
    await page.getByText("Of shard 6 not every copy could be read: ask again.").waitFor();
    assert.deepEqual(
      asked.filter((of) => of !== undefined),
      ["4", "5", "6"],
    );
  });
});

test("the cluster page says what is asked, for how long spans stay and disks last", async () => {
  const hour = 3_600;
  const nanosAgo = (hours) => (Date.now() - hours * hour * 1_000) * 1e6;
  let answered = 100;
  const node = (name, more) => ({
    id: name.repeat(32),
    name,
    address: "10.0.0.1:1",
    state: "ready",
    version: "1",
    disk: { used_bytes: 24e9, free_bytes: 900e9, data_bytes_max: 30e9 },
    oldest_ns: nanosAgo(24.5),
    ...more,
  });
  const status = () => {
    answered += 100;
    return {
      nodes: [
        node("a", { queries: { answered, p99_seconds: 0.042 }, spans_taken: 7 * answered }),
        node("b", { disk: { used_bytes: 24e9, free_bytes: 900e9 } }),
      ],
      shards: [],
      retention_seconds: 7 * 24 * hour,
      epochs: [
        { id: 1, shards: 2, state: "active" },
        { id: 2, shards: 4, state: "active" },
        { id: 3, shards: 6, state: "preparing" },
      ],
      sampling: { digest: "0123456789abcdef0123456789abcdef", bytes: 2_048, revision: 7 },
    };
  };
  await see({ "/api/skua/v1/cluster": status }, "/cluster", async (page) => {
    const tile = (name) => page.locator(".tiles > div", { hasText: name }).locator("dd");
    const text = async (name) => (await tile(name).textContent()).replace("oldest", " oldest");
    assert.match(await text("Kept for"), /^7 d oldest 25 h ago$/);
    assert.equal(await text("Query p99"), "42 ms");
    // One node may take 6 GB more, a quarter of what came in a day; the other has room for weeks.
    assert.equal(await text("Disk lasts"), "6 h");
    const lasts = page.locator("table").first().locator("tbody tr td:last-child");
    assert.deepEqual(await lasts.allTextContents(), ["6 h", "long enough"]);
    assert.deepEqual(await page.locator(".agreed li").allTextContents(), [
      "epoch 1 2 shards before",
      "epoch 2 4 shards routes new spans",
      "epoch 3 6 shards preparing",
    ]);
    assert.equal(
      await page.locator(".agreed > dd").last().textContent(),
      "0123456789ab 2 KiB since change 7 of the cluster",
    );
    const disk = page.locator(".disk").first();
    assert.match(await disk.getAttribute("title"), /; data may take 27\.9 GiB$/);
    await tile("Queries a second").getByText(/^\d/).waitFor({ timeout: 30_000 });
    const taken = page.getByTitle("What clients sent to this node").getByText(/^\d/);
    assert.equal(await taken.count(), 1, "the other node does not say");
  });
});

test("a search before what is kept says so, and leads to what is", async () => {
  const oldest = 1_790_000_000_000;
  const answers = {
    "/api/v3/services": { services: ["shop"] },
    "/api/v3/trace-summaries": { summaries: [] },
    "/api/skua/v1/cluster": {
      nodes: [{ id: "a", name: "a", state: "ready", oldest_ns: oldest * 1e6 }],
      shards: [],
      retention_seconds: 604_800,
    },
  };
  const before = `start=${(oldest - 7_200_000) * 1e3}&end=${(oldest - 3_600_000) * 1e3}`;
  await see(answers, `/search?service=shop&${before}`, async (page) => {
    await page.getByText("No trace matches").waitFor();
    await page.getByText(/^Spans are kept for 7 d\. What is here came since 2026-/).waitFor();
    await page.getByRole("button", { name: "Search from there" }).click();
    await page.waitForURL(new RegExp(`start=${oldest * 1e3}`));
    assert.equal(await page.getByText("Spans are kept").count(), 0);
  });
});

/** Every read fails until it is told to work. */
function failing(working) {
  const state = { isWorking: false };
  const failed = [503, { error: { message: "no leader" } }];
  const answers = Object.fromEntries(
    Object.entries(working).map(([path, answer]) => [
      path,
      (...asked) => {
        if (!state.isWorking) return failed;
        return typeof answer === "function" ? answer(...asked) : answer;
      },
    ]),
  );
  return { state, answers: { ...answers, "/api": failed } };
}

test("a failed search says why and what was asked, and can be tried again, or a smaller one", async () => {
  const lookbacks = [];
  const { state, answers } = failing({
    "/api/skua/v1/search": (_, { window }) => {
      lookbacks.push(Math.round((window.end - window.start) / 60e9));
      return lines(found(TRACE_ID), end());
    },
  });
  const asked = "service=shop&operation=GET+%2F&q=http.status_code%3D500&minDuration=100ms";
  await see(answers, `/search?lookback=24h&${asked}`, async (page) => {
    await page.getByText("no leader").waitFor();
    assert.equal(await page.getByLabel("Conditions").inputValue(), "http.status_code=500");
    const words = await page.locator(".asked").textContent();
    for (const each of ["shop", "GET /", "http.status_code=500", "at least 100ms", "Newest first"])
      assert.ok(words.includes(each), `${each} in ${words}`);
    // The names for the form cannot be had either, which is not the same as none.
    await page.getByLabel("Service", { exact: true }).click();
    await page.getByText("The services could not be read").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Only the last 1h" }).click();
    await page.waitForURL(/lookback=1h/);
    await page.getByRole("heading", { name: "Searches before" }).waitFor();
    await page.getByRole("link", { name: /shop · GET .* last 24h/ }).waitFor();
    state.isWorking = true;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".results li").first().waitFor();
    assert.deepEqual(lookbacks, [60]);
    // What was found is not thrown away because the next search fails.
    state.isWorking = false;
    await page.getByLabel("Min duration").fill("200ms");
    await page.getByRole("button", { name: "Find traces" }).click();
    await page.getByText("below is what the one before it found").waitFor();
    assert.equal(await page.locator("[data-stale=true] .results li").count(), 1);
  });
});

test("every page that could not be read keeps its head, and can be tried again", async () => {
  const { state, answers } = failing({
    "/api/v3/services": { services: ["shop"] },
    "/api/dependencies": { data: [{ parent: "shop", child: "cart", callCount: 5 }] },
    "/api/skua/v1/aggregate": SKUA["/api/skua/v1/aggregate"],
    "/api/v3/operations": { operations: [{ name: "GET /", spanKind: "server" }] },
    "/api/skua/v1/traces": [404, {}],
    "/api/traces": { data: [trace(3)] },
  });
  const pages = [
    ["/services", "Services", (page) => page.getByRole("link", { name: "shop" })],
    ["/services/shop", "Services / shop", (page) => page.getByText("POST /pay").first()],
    ["/dependencies", "Map", (page) => page.getByLabel("Find a service")],
    [`/trace/${TRACE_ID}...${TRACE_ID}`, "Compare", (page) => page.getByText("op-2").first()],
    [`/trace/${TRACE_ID}`, "Trace", (page) => page.getByRole("treegrid")],
  ];
  const place = await stand({ ...CLUSTER, ...answers });
  try {
    for (const [path, heading, content] of pages) {
      state.isWorking = false;
      const { page } = await place.open(path);
      await page.getByRole("heading", { name: heading }).waitFor({ state: "attached" });
      await page.getByText("no leader").first().waitFor();
      await page.getByRole("button", { name: "Try again" }).first().waitFor();
      state.isWorking = true;
      // One failure after the other is put right; some by themselves, between a look and a click.
      await page.waitForFunction(() => {
        const buttons = [...document.querySelectorAll("button")];
        const retry = buttons.find(({ textContent }) => textContent.trim() === "Try again");
        retry?.click();
        return retry === undefined;
      });
      await content(page).waitFor();
      await page.close();
    }
  } finally {
    await place.close();
  }
});

test("a page stands when the node goes away before it rests", async () => {
  const place = await stand({ ...CLUSTER, "/api/traces/": { data: [trace(3)] } });
  try {
    const { page, complaints } = await place.open("/file");
    await page.route(/cluster-dot|omnibox|help/, (route) => route.abort());
    await page.goto(`${place.root}/trace/${TRACE_ID}`);
    await page.getByRole("link", { name: "no answer" }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("treegrid").waitFor();
    // A view says why it is not there, beside the others, and is fetched again.
    await page.route(/trace-table/, (route) => route.abort());
    await page.getByRole("button", { name: "Table", exact: true }).click();
    await page.getByText("This part of the page could not be fetched").waitFor();
    await page.unroute(/trace-table/);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("region", { name: "Spans as a table" }).waitFor();
    const own = complaints.filter((each) => !each.includes("net::ERR_FAILED"));
    assert.deepEqual(own, []);
  } finally {
    await place.close();
  }
});

test("a trace that is nowhere is told from one that could not be read", async () => {
  await see({}, "/trace/99", async (page) => {
    await page.getByRole("heading", { name: "No such trace" }).waitFor();
  });
  const answers = { "/api/traces/99": [503, { errors: [{ msg: "shards 1 did not answer" }] }] };
  await see(answers, "/trace/99", async (page) => {
    await page.getByText("shards 1 did not answer").waitFor();
    assert.equal(await page.getByText("No such trace").count(), 0);
  });
});

test("a failure names the request, and is asked again when the server says", async () => {
  const asked = [];
  const search = () => {
    asked.push(Date.now());
    if (asked.length > 1) return lines(end());
    const headers = { "retry-after": "9", "x-request-id": "r-17" };
    return [429, { error: { message: "too many searches are under way" } }, headers];
  };
  const answers = { "/api/v3/services": { services: ["shop"] }, "/api/skua/v1/search": search };
  const place = await stand({ ...CLUSTER, ...answers });
  try {
    const { page } = await place.open("/search");
    const alert = page.getByRole("alert");
    await alert.getByText("too many searches are under way").waitFor();
    const { host } = new URL(place.root);
    const where = `HTTP 429 · ${host} · /behind/a/proxy/api/skua/v1/search?progress=true`;
    await alert.getByText(`${where} · request r-17`, { exact: true }).waitFor();
    await page.evaluate(() => {
      navigator.clipboard.writeText = async (text) => {
        window.copied = text;
      };
    });
    await page.getByRole("button", { name: "Copy details" }).click();
    await page.waitForFunction(() => window.copied !== undefined);
    assert.match(await page.evaluate(() => window.copied), /request r-17\n20\d\d-/);
    await page.getByRole("button", { name: /^Try again in \d s$/ }).click();
    await page.getByRole("button", { name: /^Asking again in/ }).waitFor();
    await page.getByText("No trace matches").waitFor();
    assert.equal(asked.length, 2);
    assert.ok(asked[1] - asked[0] >= 9_000, `after ${asked[1] - asked[0]} ms`);
  } finally {
    await place.close();
  }
});

test("an endless name leaves the other columns in sight", async () => {
  const endless = "W".repeat(300);
  const answers = {
    ...SKUA,
    "/api/v3/services": { services: [endless, "shop"] },
    "/api/dependencies": { data: [{ parent: endless, child: "shop", callCount: 5 }] },
    "/api/traces/": { data: [trace(3, endless)] },
  };
  const pages = [
    ["/services", ".red-table"],
    ["/dependencies?as=table", ".table"],
    [`/trace/${TRACE_ID}...${TRACE_ID}`, ".compare"],
    [`/trace/${TRACE_ID}?span=0000000000000002`, ".detail-body"],
  ];
  for (const [path, selector] of pages) {
    await see(answers, path, async (page) => {
      const box = page.locator(selector).first();
      await box.waitFor();
      // Names of services are there as soon as the rows are.
      await page.getByText(endless).first().waitFor({ state: "attached" });
      const { wide, room } = await box.evaluate(({ scrollWidth, parentElement }) => ({
        wide: scrollWidth,
        room: parentElement.clientWidth,
      }));
      assert.ok(wide <= room, `${path}: ${wide} of ${room} pixels`);
    });
  }
});

test("the name of a row keeps to its row", async () => {
  const answers = { ...SKUA, "/api/traces/": { data: [trace(3)] } };
  await see(answers, `/trace/${TRACE_ID}...${TRACE_ID}?v=timeline`, async (page) => {
    await page.locator(".aligned-rows li button").first().click();
    const names = page.locator(".pair-figures tbody th");
    await names.first().waitFor();
    const looks = await names.evaluateAll((all) =>
      all.map((each) => [
        getComputedStyle(each).position,
        getComputedStyle(each).borderBottomWidth,
        getComputedStyle(each.nextElementSibling).borderBottomWidth,
      ]),
    );
    for (const [position, own, beside] of looks) {
      // Names of columns stay in sight when a table is scrolled; those of rows go with it.
      assert.equal(position, "static");
      assert.equal(own, beside);
    }
  });
});
