import { describe, expect, it } from "vitest";
import { shorterLookbacks } from "./refine";
import { EMPTY_QUERY } from "./search-query";

describe("shorter searches", () => {
  const over = (lookback: string) =>
    shorterLookbacks({ ...EMPTY_QUERY, window: { kind: "lookback", lookback } });

  it("are the next ones below what was asked", () => {
    expect(over("24h")).toEqual(["1h", "6h"]);
    expect(over("1h")).toEqual(["15m"]);
    expect(over("5m")).toEqual([]);
  });

  it("do not exist of a fixed time, and of traces by id", () => {
    const range = { kind: "range", start: 0, end: 1 } as never;
    expect(shorterLookbacks({ ...EMPTY_QUERY, window: range })).toEqual([]);
    expect(shorterLookbacks({ ...EMPTY_QUERY, traceIds: ["a"] })).toEqual([]);
  });
});
