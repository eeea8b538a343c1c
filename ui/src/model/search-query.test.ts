// Jaeger's links open the same search here. Each row is a link as it is found in the wild.

import { describe, expect, it } from "vitest";
import legacy from "../../tests/legacy-searches.json";
import { epochMicros } from "../base/time";
import {
  draftOf,
  EMPTY_QUERY,
  parseSearch,
  printSearch,
  queryOf,
  resolveWindow,
  type SearchQuery,
} from "./search-query";

const RANGE = {
  kind: "range",
  start: epochMicros(1_700_000_000_000_000),
  end: epochMicros(1_700_003_600_000_000),
} as const;

/** Links as they are found in the wild; a browser opens the same ones in tests/e2e. */
const LEGACY = legacy.map(
  ({ address, means, runs }) => [address, means as Partial<SearchQuery>, runs] as const,
);

describe("search links", () => {
  it.each(LEGACY)("?%s", (url, means, runs) => {
    const parsed = parseSearch(new URLSearchParams(url));
    expect(parsed.query).toEqual({ ...EMPTY_QUERY, ...means });
    expect(parsed.runs).toBe(runs);
  });

  it.each(LEGACY)("?%s survives being written", (url) => {
    const { query } = parseSearch(new URLSearchParams(url));
    expect(parseSearch(printSearch(query)).query).toEqual(query);
  });

  it("keep a moving window moving", () => {
    const params = printSearch({ ...EMPTY_QUERY, service: "a" });
    expect(params.toString()).toBe("lookback=1h&service=a");
  });
});

describe("the form", () => {
  it("says what is wrong with which field", () => {
    const draft = {
      ...draftOf(EMPTY_QUERY),
      tags: 'a="',
      minDuration: "soon",
      limit: "0",
    };
    const query = queryOf(draft);
    expect(query.ok ? [] : Object.keys(query.error).sort()).toEqual([
      "limit",
      "minDuration",
      "tags",
    ]);
  });

  it("wants the bounds of duration in order", () => {
    const query = queryOf({ ...draftOf(EMPTY_QUERY), minDuration: "2s", maxDuration: "1s" });
    expect(query).toEqual({ ok: false, error: { maxDuration: "is below the minimum" } });
  });

  it("means the query it was made from", () => {
    const query: SearchQuery = {
      ...EMPTY_QUERY,
      service: "a",
      tags: [["k", "v w"]],
      window: RANGE,
      minDuration: "1ms",
    };
    expect(queryOf(draftOf(query))).toEqual({ ok: true, value: query });
  });
});

describe("windows", () => {
  it("end now when they look back", () => {
    const now = epochMicros(10_000_000_000);
    const window = resolveWindow({ kind: "lookback", lookback: "1h" }, now);
    expect(window).toEqual({ start: 6_400_000_000, end: now });
  });
});
