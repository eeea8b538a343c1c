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

/** By a column or by the values of an attribute, and which way. */
export interface RowOrder {
  readonly by: SortBy | "value";
  readonly isDescending: boolean;
}

const FIRST: RowOrder = { by: "duration", isDescending: true };

/** `self` is ascending and `-self` descending; what is neither is the order that comes first. */
export function parseOrder(text: string | null): RowOrder {
  const isDescending = text?.startsWith("-") === true;
  const name = text?.slice(isDescending ? 1 : 0);
  const by = name === "value" ? name : SORTS.find((each) => each === name);
  return by === undefined ? FIRST : { by, isDescending };
}

/** Undefined for the order that comes first. */
export function printOrder({ by, isDescending }: RowOrder): string | undefined {
  const isFirst = by === FIRST.by && isDescending === FIRST.isDescending;
  return isFirst ? undefined : `${isDescending ? "-" : ""}${by}`;
}

/** Names are read from A on; of numbers the largest are wanted. */
export function orderAfter({ by, isDescending }: RowOrder, clicked: RowOrder["by"]): RowOrder {
  if (clicked === by) return { by, isDescending: !isDescending };
  const isText = clicked === "service" || clicked === "operation" || clicked === "value";
  return { by: clicked, isDescending: !isText };
}
