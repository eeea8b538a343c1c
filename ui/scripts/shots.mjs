// Pictures of every page and state against a running node, to be looked at; on the way, whatever
// the browser complains about and whatever axe finds. With --small, small copies are written too:
// docs/ui keeps those of the light theme.
//
//   node scripts/shots.mjs --api http://127.0.0.1:16686 --out DIR [--only search,trace]
//     [--themes light,dark] [--small ../docs/ui]

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { freshBrowser } from "./browser.mjs";
import { serve } from "./serve.mjs";

const { values } = parseArgs({
  options: {
    api: { type: "string", default: "http://127.0.0.1:16686" },
    out: { type: "string" },
    only: { type: "string", default: "" },
    browser: { type: "string", default: "/usr/bin/chromium" },
    small: { type: "string" },
    themes: { type: "string", default: "light,dark" },
  },
});
const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

mkdirSync(values.out, { recursive: true });
if (values.small) mkdirSync(values.small, { recursive: true });
const server = await serve({ api: values.api, prefix: "/tracing" });
const root = `http://127.0.0.1:${server.address().port}/tracing`;
const { browser, close } = await freshBrowser({
  executablePath: values.browser,
  width: 1440,
  height: 900,
});

const shots = await scenes();
let problems = 0;
for (const [name, path, act, before] of shots) {
  if (values.only !== "" && !values.only.split(",").some((each) => name.startsWith(each))) continue;
  for (const theme of values.themes.split(","))
    problems += await shoot({ name, path, act, before }, theme);
}
await close();
server.close();
console.log(`${problems} problems`);
process.exitCode = problems > 0 ? 1 : 0;

