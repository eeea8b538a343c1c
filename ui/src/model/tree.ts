// Puts spans in depth-first order, whatever their references say: parents that are missing,
// spans that are their own ancestors, ids that occur twice.

/** Spans as they arrive: parents as indexes, -1 where there is none. */
export interface Unordered {
  readonly parent: Int32Array;
  readonly start: Float64Array;
}

export interface Ordered {
  /** For each row the index of its span. */
  readonly spanOfRow: Int32Array;
  /** For each row the row of its parent. */
  readonly parent: Int32Array;
  readonly depth: Uint16Array;
  readonly descendants: Int32Array;
}

const DEPTH_MAX = 0xffff;

/** Orders the spans; every span gets exactly one row. */
export function orderTree(spans: Unordered): Ordered {
  const count = spans.parent.length;
  const byStart = inOrderOf(spans.start);
  const walk = new Walk(spans.parent, byStart);
  for (let place = 0; place < count; place += 1) {
    const span = byStart === undefined ? place : (byStart[place] ?? 0);
    if ((spans.parent[span] ?? -1) < 0) walk.visit(span);
  }
  // Invariant: what no root reaches is a circle of parents or hangs off one; the circle is cut
  // where it starts first, so nothing is lost.
  for (let place = 0; walk.rows < count && place < count; place += 1) {
    const span = byStart === undefined ? place : (byStart[place] ?? 0);
    if (!walk.hasSeen(span)) walk.visit(span);
  }
  return walk.ordered;
}

/** Indexes in order of their values, equal ones as they came; undefined if they are so already. */
function inOrderOf(values: Float64Array): Int32Array | undefined {
  if (isAscending(values)) return undefined;
  const order = new Int32Array(values.length);
  for (let index = 0; index < order.length; index += 1) order[index] = index;
  return order.sort((left, right) => (values[left] ?? 0) - (values[right] ?? 0) || left - right);
}

function isAscending(values: Float64Array): boolean {
  for (let index = 1; index < values.length; index += 1) {
    if ((values[index] ?? 0) < (values[index - 1] ?? 0)) return false;
  }
  return true;
}

/**
 * Goes down to the first child, else on to the next sibling, else up: once through every span,
 * without a stack, and whatever is known of a span is written when it is met or left.
 */
class Walk {
  readonly ordered: Ordered;
  /** How many spans were met. */
  rows = 0;
  readonly #parent: Int32Array;
  /** Children in order of start, as linked lists in two arrays. */
  readonly #first: Int32Array;
  readonly #next: Int32Array;
  readonly #rowOfSpan: Int32Array;

  constructor(parent: Int32Array, byStart: Int32Array | undefined) {
    const count = parent.length;
    this.#parent = parent;
    this.#first = new Int32Array(count).fill(-1);
    this.#next = new Int32Array(count).fill(-1);
    this.#rowOfSpan = new Int32Array(count).fill(-1);
    this.ordered = {
      spanOfRow: new Int32Array(count),
      parent: new Int32Array(count),
      depth: new Uint16Array(count),
      descendants: new Int32Array(count),
    };
    for (let place = count - 1; place >= 0; place -= 1) {
      const span = byStart === undefined ? place : (byStart[place] ?? 0);
      const above = parent[span] ?? -1;
      if (above < 0) continue;
      this.#next[span] = this.#first[above] ?? -1;
      this.#first[above] = span;
    }
  }

  hasSeen(span: number): boolean {
    return (this.#rowOfSpan[span] ?? 0) >= 0;
  }

  /** Gives rows to a span and all below it that have none. */
  visit(root: number): void {
    const { spanOfRow, parent: parentRow, depth, descendants } = this.ordered;
    const [parent, first, next, rowOfSpan] = [
      this.#parent,
      this.#first,
      this.#next,
      this.#rowOfSpan,
    ];
    let [span, above, rows] = [root, -1, this.rows];
    for (;;) {
      spanOfRow[rows] = span;
      parentRow[rows] = above;
      depth[rows] = above < 0 ? 0 : Math.min((depth[above] ?? 0) + 1, DEPTH_MAX);
      rowOfSpan[span] = rows;
      above = rows;
      rows += 1;
      // Where a circle was cut, a child was met before its parent.
      let below = first[span] ?? -1;
      while (below >= 0 && (rowOfSpan[below] ?? -1) >= 0) below = next[below] ?? -1;
      while (below < 0) {
        const row = rowOfSpan[span] ?? 0;
        descendants[row] = rows - row - 1;
        if (span === root) {
          this.rows = rows;
          return;
        }
        above = parentRow[row] ?? -1;
        below = next[span] ?? -1;
        while (below >= 0 && (rowOfSpan[below] ?? -1) >= 0) below = next[below] ?? -1;
        span = parent[span] ?? root;
      }
      span = below;
    }
  }
}
