import { describe, expect, it } from "vitest";
import { readCluster } from "../api/skua";
import { agreementOf, takenOf } from "./cluster";

const shard = (id: number, leader: string, spans: number, digests: readonly string[] = []) => ({
  ...{ id, epoch: 1, leader },
  replicas: ["a", "b", "c"].map((node, index) => ({
    ...{ node, state: "present", applied: 1, lag: 0, spans: spans + index, bytes: 1 },
    ...(digests[index] === undefined ? {} : { digest: digests[index] }),
  })),
});
const cluster = (...shards: readonly object[]) => readCluster({ nodes: [], shards, alarms: [] });

describe("copies of a shard", () => {
  const of = (...digests: readonly string[]) =>
    agreementOf(cluster(shard(0, "a", 1, digests)).shards[0] as never);

  it("are alike, or not, or there is none to compare with", () => {
    expect(of("x", "x", "x")).toBe("alike");
    expect(of("x", "x", "y")).toBe("different");
    expect(of("x", "x")).toBe("alike");
    expect(of("x")).toBe("alone");
    expect(of()).toBe("alone");
  });
});

describe("what a node takes", () => {
  const before = cluster(shard(0, "a", 100), shard(1, "a", 50), shard(2, "b", 10));

  it("is what came into the shards that it led all the time", () => {
    const after = cluster(shard(0, "a", 160), shard(1, "b", 90), shard(2, "b", 20));
    expect(takenOf(before, after, "a", 10)).toBe(6);
    expect(takenOf(before, after, "b", 10)).toBe(1);
    expect(takenOf(before, after, "c", 10)).toBeUndefined();
  });

  it("is never less than nothing, and unknown at once", () => {
    const after = cluster(shard(0, "a", 40), shard(1, "a", 60), shard(2, "b", 10));
    expect(takenOf(before, after, "a", 10)).toBe(1);
    expect(takenOf(before, after, "a", 0)).toBeUndefined();
  });
});
