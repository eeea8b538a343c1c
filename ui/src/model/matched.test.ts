// What a find marks of a trace is what the search was about.

import { describe, expect, it } from "vitest";
import { parseConditions } from "./filter";
import { parseFind } from "./find";
import { findTextOf, spanHref, traceHref } from "./matched";
import { EMPTY_QUERY, type SearchQuery } from "./search-query";

function query(text: string, more: Partial<SearchQuery> = {}): SearchQuery {
  const conditions = parseConditions(text);
  if (!conditions.ok) throw new Error(conditions.error);
  return { ...EMPTY_QUERY, ...conditions.value, ...more };
}

describe("what a search was about", () => {
  it.each([
    ["", {}, ""],
    ["", { service: "shop" }, ""],
    ["", { service: "shop", operation: "GET /" }, 'service=shop op="GET /"'],
    ["http.status_code>=500 error=true", {}, "error=true http.status_code>=500"],
    ["resource.host.name=a span.x=1 event.y=2", {}, "resource.host.name=a span.x=1 event.y=2"],
    ["status=error kind=server", {}, "status=error kind=server"],
    ["duration>5ms", { minDuration: "1 ms", maxDuration: "2s" }, "dur>5ms dur>=1ms dur<=2s"],
    ["trace.errors>=1 root.service=a trace.duration>1s", {}, ""],
    ["-peer=redis x=a|b y=* z~re", {}, ""],
    ["-peer=redis k=v", {}, "k=v"],
    ['k="two words"', {}, 'k="two words"'],
    ['k="a\\"b"', {}, ""],
  ] as const)("%s %o", (text, more, expected) => {
    // A tag of Jaeger's is taken by its whole key, of whatever it is.
    const wanted = expected.replace(/(^| )(resource|span|event)\./g, "$1");
    expect(findTextOf(query(text, more), "a", 10)).toBe(wanted);
  });

  it("is read back as conditions", () => {
    const text = findTextOf(query("http.status_code>=500", { operation: "GET /" }), "a", 10);
    expect(parseFind(text)).toMatchObject({ words: [], conditions: [{ key: "op" }, {}] });
  });

  it("is the spans that a link names", () => {
    const spans = [{ traceId: "ab", spanIds: ["1a", "2b"] }];
    const named = { ...EMPTY_QUERY, traceIds: ["ab", "cd"], spans };
    expect(traceHref(named, { traceId: "ab", spans: 1e6 })).toBe("/trace/ab?uiFind=1a+2b");
    expect(traceHref(named, { traceId: "cd", spans: 1 })).toBe("/trace/cd");
    const padded = "ab".padStart(32, "0");
    expect(findTextOf(named, padded, 1)).toBe("1a 2b");
  });

  it("is not looked for in what is too large to look into unasked", () => {
    expect(findTextOf(query("k=v"), "a", 20_001)).toBe("");
  });
});

describe("the address of a span", () => {
  const trace = { traceId: "ab", spans: 3 };

  it("selects it in its trace, with what else was found", () => {
    expect(spanHref(query(""), trace, "ff")).toBe("/trace/ab?span=ff");
    expect(spanHref(query("k=v"), trace, "ff")).toBe("/trace/ab?uiFind=k%3Dv&span=ff");
  });
});
