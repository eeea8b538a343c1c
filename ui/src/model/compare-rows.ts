// Two traces laid on each other span by span: a span of the one belongs to that of the other which
// was called on the same way, as the same one of its kind. What has no counterpart stands alone.

import { Flag, type TraceColumns } from "./trace";

/** One line of the two: a span of the left trace, of the right one, or of both. */
export interface SpanPairs {
  readonly count: number;
  /** Row in the left trace, -1 where only the right one has the span; and the other way round. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** The line above it in the tree, -1 at the top. */
  readonly parent: Int32Array;
  readonly depth: Uint16Array;
  /** There were more than are listed. */
  readonly isCut: boolean;
}

/** More than anyone scrolls through; a larger pair of traces is compared by its paths. */
export const PAIRS_MAX = 50_000;

/** Depth first, what happened earlier before what happened later, by the left trace's clock. */
export function pairSpans(left: TraceColumns, right: TraceColumns): SpanPairs {
  const pairs: Pair[] = [];
  const top = paired(
    left,
    right,
    within(left, 0, left.count),
    within(right, 0, right.count),
    -1,
    0,
  );
  const stack = top.reverse();
  let next = stack.pop();
  for (; next !== undefined && pairs.length < PAIRS_MAX; next = stack.pop()) {
    const line = pairs.length;
    pairs.push(next);
    const [a, b] = [below(left, next.left), below(right, next.right)];
    for (const each of paired(left, right, a, b, line, next.depth + 1).reverse()) stack.push(each);
  }
  const of = (field: "left" | "right" | "parent") => Int32Array.from(pairs, (pair) => pair[field]);
  return {
    count: pairs.length,
    left: of("left"),
    right: of("right"),
    parent: of("parent"),
    depth: Uint16Array.from(pairs, (pair) => Math.min(pair.depth, 0xffff)),
    isCut: next !== undefined,
  };
}

interface Pair {
  readonly left: number;
  readonly right: number;
  readonly parent: number;
  readonly depth: number;
}

/** What a row has called, in order of their starts. */
function below(trace: TraceColumns, row: number): number[] {
  return row < 0 ? [] : within(trace, row + 1, row + 1 + (trace.descendants[row] ?? 0));
}

/** The subtrees of these rows, by their first rows. */
function within(trace: TraceColumns, from: number, to: number): number[] {
  const rows: number[] = [];
  for (let row = from; row < to && rows.length < PAIRS_MAX; ) {
    rows.push(row);
    row += 1 + (trace.descendants[row] ?? 0);
  }
  return rows;
}

/** The n-th call of a name belongs to the n-th call of the same name on the other side. */
function paired(
  left: TraceColumns,
  right: TraceColumns,
  ofLeft: readonly number[],
  ofRight: readonly number[],
  parent: number,
  depth: number,
): Pair[] {
  const waiting = new Map<string, number[]>();
  for (const row of ofRight) {
    const name = nameOf(right, row);
    const rows = waiting.get(name);
    if (rows) rows.push(row);
    else waiting.set(name, [row]);
  }
  for (const rows of waiting.values()) rows.reverse();
  const pairs = ofLeft.map((row): Pair => {
    const other = waiting.get(nameOf(left, row))?.pop() ?? -1;
    return { left: row, right: other, parent, depth };
  });
  const alone = [...waiting.values()].flat();
  if (alone.length === 0) return pairs;
  for (const row of alone) pairs.push({ left: -1, right: row, parent, depth });
  const startOf = (pair: Pair) =>
    pair.left >= 0 ? (left.start[pair.left] ?? 0) : (right.start[pair.right] ?? 0);
  return pairs.sort((one, other) => startOf(one) - startOf(other));
}

function nameOf(trace: TraceColumns, row: number): string {
  const service = trace.services[trace.service[row] ?? 0] ?? "";
  return `${service}\n${trace.operations[trace.operation[row] ?? 0] ?? ""}`;
}

/** Less than this share of the longer trace is nothing that anyone looks for. */
const NOTABLE_OF_TRACE = 0.005;
/** And less than this share of the span itself is how spans vary. */
const NOTABLE_OF_SPAN = 0.1;

/** Whether a line is worth a look: on one side only, failed on one side only, or of another length. */
export function differs(
  left: TraceColumns,
  right: TraceColumns,
  pairs: SpanPairs,
  line: number,
): boolean {
  const [a, b] = [pairs.left[line] ?? -1, pairs.right[line] ?? -1];
  if (a < 0 || b < 0) return true;
  const failed = (trace: TraceColumns, row: number) => (trace.flags[row] ?? 0) & Flag.error;
  if (failed(left, a) !== failed(right, b)) return true;
  const [one, other] = [left.length[a] ?? 0, right.length[b] ?? 0];
  const by = Math.abs(one - other);
  const longer = Math.max(left.duration, right.duration);
  return by >= NOTABLE_OF_TRACE * longer && by >= NOTABLE_OF_SPAN * Math.max(one, other);
}

/** The lines that are worth a look, and what is above them in the tree. */
export function notableLines(
  left: TraceColumns,
  right: TraceColumns,
  pairs: SpanPairs,
): readonly number[] {
  const isShown = new Uint8Array(pairs.count);
  // From the end: what is below a line comes after it.
  for (let line = pairs.count - 1; line >= 0; line -= 1) {
    if (isShown[line] !== 1 && !differs(left, right, pairs, line)) continue;
    isShown[line] = 1;
    const parent = pairs.parent[line] ?? -1;
    if (parent >= 0) isShown[parent] = 1;
  }
  return [...isShown.keys()].filter((line) => isShown[line] === 1);
}
