// A trace as columns: order, rows, self time, critical path, statistics.

import { describe, expect, it } from "vitest";
import { buildColumns } from "./build";
import { compareTraces } from "./compare";
import { criticalPath } from "./critical-path";
import { detailsOf } from "./details";
import { layoutFlame } from "./flame";
import {
  collapseFrom,
  indexOfRow,
  openDepth,
  pinnedAncestors,
  reveal,
  visibleRows,
  withAncestors,
} from "./rows";
import { groupSpans } from "./statistics";
import { sketchColumns, sketchTrace } from "./testing";
import { ancestorsOf, Flag, hasFlag, rowOfSpanId, spanIdOf, type TraceColumns } from "./trace";

const FAMILY = sketchColumns([
  { id: "c", parent: "a", start: 60, length: 30, service: "other" },
  { id: "b", parent: "a", start: 10, length: 40 },
  { id: "a", start: 0, length: 100 },
  { id: "d", parent: "b", start: 15, length: 20, failed: true },
]);

function ids(trace: TraceColumns, rows: Iterable<number>): string {
  return [...rows].map((row) => spanIdOf(trace, row).replace(/^0+/, "")).join("");
}

function all(trace: TraceColumns): number[] {
  return Array.from({ length: trace.count }, (_, row) => row);
}

describe("columns", () => {
  it("are in depth-first order, children by start", () => {
    expect(ids(FAMILY, all(FAMILY))).toBe("abdc");
    expect([...FAMILY.depth]).toEqual([0, 1, 2, 1]);
    expect([...FAMILY.descendants]).toEqual([3, 1, 0, 0]);
    expect([...FAMILY.parent]).toEqual([-1, 0, 1, 0]);
    expect(ancestorsOf(FAMILY, 2)).toEqual([0, 1]);
  });

  it("count time from the first start", () => {
    expect(FAMILY.origin).toBe(1_000_000);
    expect(FAMILY.duration).toBe(100);
    expect([...FAMILY.start]).toEqual([0, 10, 15, 60]);
  });

  it("say whose error it is and who hides one", () => {
    expect(hasFlag(FAMILY, 2, Flag.error)).toBe(true);
    expect(hasFlag(FAMILY, 0, Flag.error)).toBe(false);
    expect(hasFlag(FAMILY, 0, Flag.errorBelow)).toBe(true);
    expect(hasFlag(FAMILY, 3, Flag.errorBelow)).toBe(false);
  });

  it("give children's time away once, however they overlap", () => {
    expect([...FAMILY.self]).toEqual([30, 20, 20, 30]);
    const overlapping = sketchColumns([
      { id: "a", start: 0, length: 100 },
      { id: "b", parent: "a", start: 10, length: 40 },
      { id: "c", parent: "a", start: 30, length: 40 },
      { id: "d", parent: "a", start: 90, length: 50 },
    ]);
    expect(overlapping.self[0]).toBe(30);
  });

  it("find spans by id with and without leading zeros", () => {
    expect(rowOfSpanId(FAMILY, "d")).toBe(2);
    expect(rowOfSpanId(FAMILY, "000000000000000D")).toBe(2);
    expect(rowOfSpanId(FAMILY, "ff")).toBe(-1);
    expect(rowOfSpanId(FAMILY, "nothing")).toBe(-1);
  });

  it("keep spans whose parent is missing, as roots", () => {
    const trace = sketchColumns([
      { id: "a", start: 0, length: 10 },
      { id: "b", parent: "ff", start: 5, length: 10 },
    ]);
    expect([...trace.parent]).toEqual([-1, -1]);
    expect(hasFlag(trace, 1, Flag.orphan)).toBe(true);
  });

  it("keep spans that are their own ancestors", () => {
    const trace = sketchColumns([
      { id: "a", parent: "b", start: 0, length: 10 },
      { id: "b", parent: "a", start: 1, length: 5 },
      { id: "c", parent: "c", start: 2, length: 5 },
      { id: "d", parent: "b", start: 3, length: 5 },
    ]);
    expect(ids(trace, all(trace))).toBe("cabd");
    expect([...trace.depth]).toEqual([0, 0, 1, 2]);
  });

  it("keep two spans of one id apart", () => {
    const trace = sketchColumns([
      { id: "a", start: 0, length: 10 },
      { id: "a", parent: "a", start: 1, length: 5 },
    ]);
    expect(trace.count).toBe(2);
  });

  it("take an empty trace", () => {
    const trace = sketchColumns([]);
    expect(trace.count).toBe(0);
    expect(criticalPath(trace).row.length).toBe(0);
  });

  it("take a chain deeper than any call stack", () => {
    const trace = sketchColumns(
      Array.from({ length: 20_000 }, (_, index) => ({
        id: (index + 1).toString(16),
        ...(index === 0 ? {} : { parent: index.toString(16) }),
        start: index,
        length: 40_000 - 2 * index,
      })),
    );
    expect(trace.descendants[0]).toBe(19_999);
    expect(criticalPath(trace).row.length).toBe(39_999);
  });

  it("remember which span of the JSON is in which row", () => {
    const trace = sketchTrace([
      { id: "b", parent: "a", start: 1, length: 1 },
      { id: "a", start: 0, length: 9 },
    ]);
    const { spanOfRow } = buildColumns(trace);
    expect([...spanOfRow]).toEqual([1, 0]);
    const span = trace.spans[spanOfRow[1] ?? 0];
    expect(span && detailsOf(span, trace.processes["p0"]).spanId).toBe("b");
  });
});

