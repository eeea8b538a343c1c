// What there is to draw. The trace page's state makes it; the canvases read it and change nothing.

import type { CriticalPath } from "../model/critical-path";
import type { VisibleRows } from "../model/rows";
import { factsOfRun, type RunFacts, type Runs } from "../model/runs";
import type { EventColumns, TraceColumns } from "../model/trace";
import type { TimeWindow } from "./viewport";

export interface Gap {
  /** Index into the visible rows. */
  readonly after: number;
  /** Pixels. */
  readonly height: number;
}

export interface Scene {
  readonly trace: TraceColumns;
  readonly rows: VisibleRows;
  readonly collapsed: Uint8Array;
  /** Runs of like siblings that their first row stands for; null while none are folded. */
  readonly runs: Runs | null;
  /** For each service its colour in the palette. */
  readonly colorOfService: Uint8Array;
  readonly window: TimeWindow;
  /** Null hides it. */
  readonly criticalPath: CriticalPath | null;
  /** Null while they are not known. */
  readonly events: EventColumns | null;
  /** One byte a row; null while nothing is looked for. */
  readonly matches: Uint8Array | null;
  /** -1 for none. */
  readonly selected: number;
  /** Pixels. */
  readonly rowHeight: number;
  /** Room below a row of the list for the details of its span; null for none. */
  readonly gap: Gap | null;
  /** Share of the width that the names take. */
  readonly namesShare: number;
}

/** Rows pinned above the list at most: the way down to what is shown. */
export const PINNED_MAX = 5;

/** The facts of the run that a row stands for; undefined for a span. */
export function runAt({ trace, runs }: Scene, row: number): RunFacts | undefined {
  const end = runs?.[row] ?? 0;
  return end > 0 ? factsOfRun(trace, row, end) : undefined;
}