async function scenes() {
  const now = Date.now();
  const params = new URLSearchParams({
    "query.startTimeMin": new Date(now - 28 * 86_400_000).toISOString(),
    "query.startTimeMax": new Date(now).toISOString(),
    "query.searchDepth": "1500",
  });
  const answer = await fetch(`${values.api}/api/v3/trace-summaries?${params}`);
  const { summaries } = await answer.json();
  const most = (of) => [...summaries].sort((a, b) => (of(b) ?? 0) - (of(a) ?? 0))[0];
  const large = most((each) => each.spanCount)?.traceId;
  const others = [...summaries].sort((a, b) => b.spanCount - a.spanCount);
  const failed = most((each) => (each.errorSpanCount ?? 0) * 1e6 + each.spanCount)?.traceId;
  const several = new URLSearchParams([
    ...others.slice(2, 5).map(({ traceId }) => ["b", traceId]),
    ...others.slice(0, 9).map(({ traceId }) => ["cohort", traceId]),
  ]);
  return [
    ["search", "/search?lookback=1h"],
    ["search-errors", "/search?lookback=24h&q=status%3Derror&sort=longest"],
    [
      "search-conditions",
      "/search?lookback=24h&q=-kind%3Dclient+http.status_code>%3D500&facet=host.name",
    ],
    ["search-typing", "/search?lookback=24h", (page) => page.getByLabel("Conditions").fill("http")],
    ["search-dots", "/search?lookback=1h&plot=dots&limit=300"],
    ["search-table", "/search?lookback=24h&v=table&sort=longest"],
    [
      "search-spans",
      "/search?lookback=24h&v=spans&q=status%3Derror",
      (page) => page.locator(".match-row[data-is=span]").first().waitFor(),
    ],
    ["search-brush", "/search?lookback=1h&service=frontend", brush],
    [
      "search-none",
      "/search?lookback=24h&service=frontend&minDuration=1000s&tags=%7B%22a%22%3A%22b%22%7D",
    ],
    ["search-range", `/search?service=frontend&start=${(now - 864e5) * 1e3}&end=${now * 1e3}`],
    ["search-differs", "/search?lookback=24h&sel=errors"],
    ["search-live", "/search?lookback=1h&tail=1"],
    [
      "search-share",
      "/search?lookback=1h",
      (page) => page.getByRole("button", { name: "Share" }).click(),
    ],
    [
      "search-facet",
      "/search?lookback=24h",
      async (page) => {
        await page
          .getByRole("button", { name: /^\d{2,} more$/ })
          .first()
          .click();
        await page.getByLabel("Find a value of operation").fill("order");
      },
    ],
    [
      "search-saved",
      "/search?lookback=1h",
      async (page) => {
        await page.getByRole("button", { name: "Share" }).click();
        await page.getByRole("button", { name: "OTLP JSON" }).click();
        await page.getByText(/^Saved/).waitFor();
      },
    ],
    [
      "search-service",
      "/search?lookback=24h",
      (page) => page.getByLabel("Service", { exact: true }).click(),
    ],
    ["trace", `/trace/${large}`],
    ["trace-error", `/trace/${failed}`, (page) => page.keyboard.press("e")],
    [
      "trace-find",
      `/trace/${large}?uiFind=SELECT`,
      (page) => page.keyboard.press("n").then(() => page.keyboard.press("n")),
    ],
    ["trace-zoom", `/trace/${large}`, zoomed],
    ["trace-flame", `/trace/${large}?v=flame`],
    ["trace-flame-self", `/trace/${large}?v=flame&flame=self`],
    ["trace-path", `/trace/${large}?v=path`],
    [
      "trace-services",
      `/trace/${large}`,
      (page) => page.getByRole("button", { name: "Services" }).click(),
    ],
    ["trace-table", `/trace/${large}?v=table`],
    ["trace-graph", `/trace/${failed}?v=graph`],
    ["trace-graph-self", `/trace/${failed}?v=graph&shade=self`],
    ["trace-statistics", `/trace/${large}?v=statistics`],
    ["trace-events", `/trace/${failed}?v=events`],
    ["trace-raw", `/trace/${failed}?v=raw`],
    ["trace-keys", `/trace/${large}`, (page) => page.keyboard.press("?")],
    ["trace-missing", "/trace/00000000000000000000000000000bad"],
    ["search-phone", "/search?lookback=24h", undefined, phone],
    ["trace-phone", `/trace/${failed}`, undefined, phone],
    ["compare", `/trace/${large}...${others[1]?.traceId}`],
    ["compare-timeline", `/trace/${large}...${others[1]?.traceId}?v=timeline`, chosenPair],
    ["compare-structure", `/trace/${large}...${others[1]?.traceId}?v=structure`],
    ["compare-graph", `/trace/${large}...${others[1]?.traceId}?v=graph`],
    ["compare-many", `/trace/${large}...${others[1]?.traceId}?${several}`],
    ["compare-half", `/trace/${large}...?cohort=${large}&cohort=${failed}`],
    ["services", "/services"],
    ["service", "/services/frontend"],
    ["map", "/dependencies"],
    ["map-near", "/dependencies?service=frontend"],
    ["map-free", "/dependencies?layout=sfdp"],
    ["map-table", "/dependencies?as=table"],
    ["cluster", "/cluster", rated],
    ["keys", "/cluster", (page) => page.keyboard.press("?")],
    ["settings", "/settings"],
    ["file", "/file"],
    ["file-open", "/file", (page) => openFile(page, large)],
    [
      "omnibox",
      "/services",
      (page) => page.keyboard.press("Control+k").then(() => page.keyboard.type("front")),
    ],
    [
      "state-empty",
      "/search",
      undefined,
      replies({
        "api/v3": [200, '{"summaries":[],"services":[]}'],
        "v1/search": [200, '{"end":{"completeness":"complete"}}\n'],
      }),
    ],
    ["state-partial", "/search?lookback=24h", undefined, partial],
    [
      "state-failed",
      "/search?lookback=24h",
      undefined,
      replies({
        "v1/search": [
          503,
          '{"error":{"message":"shards 1 did not answer"}}',
          { "retry-after": "9" },
        ],
      }),
    ],
    [
      "state-refused",
      `/trace/${large}`,
      undefined,
      replies({ "/columns": [500, '{"error":{"message":"internal error"}}'] }),
    ],
    [
      "cluster-shard",
      "/cluster?shard=5",
      (page) => rated(page).then(() => page.locator(".shard-history").scrollIntoViewIfNeeded()),
      replies({ "v1/cluster": [200, () => JSON.stringify(threeNodes())] }),
    ],
    [
      "state-cluster",
      "/cluster",
      rated,
      replies({ "v1/cluster": [200, () => JSON.stringify(threeNodes())] }),
    ],
  ];
}

