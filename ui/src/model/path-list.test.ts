import { describe, expect, it } from "vitest";
import { NO_PATH } from "./critical-path";
import { stretchesOf } from "./path-list";

describe("the critical path as a list", () => {
  it("is in order of time, and one entry where a span goes on", () => {
    const path = {
      row: Int32Array.of(0, 0, 0, 1),
      start: Float64Array.of(0, 10, 60, 20),
      end: Float64Array.of(10, 20, 100, 60),
      offset: Int32Array.of(0, 3, 4),
    };
    expect(stretchesOf(path)).toEqual([
      { row: 0, start: 0, length: 20 },
      { row: 1, start: 20, length: 40 },
      { row: 0, start: 60, length: 40 },
    ]);
  });

  it("is empty without one, and has no empty stretch", () => {
    expect(stretchesOf(NO_PATH)).toEqual([]);
    const still = {
      row: Int32Array.of(0),
      start: Float64Array.of(5),
      end: Float64Array.of(5),
      offset: Int32Array.of(0, 1),
    };
    expect(stretchesOf(still)).toEqual([]);
  });
});
