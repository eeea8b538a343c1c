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

/** No stretch at all. */
export const NO_PATH: CriticalPath = {
  row: new Int32Array(0),
  start: new Float64Array(0),
  end: new Float64Array(0),
  offset: new Int32Array(0),
};

/** What of a trace decides the path. */
export type Tree = Pick<TraceColumns, "count" | "start" | "length" | "descendants">;

/** The critical path below the root that lasts longest. */
export function criticalPath(trace: Tree): CriticalPath {
  const stretches = new Stretches();
  const root = longestRoot(trace);
  if (root >= 0) walk(trace, root, stretches);
  return stretches.byRow(trace.count);
}

/** Stretches as they are found: latest first. */
class Stretches {
  readonly #row: number[] = [];
  readonly #start: number[] = [];
  readonly #end: number[] = [];

  add(row: number, start: number, end: number): void {
    this.#row.push(row);
    this.#start.push(start);
    this.#end.push(end);
  }

  /** Sorted by counting; within a row they were found latest first, so they are put in reverse. */
  byRow(count: number): CriticalPath {
    const found = this.#row.length;
    const offset = new Int32Array(count + 1);
    for (const row of this.#row) offset[row + 1] = (offset[row + 1] ?? 0) + 1;
    for (let row = 0; row < count; row += 1) {
      offset[row + 1] = (offset[row + 1] ?? 0) + (offset[row] ?? 0);
    }
    const next = offset.slice();
    const path = {
      row: new Int32Array(found),
      start: new Float64Array(found),
      end: new Float64Array(found),
      offset,
    };
    for (let index = found - 1; index >= 0; index -= 1) {
      const row = this.#row[index] ?? 0;
      const at = next[row] ?? 0;
      next[row] = at + 1;
      path.row[at] = row;
      path.start[at] = this.#start[index] ?? 0;
      path.end[at] = this.#end[index] ?? 0;
    }
    return path;
  }
}

function longestRoot(trace: Tree): number {
  let best = -1;
  for (let row = 0; row < trace.count; row += 1 + (trace.descendants[row] ?? 0)) {
    if (best < 0 || (trace.length[row] ?? 0) > (trace.length[best] ?? 0)) best = row;
  }
  return best;
}

/** The children of a row, last to finish first. Only rows on the path are asked for theirs. */
function childrenByEnd(trace: Tree, row: number): readonly number[] {
  const children: number[] = [];
  const last = row + (trace.descendants[row] ?? 0);
  for (let child = row + 1; child <= last; child += 1 + (trace.descendants[child] ?? 0)) {
    children.push(child);
  }
  const end = (of: number) => (trace.start[of] ?? 0) + (trace.length[of] ?? 0);
  return children.length > 1
    ? children.sort((left, right) => end(right) - end(left) || left - right)
    : children;
}

interface Frame {
  readonly row: number;
  readonly start: number;
  readonly children: readonly number[];
  /** The moment the walk back has reached. */
  until: number;
  next: number;
}

function walk(trace: Tree, root: number, stretches: Stretches): void {
  const frameOf = (row: number, from: number, until: number): Frame => ({
    row,
    start: Math.max(trace.start[row] ?? 0, from),
    until,
    children: childrenByEnd(trace, row),
    next: 0,
  });
  const origin = trace.start[root] ?? 0;
  const stack = [frameOf(root, origin, origin + (trace.length[root] ?? 0))];
  while (stack.length > 0) {
    const frame = stack[stack.length - 1];
    if (!frame) break;
    const child = lastFinished(trace, frame);
    if (child === undefined) {
      if (frame.until > frame.start || frame.row === root) {
        stretches.add(frame.row, frame.start, frame.until);
      }
      stack.pop();
      continue;
    }
    if (frame.until > child.end) stretches.add(frame.row, child.end, frame.until);
    frame.until = child.start;
    stack.push(frameOf(child.row, child.start, child.end));
  }
}

function lastFinished(
  trace: Tree,
  frame: Frame,
): { row: number; start: number; end: number } | undefined {
  const endOfParent = (trace.start[frame.row] ?? 0) + (trace.length[frame.row] ?? 0);
  while (frame.next < frame.children.length) {
    const row = frame.children[frame.next] ?? 0;
    frame.next += 1;
    const start = Math.max(trace.start[row] ?? 0, frame.start);
    const end = Math.min((trace.start[row] ?? 0) + (trace.length[row] ?? 0), endOfParent);
    if (end <= frame.until && end > start) return { row, start, end };
  }
  return undefined;
}
