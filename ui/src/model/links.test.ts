// Ids as people and Jaeger write them.

import { describe, expect, it } from "vitest";
import { hexTraceId } from "./links";

describe("a trace id", () => {
  it.each([
    ["pJMqNVTKCTSlASAsIIEj5g==", "a4932a3554ca0934a501202c208123e6"],
    ["pJMqNVTKCTSlASAsIIEj5g", "a4932a3554ca0934a501202c208123e6"],
    ["pQEgLCCBI-Y=", "a501202c208123e6"],
    ["pQEgLCCBI+Y=", "a501202c208123e6"],
    // What may be hexadecimal is.
    ["a501202c208", "a501202c208"],
    ["ABCDEF", "ABCDEF"],
    ["not an id", "not an id"],
    ["", ""],
  ])("%s", (text, hex) => {
    expect(hexTraceId(text)).toBe(hex);
  });
});