describe("rows", () => {
  const none = new Uint8Array(FAMILY.count);

  it("leave out what is collapsed", () => {
    const collapsed = Uint8Array.from([0, 1, 0, 0]);
    expect(ids(FAMILY, visibleRows(FAMILY, none, null))).toBe("abdc");
    expect(ids(FAMILY, visibleRows(FAMILY, collapsed, null))).toBe("abc");
    expect(ids(FAMILY, visibleRows(FAMILY, collapseFrom(FAMILY, 0), null))).toBe("a");
  });

  it("keep the way to what a filter found", () => {
    const keep = withAncestors(FAMILY, Uint8Array.from([0, 0, 1, 0]));
    expect(ids(FAMILY, visibleRows(FAMILY, none, keep))).toBe("abd");
  });

  it("open whatever hides a row", () => {
    const opened = reveal(FAMILY, Uint8Array.from([1, 1, 0, 0]), 2);
    expect(indexOfRow(visibleRows(FAMILY, opened, null), 2)).toBe(2);
  });

  it("know the deepest level that is open", () => {
    expect(openDepth(FAMILY, none)).toBe(1);
    expect(openDepth(FAMILY, collapseFrom(FAMILY, 1))).toBe(0);
    expect(openDepth(FAMILY, collapseFrom(FAMILY, 0))).toBe(-1);
  });

  it("pin the ancestors that are scrolled away", () => {
    const rows = visibleRows(FAMILY, none, null);
    expect(pinnedAncestors(FAMILY, rows, 0, 5)).toEqual([]);
    expect(pinnedAncestors(FAMILY, rows, 2, 5)).toEqual([0]);
    expect(pinnedAncestors(FAMILY, rows, 3, 5)).toEqual([0]);
    expect(pinnedAncestors(FAMILY, rows, 3, 0)).toEqual([]);
  });
});

describe("the critical path", () => {
  const stretches = (trace: TraceColumns) => {
    const path = criticalPath(trace);
    return [...path.row].map((row, at) => [ids(trace, [row]), path.start[at], path.end[at]]);
  };

  it("is the whole of a span alone", () => {
    expect(stretches(sketchColumns([{ id: "a", start: 0, length: 9 }]))).toEqual([["a", 0, 9]]);
  });

  it("follows the child that finished last", () => {
    expect(stretches(FAMILY)).toEqual([
      ["a", 0, 10],
      ["a", 50, 60],
      ["a", 90, 100],
      ["b", 10, 15],
      ["b", 35, 50],
      ["d", 15, 35],
      ["c", 60, 90],
    ]);
  });

  it("leaves out a child that another overlapped to the end", () => {
    const trace = sketchColumns([
      { id: "a", start: 0, length: 100 },
      { id: "b", parent: "a", start: 10, length: 50 },
      { id: "c", parent: "a", start: 20, length: 70 },
    ]);
    expect(stretches(trace)).toEqual([
      ["a", 0, 20],
      ["a", 90, 100],
      ["c", 20, 90],
    ]);
  });

  it("cuts a child that outlives its parent", () => {
    const trace = sketchColumns([
      { id: "a", start: 0, length: 50 },
      { id: "b", parent: "a", start: 10, length: 90 },
      { id: "c", parent: "a", start: 60, length: 10 },
    ]);
    expect(stretches(trace)).toEqual([
      ["a", 0, 10],
      ["b", 10, 50],
    ]);
  });

  it("adds up to the root", () => {
    const path = criticalPath(FAMILY);
    const total = [...path.row].reduce(
      (sum, _, at) => sum + (path.end[at] ?? 0) - (path.start[at] ?? 0),
      0,
    );
    expect(total).toBe(FAMILY.duration);
  });
});

