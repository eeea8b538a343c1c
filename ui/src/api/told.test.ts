// When to ask again, and the name of a request.

import { describe, expect, it } from "vitest";
import { epochFromMillis, type Micros } from "../base/time";
import { toldBy } from "./told";

const NOW = epochFromMillis(Date.parse("2026-11-21T12:00:00Z"));

function told(headers: Record<string, string>) {
  const { notBefore, requestId } = toldBy(new Headers(headers), NOW);
  return [notBefore === undefined ? undefined : ((notBefore - NOW) as Micros), requestId];
}

describe("what a server tells of a failure", () => {
  it("says when to ask again: in seconds or as a date, within reason", () => {
    expect(told({ "retry-after": "3" })).toEqual([3_000_000, ""]);
    expect(told({ "retry-after": "Sat, 21 Nov 2026 12:00:05 GMT" })).toEqual([5_000_000, ""]);
    expect(told({ "retry-after": "86400" })).toEqual([60_000_000, ""]);
    for (const none of ["", "0", "-4", "soon", "Sat, 21 Nov 2026 11:00:00 GMT"]) {
      expect(told({ "retry-after": none })).toEqual([undefined, ""]);
    }
  });

  it("names the request as a proxy does, or by its trace", () => {
    const trace = "0af7651916cd43dd8448eb211c80319c";
    expect(told({})).toEqual([undefined, ""]);
    expect(told({ traceresponse: "" })[1]).toBe("");
    expect(told({ traceresponse: `00-${trace}-b7ad6b7169203331-01` })[1]).toBe(trace);
    expect(told({ "x-request-id": "a1", traceresponse: `00-${trace}-x` })[1]).toBe("a1");
    expect(told({ "x-request-id": "x".repeat(5_000) })[1]).toHaveLength(100);
  });
});
