// Nothing, not everything, and failure: each says which of them it is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { stand, summary, TRACE_ID } from "./stand.mjs";

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

test("a failed search says why and can be tried again", async () => {
  const answers = { "/api/v3/trace-summaries": [503, { error: { message: "no leader" } }] };
  await see(answers, "/search", async (page) => {
    await page.getByText("no leader").waitFor();
    await page.getByRole("button", { name: "Try again" }).waitFor();
  });
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
