// Runs of like siblings: many calls of one operation after another below the same span, which a
// list can show as one row.

import { Flag, hasFlag, type TraceColumns } from "./trace";

/** Fewer are read faster than they are opened. */
const RUN_MIN = 6;

/**
 * For the first row of a run the row after its last, subtrees included; 0 for every other row. A
 * run is in the order of start, without a sibling of another kind between.
 */
export type Runs = Int32Array;

export function runsOf(trace: TraceColumns): Runs {
  const runs = new Int32Array(trace.count);
  walk(trace, 0, trace.count, runs);
  for (let row = 0; row < trace.count; row += 1) {
    const below = trace.descendants[row] ?? 0;
    if (below >= RUN_MIN) walk(trace, row + 1, row + 1 + below, runs);
  }
  return runs;
}

/** The siblings from `from` on. */
function walk(trace: TraceColumns, from: number, end: number, runs: Runs): void {
  let first = from;
  let members = 0;
  const close = (after: number) => {
    if (members >= RUN_MIN) runs[first] = after;
  };
  for (let row = from; row < end; row += 1 + (trace.descendants[row] ?? 0)) {
    const isLike =
      trace.operation[row] === trace.operation[first] &&
      trace.service[row] === trace.service[first];
    if (isLike) {
      members += 1;
      continue;
    }
    close(row);
    first = row;
    members = 1;
  }
  close(end);
}

/** What one row says of a run. */
export interface RunFacts {
  readonly members: number;
  /** Microseconds that 95 of 100 took at most. */
  readonly p95: number;
  /** Does any of it have an error, itself or below? */
  readonly hasErrors: boolean;
}

const known = new WeakMap<TraceColumns, Map<number, RunFacts>>();

/** Of the run that begins at `row`; worked out once. */
export function factsOfRun(trace: TraceColumns, row: number, end: number): RunFacts {
  const ofTrace = known.get(trace) ?? new Map<number, RunFacts>();
  known.set(trace, ofTrace);
  const before = ofTrace.get(row);
  if (before !== undefined) return before;
  const lengths: number[] = [];
  let hasErrors = false;
  for (let at = row; at < end; at += 1 + (trace.descendants[at] ?? 0)) {
    lengths.push(trace.length[at] ?? 0);
    hasErrors ||= hasFlag(trace, at, Flag.error) || hasFlag(trace, at, Flag.errorBelow);
  }
  const sorted = Float64Array.from(lengths).sort();
  const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1] ?? 0;
  const facts = { members: lengths.length, p95, hasErrors };
  ofTrace.set(row, facts);
  return facts;
}

/** Opens whatever run hides `row`. */
export function withoutRunsOver(runs: Runs, row: number): Runs {
  const opened = runs.slice();
  for (let first = 0; first < row; first += 1) {
    if ((runs[first] ?? 0) > row) opened[first] = 0;
  }
  return opened;
}
