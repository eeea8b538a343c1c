import { describe, expect, it } from "vitest";
import { comparePaths } from "./compare-paths";
import { layoutIcicle } from "./icicle";
import { sketchColumns } from "./testing";

// op a calls op b twice and op c once; c calls d.
const TRACE = sketchColumns([
  { id: "a", start: 0, length: 100 },
  { id: "b", parent: "a", start: 0, length: 20 },
  { id: "c", parent: "a", start: 30, length: 40 },
  { id: "d", parent: "c", start: 30, length: 30 },
]);
const { paths } = comparePaths([TRACE], []);
const bars = (measure: "self" | "count", focus?: number) =>
  layoutIcicle(paths, measure, focus).map(({ index, depth, left, width }) => [
    paths[index]?.operation,
    depth,
    Math.round(100 * left),
    Math.round(100 * width),
  ]);

describe("bars of what called what", () => {
  it("are as wide as the time in them and below them", () => {
    expect(bars("self")).toEqual([
      ["op a", 0, 0, 100],
      ["op b", 1, 0, 20],
      ["op c", 1, 20, 40],
      ["op d", 2, 20, 30],
    ]);
  });

  it("are as wide as there are spans", () => {
    expect(bars("count")).toEqual([
      ["op a", 0, 0, 100],
      ["op b", 1, 0, 25],
      ["op c", 1, 25, 50],
      ["op d", 2, 25, 25],
    ]);
  });

  it("show one way down alone, with what is above it", () => {
    const focus = paths.findIndex(({ operation }) => operation === "op c");
    expect(bars("self", focus)).toEqual([
      ["op a", 0, 0, 100],
      ["op c", 1, 0, 100],
      ["op d", 2, 0, 75],
    ]);
    expect(layoutIcicle(paths, "self", focus)[1]?.share).toBeCloseTo(0.4);
  });

  it("are none of nothing", () => {
    expect(layoutIcicle([], "self")).toEqual([]);
  });
});
