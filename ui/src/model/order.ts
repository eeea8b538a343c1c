// Rows of a trace in the order of one of their columns.

import type { TraceColumns } from "./trace";

export const SORTS = ["start", "service", "operation", "duration", "self", "errors"] as const;
export type SortBy = (typeof SORTS)[number];

/** Equal rows stay in the order of the tree. */
export function sortedRows(
  trace: TraceColumns,
  by: SortBy,
  isDescending: boolean,
): Int32Array<ArrayBuffer> {
  const keys = keysOf(trace, by);
  const sign = isDescending ? -1 : 1;
  const rows = new Int32Array(trace.count);
  for (let row = 0; row < rows.length; row += 1) rows[row] = row;
  return rows.sort(
    (left, right) => sign * ((keys[left] ?? 0) - (keys[right] ?? 0)) || left - right,
  );
}

function keysOf(trace: TraceColumns, by: SortBy): ArrayLike<number> {
  switch (by) {
    case "start":
      return trace.start;
    case "duration":
      return trace.length;
    case "self":
      return trace.self;
    case "errors":
      return trace.flags.map((flags) => flags & 1);
    case "service": {
      const places = placesOf(trace.services);
      return Uint32Array.from(trace.service, (name) => places[name] ?? 0);
    }
    case "operation": {
      const places = placesOf(trace.operations);
      return Uint32Array.from(trace.operation, (name) => places[name] ?? 0);
    }
  }
}

/** For each name its place in the alphabet. */
function placesOf(names: readonly string[]): Uint32Array {
  const order = names.map((_, index) => index);
  order.sort((left, right) => (names[left] ?? "").localeCompare(names[right] ?? ""));
  const places = new Uint32Array(names.length);
  order.forEach((name, place) => {
    places[name] = place;
  });
  return places;
}
