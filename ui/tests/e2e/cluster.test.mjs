// Three real nodes: a link opened on another one, one of them dead, then two. Wants the binary in
// SKUA_BIN. The tests build on each other, as the failures do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, load, recorded, skip, startCluster, statusOf } from "./nodes.mjs";
import { standBefore } from "./stand.mjs";

/** Elections and leases are over by then, also on a machine that is busy with other things. */
const SLOW = { timeout: 60_000 };

const ANY = { headers: { "content-type": "application/json" }, body: "{}" };

let cluster;
let places;
let link;

before(async () => {
  if (skip) return;
  cluster = await startCluster();
  await load(cluster.nodes[1].otlp, recorded("trainticket-30k.pb.zst"));
  places = await Promise.all([0, 1].map((at) => standBefore(cluster.nodes[at].ui)));
});

after(async () => {
  for (const place of places ?? []) await place.close();
  await cluster?.close();
});

async function see(path, look, place = places[0]) {
  const { page, complaints } = await place.open(path);
  await look(page);
  assert.deepEqual(complaints, []);
  await page.close();
}

test("every node shows the whole cluster and where the others are", { skip }, async () => {
  for (const place of places) {
    await see(
      "/cluster",
      async (page) => {
        await page.getByText("All well").waitFor(SLOW);
        const nodes = page.locator("table").first();
        for (const { name } of cluster.nodes) await nodes.getByText(name).waitFor();
        // Each tells for how long it runs, what it takes, and that its clock is right.
        for (const { name } of cluster.nodes) {
          const cells = nodes.getByRole("row", { name: new RegExp(name) });
          await cells.getByText(/^\d+%$/).waitFor();
          await cells.getByText(/ MiB$/).first().waitFor();
        }
        const kept = page.locator(".tiles > div", { hasText: "Kept for" });
        await kept.getByText(/^7 d/).waitFor();
        await kept.getByText(/^oldest /).waitFor();
        const links = await nodes.getByRole("link").evaluateAll((all) => all.map((a) => a.host));
        const hosts = cluster.nodes.map(({ ui }) => new URL(ui).host);
        assert.deepEqual(links.sort(), hosts.sort());
        await page.getByRole("button", { name: "Compare the copies" }).click();
        await page.getByText(/\d shards: all copies hold the same spans\./).waitFor(SLOW);
      },
      place,
    );
  }
});

test("each node tells what it is asked and what it keeps", { skip }, async () => {
  const { nodes, retention_seconds: kept } = await statusOf(cluster.nodes[0].ui);
  assert.equal(kept, 7 * 24 * 3_600);
  for (const { queries, oldest_ns: oldest, disk } of nodes) {
    assert.ok(queries.answered >= 0);
    assert.ok(Math.abs(Date.now() * 1e6 - oldest) < 2 * 3_600e9, "the hour of what was loaded");
    assert.ok(disk.used_bytes > 0 && disk.data_bytes_max > disk.used_bytes);
  }
  const before = nodes[1].queries.answered;
  const { ui } = cluster.nodes.find(({ name }) => name === nodes[1].name);
  await fetch(`${ui}/api/services`);
  const after = await statusOf(cluster.nodes[0].ui);
  assert.equal(after.nodes[1].queries.answered, before + 1);
});

test("what one node was sent another finds, and a link opens the same on a third", {
  skip,
}, async () => {
  await see("/search?lookback=1h&sort=mostErrors", async (page) => {
    await page.getByText(/ · complete · /).waitFor(SLOW);
    await page.locator(".results li a").first().click();
    await page.locator("[role=treegrid] [role=row]").first().waitFor({ state: "attached" });
    await page.keyboard.press("e");
    await page.waitForURL(/span=/);
    link = page.url().slice(places[0].root.length);
  });
  await see(
    link,
    async (page) => {
      const selected = page.locator("[role=row][aria-selected=true]");
      await selected.waitFor({ state: "attached", ...SLOW });
      assert.match(await selected.textContent(), /failed/);
    },
    places[1],
  );
});

