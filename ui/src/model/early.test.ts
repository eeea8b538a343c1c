import { describe, expect, it } from "vitest";
import { beforeEarly, steadied, withEarly } from "./early";
import { summaryFrom, type TraceSummary } from "./summary";

function trace(traceId: string): TraceSummary {
  return summaryFrom({
    traceId,
    rootService: "shop",
    rootOperation: "GET /",
    startNanos: "1790000000000000000",
    endNanos: "1790000000250000000",
    spans: 1,
    errors: 0,
    orphans: 0,
    services: [],
  });
}

const traces = (ids: string) => [...ids].map(trace);
const ids = (found: readonly TraceSummary[]) => found.map(({ traceId }) => traceId).join("");
const told = (...places: [number, string][]) =>
  places.map(([place, id]) => ({ place, trace: trace(id) }));

describe("a search that shards still answer", () => {
  it("puts what each adds at its place and keeps the first", () => {
    const first = withEarly([], told([0, "b"], [1, "d"], [2, "f"]), 4);
    expect(ids(first)).toBe("bdf");
    const second = withEarly(first, told([0, "a"], [2, "c"]), 4);
    expect(ids(second)).toBe("abcd");
  });

  it("shows the answer as it comes, and behind it what was known", () => {
    expect(ids(beforeEarly(traces("ab"), traces("bdf"), 4))).toBe("abdf");
    expect(ids(beforeEarly(traces("abcd"), traces("bdf"), 4))).toBe("abcd");
  });
});

describe("a list that is looked at", () => {
  it("grows below", () => {
    const { shown, waiting } = steadied(traces("ab"), traces("abcd"));
    expect(ids(shown)).toBe("abcd");
    expect(waiting).toBe(0);
  });

  it("does not move, and tells what waits", () => {
    const { shown, waiting } = steadied(traces("bd"), traces("abcd"));
    expect(ids(shown)).toBe("bd");
    expect(waiting).toBe(2);
    expect(steadied(traces("bd"), traces("db")).waiting).toBe(1);
    expect(ids(steadied(traces("bd"), traces("b")).shown)).toBe("bd");
  });
});
