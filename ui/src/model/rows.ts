// Which spans are on the screen's list, given what is collapsed and filtered out.

import type { Runs } from "./runs";
import { ancestorsOf, type TraceColumns } from "./trace";

/** Rows of the trace that are shown, ascending. */
export type VisibleRows = Int32Array;

/**
 * Rows outside collapsed subtrees and, if `keep` is given, only those it marks. Of a run that is
 * folded its first row stands for all.
 */
export function visibleRows(
  trace: TraceColumns,
  collapsed: Uint8Array,
  keep: Uint8Array | null,
  runs: Runs | null = null,
): VisibleRows {
  const rows = new Int32Array(trace.count);
  if (keep === null && runs === null && !collapsed.includes(1)) {
    for (let row = 0; row < rows.length; row += 1) rows[row] = row;
    return rows;
  }
  let shown = 0;
  let row = 0;
  while (row < trace.count) {
    if (keep === null || keep[row] === 1) {
      rows[shown] = row;
      shown += 1;
    }
    const after = runs?.[row] ?? 0;
    row = after > 0 ? after : row + 1 + (collapsed[row] === 1 ? (trace.descendants[row] ?? 0) : 0);
  }
  return rows.slice(0, shown);
}

/** The place of a row in the list, or -1; a binary search. */
export function indexOfRow(rows: VisibleRows, row: number): number {
  const index = insertionPoint(rows, row);
  return rows[index] === row ? index : -1;
}

/** How many shown rows are before `row`. */
export function insertionPoint(rows: VisibleRows, row: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows[middle] ?? 0) < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Marks the given rows and all their ancestors: what a filter keeps. */
export function withAncestors(trace: TraceColumns, marked: Uint8Array): Uint8Array {
  const keep = Uint8Array.from(marked);
  for (let row = trace.count - 1; row >= 0; row -= 1) {
    const above = trace.parent[row] ?? -1;
    if (keep[row] === 1 && above >= 0) keep[above] = 1;
  }
  return keep;
}

/** Marks the rows that are wanted: matches if only those are, and spans of services not hidden. */
export function wantedRows(
  trace: TraceColumns,
  matches: Uint8Array | null,
  hidden: Uint8Array | null,
): Uint8Array {
  const wanted = new Uint8Array(trace.count);
  for (let row = 0; row < trace.count; row += 1) {
    const isMatch = matches === null || matches[row] === 1;
    wanted[row] = isMatch && hidden?.[trace.service[row] ?? 0] !== 1 ? 1 : 0;
  }
  return wanted;
}

/** Opens whatever hides `row`. */
export function reveal(trace: TraceColumns, collapsed: Uint8Array, row: number): Uint8Array {
  const opened = Uint8Array.from(collapsed);
  for (const ancestor of ancestorsOf(trace, row)) opened[ancestor] = 0;
  return opened;
}

/** Collapses every span at `depth` and below that has children. */
export function collapseFrom(trace: TraceColumns, depth: number): Uint8Array {
  return Uint8Array.from(trace.depth, (of, row) =>
    of >= depth && (trace.descendants[row] ?? 0) > 0 ? 1 : 0,
  );
}

/** The depth of the deepest row that still shows its children; -1 if none does. */
export function openDepth(trace: TraceColumns, collapsed: Uint8Array): number {
  let deepest = -1;
  for (let row = 0; row < trace.count; row += 1) {
    if (collapsed[row] === 1) {
      row += trace.descendants[row] ?? 0;
    } else if ((trace.descendants[row] ?? 0) > 0) {
      deepest = Math.max(deepest, trace.depth[row] ?? 0);
    }
  }
  return deepest;
}

/** The ancestors to pin above the list, outermost first, when it is scrolled to `firstIndex`. */
export function pinnedAncestors(
  trace: TraceColumns,
  rows: VisibleRows,
  firstIndex: number,
  pinnedMax: number,
): number[] {
  if (pinnedMax <= 0) return [];
  // Pinned rows cover rows of the list, so the row they describe is further down.
  let pinned: number[] = [];
  for (let covered = 0; covered <= pinnedMax; covered += 1) {
    const row = rows[firstIndex + covered];
    if (row === undefined) break;
    const above = ancestorsOf(trace, row).filter(
      (ancestor) => insertionPoint(rows, ancestor) < firstIndex + covered,
    );
    const hidden = above.slice(-pinnedMax);
    if (hidden.length <= covered) return hidden;
    pinned = hidden;
  }
  return pinned;
}
