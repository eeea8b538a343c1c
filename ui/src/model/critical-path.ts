// The critical path: which span kept the trace waiting at each moment.
//
// Walking back from the end of a span, the child that finished last before that moment was what
// the span waited for; while no child is at work, it is the span itself. Children that outlive
// their parent count only while the parent lasts, and what starts after its end not at all.

import type { TraceColumns } from "./trace";

/** Stretches of time, by the row that was at work; rows ascend, times within a row too. */
export interface CriticalPath {
  readonly row: Int32Array;
  /** Microseconds after the origin of the trace. */
  readonly start: Float64Array;
  readonly end: Float64Array;
  /** The stretches of row r are at offset[r] .. offset[r + 1]. */
  readonly offset: Int32Array;
}

/** The critical path below the root that lasts longest. */
export function criticalPath(trace: TraceColumns): CriticalPath {
  const root = longestRoot(trace);
  if (root < 0) return order([], trace.count);
  return order(walk(trace, root, childrenByEnd(trace)), trace.count);
}

interface Stretch {
  readonly row: number;
  readonly start: number;
  readonly end: number;
}

function longestRoot(trace: TraceColumns): number {
  let best = -1;
  for (let row = 0; row < trace.count; row += 1 + (trace.descendants[row] ?? 0)) {
    if (best < 0 || (trace.length[row] ?? 0) > (trace.length[best] ?? 0)) best = row;
  }
  return best;
}

interface Children {
  readonly offset: Int32Array;
  readonly row: Int32Array;
}

/** The children of each row, last to finish first. */
function childrenByEnd(trace: TraceColumns): Children {
  const offset = new Int32Array(trace.count + 1);
  for (const parent of trace.parent) {
    if (parent >= 0) offset[parent + 1] = (offset[parent + 1] ?? 0) + 1;
  }
  for (let row = 0; row < trace.count; row += 1) {
    offset[row + 1] = (offset[row + 1] ?? 0) + (offset[row] ?? 0);
  }
  const next = offset.slice();
  const row = new Int32Array(trace.count);
  trace.parent.forEach((parent, child) => {
    if (parent < 0) return;
    const at = next[parent] ?? 0;
    row[at] = child;
    next[parent] = at + 1;
  });
  const end = (of: number) => (trace.start[of] ?? 0) + (trace.length[of] ?? 0);
  for (let parent = 0; parent < trace.count; parent += 1) {
    const own = row.subarray(offset[parent] ?? 0, offset[parent + 1] ?? 0);
    if (own.length > 1) own.sort((left, right) => end(right) - end(left));
  }
  return { offset, row };
}

interface Frame {
  readonly row: number;
  readonly start: number;
  /** The moment the walk back has reached. */
  until: number;
  next: number;
}

function walk(trace: TraceColumns, root: number, children: Children): Stretch[] {
  const stretches: Stretch[] = [];
  const frameOf = (row: number, from: number, until: number): Frame => ({
    row,
    start: Math.max(trace.start[row] ?? 0, from),
    until,
    next: children.offset[row] ?? 0,
  });
  const origin = trace.start[root] ?? 0;
  const stack = [frameOf(root, origin, origin + (trace.length[root] ?? 0))];
  while (stack.length > 0) {
    const frame = stack[stack.length - 1];
    if (!frame) break;
    const child = lastFinished(trace, children, frame);
    if (child === undefined) {
      if (frame.until > frame.start || frame.row === root) {
        stretches.push({ row: frame.row, start: frame.start, end: frame.until });
      }
      stack.pop();
      continue;
    }
    if (frame.until > child.end) {
      stretches.push({ row: frame.row, start: child.end, end: frame.until });
    }
    frame.until = child.start;
    stack.push(frameOf(child.row, child.start, child.end));
  }
  return stretches;
}

function lastFinished(trace: TraceColumns, children: Children, frame: Frame): Stretch | undefined {
  const last = children.offset[frame.row + 1] ?? 0;
  const endOfParent = (trace.start[frame.row] ?? 0) + (trace.length[frame.row] ?? 0);
  while (frame.next < last) {
    const row = children.row[frame.next] ?? 0;
    frame.next += 1;
    const start = Math.max(trace.start[row] ?? 0, frame.start);
    const end = Math.min((trace.start[row] ?? 0) + (trace.length[row] ?? 0), endOfParent);
    if (end <= frame.until && end > start) return { row, start, end };
  }
  return undefined;
}

function order(stretches: Stretch[], count: number): CriticalPath {
  stretches.sort((left, right) => left.row - right.row || left.start - right.start);
  const offset = new Int32Array(count + 1);
  for (const { row } of stretches) offset[row + 1] = (offset[row + 1] ?? 0) + 1;
  for (let row = 0; row < count; row += 1) {
    offset[row + 1] = (offset[row + 1] ?? 0) + (offset[row] ?? 0);
  }
  return {
    row: Int32Array.from(stretches, (stretch) => stretch.row),
    start: Float64Array.from(stretches, (stretch) => stretch.start),
    end: Float64Array.from(stretches, (stretch) => stretch.end),
    offset,
  };
}
