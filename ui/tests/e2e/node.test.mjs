// The way of a newcomer, before a real node with recorded traces. Wants the binary in SKUA_BIN.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { standBefore } from "./stand.mjs";

const BINARY = process.env.SKUA_BIN;
const skip = BINARY === undefined ? "SKUA_BIN names no binary" : false;
const RECORDED = ["hipster-20k.pb.zst", "trainticket-30k.pb.zst"].map((name) =>
  fileURLToPath(new URL(`../../../bench/data/${name}`, import.meta.url)),
);
const PORTS = [
  "ui",
  "otlp-grpc",
  "otlp-http",
  "health",
  "metrics",
  "jaeger-grpc",
  "jaeger-http",
  "jaeger-compact",
  "jaeger-binary",
  "zipkin",
];
const WAIT_MILLIS = 20_000;

let node;
let folder;
let place;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), "skua-node-"));
  const file = join(folder, "ports");
  const ports = PORTS.flatMap((name) => [`--${name}-port`, "0"]);
  const data = join(folder, "data");
  const flags = ["serve", "--data-dir", data, "--ephemeral", "--ports-file", file, ...ports];
  node = spawn(BINARY, flags, { stdio: "ignore" });
  const found = await portsIn(file);
  await promisify(execFile)(BINARY, [
    "load",
    ...RECORDED,
    "--shift-to-now",
    "--to",
    `127.0.0.1:${found.otlp_grpc}`,
  ]);
  place = await standBefore(`http://127.0.0.1:${found.ui}`);
});

after(async () => {
  await place?.close();
  node?.kill();
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

/** The file appears once every port is taken. */
async function portsIn(file) {
  const until = performance.now() + WAIT_MILLIS;
  for (;;) {
    try {
      return JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

test("the slowest failed trace is found, opened and its cause seen", { skip }, async () => {
  const { page, complaints } = await place.open("/search?lookback=1h");
  await page.getByText(/20 of [\d,]+ traces/).waitFor();
  const facets = page.getByRole("complementary", { name: "Narrow down" });
  await facets.getByRole("button", { name: /^error/ }).click();
  await page.waitForURL(/status/);
  await page.getByLabel("Order").selectOption("longest");
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
