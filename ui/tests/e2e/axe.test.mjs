// Every page and state in both themes: axe finds nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { syntheticJson } from "../../bench/synthetic.mjs";
import { columns, end, found, lines, SKUA, spans } from "./skua.mjs";
import { stand, TRACE_ID } from "./stand.mjs";

const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const OTHER = "000000000000000000000000000000ee";
const NODES = ["a97a60a40b00aaa1", "b1c2d3e4f5061728", "c0ffee00c0ffee00"];
const CLUSTER = {
  nodes: NODES.map((id, index) => ({
    id,
    name: `skua-${index}`,
    address: `10.0.0.${index + 1}:16686`,
    state: index === 2 ? "draining" : "ready",
    version: "0.1.0",
    disk: { used_bytes: 4e9, free_bytes: 5e10 },
    zone: `rack-${index}`,
    process: { uptime_seconds: 7_200, cpu_seconds: 900, resident_bytes: 2e8 },
    clock_ahead_ns: index * 600_000_000,
  })),
  shards: [0, 1].map((id) => ({
    id,
    epoch: 1,
    leader: id === 1 ? null : NODES[0],
    replicas: NODES.map((node, index) => ({
      node,
      state: "present",
      applied: 9_000,
      lag: index === 2 ? 4_200 : 0,
      spans: 1_000_000,
      bytes: 30e6,
    })),
  })),
  epochs: [
    { id: 1, shards: 2, state: "active" },
    { id: 2, shards: 4, state: "fencing" },
  ],
  sampling: { digest: "0123456789abcdef0123456789abcdef", bytes: 2_048, revision: 7 },
};

const SILENT = {
  state: "down",
  down: { since_ns: 1_790_000_000_000_000_000, seconds: 252 },
  version: "",
};
const failed = [503, { error: { message: "shard 1 did not answer" } }];
const traces = Array.from({ length: 12 }, (_, index) =>
  found((index + 1).toString(16).padStart(32, "0"), { index, errors: index % 4 === 0 ? 1 : 0 }),
);
const click = (name) => (page) => page.getByRole("button", { name }).click();
const row = (page, text) => page.locator(".match-row", { hasText: text }).first().waitFor();
const press = (key) => (page) => page.keyboard.press(key);

