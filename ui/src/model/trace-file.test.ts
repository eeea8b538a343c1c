// Files of several traces: cut out of answers and joined, without reading a number.

import { describe, expect, it } from "vitest";
import { fileOf, gapsOf, pieceOf, type Saved } from "./trace-file";

describe("what an answer has of a trace", () => {
  it("is cut out to the letter", () => {
    const trace = '{"traceID":"a","n":12345678901234567890,"s":"]}\\\\\\"[{"}';
    expect(pieceOf("jaeger", `{"data":[${trace}],"total":0,"errors":null}`)).toBe(trace);
    expect(pieceOf("jaeger", ` { "total" : 0, "e":[{"data":[1]}], "data" : [ ${trace} ] }`)).toBe(
      trace,
    );
    expect(pieceOf("otlp", `{"result":{"resourceSpans":[${trace},${trace}]}}`)).toBe(
      `${trace},${trace}`,
    );
    expect(pieceOf("jaeger", '{"data":[]}')).toBe("");
  });

  it("is nothing where the answer is another or is cut off", () => {
    for (const answer of [
      "",
      "[]",
      "nonsense",
      '{"data":null}',
      '{"other":[1]}',
      '{"data":[{"a":"b',
      '{"data":[{"a":1}',
      '{"a":1 "data":[]}',
      '{"result":{"resourceSpans":{}}}',
    ]) {
      expect(pieceOf("jaeger", answer), answer).toBeUndefined();
      expect(pieceOf("otlp", answer), answer).toBeUndefined();
    }
  });
});

describe("a file", () => {
  it("has all pieces in their order, and is JSON", () => {
    const text = fileOf("otlp", ['{"a":1}', "", '{"b":2},{"c":3}']).join("");
    expect(JSON.parse(text)).toEqual({ resourceSpans: [{ a: 1 }, { b: 2 }, { c: 3 }] });
    expect(JSON.parse(fileOf("jaeger", []).join(""))).toEqual({ data: [] });
  });

  it("says what it lacks", () => {
    const none: Saved = {
      asked: 5,
      written: 5,
      notFound: 0,
      partial: 0,
      failed: 0,
      failure: "",
      leftOut: 0,
    };
    expect(gapsOf(none)).toEqual([]);
    const some = { ...none, notFound: 1, partial: 2, failed: 1, failure: "no.", leftOut: 3 };
    expect(gapsOf(some)).toEqual([
      "1 trace not found.",
      "1 trace could not be read: no.",
      "2 traces without all spans.",
      "3 traces left out: the file would be too large.",
    ]);
  });
});
