// The critical path as a list: every stretch of time in order, with the span that was at work.

import { type Micros, micros } from "../base/time";
import type { CriticalPath } from "./critical-path";

export interface Stretch {
  readonly row: number;
  /** From the origin of the trace. */
  readonly start: Micros;
  readonly length: Micros;
}

/** Stretches in order of time; those that follow each other on one span are one. */
export function stretchesOf(path: CriticalPath): readonly Stretch[] {
  const order = Array.from(path.row, (_, at) => at).sort(
    (left, right) =>
      (path.start[left] ?? 0) - (path.start[right] ?? 0) ||
      (path.row[left] ?? 0) - (path.row[right] ?? 0),
  );
  const found: { row: number; start: number; end: number }[] = [];
  for (const at of order) {
    const [row, start, end] = [path.row[at] ?? 0, path.start[at] ?? 0, path.end[at] ?? 0];
    const last = found.at(-1);
    if (last !== undefined && last.row === row && last.end >= start) last.end = end;
    else if (end > start) found.push({ row, start, end });
  }
  return found.map(({ row, start, end }) => ({
    row,
    start: micros(start),
    length: micros(end - start),
  }));
}