describe("the flame graph", () => {
  it("puts calls one below the other", () => {
    const flame = layoutFlame(FAMILY);
    expect([...flame.lane]).toEqual([0, 1, 2, 1]);
    expect(flame.lanes).toBe(3);
    expect([...flame.rows]).toEqual([0, 1, 3, 2]);
    expect([...flame.offset]).toEqual([0, 1, 3, 4]);
  });

  it("puts calls at the same time side by side, with all below them", () => {
    const trace = sketchColumns([
      { id: "a", start: 0, length: 100 },
      { id: "b", parent: "a", start: 0, length: 50 },
      { id: "c", parent: "b", start: 10, length: 20 },
      { id: "d", parent: "a", start: 20, length: 50 },
      { id: "e", parent: "a", start: 60, length: 10 },
    ]);
    const lanes = Object.fromEntries(
      all(trace).map((row) => [ids(trace, [row]), layoutFlame(trace).lane[row]]),
    );
    expect(lanes).toEqual({ a: 0, b: 1, c: 2, d: 3, e: 1 });
  });

  it("never lays two spans of a lane over each other", () => {
    const trace = sketchColumns([
      { id: "a", start: 0, length: 300 },
      ...Array.from({ length: 200 }, (_, index) => ({
        id: (index + 256).toString(16),
        parent: index % 3 === 0 ? "a" : (index + 255).toString(16),
        start: (index * 37) % 250,
        length: (index * 13) % 60,
      })),
    ]);
    const flame = layoutFlame(trace);
    for (let lane = 0; lane < flame.lanes; lane += 1) {
      const rows = [...flame.rows.subarray(flame.offset[lane], flame.offset[lane + 1])];
      rows.reduce((until, row) => {
        expect(trace.start[row]).toBeGreaterThanOrEqual(until);
        return Math.max(until, (trace.start[row] ?? 0) + (trace.length[row] ?? 0));
      }, 0);
    }
  });
});

describe("a comparison", () => {
  it("names what only one trace has and what takes longer, most first", () => {
    const other = sketchColumns([
      { id: "a", start: 0, length: 200 },
      { id: "b", parent: "a", start: 10, length: 40 },
      { id: "f", parent: "a", start: 60, length: 5 },
    ]);
    const differences = compareTraces([FAMILY], [other]);
    expect(differences.map(({ operation, self, where }) => [operation, self, where])).toEqual([
      ["op a", 125, "both"],
      ["op c", -30, "left"],
      ["op b", 20, "both"],
      ["op d", -20, "left"],
      ["op f", 5, "right"],
    ]);
  });

  it("finds nothing between a trace and itself", () => {
    expect(compareTraces([FAMILY], [FAMILY]).every((each) => each.self === 0)).toBe(true);
  });

  it("takes the means of a trace, however many a side has", () => {
    const slow = sketchColumns([{ id: "a", start: 0, length: 200, failed: true }]);
    const fast = sketchColumns([{ id: "a", start: 0, length: 100 }]);
    const [all, none] = [compareTraces([slow, fast], [fast])[0], compareTraces([slow], [])[0]];
    expect(all).toMatchObject({ left: { count: 1, errors: 0.5, self: 150, p50: 100 }, self: -50 });
    expect(none).toMatchObject({ where: "left", right: { count: 0 } });
    const many = Array.from({ length: 3 }, () => FAMILY);
    expect(compareTraces(many, [FAMILY]).every((each) => each.self === 0)).toBe(true);
  });
});

describe("statistics", () => {
  it("group by service", () => {
    const groups = groupSpans(FAMILY, criticalPath(FAMILY), "service");
    expect(groups).toEqual([
      {
        service: "a",
        operation: "",
        count: 3,
        errors: 1,
        total: 160,
        self: 70,
        selfShare: 70 / 160,
        selfMean: 70 / 3,
        selfMin: 20,
        selfMax: 30,
        critical: 70,
        second: "",
        mean: 160 / 3,
        min: 20,
        p50: 40,
        p95: 100,
        p99: 100,
        max: 100,
      },
      {
        service: "other",
        operation: "",
        count: 1,
        errors: 0,
        total: 30,
        self: 30,
        selfShare: 1,
        selfMean: 30,
        selfMin: 30,
        selfMax: 30,
        critical: 30,
        second: "",
        mean: 30,
        min: 30,
        p50: 30,
        p95: 30,
        p99: 30,
        max: 30,
      },
    ]);
  });

  it("group by operation", () => {
    expect(groupSpans(FAMILY, criticalPath(FAMILY), "operation")).toHaveLength(4);
  });

  it("group by a second key within the first", () => {
    const zone = { values: ["x", "y"], ofRow: Int32Array.from({ length: 4 }, (_, row) => row % 2) };
    const groups = groupSpans(FAMILY, criticalPath(FAMILY), "service", zone);
    expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(4);
    const names = groups.map(({ service, second }) => `${service} ${second}`);
    expect([...new Set(names)]).toHaveLength(groups.length);
    const without = { values: ["x"], ofRow: Int32Array.from([0, -1, -1, -1]) };
    const [first, ...others] = groupSpans(FAMILY, criticalPath(FAMILY), "service", without);
    expect([first?.second, first?.count]).toEqual(["x", 1]);
    expect(others.every(({ second }) => second === "(none)")).toBe(true);
  });
});
