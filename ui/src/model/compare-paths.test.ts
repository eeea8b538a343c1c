// Two traces merged by the way down to each span.

import { describe, expect, it } from "vitest";
import { COMPARED_PATHS_MAX, comparePaths } from "./compare-paths";
import { type SpanSketch, sketchColumns } from "./testing";

const ROOT: SpanSketch = { id: "01", start: 0, length: 100 };
const call = (id: string, parent: string, more: Partial<SpanSketch> = {}): SpanSketch => ({
  id,
  parent,
  start: Number.parseInt(id, 16),
  length: 10,
  ...more,
});

describe("paths of two traces", () => {
  it("are one tree, with the spans of both sides", () => {
    const left = sketchColumns([ROOT, call("02", "01"), call("03", "02", { failed: true })]);
    const right = sketchColumns([ROOT, call("02", "01", { length: 30 }), call("04", "01")]);
    const { paths, isCut } = comparePaths([left], [right]);
    expect(isCut).toBe(false);
    expect(
      paths.map(({ operation, depth, parent, left, right }) => [
        operation,
        depth,
        parent,
        left.spans,
        right.spans,
      ]),
    ).toEqual([
      ["op 01", 0, -1, 1, 1],
      ["op 02", 1, 0, 1, 1],
      ["op 03", 2, 1, 1, 0],
      ["op 04", 1, 0, 0, 1],
    ]);
    expect([paths[1]?.left.total, paths[1]?.right.total]).toEqual([10, 30]);
    expect(paths[2]?.left.errors).toBe(1);
  });

  it("tell services of one name of operation apart, and numbers of names do not mix", () => {
    const left = sketchColumns([ROOT, call("02", "01", { service: "b" })]);
    const right = sketchColumns([{ ...ROOT, service: "c" }, call("02", "01", { service: "b" })]);
    const names = comparePaths([left], [right]).paths.map(({ service, depth }) => [service, depth]);
    expect(names).toEqual([
      ["a", 0],
      ["b", 1],
      ["c", 0],
      ["b", 1],
    ]);
  });

  it("are the means of a trace where a side has several", () => {
    const one = sketchColumns([ROOT, call("02", "01", { length: 30 })]);
    const other = sketchColumns([ROOT]);
    const [root, child] = comparePaths([one, other], [one]).paths;
    expect([root?.left.spans, root?.right.spans]).toEqual([1, 1]);
    expect([child?.left.spans, child?.left.total]).toEqual([0.5, 15]);
    expect([child?.right.spans, child?.right.total]).toEqual([1, 30]);
  });

  it("end where nobody reads on", () => {
    const many = Array.from({ length: COMPARED_PATHS_MAX + 5 }, (_, index) =>
      call((index + 2).toString(16).padStart(4, "0"), "01"),
    );
    const trace = sketchColumns([ROOT, ...many]);
    const { paths, isCut } = comparePaths([trace], [trace]);
    expect([paths.length, isCut]).toEqual([COMPARED_PATHS_MAX, true]);
  });
});
