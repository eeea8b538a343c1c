// Which span of Jaeger's JSON belongs to which row of the columns: by id, and where several spans
// share one, or a repair gave one a new id, by when it began.

import type { JaegerSpan, JaegerTrace } from "./jaeger-json";
import { operationOf, spanIdOf, type TraceColumns } from "./trace";

/**
 * For each row the index of its span, -1 if the JSON has none. With `rows` only these are looked
 * at: the JSON has the spans of these alone.
 */
export function rowsOfSpans(
  columns: TraceColumns,
  trace: JaegerTrace,
  rows: Iterable<number> = new Array(columns.count).keys(),
): Int32Array {
  const byId = new Map<string, number[]>();
  trace.spans.forEach((span, index) => {
    const id = span.spanID.toLowerCase().padStart(16, "0");
    const known = byId.get(id);
    if (known === undefined) byId.set(id, [index]);
    else known.push(index);
  });
  const taken = new Uint8Array(trace.spans.length);
  const spanOfRow = new Int32Array(columns.count).fill(-1);
  const take = (row: number, index: number) => {
    spanOfRow[row] = index;
    taken[index] = 1;
  };
  const left: number[] = [];
  for (const row of rows) {
    const candidates = byId.get(spanIdOf(columns, row)) ?? [];
    const chosen =
      candidates.length === 1
        ? candidates[0]
        : candidates.find(
            (index) => taken[index] !== 1 && isLike(columns, row, trace.spans[index]),
          );
    if (chosen !== undefined && taken[chosen] !== 1) take(row, chosen);
    else left.push(row);
  }
  if (left.length > 0) {
    const free = trace.spans.map((_, index) => index).filter((index) => taken[index] !== 1);
    for (const row of left) {
      const chosen = free.find(
        (index) => taken[index] !== 1 && isLike(columns, row, trace.spans[index]),
      );
      if (chosen !== undefined) take(row, chosen);
    }
  }
  return spanOfRow;
}

/** The JSON knows whole microseconds only. */
function isLike(columns: TraceColumns, row: number, span: JaegerSpan | undefined): boolean {
  if (span === undefined || span.operationName !== operationOf(columns, row)) return false;
  const start = columns.origin + (columns.start[row] ?? 0);
  return Math.abs(span.startTime - start) <= 1;
}
