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

  it("are alike, or not, or not every one could be read", () => {
    expect(of("x", "x", "x")).toBe("alike");
    expect(of("x", "x", "y")).toBe("different");
    expect(of("x", "y")).toBe("different");
    expect(of("x", "x")).toBe("unread");
    expect(of("x")).toBe("unread");
    expect(of()).toBe("unread");
  });
});

describe("what a node takes", () => {
  const node = (taken?: number) =>
    readCluster({ nodes: [{ id: "a", spans_taken: taken }], shards: [] }).nodes[0] as never;

  it("is what clients sent to it between two looks", () => {
    expect(takenOf(node(160), node(100), 10)).toBe(6);
    expect(takenOf(node(100), node(100), 10)).toBe(0);
  });

  it("is unknown after a restart, at the first look, and of a node that does not say", () => {
    expect(takenOf(node(40), node(100), 10)).toBeUndefined();
    expect(takenOf(node(40), undefined, 10)).toBeUndefined();
    expect(takenOf(node(40), node(40), 0)).toBeUndefined();
    expect(takenOf(node(40), node(), 10)).toBeUndefined();
    expect(takenOf(node(), node(40), 10)).toBeUndefined();
  });
});
