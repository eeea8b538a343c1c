// In which order rows of figures stand, which of them are looked for, and how the address says it.

import type { RedRow } from "./red";
import type { Change } from "./red-change";

const COLUMNS = ["name", "rate", "errorShare", "p50", "p95", "p99", "impact", "change"] as const;
export type RedColumn = (typeof COLUMNS)[number];

/** A name falls, a figure rises from bottom to top, until it is chosen again. */
export interface RedOrder {
  readonly by: RedColumn;
  readonly isReversed: boolean;
}

const FIRST: RedOrder = { by: "impact", isReversed: false };

/** A column, with a minus in front if it is turned round; of anything else what comes first. */
export function parseRedOrder(text: string | null): RedOrder {
  const isReversed = text?.startsWith("-") === true;
  const name = text?.slice(isReversed ? 1 : 0);
  const by = COLUMNS.find((column) => column === name);
  return by === undefined ? FIRST : { by, isReversed };
}

/** Undefined for the order that comes first. */
export function printRedOrder({ by, isReversed }: RedOrder): string | undefined {
  const isFirst = by === FIRST.by && isReversed === FIRST.isReversed;
  return isFirst ? undefined : `${isReversed ? "-" : ""}${by}`;
}

/** A column that is chosen again is turned round. */
export function redOrderAfter(order: RedOrder, chosen: RedColumn): RedOrder {
  return { by: chosen, isReversed: order.by === chosen && !order.isReversed };
}

/** How a column is sorted, from top to bottom; undefined if another one is. */
export function sortedBy(
  order: RedOrder,
  column: RedColumn,
): "ascending" | "descending" | undefined {
  if (order.by !== column) return undefined;
  return (column === "name") === order.isReversed ? "descending" : "ascending";
}

/** A service or an operation. */
export interface RedEntry {
  readonly name: string;
  /** Undefined if it has no figures. */
  readonly row: RedRow | undefined;
  /** Undefined while the window before is not known. */
  readonly changes: readonly Change[] | "new" | undefined;
}

/** Those with `find` in their name; what has no figures stands last, and equal ones by name. */
export function listed(
  entries: readonly RedEntry[],
  find: string,
  { by, isReversed }: RedOrder,
): readonly RedEntry[] {
  const wanted = find.toLowerCase();
  const sign = isReversed ? -1 : 1;
  return entries
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .sort((left, right) => {
      const names = left.name.localeCompare(right.name);
      if (by === "name") return sign * names;
      const [one, other] = [keysOf(left, by), keysOf(right, by)];
      if (one === undefined || other === undefined) {
        return Number(one === undefined) - Number(other === undefined) || names;
      }
      return sign * difference(other, one) || names;
    });
}

function keysOf(
  { row, changes }: RedEntry,
  by: Exclude<RedColumn, "name">,
): readonly number[] | undefined {
  if (by !== "change") return row && [row[by]];
  if (row === undefined || changes === undefined) return undefined;
  if (changes === "new") return [0, 0, Number.MAX_VALUE];
  // What fails more is worse than what takes longer, and that than what is asked more or less.
  const of = (name: Change["name"]) => changes.find((change) => change.name === name)?.by ?? 0;
  return [of("errors"), of("p95"), Math.abs(of("rate"))];
}

/** Of the first keys that differ. */
function difference(left: readonly number[], right: readonly number[]): number {
  const place = left.findIndex((key, index) => key !== right[index]);
  return place < 0 ? 0 : (left[place] ?? 0) - (right[place] ?? 0);
}
