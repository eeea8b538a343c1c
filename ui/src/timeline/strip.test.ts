// The strip beside the rows: what is where.

import { describe, expect, it } from "vitest";
import type { Scene } from "./scene";
import { indexInStrip, Mark, stripOf } from "./strip";
import { sceneOf as sketchScene } from "./testing";

const LENGTHS = { root: 1_000, each: 1, last: 800 };
const sceneOf = (spans: number, change: Partial<Scene> = {}) => sketchScene(spans, change, LENGTHS);

const marked = (marks: Uint8Array, mark: number) =>
  [...marks.keys()].filter((line) => ((marks[line] ?? 0) & mark) !== 0);

describe("the strip", () => {
  it("has few rows beside themselves, and many from the top to the bottom", () => {
    const few = stripOf(sceneOf(5, { selected: 4 }), 400);
    // The middle of the fifth row, two pixels a line.
    expect(marked(few.marks, Mark.selected)).toEqual([45]);
    const many = stripOf(sceneOf(1_000, { selected: 999 }), 400);
    expect(marked(many.marks, Mark.selected)).toEqual([199]);
    expect(marked(stripOf(sceneOf(1_000, { selected: 500 }), 400).marks, Mark.selected)).toEqual([
      100,
    ]);
  });

  it("shows where the time is, and what a collapsed row hides", () => {
    const scene = sceneOf(1_000);
    const { time } = stripOf(scene, 400);
    expect(time.indexOf(1)).toBe(199);
    const collapsed = new Uint8Array(scene.trace.count);
    collapsed[0] = 1;
    const root = stripOf(sceneOf(1_000, { collapsed, rows: Int32Array.of(0) }), 400);
    // All ten lines of its row.
    expect([...root.time.keys()].filter((line) => root.time[line] === 1)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    expect(root.time.filter((share) => share > 0)).toHaveLength(10);
  });

  it("marks matches, and is asked for the row at a height", () => {
    const matches = new Uint8Array(1_000);
    matches[0] = 1;
    matches[750] = 1;
    const scene = sceneOf(1_000, { matches });
    expect(marked(stripOf(scene, 400).marks, Mark.match)).toEqual([0, 150]);
    expect(indexInStrip(scene, 300, 400)).toBe(750);
    expect(indexInStrip(scene, -5, 400)).toBe(0);
    expect(indexInStrip(scene, 900, 400)).toBe(999);
    expect(indexInStrip(sceneOf(5), 399, 400)).toBe(4);
  });
});
