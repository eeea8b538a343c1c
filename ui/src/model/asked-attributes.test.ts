import { describe, expect, it } from "vitest";
import { askedAttributes, canBeAsked, predicatesOf } from "./asked-attributes";
import { findRows, parseFind } from "./find";
import { sketchColumns } from "./testing";

const columns = sketchColumns([
  { id: "a1", start: 0, length: 9 },
  { id: "a2", parent: "a1", start: 1, length: 1 },
  { id: "a3", parent: "a1", start: 2, length: 1 },
]);

describe("what is asked of the server", () => {
  it.each([
    ["dur>1ms err service=shop", []],
    ["Time out", [{ any: [{ mentions: "time" }, { mentions: "out" }] }]],
    ["-cache", [{ any: [{ mentions: "cache" }] }]],
    [
      "http.status_code>=500",
      [
        {
          any: ["span_or_resource", "event", "scope"].map((scope) => ({
            ...{ attribute: "http.status_code", scope, op: ">=", value: 500 },
          })),
        },
      ],
    ],
    ["db.rows>many", [{ any: [] }]],
    ["status=ok", [{ field: "status", op: "=", value: "ok" }]],
    ["status!=ok", [{ not: { field: "status", op: "=", value: "ok" } }]],
    ["error=true", [{ tag: "error", value: "true" }]],
    ["event=Retry", [{ any: [{ field: "event_name", op: "=~", value: "(?i)retry" }] }]],
  ])("%s", (text, predicates) => {
    expect(predicatesOf(parseFind(text))).toEqual(predicates);
  });

  it("is a value to the letter, whatever a pattern would mean by it", () => {
    const [predicate] = predicatesOf(parseFind('key="a.b (c)*"'));
    expect(predicate).toMatchObject({
      any: [
        { op: "=~", value: "(?i)a\\.b \\(c\\)\\*" },
        { op: "is", value: "a.b (c)*" },
        { scope: "event" },
        { scope: "event" },
        { scope: "scope" },
        { scope: "scope" },
      ],
    });
  });

  it("has a bound", () => {
    const words = (count: number) =>
      parseFind(Array.from({ length: count }, (_, word) => `w${word}`).join(" "));
    expect(canBeAsked(words(64))).toBe(true);
    expect(canBeAsked(words(65))).toBe(false);
  });
});

describe("what the server answered", () => {
  const found = (text: string, ...answers: readonly (readonly number[])[]) => {
    const query = parseFind(text);
    const asked = predicatesOf(query).map(
      (predicate, index) => [predicate, Uint8Array.from(answers[index] ?? [])] as const,
    );
    return [...findRows(query, columns, askedAttributes(asked))];
  };

  it("joins what columns say", () => {
    expect(found("timeout", [0, 1, 0])).toEqual([0, 1, 0]);
    expect(found("timeout a3", [0, 1, 0])).toEqual([0, 1, 1]);
    expect(found("-timeout", [0, 1, 0])).toEqual([1, 0, 1]);
    expect(found("host=a zone!=b", [1, 1, 0], [0, 1, 1])).toEqual([0, 1, 0]);
    expect(found("timeout host=a -cache", [1, 1, 1], [0, 1, 0], [1, 1, 0])).toEqual([1, 0, 0]);
  });
});
