import { describe, expect, it } from "vitest";
import { epochMicros } from "../base/time";
import {
  differenceOf,
  parseSelection,
  printSelection,
  ranked,
  type Selection,
  selectedSpans,
} from "./difference";

const value = (name: string, spans: number) => ({ value: name, spans, errors: 0 });
const WINDOW = { start: epochMicros(1_000), end: epochMicros(2_000) };

describe("what sets spans apart", () => {
  it("compares shares with those of the other spans", () => {
    const selected = { spans: 10, values: [value("500", 9), value("200", 1)] };
    const whole = { spans: 110, values: [value("200", 100), value("500", 9)] };
    const found = differenceOf("status", selected, whole);
    expect(found.weight).toBeCloseTo(0.9);
    expect(found.values.map((each) => each.value)).toEqual(["500", "200"]);
    expect(found.values[0]).toMatchObject({ selected: 0.9, rest: 0, spans: 9 });
    expect(found.values[1]?.rest).toBeCloseTo(0.99);
  });

  it("has no shares of nothing", () => {
    const none = { spans: 0, values: [] };
    expect(differenceOf("a", none, none)).toEqual({ key: "a", weight: 0, values: [] });
    const all = { spans: 4, values: [value("x", 4)] };
    expect(differenceOf("a", all, all).values[0]).toMatchObject({ selected: 1, rest: 0 });
  });

  it("leaves out what differs little", () => {
    const one = differenceOf(
      "b",
      { spans: 100, values: [value("x", 50)] },
      { spans: 200, values: [value("x", 100)] },
    );
    const other = differenceOf(
      "a",
      { spans: 1, values: [value("x", 1)] },
      { spans: 2, values: [value("x", 1)] },
    );
    expect(ranked([one, other]).map((each) => each.key)).toEqual(["a"]);
  });
});

describe("a selection", () => {
  const box: Selection = { kind: "box", box: { window: WINDOW, min: 2.5, max: 10 } };

  it("survives a URL", () => {
    expect(parseSelection(printSelection(box))).toEqual(box);
    const open: Selection = { kind: "box", box: { window: WINDOW, min: 0, max: undefined } };
    expect(parseSelection(printSelection(open))).toEqual(open);
    expect(parseSelection(printSelection({ kind: "errors" }))).toEqual({ kind: "errors" });
    for (const broken of [null, "", "1~2", "2~1~0~", "a~b~c~d", "1~2~-1~"]) {
      expect(parseSelection(broken)).toBeUndefined();
    }
  });

  it("narrows the spans of the search", () => {
    const where = { field: "service", op: "=", value: "shop" };
    expect(selectedSpans({ kind: "errors" }, true, WINDOW)).toEqual({
      where: { field: "status", op: "=", value: "error" },
      window: WINDOW,
    });
    expect(selectedSpans(box, where, { start: epochMicros(0), end: epochMicros(9_000) })).toEqual({
      where: {
        all: [
          where,
          { field: "duration", op: ">=", value: "2.5us" },
          { field: "duration", op: "<", value: "10us" },
        ],
      },
      window: WINDOW,
    });
  });
});
