// Columns as the server sends them: order, times, ids, and what is refused.

import { describe, expect, it } from "vitest";
import { buildColumns } from "./build";
import { decodeColumns } from "./columns";
import { rowsOfSpans } from "./rows-of-spans";
import { type ColumnsSketch, encodeColumns, sketchTrace } from "./testing";
import { Flag, hasFlag, operationOf, rowOfSpanId, serviceOf, spanIdOf } from "./trace";

const SKETCH: ColumnsSketch = {
  traceId: "5b8efff798038103d269b633813fc60c",
  revision: "0-17-2",
  start: "1734091200000000500",
  services: ["shop", "cart"],
  operations: ["GET /", "add", "über"],
  rows: [
    // The parent of the second row comes after it.
    { id: "00000000000000aa", start: 0, duration: 9_000_000_000_500, parent: 0, flags: 2 },
    {
      id: "fedcba9876543210",
      start: 1_000,
      duration: 500,
      parent: 2,
      service: 1,
      operation: 1,
      flags: 3 | 8,
    },
    {
      id: "0000000100000002",
      start: 1_500,
      duration: 4_000,
      parent: 0,
      service: 1,
      operation: 2,
      flags: 16 | 32,
    },
    { id: "0000000000000001", start: 2_000, duration: 0, parent: 3, flags: 64 },
  ],
};

describe("columns of the server", () => {
  const { columns, revision, completeness } = decodeColumns(encodeColumns(SKETCH));

  it("become rows depth first", () => {
    const ids = Array.from({ length: columns.count }, (_, row) => spanIdOf(columns, row));
    expect(ids).toEqual([
      "00000000000000aa",
      "0000000100000002",
      "fedcba9876543210",
      "0000000000000001",
    ]);
    expect([...columns.parent]).toEqual([-1, 0, 1, -1]);
    expect([...columns.depth]).toEqual([0, 1, 2, 0]);
    expect([...columns.descendants]).toEqual([2, 1, 0, 0]);
    expect(rowOfSpanId(columns, "FEDCBA9876543210")).toBe(2);
  });

  it("count microseconds, and keep what is smaller", () => {
    expect(columns.origin).toBe(1_734_091_200_000_000.5);
    expect([...columns.start]).toEqual([0, 1.5, 1, 2]);
    expect(columns.length[0]).toBe(9_000_000_000.5);
    expect(columns.duration).toBe(9_000_000_000.5);
  });

  it("say names, kinds and what is true of a span", () => {
    expect([serviceOf(columns, 1), operationOf(columns, 1)]).toEqual(["cart", "über"]);
    expect([...columns.kind]).toEqual([2, 0, 3, 0]);
    expect(hasFlag(columns, 2, Flag.error)).toBe(true);
    expect(hasFlag(columns, 0, Flag.errorBelow)).toBe(true);
    expect(hasFlag(columns, 1, Flag.events)).toBe(true);
    expect(hasFlag(columns, 1, Flag.links)).toBe(true);
    expect(hasFlag(columns, 3, Flag.orphan)).toBe(true);
    expect([revision, completeness.isComplete]).toEqual(["0-17-2", true]);
  });

  it("have the self time of what overlaps", () => {
    expect(columns.self[1]).toBe(4);
    expect(columns.self[0]).toBe(9_000_000_000.5 - 4);
  });

  it("may be none", () => {
    const none = decodeColumns(encodeColumns({ ...SKETCH, rows: [] }));
    expect([none.columns.count, none.columns.duration]).toEqual([0, 0]);
  });

  it("are refused when they are cut off, of another version or point nowhere", () => {
    const body = encodeColumns(SKETCH);
    expect(() => decodeColumns(body.slice(0, -1))).toThrow("cut off");
    const text = new TextDecoder("latin1").decode(body);
    const changed = (from: string, to: string) =>
      Uint8Array.from(text.replace(from, to), (each) => each.charCodeAt(0)).buffer;
    expect(() => decodeColumns(changed('"version":1', '"version":2'))).toThrow("version");
    expect(() => decodeColumns(changed('"parent","type":"u32"', '"parent","type":"u64"'))).toThrow(
      "parent",
    );
    expect(() => decodeColumns(new ArrayBuffer(0))).toThrow();
    const lost = SKETCH.rows.map((row, index) => (index === 1 ? { ...row, parent: 9 } : row));
    expect(() => decodeColumns(encodeColumns({ ...SKETCH, rows: lost }))).toThrow("not a row");
  });

  it("pass on what the answer lacks", () => {
    const partial = decodeColumns(encodeColumns({ ...SKETCH, completeness: "partial; missing=3" }));
    expect(partial.completeness.missing).toEqual(["3"]);
  });
});

describe("rows and spans of the JSON", () => {
  const json = sketchTrace([
    { id: "a", start: 0, length: 10 },
    { id: "b", parent: "a", start: 1, length: 2 },
    { id: "b", parent: "a", start: 5, length: 2 },
  ]);
  const { columns } = buildColumns(json);

  it("meet by id, and by start where two share one", () => {
    const mixed = { ...json, spans: [...json.spans].reverse() };
    expect([...rowsOfSpans(columns, mixed)]).toEqual([2, 1, 0]);
  });

  it("meet by name and start where a repair changed the id", () => {
    const spans = json.spans.map((span, index) =>
      index === 2 ? { ...span, spanID: "ffff" } : span,
    );
    expect([...rowsOfSpans(columns, { ...json, spans })]).toEqual([0, 1, 2]);
  });

  it("may not meet at all", () => {
    expect([...rowsOfSpans(columns, { ...json, spans: [] })]).toEqual([-1, -1, -1]);
  });
});
