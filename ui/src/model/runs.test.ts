import { describe, expect, it } from "vitest";
import { visibleRows } from "./rows";
import { factsOfRun, runsOf, withoutRunsOver } from "./runs";
import { sketchColumns } from "./testing";

/** A root with ten like calls, each with one below it, then another one, then five like calls. */
const trace = sketchColumns([
  { id: "1", start: 0, length: 1_000 },
  ...Array.from({ length: 10 }, (_, index) => [
    { id: `a${index}`, parent: "1", operation: "select", start: index * 10, length: index + 1 },
    {
      id: `b${index}`,
      parent: `a${index}`,
      operation: "read",
      start: index * 10,
      length: 1,
      failed: index === 7,
    },
  ]).flat(),
  { id: "c", parent: "1", operation: "pay", start: 200, length: 10 },
  ...Array.from({ length: 5 }, (_, index) => ({
    id: `d${index}`,
    parent: "1",
    operation: "select",
    start: 300 + index,
    length: 1,
  })),
]);

describe("runs of like siblings", () => {
  const runs = runsOf(trace);

  it("are six or more of one operation, with what is below them", () => {
    const found = [...runs].map((end, row) => [row, end]).filter(([, end]) => end !== 0);
    expect(found).toEqual([[1, 21]]);
  });

  it("are one row of the list until they are opened", () => {
    const collapsed = new Uint8Array(trace.count);
    const folded = visibleRows(trace, collapsed, null, runs);
    expect([...folded]).toEqual([0, 1, 21, 22, 23, 24, 25, 26]);
    expect(visibleRows(trace, collapsed, null, runs.with(1, 0))).toHaveLength(trace.count);
    // Rows of the run and rows below it; its first row is there already.
    expect(withoutRunsOver(runs, 4)[1]).toBe(0);
    expect(withoutRunsOver(runs, 1)[1]).toBe(21);
    expect(withoutRunsOver(runs, 21)[1]).toBe(21);
  });

  it("tell how many, how long, and whether any failed", () => {
    expect(factsOfRun(trace, 1, 21)).toEqual({ members: 10, p95: 10, hasErrors: true });
  });
});