/** Answers requests whose address contains a key instead of the node. */
function replies(answers) {
  return async (page) => {
    for (const [part, [status, body, headers]] of Object.entries(answers)) {
      await page.route(new RegExp(part), (route) =>
        route.fulfill({
          status,
          body: typeof body === "function" ? body() : body,
          contentType: "application/json",
          headers,
        }),
      );
    }
  };
}

async function phone(page) {
  await page.setViewportSize({ width: 390, height: 780 });
}

/** What the node answers, as if a shard had been missing. */
async function partial(page) {
  await page.route(/v1\/search/, async (route) => {
    const response = await route.fetch();
    const end = { completeness: "partial; missing=1", missing: [1], stale: [0] };
    const lines = (await response.text()).trimEnd().split("\n");
    const last = JSON.parse(lines.pop());
    lines.push(JSON.stringify({ end: { ...last.end, ...end } }));
    await route.fulfill({ response, body: `${lines.join("\n")}\n` });
  });
}

/** Rates are known from the second look on. */
async function rated(page) {
  const tile = page.locator(".tiles > div", { hasText: "Spans a second" });
  await tile.getByText(/\d/).waitFor();
}

/** Two spans held against each other. */
async function chosenPair(page) {
  await page.getByLabel("Differences only").check();
  await page.locator(".aligned-rows li button").nth(4).click();
}

/** A rectangle held, not yet let go. */
async function brush(page) {
  const box = await page.locator(".heatmap-cells").boundingBox();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.98, box.y + 70, { steps: 4 });
}

function threeNodes() {
  const ids = ["a97a60a40b00aaa1", "b1c2d3e4f5061728", "c0ffee00c0ffee00"];
  return {
    nodes: ids.map((id, index) => ({
      id,
      name: `skua-${index}`,
      address: `10.0.0.${index + 1}:16686`,
      state: index === 2 ? "down" : "ready",
      ...(index === 2 ? { down: { since_ns: (Date.now() - 252_000) * 1e6, seconds: 252 } } : {}),
      version: index === 2 ? "" : "0.1.0",
      zone: `rack-${index + 1}`,
      ...(index === 2
        ? {}
        : {
            process: {
              uptime_seconds: 86_400 * (3 - index),
              cpu_seconds: 41_000 + 5_000 * index,
              resident_bytes: 4.1e8 + index * 1e8,
            },
            clock_ahead_ns: index * 740_000_000,
            queries: { answered: Math.round(Date.now() / (80 + 60 * index)), p99_seconds: 0.038 },
            spans_taken: Math.round((Date.now() - 1.7e12) * (3 + 2 * index)),
            oldest_ns: (Date.now() - 50 * 3_600_000) * 1e6,
          }),
      disk:
        index === 2
          ? { used_bytes: 0, free_bytes: 0 }
          : {
              used_bytes: 4e9 + index * 4.4e10,
              free_bytes: 5e10 - index * 4.4e10,
              data_bytes_max: 5.2e10,
            },
    })),
    retention_seconds: 7 * 86_400,
    epochs: [
      { id: 3, shards: 6, state: "active" },
      { id: 4, shards: 12, state: "preparing" },
    ],
    sampling: { digest: "8f2a61c09b7d4e53a1f0c6d2e4b89731", bytes: 2_310, revision: 41 },
    alarms: [
      {
        kind: "under-replicated",
        text: "shard 5 has 2 of 3 replicas that answer, so one more failure stops its writes",
        shard: 5,
        seconds: 251,
      },
      { kind: "nowhere-to-go", text: "no node can take the replica of shard 5", seconds: 12 },
    ],
    events: [
      [251, "Alarm: shard 5 has 2 of 3 replicas that answer.", { shard: 5 }],
      [252, "Shard 2 is led by skua-0.", { shard: 2, node: ids[0] }],
      [252, "Node skua-2 stopped answering.", { node: ids[2] }],
      [5_400, "skua-1 has its replica of shard 4.", { shard: 4, node: ids[1] }],
      [5_460, "skua-1 gets a replica of shard 4.", { shard: 4, node: ids[1] }],
      [86_400, "Node skua-1 started.", { node: ids[1] }],
    ].map(([seconds, text, about]) => ({
      at_ns: (Date.now() - 1_000 * seconds) * 1e6,
      kind: "told",
      text,
      ...about,
    })),
    shards: Array.from({ length: 6 }, (_, shard) => ({
      id: shard,
      epoch: 3,
      leader: shard === 5 ? null : ids[shard % 2],
      replicas: ids.map((node, index) => {
        if (index === 2) return { node, state: "unreachable" };
        if (index === 1 && shard === 4) return { node, state: "absent" };
        return {
          node,
          state: "present",
          applied: 90_000 - index * 10,
          lag: index === 1 && shard === 3 ? 4_200 : 0,
          spans: 1_200_000 + shard * 31_000,
          bytes: 31e6 + shard * 2e6 - index * 4e5,
        };
      }),
    })),
  };
}

