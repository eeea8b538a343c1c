// The flame graph of a trace: time to the right, calls downwards. Calls at the same time get
// lanes of their own, each with all that is below it, so nothing is hidden.

import type { TraceColumns } from "./trace";

export interface FlameLayout {
  /** For each row of the trace the lane it is in. */
  readonly lane: Int32Array;
  readonly lanes: number;
  /** Rows by lane, within a lane by start; lane l is at offset[l] .. offset[l + 1]. */
  readonly rows: Int32Array;
  readonly offset: Int32Array;
}

/** Beyond this many lanes side by side, what does not fit shares the last one. */
const SIDE_BY_SIDE_MAX = 400;

export function layoutFlame(trace: TraceColumns): FlameLayout {
  const { count, parent } = trace;
  const boxes = new Boxes(trace);
  for (let row = count - 1; row >= 0; row -= 1) boxes.placeChildren(row);
  const roots: number[] = [];
  for (let row = 0; row < count; row += 1 + (trace.descendants[row] ?? 0)) roots.push(row);
  boxes.pack(roots);
  const lane = new Int32Array(count);
  let lanes = 0;
  for (let row = 0; row < count; row += 1) {
    const above = parent[row] ?? -1;
    lane[row] = (above < 0 ? 0 : (lane[above] ?? 0) + 1) + (boxes.below[row] ?? 0);
    lanes = Math.max(lanes, (lane[row] ?? 0) + 1);
  }
  return { lane, lanes, ...sortByLane(trace, lane, lanes) };
}

/** Every subtree as a box: from its first start to its last end, so many lanes high. */
class Boxes {
  /** Lanes between a row and the first its parent's children could have. */
  readonly below: Int32Array;
  readonly #height: Int32Array;
  readonly #start: Float64Array;
  readonly #end: Float64Array;
  readonly #trace: TraceColumns;

  constructor(trace: TraceColumns) {
    this.#trace = trace;
    this.below = new Int32Array(trace.count);
    this.#height = new Int32Array(trace.count);
    this.#start = Float64Array.from(trace.start);
    this.#end = trace.start.map((start, row) => start + (trace.length[row] ?? 0));
  }

  /** Needs the boxes of all rows below. */
  placeChildren(row: number): void {
    const { descendants } = this.#trace;
    const children: number[] = [];
    const last = row + (descendants[row] ?? 0);
    for (let child = row + 1; child <= last; child += 1 + (descendants[child] ?? 0)) {
      children.push(child);
      this.#start[row] = Math.min(this.#start[row] ?? 0, this.#start[child] ?? 0);
      this.#end[row] = Math.max(this.#end[row] ?? 0, this.#end[child] ?? 0);
    }
    this.#height[row] = 1 + this.pack(children);
  }

  /** Puts each box as high as those before it allow; returns how many lanes all of them take. */
  pack(rows: readonly number[]): number {
    // Until when each lane is taken.
    const taken: number[] = [];
    for (const row of rows) {
      const height = this.#height[row] ?? 1;
      const at = freeLanes(taken, height, this.#start[row] ?? 0);
      this.below[row] = at;
      for (let lane = at; lane < at + height; lane += 1) {
        taken[lane] = Math.max(taken[lane] ?? Number.NEGATIVE_INFINITY, this.#end[row] ?? 0);
      }
    }
    return taken.length;
  }
}

/** The first of `height` neighbouring lanes that are free from `start` on. */
function freeLanes(taken: readonly number[], height: number, start: number): number {
  let free = 0;
  for (let lane = 0; lane < Math.min(taken.length, SIDE_BY_SIDE_MAX); lane += 1) {
    free = (taken[lane] ?? 0) <= start ? free + 1 : 0;
    if (free === height) return lane - height + 1;
  }
  return Math.min(taken.length, SIDE_BY_SIDE_MAX) - free;
}

function sortByLane(
  trace: TraceColumns,
  lane: Int32Array,
  lanes: number,
): { rows: Int32Array; offset: Int32Array } {
  const offset = new Int32Array(lanes + 1);
  for (const each of lane) offset[each + 1] = (offset[each + 1] ?? 0) + 1;
  for (let each = 0; each < lanes; each += 1) {
    offset[each + 1] = (offset[each + 1] ?? 0) + (offset[each] ?? 0);
  }
  const next = offset.slice();
  const rows = new Int32Array(lane.length);
  lane.forEach((each, row) => {
    rows[next[each] ?? 0] = row;
    next[each] = (next[each] ?? 0) + 1;
  });
  for (let each = 0; each < lanes; each += 1) {
    const own = rows.subarray(offset[each] ?? 0, offset[each + 1] ?? 0);
    if (own.length > 1) {
      own.sort((left, right) => (trace.start[left] ?? 0) - (trace.start[right] ?? 0));
    }
  }
  return { rows, offset };
}
