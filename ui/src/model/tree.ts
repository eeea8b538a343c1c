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
  const children = linkChildren(spans);
  const ordered: Ordered = {
    spanOfRow: new Int32Array(count),
    parent: new Int32Array(count).fill(-1),
    depth: new Uint16Array(count),
    descendants: new Int32Array(count),
  };
  const rowOfSpan = new Int32Array(count).fill(-1);
  let nextRow = 0;
  const visit = (root: number) => {
    nextRow = visitTree(root, spans.parent, children, ordered, rowOfSpan, nextRow);
  };
  for (const span of children.byStart) if ((spans.parent[span] ?? -1) < 0) visit(span);
  // Invariant: what no root reaches is a circle of parents or hangs off one; the circle is cut
  // where it starts first, so nothing is lost.
  for (const span of children.byStart) if ((rowOfSpan[span] ?? -1) < 0) visit(span);
  countDescendants(ordered);
  return ordered;
}

interface Children {
  readonly byStart: Int32Array;
  readonly first: Int32Array;
  readonly next: Int32Array;
}

/** Lists of children in order of start, as linked lists in two arrays. */
function linkChildren({ parent, start }: Unordered): Children {
  const count = parent.length;
  const byStart = inOrderOf(start);
  const first = new Int32Array(count).fill(-1);
  const next = new Int32Array(count).fill(-1);
  for (let index = count - 1; index >= 0; index -= 1) {
    const span = byStart[index] ?? 0;
    const above = parent[span] ?? -1;
    if (above < 0) continue;
    next[span] = first[above] ?? -1;
    first[above] = span;
  }
  return { byStart, first, next };
}

/** Indexes in order of their values, equal ones as they came. */
function inOrderOf(values: Float64Array): Int32Array {
  const order = Int32Array.from(values, (_, index) => index);
  if (isAscending(values)) return order;
  return order.sort((left, right) => (values[left] ?? 0) - (values[right] ?? 0) || left - right);
}

function isAscending(values: Float64Array): boolean {
  for (let index = 1; index < values.length; index += 1) {
    if ((values[index] ?? 0) < (values[index - 1] ?? 0)) return false;
  }
  return true;
}

function visitTree(
  root: number,
  parents: Int32Array,
  children: Children,
  ordered: Ordered,
  rowOfSpan: Int32Array,
  firstRow: number,
): number {
  let row = firstRow;
  const take = (span: number, isRoot: boolean) => {
    const above = isRoot ? -1 : (rowOfSpan[parents[span] ?? -1] ?? -1);
    ordered.spanOfRow[row] = span;
    ordered.parent[row] = above;
    ordered.depth[row] = above < 0 ? 0 : Math.min((ordered.depth[above] ?? 0) + 1, DEPTH_MAX);
    rowOfSpan[span] = row;
    row += 1;
  };
  take(root, true);
  // The next sibling to visit at each level.
  const pending = [children.first[root] ?? -1];
  while (pending.length > 0) {
    const span = pending[pending.length - 1] ?? -1;
    if (span < 0) {
      pending.pop();
      continue;
    }
    pending[pending.length - 1] = children.next[span] ?? -1;
    if ((rowOfSpan[span] ?? -1) >= 0) continue;
    take(span, false);
    pending.push(children.first[span] ?? -1);
  }
  return row;
}

function countDescendants({ parent, descendants }: Ordered): void {
  for (let row = parent.length - 1; row >= 0; row -= 1) {
    const above = parent[row] ?? -1;
    if (above >= 0) {
      descendants[above] = (descendants[above] ?? 0) + (descendants[row] ?? 0) + 1;
    }
  }
}
