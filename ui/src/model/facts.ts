// What the head of a trace says about all of its spans, found in one pass.

import { Flag, type TraceColumns } from "./trace";

export interface TraceFacts {
  readonly errors: number;
  readonly orphans: number;
  readonly warnings: number;
  /** Levels; a lone root has one. */
  readonly depth: number;
  /** The deepest failed span, the likeliest cause; -1 if none failed. */
  readonly cause: number;
  /** How many spans each service has, in the order of the trace's services. */
  readonly spansByService: Int32Array;
}

export function factsOf(trace: TraceColumns): TraceFacts {
  const { count, flags, depth, service } = trace;
  const spansByService = new Int32Array(trace.services.length);
  let [errors, orphans, warnings, deepest, cause] = [0, 0, 0, -1, -1];
  for (let row = 0; row < count; row += 1) {
    const bits = flags[row] ?? 0;
    const level = depth[row] ?? 0;
    if (level > deepest) deepest = level;
    const of = service[row] ?? 0;
    spansByService[of] = (spansByService[of] ?? 0) + 1;
    if (bits === 0) continue;
    if ((bits & Flag.orphan) !== 0) orphans += 1;
    if ((bits & Flag.warnings) !== 0) warnings += 1;
    if ((bits & Flag.error) === 0) continue;
    errors += 1;
    if (cause < 0 || level > (depth[cause] ?? 0)) cause = row;
  }
  return { errors, orphans, warnings, depth: deepest + 1, cause, spansByService };
}
