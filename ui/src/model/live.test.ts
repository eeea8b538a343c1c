import { describe, expect, it } from "vitest";
import { LIVE_TRACES_MAX, NO_LIVE_TRACES, released, taken, withLive } from "./live";
import { summaryFrom, type TraceSummary } from "./summary";

function trace(id: string, second: number, spans = 1): TraceSummary {
  return summaryFrom({ traceId: id, startNanos: `${second}000000000`, spans });
}

const idsOf = (traces: readonly TraceSummary[]) => traces.map((each) => each.traceId);

describe("live traces", () => {
  it("come newest first", () => {
    const first = taken(NO_LIVE_TRACES, [trace("a", 1)], false);
    expect(idsOf(taken(first, [trace("c", 3), trace("b", 2)], false).shown)).toEqual([
      "c",
      "b",
      "a",
    ]);
  });

  it("wait while the list is held, and grow where they stand", () => {
    const first = taken(NO_LIVE_TRACES, [trace("a", 1), trace("b", 2)], false);
    const held = taken(first, [trace("c", 3), trace("a", 1, 9)], true);
    expect(idsOf(held.shown)).toEqual(["b", "a"]);
    expect(held.shown[1]?.spans).toBe(9);
    expect(held.waiting.size).toBe(1);
    expect(idsOf(released(held).shown)).toEqual(["c", "b", "a"]);
  });

  it("are bounded, shown or waiting", () => {
    const many = Array.from({ length: LIVE_TRACES_MAX + 10 }, (_, at) => trace(`t${at}`, at));
    expect(taken(NO_LIVE_TRACES, many, false).shown).toHaveLength(LIVE_TRACES_MAX);
    const held = taken(NO_LIVE_TRACES, many, true);
    expect(held.waiting.size).toBe(LIVE_TRACES_MAX);
    expect(held.waiting.has("t9")).toBe(false);
    expect(held.waiting.has("t10")).toBe(true);
  });

  it("stand before what was found, each once", () => {
    const both = withLive([trace("b", 2, 7)], [trace("b", 2, 1), trace("a", 1)]);
    expect(idsOf(both)).toEqual(["b", "a"]);
    expect(both[0]?.spans).toBe(7);
  });
});
