// What is asked about the spans of a trace that was found, and the rows that show them.

import { describe, expect, it } from "vitest";
import { epochMicros, micros } from "../base/time";
import { detailsOf } from "./details";
import { parseConditions } from "./filter";
import { parseSearch, type SearchQuery, type TimeSpan } from "./search-query";
import {
  isOfRoots,
  namedKeys,
  offsetOf,
  type SpansOfTrace,
  spanQuestionOf,
  spanRowsOf,
  valuesOf,
} from "./span-rows";
import type { TraceSummary } from "./summary";

const trace: TraceSummary = {
  traceId: "abcd",
  rootService: "shop",
  rootOperation: "GET /",
  start: epochMicros(1_000_000),
  duration: micros(500_000),
  spans: 30,
  errors: 0,
  orphans: 0,
  services: [],
};
const window: TimeSpan = { start: epochMicros(900_000), end: epochMicros(1_200_000) };
const ofTrace = { field: "trace_id", op: "=", value: "abcd".padStart(32, "0") };

function query(params: string): SearchQuery {
  return parseSearch(new URLSearchParams(params)).query;
}

function span(id: string, start: number) {
  return detailsOf(
    {
      traceID: "abcd",
      spanID: id,
      operationName: "op",
      startTime: start,
      duration: 5,
      processID: "p",
      tags: [
        { key: "http.status_code", value: 500 },
        { key: "span.kind", value: "server" },
      ],
      logs: [{ timestamp: start, fields: [{ key: "retry", value: 2 }] }],
    },
    { serviceName: "shop", tags: [{ key: "host.name", value: "a" }] },
  );
}

describe("the question about one trace", () => {
  it("is the condition on spans, within this trace", () => {
    const asked = spanQuestionOf(query("service=shop&q=-peer%3Dx+trace.spans>3"), window, trace);
    expect(asked.where).toEqual({
      all: [ofTrace, { field: "service", op: "=", value: "shop" }],
    });
    expect(asked.spanIds).toBeUndefined();
  });

  it("is about roots where any span would do", () => {
    expect(isOfRoots(query("q=trace.errors>%3D1"))).toBe(true);
    expect(isOfRoots(query("service=shop"))).toBe(false);
    expect(spanQuestionOf(query("lookback=1h"), window, trace).where).toEqual({
      all: [ofTrace, { not: { field: "parent_id", op: "exists" } }],
    });
  });

  it("keeps to a window that stands still, and not to the end of one that moves", () => {
    const range = spanQuestionOf(query("start=950000&end=1200000"), window, trace).window;
    expect(range).toEqual({ start: 999_999, end: 1_200_000 });
    const moving = spanQuestionOf(query("lookback=1h"), window, trace).window;
    expect(moving).toEqual({ start: 999_999, end: 1_500_001 });
    const late = { start: epochMicros(1_100_000), end: epochMicros(1_200_000) };
    const byId = spanQuestionOf(query("traceID=abcd"), late, trace);
    expect(byId.window.start).toBe(999_999);
  });

  it("takes the spans that a link names", () => {
    const named = query("span=ff ee@000abcd");
    expect(spanQuestionOf(named, window, trace).spanIds).toEqual(["ff", "ee"]);
    expect(isOfRoots(named)).toBe(false);
  });
});

describe("rows", () => {
  const rows = (found: readonly [string, SpansOfTrace][]) =>
    spanRowsOf([trace], new Map(found)).map((row) => row.is);

  it("has a place for a trace whose spans are on their way", () => {
    expect(rows([])).toEqual(["trace", "waiting"]);
  });

  it("shows spans, and says how many more there are", () => {
    const spans = [span("1", 1_000_010), span("2", 1_000_020)];
    const known = { is: "known", spans, total: 5, isComplete: true } as const;
    expect(rows([["abcd", known]])).toEqual(["trace", "span", "span", "more"]);
    expect(rows([["abcd", { ...known, total: 2 }]])).toEqual(["trace", "span", "span"]);
    expect(rows([["abcd", { ...known, spans: [], total: 0 }]])).toEqual(["trace"]);
    expect(rows([["abcd", { is: "failed", error: new Error("x") }]])).toEqual(["trace"]);
    expect(offsetOf(trace, span("1", 1_000_010))).toBe(10);
  });
});

describe("why a span is here", () => {
  it("is told by the attributes that conditions name", () => {
    const text = "http.status_code=500 resource.host.name=a -peer=x status=error retry>1 gone=*";
    const conditions = parseConditions(text);
    if (!conditions.ok) throw new Error(conditions.error);
    const keys = namedKeys({ ...query(""), ...conditions.value });
    expect(keys).toEqual(["http.status_code", "resource.host.name", "retry", "gone"]);
    expect(valuesOf(span("1", 0), keys)).toEqual([
      { key: "http.status_code", value: 500 },
      { key: "host.name", value: "a" },
      { key: "retry", value: 2 },
    ]);
  });
});