async function openFile(page, id) {
  const answer = await fetch(`${values.api}/api/traces/${id}`);
  const { data } = await answer.json();
  const buffer = Buffer.from(JSON.stringify({ data: [...data, ...data] }));
  const file = { name: "traces.json", mimeType: "application/json", buffer };
  await page.locator("input[type=file]").setInputFiles(file);
  await page.waitForSelector("[role=row]", { state: "attached" });
}

async function zoomed(page) {
  await page.keyboard.press("j");
  for (let step = 0; step < 30; step += 1) await page.keyboard.press("j");
  await page.keyboard.press("z");
}

async function shoot({ name, path, act, before }, theme) {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => {
    const isExpected = /status of (404|500|503)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isExpected) said.push(message.text());
  });
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith("http://127.0.0.1")) said.push(`request to ${request.url()}`);
  });
  await page.addInitScript((wanted) => {
    localStorage.setItem("skua.settings", JSON.stringify({ theme: wanted }));
  }, theme);
  await before?.(page);
  await page.goto(root + path);
  // A worker that was stopped while it loaded counts as busy for ever.
  await page.waitForLoadState("networkidle", { timeout: 4_000 }).catch(() => undefined);
  // What cannot be done is a problem of its scene; the others are still looked at.
  await act?.(page)?.catch((error) => said.push(String(error).split("\n")[0]));
  await page
    .locator(".skeleton")
    .first()
    .waitFor({ state: "detached", timeout: 8_000 })
    .catch(() => undefined);
  await page.waitForTimeout(500);
  const picture = await page.screenshot({ path: join(values.out, `${name}-${theme}.png`) });
  if (values.small) {
    const isOnly = values.themes === theme;
    await shrink(picture, join(values.small, `${name}${isOnly ? "" : `-${theme}`}.webp`));
  }
  const violations = await inspect(page);
  await page.close();
  for (const each of [...said, ...violations]) console.log(`${name} ${theme}: ${each}`);
  return said.length + violations.length;
}

/** A copy that is small enough to keep. */
async function shrink(picture, path) {
  const page = await browser.newPage();
  const text = await page.evaluate(async (source) => {
    const image = new Image();
    image.src = `data:image/png;base64,${source}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.min(960, image.width);
    canvas.height = Math.round((image.height / image.width) * canvas.width);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/webp", 0.6).split(",")[1];
  }, picture.toString("base64"));
  writeFileSync(path, Buffer.from(text, "base64"));
  await page.close();
}

/** The policy forbids scripts of others, so axe runs as the browser's own. */
async function inspect(page) {
  const session = await page.context().newCDPSession(page);
  const expression = `${AXE}; axe.run().then((found) => JSON.stringify(found.violations.map(
    (each) => each.id + " (" + each.nodes.length + "): " + each.nodes.slice(0, 2).map(
      (node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join("; "))))`;
  const { result } = await session.send("Runtime.evaluate", { expression, awaitPromise: true });
  return JSON.parse(result.value ?? '["axe did not run"]');
}
