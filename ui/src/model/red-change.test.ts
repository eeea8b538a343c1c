// What is said of the window before, and which traces stand in a chart.

import { describe, expect, it } from "vitest";
import { type EpochMicros, micros } from "../base/time";
import type { RedRow } from "./red";
import { changesOf, changeText, thinned, windowBefore } from "./red-change";

function row(spans: number, errors: number, p95: number): RedRow {
  return {
    ...{ service: "a", operation: "", spans, errors, rate: spans / 10, impact: 1 },
    ...{ errorShare: errors / spans, p50: micros(1), p95: micros(p95), p99: micros(p95) },
  };
}

describe("the window before", () => {
  it("is as long and ends where this one begins", () => {
    const window = { start: 1_000 as EpochMicros, end: 1_500 as EpochMicros };
    expect(windowBefore(window)).toEqual({ start: 499, end: 999 });
  });

  it("is told where it matters, and says which way is worse", () => {
    const said = (now: RedRow, before: RedRow | undefined) => {
      const changes = changesOf(now, before);
      if (changes === "new") return changes;
      return changes.map((each) => `${each.name} ${changeText(each)}${each.isWorse ? "!" : ""}`);
    };
    expect(said(row(100, 0, 50), undefined)).toBe("new");
    expect(said(row(100, 0, 50), row(105, 0, 52))).toEqual([]);
    expect(said(row(400, 40, 75), row(100, 0, 50))).toEqual([
      "rate ×4",
      "errors +10 points!",
      "p95 +50%!",
    ]);
    expect(said(row(50, 0, 25), row(100, 1, 50))).toEqual([
      "rate −50%",
      "errors −1 points",
      "p95 −50%",
    ]);
    // A quantile of a handful of spans says nothing.
    expect(said(row(5, 0, 500), row(5, 0, 5))).toEqual([]);
  });
});

describe("traces in a chart", () => {
  it("are one a step, the longest, in order of time", () => {
    const at = (traceId: string, start: number, duration: number) => ({
      ...{ traceId, start, duration: micros(duration), errors: 0 },
    });
    const found = thinned([at("c", 250, 1), at("a", 110, 5), at("b", 190, 9)], 100, 100);
    expect(found.map(({ traceId }) => traceId)).toEqual(["b", "c"]);
  });
});
