// Orders of the span table and groupings of the statistics, as addresses have them.

import { describe, expect, it } from "vitest";
import { orderAfter, parseOrder, printOrder, type RowOrder } from "./order";
import { parseGrouping, printGrouping } from "./statistics";

const order = (by: RowOrder["by"], isDescending: boolean): RowOrder => ({ by, isDescending });

describe("the order of the table", () => {
  it.each([
    ["self", order("self", false)],
    ["-self", order("self", true)],
    ["duration", order("duration", false)],
    ["-value", order("value", true)],
  ] as const)("%s is read and written", (text, meant) => {
    expect(parseOrder(text)).toEqual(meant);
    expect(printOrder(meant)).toBe(text);
  });

  it("is by duration where the address says nothing or something else", () => {
    for (const text of [null, "", "-", "colour", "-duration"]) {
      expect(parseOrder(text)).toEqual(order("duration", true));
    }
    expect(printOrder(order("duration", true))).toBeUndefined();
  });

  it("turns round at the second click, and begins with A or with the largest", () => {
    const first = parseOrder(null);
    expect(orderAfter(first, "duration")).toEqual(order("duration", false));
    expect(orderAfter(first, "self")).toEqual(order("self", true));
    expect(orderAfter(first, "service")).toEqual(order("service", false));
    expect(orderAfter(order("value", false), "value")).toEqual(order("value", true));
  });
});

describe("the grouping of the statistics", () => {
  it.each([
    [null, "operation", "", undefined],
    ["service", "service", "", "service"],
    ["@service", "operation", "service", "@service"],
    ["@http.method", "operation", "http.method", "@http.method"],
    ["else", "operation", "", undefined],
  ] as const)("%s", (text, by, key, printed) => {
    expect(parseGrouping(text)).toEqual({ by, key });
    expect(printGrouping({ by, key })).toBe(printed);
  });
});
