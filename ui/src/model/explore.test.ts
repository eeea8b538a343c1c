// Free conditions: what is typed, what goes to the server, what a facet or a rectangle changes.

import { describe, expect, it } from "vitest";
import { complete, wordAt } from "./completion";
import { bucketStart, type Heatmap } from "./figures";
import { type Conditions, parseConditions, printConditions } from "./filter";
import { brushOf, gridOf, shadeOf, stepFor, typedDuration } from "./heat";
import { isExactOnSpans, spanPredicate, tracePredicate } from "./predicate";
import { chosenValues, excludedValues, toggleExcluded, toggleValue, widened } from "./refine";
import {
  EMPTY_QUERY,
  parseSearch,
  printSearch,
  type SearchQuery,
  type TimeSpan,
} from "./search-query";

function read(text: string): Conditions {
  const parsed = parseConditions(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function query(text: string, more: Partial<SearchQuery> = {}): SearchQuery {
  return { ...EMPTY_QUERY, ...read(text), ...more };
}

describe("conditions", () => {
  it("are Jaeger's tags where Jaeger has them", () => {
    expect(read('error http.method=GET url=http://x/y?z=1 a="x|y" "k y"="v w" e=')).toEqual({
      tags: [
        ["error", "true"],
        ["http.method", "GET"],
        ["url", "http://x/y?z=1"],
        ["a", "x|y"],
        ["k y", "v w"],
        ["e", ""],
      ],
      filters: [],
    });
  });

  it.each([
    ["a!=b", "!=", ["b"]],
    ["a>=5", ">=", ["5"]],
    ["a<5", "<", ["5"]],
    ["a=b|c", "=", ["b", "c"]],
    ['a="b c"|d', "=", ["b c", "d"]],
    ["a~^x.*", "~", ["^x.*"]],
    ["a!~x", "!~", ["x"]],
    ["a=~x", "=~", ["x"]],
    ["a=*", "exists", []],
    ["a!=*", "absent", []],
  ])("%s", (text, operator, values) => {
    expect(read(text).filters).toEqual([{ key: "a", operator, values, isExcluded: false }]);
  });

  it("tell a minus and fields apart from tags", () => {
    expect(read("-a=b status=error").filters.map((each) => [each.key, each.isExcluded])).toEqual([
      ["a", true],
      ["status", false],
    ]);
  });

  it.each([
    'error=true a!="b c" -c=d|e f=* g!=* h~"x y" kind=server trace.duration>=1.5s "-x"=1 s="*"',
    "",
    'a="=b" b="<c" "d=e"=f',
  ])("read what they write: %s", (text) => {
    expect(read(printConditions(read(text)))).toEqual(read(text));
  });

  it.each(['a="b', "a>5|6", "a>", "=b", 'a="b"c'])("refuse %s", (text) => {
    expect(parseConditions(text).ok).toBe(false);
  });

  it("survive the address", () => {
    const before = query('error=true a!="b c" -c=d|e', { order: "longest", service: "s" });
    expect(parseSearch(printSearch(before)).query).toEqual(before);
  });

  it("of the first version's links are understood", () => {
    const { query } = parseSearch(new URLSearchParams("service=a&f=err&fs=b&sort=mostSpans"));
    expect(printConditions(query)).toBe("trace.errors>=1 service=b");
    expect(query.order).toBe("mostSpans");
  });
});

describe("predicates", () => {
  it("are true of everything when nothing is asked", () => {
    expect([tracePredicate(EMPTY_QUERY), spanPredicate(EMPTY_QUERY)]).toEqual([true, true]);
  });

  it.each([
    ["a=b", { tag: "a", value: "b" }],
    ["a>=5", { attribute: "a", op: ">=", value: 5 }],
    ["a>x", { attribute: "a", op: ">", value: "x" }],
    [
      "resource.host=b|c",
      {
        any: [
          { attribute: "host", scope: "resource", op: "is", value: "b" },
          { attribute: "host", scope: "resource", op: "is", value: "c" },
        ],
      },
    ],
    [
      "a!=b",
      {
        all: [{ attribute: "a", op: "exists" }, { not: { attribute: "a", op: "is", value: "b" } }],
      },
    ],
    ["a=*", { attribute: "a", op: "exists" }],
    ["a!=*", { not: { attribute: "a", op: "exists" } }],
    ["a~x", { attribute: "a", op: "~", value: "x" }],
    ["kind=server", { field: "kind", op: "=", value: "server" }],
    ["duration>1.5ms", { field: "duration", op: ">", value: 1_500_000 }],
  ])("%s is one of a span", (text, predicate) => {
    expect(tracePredicate(query(text))).toEqual({ span: predicate });
    expect(isExactOnSpans(query(text))).toBe(true);
  });

  it.each([
    ["-a=b", { not: { span: { attribute: "a", op: "is", value: "b" } } }],
    ["trace.duration>1s", { duration: { op: ">", value: 1_000_000_000 } }],
    ["trace.errors>=1", { error_count: { op: ">=", value: 1 } }],
    ["-trace.spans>5", { not: { span_count: { op: ">", value: 5 } } }],
    ["root.service!=x", { not: { root_service: { op: "=", value: "x" } } }],
  ])("%s is one of a trace", (text, predicate) => {
    expect(tracePredicate(query(text))).toEqual(predicate);
    expect(spanPredicate(query(text))).toBe(true);
    expect(isExactOnSpans(query(text))).toBe(false);
  });

  it("hold of the same span", () => {
    const of = query("a=b c>1", {
      service: "s",
      operation: "o",
      minDuration: "1ms",
      maxDuration: "2s",
    });
    expect(tracePredicate(of)).toEqual({
      span: {
        all: [
          { field: "service", op: "=", value: "s" },
          { field: "operation", op: "=", value: "o" },
          { tag: "a", value: "b" },
          { attribute: "c", op: ">", value: 1 },
          { field: "duration", op: ">=", value: 1_000_000 },
          { field: "duration", op: "<=", value: 2_000_000_000 },
        ],
      },
    });
  });
});

describe("facets", () => {
  it("go where Jaeger's links have them, and two values become alternatives", () => {
    const one = toggleValue(EMPTY_QUERY, "service", "a");
    expect(one.service).toBe("a");
    const two = toggleValue(one, "service", "b");
    expect([two.service, printConditions(two)]).toEqual(["", "service=a|b"]);
    expect(toggleValue(two, "service", "a").service).toBe("b");
    expect(toggleValue(one, "service", "a")).toEqual(EMPTY_QUERY);
  });

  it("rule out what was switched on, and let it in again", () => {
    const field = toggleValue(EMPTY_QUERY, "status_message", "no route");
    expect(field.tags).toEqual([]);
    expect(field.filters).toEqual([
      { key: "status_message", operator: "=", values: ["no route"], isExcluded: false },
    ]);
    expect(chosenValues(field, "status_message")).toEqual(["no route"]);
    const chosen = toggleValue(EMPTY_QUERY, "x", "1");
    expect(chosen.tags).toEqual([["x", "1"]]);
    const without = toggleExcluded(chosen, "x", "1");
    expect(printConditions(without)).toBe("-x=1");
    expect([chosenValues(without, "x"), excludedValues(without, "x")]).toEqual([[], ["1"]]);
    expect(toggleExcluded(without, "x", "1")).toEqual(EMPTY_QUERY);
  });

  it("offer the search without each condition", () => {
    const of = query("a=b -c=d", { service: "s", operation: "o", minDuration: "1s" });
    expect(widened(of).map((each) => each.without)).toEqual([
      "operation=o",
      "a=b",
      "-c=d",
      "at least 1s",
    ]);
  });
});

describe("the heatmap", () => {
  const window = { start: 0, end: 3_600_000_000 } as TimeSpan;
  const heatmap: Heatmap = {
    spans: 11,
    errors: 1,
    traces: 1,
    other: 0,
    start: 0,
    step: 30_000_000,
    cells: [
      { bin: 3, bucket: 21, spans: 1, errors: 0 },
      { bin: 5, bucket: 30, spans: 10, errors: 1 },
    ],
  };

  it("has about a hundred steps that people can name", () => {
    expect(stepFor(window)).toBe(30_000_000);
    expect(stepFor({ start: 0, end: 60_000_000 } as TimeSpan)).toBe(500_000);
  });

  it("becomes bounds of time and duration", () => {
    const grid = gridOf(heatmap, window);
    expect(grid).toEqual({ columns: 121, bucketMin: 21, rows: 10, most: 10 });
    const brush = brushOf(heatmap, grid, { column: 5, row: 4 }, { column: 3, row: 2 });
    expect(brush).toEqual({
      window: { start: 90_000_000, end: 180_000_000 },
      min: bucketStart(23),
      max: bucketStart(26),
    });
    const top = brushOf(heatmap, grid, { column: 0, row: 0 }, { column: 0, row: 9 });
    expect([top.min, top.max]).toEqual([0, undefined]);
    expect(bucketStart(11)).toBe(1.024);
  });

  it("shows single spans beside many", () => {
    expect(shadeOf({ bin: 0, bucket: 0, spans: 1, errors: 0 }, 1_000)).toBe(0);
    expect(shadeOf({ bin: 0, bucket: 0, spans: 1_000, errors: 0 }, 1_000)).toBe(7);
  });

  it("writes durations that are read again", () => {
    expect([0.512, 4.096, 4_194.304, 8_589_934.592].map(typedDuration)).toEqual([
      "512ns",
      "4.096us",
      "4.1943ms",
      "8.58993s",
    ]);
  });
});

describe("completion", () => {
  it.each([
    ["htt", undefined, "htt"],
    ["a=b -ht", undefined, "ht"],
    ["http.method=", "http.method", ""],
    ["http.method=G", "http.method", "G"],
    ['a="x y" b=c|d', "b", "d"],
    ['a="x y', "a", "x y"],
    ["a>=5", "a", "5"],
  ])("of “%s” completes the last word", (text, key, prefix) => {
    const word = wordAt(text, text.length);
    expect([word.key, word.prefix]).toEqual([key, prefix]);
  });

  it("puts an equals sign after a key and a space after a value", () => {
    const completed = (text: string, chosen: string) =>
      complete(text, wordAt(text, text.length), chosen);
    expect(completed("-ht", "http.url")).toEqual({ text: "-http.url=", caret: 10 });
    expect(completed("a=b|c", "x y")).toEqual({ text: 'a=b|"x y" ', caret: 10 });
  });

  it("leaves what follows the caret", () => {
    expect(complete("a=b c=d", wordAt("a=b c=d", 3), "bb")).toEqual({ text: "a=bb c=d", caret: 5 });
  });
});
