import { describe, expect, it } from "vitest";
import { epochMicros, micros } from "../base/time";
import type { ClusterNode } from "./cluster";
import { diskOutlook, worstOutlook } from "./disk-outlook";

const HOUR = 3_600_000_000;
const NOW = epochMicros(1_000 * HOUR);
const WEEK = micros(168 * HOUR);

const node = (
  hours: number | undefined,
  used: number,
  free: number,
  more: Partial<ClusterNode> = {},
): ClusterNode => ({
  id: "a",
  name: "a",
  address: "",
  ui: undefined,
  state: "ready",
  down: undefined,
  version: "",
  diskUsedBytes: used,
  diskFreeBytes: free,
  zone: "",
  process: undefined,
  clockAhead: undefined,
  queries: undefined,
  // The hour began half an hour before its middle, which is what counts.
  oldest: hours === undefined ? undefined : epochMicros(NOW - (hours + 0.5) * HOUR),
  spansTaken: undefined,
  dataBytesMax: undefined,
  ...more,
});

describe("how long a disk lasts", () => {
  it("is the room that is left at the rate so far", () => {
    const outlook = diskOutlook(node(24, 240, 480), WEEK, NOW);
    expect(outlook).toEqual({ kind: "full", after: 48 * HOUR });
  });

  it("is enough when all of the retention fits", () => {
    expect(diskOutlook(node(24, 240, 1_440), WEEK, NOW).kind).toBe("enough");
    expect(diskOutlook(node(168, 240, 1), WEEK, NOW).kind).toBe("enough");
    expect(diskOutlook(node(168, 240, 1), undefined, NOW).kind).toBe("full");
  });

  it("ends where data may take no more", () => {
    const capped = node(24, 240, 10_000, { dataBytesMax: 300 });
    expect(diskOutlook(capped, WEEK, NOW)).toEqual({ kind: "full", after: 6 * HOUR });
    const over = node(24, 240, 10_000, { dataBytesMax: 100 });
    expect(diskOutlook(over, WEEK, NOW)).toEqual({ kind: "full", after: 0 });
  });

  it("is not known of young data, nor without any", () => {
    expect(diskOutlook(node(1, 240, 480), WEEK, NOW).kind).toBe("unknown");
    expect(diskOutlook(node(undefined, 240, 480), WEEK, NOW).kind).toBe("unknown");
  });

  it("of a cluster is that of the disk that is full first", () => {
    const [enough, soon, later] = [node(168, 9, 9), node(24, 24, 3), node(24, 24, 5)];
    expect(worstOutlook([enough, later, soon, node(1, 1, 1)], WEEK, NOW)).toEqual({
      kind: "full",
      after: 3 * HOUR,
    });
    expect(worstOutlook([node(1, 1, 1), enough], WEEK, NOW).kind).toBe("enough");
    expect(worstOutlook([], WEEK, NOW).kind).toBe("unknown");
  });
});
