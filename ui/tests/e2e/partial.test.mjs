// Three real nodes with one copy of each shard, one of them dead: what it held is missing, and every
// page says so. Wants the binary in SKUA_BIN.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, load, recorded, skip, startCluster, statusOf } from "./nodes.mjs";
import { standBefore } from "./stand.mjs";

/** Nobody answers for a shard without replicas: that takes as long as a barrier is waited for. */
const SLOW = { timeout: 60_000 };

let cluster;
let place;
let lost;

before(async () => {
  if (skip) return;
  cluster = await startCluster(1);
  await load(cluster.nodes[0].otlp, recorded("trainticket-30k.pb.zst"));
  const { nodes, shards } = await statusOf(cluster.nodes[0].ui);
  const third = nodes.find(({ name }) => name === "node-3").id;
  lost = shards.filter(({ leader }) => leader === third).length;
  assert.ok(lost > 0 && lost < shards.length, `${lost} of ${shards.length} shards`);
  place = await standBefore(cluster.nodes[0].ui);
});

after(async () => {
  await place?.close();
  await cluster?.close();
});

test("with one node dead the others show what they have, as partial", { skip }, async () => {
  const all = cluster.nodes[0].ui;
  const { shards } = await statusOf(all);
  await cluster.nodes[2].kill();
  await eventually("a node that does not answer", async () => {
    const { nodes } = await statusOf(all);
    return nodes.some(({ state }) => state !== "ready") ? true : undefined;
  });
  // Traces of the others are told while the shards of the dead node are still waited for.
  const answer = await fetch(`${all}/api/skua/v1/search?progress=true`, { method: "POST" });
  let first = "";
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    first += piece;
    if (first.includes(`"answered":${shards.length - lost},`)) break;
  }
  assert.ok(first.includes('{"early":') && !first.includes('{"end":'), first);
  const { page, complaints } = await place.open("/search?lookback=1h");
  await page.getByText(/Shards? [\d, ]+ did not answer; traces may be missing\./).waitFor(SLOW);
  await page.getByText("Partial answer.").waitFor();
  const told = ` · partial · ${shards.length - lost} of ${shards.length} shards · `;
  await page.getByText(told).waitFor();
  assert.ok((await page.locator(".results li").count()) > 0);
  // Opening one that is there is no partial answer.
  await page.locator(".results li a").first().click();
  await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
  assert.equal(await page.getByText("Partial answer.").count(), 0);
  assert.deepEqual(complaints, []);
  await page.close();
});

test("services, the map and figures say it too", { skip }, async () => {
  for (const path of ["/services", "/dependencies"]) {
    const { page, complaints } = await place.open(path);
    await page.getByText("Partial answer.").waitFor(SLOW);
    assert.deepEqual(complaints, [], path);
    await page.close();
  }
});

test("the cluster page names the node and its shards", { skip }, async () => {
  const { page, complaints } = await place.open("/cluster");
  await page.getByText("Node node-3 does not answer.").waitFor(SLOW);
  await page.getByText("Failing", { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});
