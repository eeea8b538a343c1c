// What the canvases draw, for tests.

import { sketchColumns } from "../model/testing";
import type { Scene } from "./scene";
import { whole } from "./viewport";

/** A root and spans below it, one microsecond after the other; the last one may be a long one. */
export function sceneOf(
  spans: number,
  change: Partial<Scene> = {},
  lengths: { readonly root: number; readonly each: number; readonly last?: number } = {
    root: 100,
    each: 5,
  },
): Scene {
  const { root, each, last = each } = lengths;
  const trace = sketchColumns([
    { id: "a", start: 0, length: root },
    ...Array.from({ length: spans - 1 }, (_, index) => ({
      id: (index + 100).toString(16),
      parent: "a",
      start: index,
      length: index === spans - 2 ? last : each,
    })),
  ]);
  return {
    trace,
    rows: Int32Array.from({ length: trace.count }, (_, row) => row),
    collapsed: new Uint8Array(trace.count),
    runs: null,
    colorOfService: new Uint8Array(1),
    window: whole(trace.duration),
    criticalPath: null,
    events: null,
    matches: null,
    selected: -1,
    rowHeight: 20,
    gap: null,
    namesShare: 0.25,
    ...change,
  };
}