/** What is shown, what the API answers differently, and what is done before looking. */
const SCENES = [
  ["search", "/search"],
  ["search with dots", "/search?plot=dots"],
  ["search, a table", "/search?v=table&sort=longest"],
  ["search, spans", "/search?v=spans&service=shop", {}, (page) => row(page, "SELECT 0")],
  [
    "search, spans that cannot be read",
    "/search?v=spans",
    { "/api/skua/v1/traces/": failed },
    (page) => row(page, "could not be read"),
  ],
  ["search, fixed time", "/search?start=1790000000000000&end=1790003600000000"],
  ["search, suggestions", "/search", {}, (page) => page.getByLabel("Conditions").fill("http")],
  ["search, wrong field", "/search", {}, wrongField],
  ["search, kept searches", "/search?service=shop", {}, click("Searches")],
  ["search, conditions", "/search?q=-kind%3Dserver+status%3Derror&service=shop"],
  ["search, live", "/search?lookback=1h&tail=1"],
  ["search, what differs", "/search?lookback=1h&sel=errors"],
  ["search, share", "/search", {}, click("Share")],
  ["search, saved", "/search", { "/api/traces/": [404, ""] }, saved],
  [
    "search, a value of many",
    "/search?facet=host.name",
    { "/api/skua/v1/aggregate": many },
    looked,
  ],
  [
    "search, refused for a while",
    "/search",
    { "/api/skua/v1/search": [429, { error: { message: "later" } }, { "retry-after": "60" }] },
    (page) => page.getByRole("button", { name: /^Try again in/ }).click(),
  ],
  ["search, none", "/search?service=shop", { "/api/skua/v1/search": lines(end()) }],
  [
    "search, partial",
    "/search",
    { "/api/skua/v1/search": lines(...traces, end({ missing: [1] })) },
  ],
  ["search, under way", "/search", { "/api/skua/v1/search": () => underWay() }],
  ["search, failed", "/search", { "/api/skua/v1/search": failed }],
  [
    "search, empty",
    "/search",
    { "/api/skua/v1/search": lines(end()), "/api/v3/services": { services: [] } },
  ],
  ["trace", `/trace/${TRACE_ID}`],
  ["trace, span", `/trace/${TRACE_ID}`, {}, press("e")],
  ["trace, find", `/trace/${TRACE_ID}?uiFind=err`],
  ["trace, flame", `/trace/${TRACE_ID}?v=flame`],
  ["trace, path", `/trace/${TRACE_ID}?v=path`],
  ["trace, services", `/trace/${TRACE_ID}`, {}, click("Services")],
  ["trace, table", `/trace/${TRACE_ID}?v=table`],
  ["trace, flame by self time", `/trace/${TRACE_ID}?v=flame&flame=self`],
  ["trace, statistics", `/trace/${TRACE_ID}?v=statistics`],
  ["trace, events", `/trace/${TRACE_ID}?v=events`],
  ["trace, graph", `/trace/${TRACE_ID}?v=graph`],
  ["trace, graph by time", `/trace/${TRACE_ID}?v=graph&shade=time&uiFind=err`],
  ["trace, raw", `/trace/${TRACE_ID}?v=raw`],
  ["trace, keys", `/trace/${TRACE_ID}`, {}, press("?")],
  [
    "trace, missing",
    "/trace/bad",
    { "/api/skua/v1/traces/": [404, ""], "/api/traces/": [404, ""] },
  ],
  ["trace, failed", "/trace/bad", { "/api/skua/v1/traces/": failed }],
  ["trace, runs and details below", `/trace/${TRACE_ID}`, {}, foldedAndBelow],
  ["compare", `/trace/${TRACE_ID}...${OTHER}`],
  ["compare, timelines", `/trace/${TRACE_ID}...${OTHER}?v=timeline`, {}, chosenPair],
  ["compare, structure", `/trace/${TRACE_ID}...${OTHER}?v=structure`],
  ["compare, graph", `/trace/${TRACE_ID}...${OTHER}?v=graph`],
  [
    "compare, several on a side",
    `/trace/${TRACE_ID}...${OTHER}?b=cc&cohort=${TRACE_ID}&cohort=aa&cohort=bb`,
    {},
    (page) => page.getByRole("button", { name: "Add a trace" }).last().click(),
  ],
  ["the field that goes anywhere", "/services", {}, omniboxOpen],
  ["compare, half", `/trace/${TRACE_ID}...?cohort=${TRACE_ID}&cohort=${OTHER}`],
  ["services", "/services"],
  ["service", "/services/shop"],
  ["service, failed", "/services/shop", { "/api/skua/v1/aggregate": failed }],
  ["map", "/dependencies"],
  ["map, changes", "/dependencies?vs=before&service=shop&hops=2"],
  ["map, without layers", "/dependencies?layout=sfdp"],
  ["map, table", "/dependencies?as=table"],
  ["map, none", "/dependencies", { "/api/dependencies": { data: [] } }],
  ["cluster", "/cluster"],
  ["cluster, a shard", "/cluster?shard=0"],
  [
    "cluster, silent nodes",
    "/cluster?shard=1",
    {
      "/api/skua/v1/cluster": {
        ...CLUSTER,
        nodes: CLUSTER.nodes.map((node, index) => ({
          ...node,
          ...(index > 0 ? { ...SILENT, address: `10.0.0.${index}:7947` } : {}),
        })),
        shards: CLUSTER.shards.map((shard) => ({
          ...shard,
          replicas: [
            shard.replicas[0],
            { node: NODES[1], state: "unreachable" },
            { node: NODES[2], state: "absent" },
          ],
        })),
        alarms: [
          { kind: "under-replicated", text: "shard 1 has 1 of 3 replicas", shard: 1, seconds: 250 },
          { kind: "no-meta-leader", text: "nobody leads", seconds: 0 },
        ],
      },
    },
  ],
  ["keys of every page", "/cluster", {}, press("?")],
  ["cluster, failed", "/cluster", { "/api/skua/v1/cluster": failed }],
  ["file", "/file"],
  ["settings", "/settings"],
  ["no page", "/no-such-page"],
];

