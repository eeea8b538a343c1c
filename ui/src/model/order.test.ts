// Orders of the span table and groupings of the statistics, as addresses have them.

import { describe, expect, it } from "vitest";
import { orderAfter, parseOrder, printOrder, type RowOrder } from "./order";
import {
  type Group,
  parseGrouping,
  parseRank,
  printGrouping,
  printRank,
  type Rank,
  rankAfter,
  ranked,
} from "./statistics";

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

describe("the order of the statistics", () => {
  it.each([
    ["self", "self", false],
    ["-selfMax", "selfMax", true],
    ["name", "name", false],
    ["-critical", "critical", true],
  ] as const)("%s is read and written", (text, by, isReversed) => {
    expect(parseRank(text)).toEqual({ by, isReversed });
    expect(printRank({ by, isReversed })).toBe(text);
  });

  it("is by time on the critical path where the address says nothing that can be", () => {
    for (const text of [null, "", "-", "service", "colour", "critical"]) {
      expect(parseRank(text)).toEqual({ by: "critical", isReversed: false });
    }
    expect(printRank(parseRank(null))).toBeUndefined();
  });

  it("turns round at the second click", () => {
    const by = (text: string | null, clicked: Rank["by"]) =>
      printRank(rankAfter(parseRank(text), clicked));
    expect(by(null, "self")).toBe("self");
    expect(by("self", "self")).toBe("-self");
    expect(by("-self", "self")).toBe("self");
    expect(by(null, "critical")).toBe("-critical");
  });

  it("puts the largest first, names from A on, and equal ones by self time", () => {
    const group = (service: string, count: number, self: number) =>
      ({ service, operation: "", second: "", count, self }) as unknown as Group;
    const groups = [group("b", 1, 5), group("a", 1, 9), group("c", 4, 1)];
    const names = (text: string) =>
      ranked(groups, parseRank(text))
        .map(({ service }) => service)
        .join("");
    expect(names("count")).toBe("cab");
    expect(names("-count")).toBe("abc");
    expect(names("name")).toBe("abc");
    expect(names("-name")).toBe("cba");
  });
});
