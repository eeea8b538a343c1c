// One attribute of all spans as a column.

import { describe, expect, it } from "vitest";
import { attributeColumn, attributeKeys, sortedByValue } from "./attribute-column";
import type { JaegerTrace } from "./jaeger-json";
import { sketchTrace } from "./testing";

function trace(): JaegerTrace {
  const sketch = sketchTrace([
    { id: "01", start: 0, length: 9 },
    { id: "02", start: 1, length: 1, service: "b" },
    { id: "03", start: 2, length: 1, service: "b" },
  ]);
  const tag = (key: string, value: string | number) => ({ key, type: "string", value });
  const tags = [[tag("code", 200)], [tag("code", 404), tag("host", "own")], []];
  return {
    ...sketch,
    spans: sketch.spans.map((span, index) => ({ ...span, tags: tags[index] ?? [] })),
    processes: {
      p0: { serviceName: "a", tags: [] },
      p1: { serviceName: "b", tags: [tag("host", "h1")] },
    },
  } as JaegerTrace;
}

describe("an attribute of all spans", () => {
  it("is a span's own, else its resource's", () => {
    const rows = Int32Array.from([2, 0, 1, -1]);
    const host = attributeColumn(trace(), rows, "host");
    const texts = [...host.ofRow].map((place) => host.values[place]);
    expect(texts).toEqual(["h1", undefined, "own", undefined]);
    expect(attributeKeys(trace())).toEqual(["host", "code"]);
  });

  it("orders rows by value, numbers as numbers, without one last", () => {
    const rows = Int32Array.from([0, 1, 2]);
    const code = attributeColumn(trace(), rows, "code");
    expect([...sortedByValue(rows, code, false)]).toEqual([0, 1, 2]);
    expect([...sortedByValue(rows, code, true)]).toEqual([1, 0, 2]);
    const values = { values: ["10", "9"], ofRow: Int32Array.from([0, 1, 0]) };
    expect([...sortedByValue(rows, values, false)]).toEqual([1, 0, 2]);
  });
});
