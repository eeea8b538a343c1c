// Two traces laid on each other span by span.

import { describe, expect, it } from "vitest";
import { attributePairs } from "./attribute-difference";
import { differs, notableLines, pairSpans } from "./compare-rows";
import { type SpanSketch, sketchColumns } from "./testing";
import { operationOf, type TraceColumns } from "./trace";

/** Operations are called as ids, so that equal ids are equal calls. */
const span = (id: string, parent: string | undefined, start: number, length: number, more = {}) =>
  ({ id, start, length, ...(parent === undefined ? {} : { parent }), ...more }) as SpanSketch;

const LEFT = [
  span("01", undefined, 0, 1_000),
  span("02", "01", 10, 100),
  span("03", "02", 20, 50),
  span("04", "01", 300, 100),
];

function named(left: TraceColumns, right: TraceColumns) {
  const pairs = pairSpans(left, right);
  return Array.from({ length: pairs.count }, (_, line) => {
    const [a, b] = [pairs.left[line] ?? -1, pairs.right[line] ?? -1];
    const name = (trace: TraceColumns, row: number) => (row < 0 ? "–" : operationOf(trace, row));
    return [name(left, a), name(right, b), pairs.depth[line], pairs.parent[line]];
  });
}

describe("spans of two traces", () => {
  it("belong together by the way down, and stand alone otherwise", () => {
    const left = sketchColumns(LEFT);
    const right = sketchColumns([
      span("01", undefined, 0, 1_000),
      span("02", "01", 5, 400),
      span("05", "01", 200, 10),
    ]);
    expect(named(left, right)).toEqual([
      ["op 01", "op 01", 0, -1],
      ["op 02", "op 02", 1, 0],
      ["op 03", "–", 2, 1],
      ["–", "op 05", 1, 0],
      ["op 04", "–", 1, 0],
    ]);
  });

  it("are the first with the first, the second with the second", () => {
    const calls = (count: number) => {
      const children = Array.from({ length: count }, (_, index) => ({
        ...span(`1${index}`, "01", 10 * index, 5),
        service: "db",
      }));
      const trace = sketchColumns([span("01", undefined, 0, 100), ...children]);
      return { ...trace, operations: trace.operations.map(() => "SELECT") };
    };
    const pairs = pairSpans(calls(2), calls(3));
    expect([...pairs.left]).toEqual([0, 1, 2, -1]);
    expect([...pairs.right]).toEqual([0, 1, 2, 3]);
  });

  it("are all there when one trace is empty below its root", () => {
    const lone = sketchColumns([span("01", undefined, 0, 10)]);
    expect(pairSpans(sketchColumns(LEFT), lone).count).toBe(4);
    expect(pairSpans(lone, sketchColumns(LEFT)).count).toBe(4);
  });

  it("differ by presence, failure and a length that matters", () => {
    const left = sketchColumns(LEFT);
    const right = sketchColumns([
      span("01", undefined, 0, 1_010),
      span("02", "01", 10, 104),
      span("03", "02", 20, 50, { failed: true }),
      span("04", "01", 300, 180),
    ]);
    const pairs = pairSpans(left, right);
    const found = [0, 1, 2, 3].map((line) => differs(left, right, pairs, line));
    expect(found).toEqual([false, false, true, true]);
    // What is above a difference is kept.
    expect(notableLines(left, right, pairs)).toEqual([0, 1, 2, 3]);
    expect(notableLines(left, left, pairSpans(left, left))).toEqual([]);
  });
});

describe("attributes of two spans", () => {
  it("are told key by key, differences first", () => {
    const left = [
      { key: "b", value: 1 },
      { key: "a", value: "x" },
      { key: "z", value: true },
    ];
    const right = [
      { key: "a", value: "y" },
      { key: "b", value: 1 },
      { key: "c", value: "new" },
      { key: "c", value: "twice" },
    ];
    expect(attributePairs(left, right)).toEqual([
      { key: "a", left: "x", right: "y", isSame: false },
      { key: "c", left: undefined, right: "new, twice", isSame: false },
      { key: "z", left: "true", right: undefined, isSame: false },
      { key: "b", left: "1", right: "1", isSame: true },
    ]);
  });
});
