// Jaeger's links open the same search here. Each row is a link as it is found in the wild.

import { describe, expect, it } from "vitest";
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
const AT = "start=1700000000000000&end=1700003600000000";

const LEGACY: readonly (readonly [url: string, means: Partial<SearchQuery>, runs: boolean])[] = [
  ["", {}, false],
  ["service=frontend", { service: "frontend" }, true],
  ["service=__all_services__", {}, true],
  ["service=-", {}, true],
  ["service=a&service=b", { service: "a" }, true],
  ["service=a%20b", { service: "a b" }, true],
  ["service=a&operation=all", { service: "a" }, true],
  ["service=a&operation=__all_operations__", { service: "a" }, true],
  ["service=a&operation=GET%20%2F", { service: "a", operation: "GET /" }, true],
  ["service=a&operation=x&operation=y", { service: "a", operation: "x" }, true],
  ["service=a&lookback=5m", { service: "a", window: { kind: "lookback", lookback: "5m" } }, true],
  ["service=a&lookback=2d", { service: "a", window: { kind: "lookback", lookback: "2d" } }, true],
  ["service=a&lookback=4w", { service: "a", window: { kind: "lookback", lookback: "4w" } }, true],
  ["service=a&lookback=45m", { service: "a", window: { kind: "lookback", lookback: "45m" } }, true],
  ["service=a&lookback=nonsense", { service: "a" }, true],
  ["service=a&lookback=custom", { service: "a" }, true],
  [`service=a&lookback=custom&${AT}`, { service: "a", window: RANGE }, true],
  [`service=a&lookback=1h&${AT}`, { service: "a", window: RANGE }, true],
  [`service=a&${AT}`, { service: "a", window: RANGE }, true],
  [AT, { window: RANGE }, true],
  ["start=1700000000000000", {}, true],
  ["start=5&end=4", {}, true],
  ["start=abc&end=def", {}, true],
  ["service=a&limit=50", { service: "a", limit: 50 }, true],
  ["service=a&limit=0", { service: "a", limit: 20 }, true],
  ["service=a&limit=-3", { service: "a", limit: 20 }, true],
  ["service=a&limit=x", { service: "a", limit: 20 }, true],
  ["service=a&limit=99999", { service: "a", limit: 1_500 }, true],
  ["service=a&minDuration=100ms", { service: "a", minDuration: "100ms" }, true],
  ["service=a&maxDuration=1.2s", { service: "a", maxDuration: "1.2s" }, true],
  ["service=a&minDuration&maxDuration", { service: "a" }, true],
  [
    "service=a&minDuration=1ms&maxDuration=2ms",
    { service: "a", minDuration: "1ms", maxDuration: "2ms" },
    true,
  ],
  [
    "service=a&tags=%7B%22error%22%3A%22true%22%7D",
    { service: "a", tags: [["error", "true"]] },
    true,
  ],
  [
    'service=a&tags={"a":"1","b":"2"}',
    {
      service: "a",
      tags: [
        ["a", "1"],
        ["b", "2"],
      ],
    },
    true,
  ],
  ['service=a&tags={"a":1}', { service: "a", tags: [["a", "1"]] }, true],
  ["service=a&tags=", { service: "a" }, true],
  ["service=a&tags={}", { service: "a" }, true],
  ["service=a&tags=error%3Dtrue", { service: "a", tags: [["error", "true"]] }, true],
  ["service=a&tags=[1]", { service: "a" }, true],
  ["service=a&tag=error:true", { service: "a", tags: [["error", "true"]] }, true],
  [
    "service=a&tag=a:1&tag=b:2",
    {
      service: "a",
      tags: [
        ["a", "1"],
        ["b", "2"],
      ],
    },
    true,
  ],
  [
    "service=a&tag=a:1|b:2",
    {
      service: "a",
      tags: [
        ["a", "1"],
        ["b", "2"],
      ],
    },
    true,
  ],
  ["service=a&tag=url:http://x", { service: "a", tags: [["url", "http://x"]] }, true],
  ["service=a&tag=nocolon", { service: "a" }, true],
  ['service=a&tag=a:1&tags={"a":"2"}', { service: "a", tags: [["a", "2"]] }, true],
  ["traceID=abc123", { traceIds: ["abc123"] }, true],
  ["traceID=ABC123&traceID=def", { traceIds: ["abc123", "def"] }, true],
  ["traceID=abc&traceID=abc", { traceIds: ["abc"] }, true],
  ["traceID=not-an-id", {}, false],
  ["span=1a%202b@abc123", { traceIds: ["abc123"] }, true],
  ["span=1a@abc&span=2b@def", { traceIds: ["abc", "def"] }, true],
  ["service=a&view=ddg&density=ppe", { service: "a" }, true],
  ["service=a&uiEmbed=v0&uiSearchHideGraph=1", { service: "a" }, true],
  ["service=a&unknown=1", { service: "a" }, true],
  [
    `end=1700003600000000&limit=20&lookback=1h&maxDuration&minDuration&service=a&start=1700000000000000`,
    { service: "a", window: RANGE },
    true,
  ],
  [
    `end=1700003600000000&limit=20&lookback=custom&maxDuration&minDuration&operation=GET&service=a&start=1700000000000000&tags=%7B%22x%22%3A%22y%22%7D`,
    { service: "a", operation: "GET", window: RANGE, tags: [["x", "y"]] },
    true,
  ],
];

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