/** One of three shards has answered, and the others never do. */
function underWay() {
  const early = traces.map(({ trace }, place) => ({ early: { place, trace } }));
  const progress = { shards: 3, answered: 1, missing: [2], spans_scanned: 5_000 };
  const [status, text, headers] = lines(...early, { progress });
  async function* body() {
    yield text;
    await new Promise(() => undefined);
  }
  return [status, body(), headers];
}

/** In the page: waits until colours have faded over, however slow the machine is. */
async function faded() {
  for (let frames = 0; frames < 3; frames += 1) {
    await new Promise((done) => requestAnimationFrame(() => done()));
    const fading = document.getAnimations().filter((each) => each instanceof CSSTransition);
    await Promise.allSettled(fading.map((each) => each.finished));
  }
}

async function foldedAndBelow(page) {
  await page.getByRole("button", { name: "Fold runs" }).click();
  await page.keyboard.press("e");
  await page.getByRole("button", { name: "Details below the row" }).click();
  await page.locator(".below-row").waitFor();
}

async function omniboxOpen(page) {
  await page.getByRole("combobox", { name: "Go to a trace" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("s");
  await page.getByRole("option").first().waitFor();
}

async function saved(page) {
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("button", { name: "OTLP JSON" }).waitFor();
  await page.getByRole("button", { name: "Jaeger JSON" }).click();
  await page.getByText("12 traces not found.").waitFor();
}

/** Figures in which a facet has more values than are counted. */
function many(url, body) {
  const values = Array.from({ length: 50 }, (_, index) => ({
    value: `host-${index}`,
    spans: 100 - index,
    errors: 0,
  }));
  const answer = SKUA["/api/skua/v1/aggregate"](url, body);
  return body.key === "host.name" ? { ...answer, values } : answer;
}

async function looked(page) {
  await page.getByRole("button", { name: "44 more" }).click();
  await page.getByLabel("Find a value of host.name").fill("40");
  await page.getByRole("button", { name: /^404 ?rare/ }).waitFor();
}

async function chosenPair(page) {
  await page.locator(".aligned-rows li button").nth(2).click();
  await page.getByRole("complementary", { name: "The chosen pair of spans" }).waitFor();
}

async function wrongField(page) {
  await page.getByLabel("Min duration").fill("soon");
  await page.keyboard.press("Enter");
}

let place;
let differently = {};

before(async () => {
  const usual = {
    ...SKUA,
    "/api/skua/v1/search": lines(...traces, end({ cursor: "next" })),
    "/api/skua/v1/traces/": (url) =>
      url.includes("/spans?") ? spans(url) : columns(120, TRACE_ID),
    "/api/traces/": { data: [syntheticJson(120, TRACE_ID)] },
    "/api/v3/services": { services: ["shop", "cart"] },
    "/api/v3/operations": { operations: [{ name: "GET /", spanKind: "server" }] },
    "/api/dependencies": { data: [{ parent: "shop", child: "cart", callCount: 5 }] },
    "/api/skua/v1/cluster": CLUSTER,
  };
  const answers = Object.keys(usual).map((path) => [
    path,
    (url, body) => {
      const answer = differently[path] ?? usual[path];
      return typeof answer === "function" ? answer(url, body) : answer;
    },
  ]);
  place = await stand(Object.fromEntries(answers));
});

after(() => place.close());

for (const [name, path, answers = {}, act] of SCENES) {
  test(name, async () => {
    differently = answers;
    const { page, complaints } = await place.open(path);
    // A worker that was stopped while it loaded counts as busy for ever.
    await page.waitForLoadState("networkidle", { timeout: 4_000 }).catch(() => undefined);
    await page.locator("h1").first().waitFor({ state: "attached" });
    await act?.(page);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(faded);
      assert.deepEqual(await violations(page), [], colorScheme);
    }
    assert.deepEqual(complaints, []);
    await page.close();
  });
}

/** The policy forbids scripts of others, so axe runs as the browser's own. */
async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const expression = `${AXE}; axe.run().then((found) => JSON.stringify(found.violations.map(
    (each) => each.id + ": " + each.nodes.slice(0, 3).map((node) => node.target.join(" ") + " "
      + (node.any[0]?.message ?? "")).join("; "))))`;
  const { result } = await session.send("Runtime.evaluate", { expression, awaitPromise: true });
  return JSON.parse(result.value ?? '["axe did not run"]');
}
