// Paths of a trace, and which of them a find is about.

import { describe, expect, it } from "vitest";
import { sketchColumns } from "./testing";
import { heatOf, matchingPaths, pathGraph } from "./trace-graph";

const TRACE = sketchColumns([
  { id: "a", start: 0, length: 100 },
  { id: "b", parent: "a", start: 10, length: 20 },
  { id: "c", parent: "a", start: 40, length: 40 },
]);

describe("the graph of a trace", () => {
  it("is as warm as a path takes time, of all that the trace took", () => {
    const { nodes } = pathGraph(TRACE);
    const [root] = [...nodes.values()];
    if (root === undefined) throw new Error("no root");
    expect(heatOf(root, "service", TRACE.duration)).toBeUndefined();
    expect(heatOf(root, "time", TRACE.duration)).toBe(1);
    expect(heatOf(root, "self", TRACE.duration)).toBeCloseTo(0.4);
    expect(heatOf({ ...root, total: TRACE.duration }, "time", TRACE.duration)).toBe(1);
  });

  it("knows the paths that have a match", () => {
    const graph = pathGraph(TRACE);
    expect(matchingPaths(graph, null)).toBeUndefined();
    const last = Uint8Array.of(0, 0, 1);
    expect([...(matchingPaths(graph, last) ?? [])]).toEqual([String(graph.keyOfRow[2])]);
    expect(matchingPaths(graph, new Uint8Array(3))?.size).toBe(0);
  });
});