test("a search tells what each shard adds, and its answer is in exact order", {
  skip,
}, async () => {
  const url = `${cluster.nodes[0].ui}/api/skua/v1/search?progress=true`;
  const answer = await fetch(url, { method: "POST", ...ANY });
  const lines = (await answer.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const kinds = lines.map((line) => Object.keys(line)[0]);
  const from = kinds.indexOf("trace");
  assert.ok(from > 0 && !kinds.slice(from).includes("early"), kinds.join());
  const told = lines.filter((line) => line.progress).map((line) => line.progress.answered);
  assert.deepEqual(
    told,
    told.map((_, index) => index + 1),
    "one shard after another",
  );
  assert.equal(told.length, lines.find((line) => line.progress).progress.shards - 1);
  const known = [];
  for (const { early } of lines.filter((line) => line.early)) known.splice(early.place, 0, early);
  const final = lines.filter((line) => line.trace).map(({ trace }) => trace.trace_id);
  assert.equal(final.length, 20);
  // What was told early is in the answer, unless a later shard pushed it out; in the same order.
  const early = known.map(({ trace }) => trace.trace_id).filter((id) => final.includes(id));
  assert.deepEqual(
    early,
    final.filter((id) => early.includes(id)),
  );
  assert.ok(early.length > 0);
});

test("with one node dead all is there, and the cluster says what it lacks", { skip }, async () => {
  await cluster.nodes[2].kill();
  await eventually("leaders among two", async () => {
    const { shards } = await statusOf(cluster.nodes[0].ui);
    return shards.every(({ leader }) => leader !== null) ? true : undefined;
  });
  // An election that is just over can still make one answer partial.
  await eventually("whole answers", async () => {
    const answer = await fetch(`${cluster.nodes[0].ui}/api/skua/v1/search`, {
      method: "POST",
      ...ANY,
    });
    return (await answer.text()).includes('"completeness":"complete"') ? true : undefined;
  });
  await see("/cluster", async (page) => {
    await page.getByText("Node node-3 does not answer.").waitFor(SLOW);
    await page.getByText("Degraded", { exact: true }).waitFor();
    await page.getByText(/^no answer for \d+ s$/).waitFor();
    await page.locator(".shards").getByText("no answer", { exact: true }).first().waitFor();
    await page.locator(".cluster-events").getByText("Node node-3 stopped answering.").waitFor();
    await page.getByRole("link", { name: "degraded" }).waitFor();
    assert.equal(await page.getByText("All well").count(), 0);
  });
  await see("/search?lookback=1h", async (page) => {
    await page.getByText(/ · complete · /).waitFor(SLOW);
    assert.equal(await page.getByText("Partial answer.").count(), 0);
  });
  await see(link, async (page) => {
    await page.locator("[role=row][aria-selected=true]").waitFor({ state: "attached", ...SLOW });
    assert.equal(await page.getByText("Partial answer.").count(), 0);
  });
});

test("without a majority every page says that its answer is partial", { skip }, async () => {
  await cluster.nodes[1].kill();
  await see("/search?lookback=1h", async (page) => {
    await page.getByText("Partial answer.").waitFor(SLOW);
    await page.getByText(/may lack the latest spans/).waitFor();
    await page.getByText(/ · partial · /).waitFor();
    await page.locator(".results li").first().waitFor();
  });
  await see(link, async (page) => {
    await page.getByText("Partial answer.").waitFor(SLOW);
    await page.locator("[role=row][aria-selected=true]").waitFor({ state: "attached" });
  });
  await see("/cluster", async (page) => {
    await page.getByText("Failing", { exact: true }).waitFor(SLOW);
    await page.getByText("Node node-2 does not answer.").waitFor();
    await page.getByText(/2 of 3 nodes do not answer/).waitFor();
  });
});
