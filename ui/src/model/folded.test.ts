import { describe, expect, it } from "vitest";
import { parseFolded, printFolded } from "./folded";
import { collapseFrom } from "./rows";
import { sketchColumns } from "./testing";

/** A chain of three, `wide` times below one root. */
function traceOf(wide: number) {
  return sketchColumns([
    { id: "a", start: 0, length: 1_000 },
    ...Array.from({ length: wide }, (_, index) => index).flatMap((index) => [
      { id: `b${index}`, parent: "a", start: index, length: 3 },
      { id: `c${index}`, parent: `b${index}`, start: index, length: 2 },
      { id: `d${index}`, parent: `c${index}`, start: index, length: 1 },
    ]),
  ]);
}

describe("collapsed rows in a link", () => {
  const trace = traceOf(500);
  const round = (collapsed: Uint8Array) => {
    const text = printFolded(trace, collapsed);
    return text === undefined ? undefined : parseFolded(trace, text);
  };

  it("are nothing where nothing is collapsed", () => {
    expect(printFolded(trace, new Uint8Array(trace.count))).toBeUndefined();
  });

  it("are a depth where all of it is collapsed, and a few rows besides", () => {
    const all = collapseFrom(trace, 0);
    expect(printFolded(trace, all)).toBe("15p.0");
    expect(round(all)).toEqual(all);
    const opened = all.with(0, 0).with(1, 0);
    expect(printFolded(trace, opened)).toBe("15p.1.1");
    expect(round(opened)).toEqual(opened);
  });

  it("are rows where a few are", () => {
    const few = new Uint8Array(trace.count).with(4, 1).with(1_498, 1);
    expect(printFolded(trace, few)).toBe("15p.-.4.15m");
    expect(round(few)).toEqual(few);
  });

  it("are left out where a link would be too long", () => {
    const every = Uint8Array.from(collapseFrom(trace, 1), (is, row) => (row % 2 === 0 ? is : 0));
    expect(printFolded(trace, every)).toBeUndefined();
  });

  it("are not taken from another state of the trace, nor from what is none", () => {
    for (const text of ["15o.0", "15p", "15p.", "15p.0.", "x", "15p.-.-1", "15p.0.zzzzzz/"]) {
      expect(parseFolded(trace, text), text).toBeUndefined();
    }
    // A row that is not there, and one with nothing below it.
    expect(parseFolded(trace, "15p.-.zzzz.3")).toEqual(new Uint8Array(trace.count));
  });
});
