// In which forms the results of a search are shown, and what the columns of the table sort by.

import type { Order } from "./orders";

export const FORMS = ["list", "table", "spans"] as const;
export type Form = (typeof FORMS)[number];

export function isForm(text: string | null): text is Form {
  return FORMS.some((form) => form === text);
}

/** The server's orders by column: what a click asks for, and what the next one does. */
const ORDERS_OF = {
  start: ["newest", "oldest"],
  duration: ["longest", "shortest"],
  spans: ["mostSpans"],
  errors: ["mostErrors"],
} as const satisfies Readonly<Record<string, readonly Order[]>>;

export type SortColumn = keyof typeof ORDERS_OF;

export function isSortColumn(column: string): column is SortColumn {
  return column in ORDERS_OF;
}

/** The order that a click on a column's head asks for. */
export function orderAfterClick(column: SortColumn, current: Order): Order {
  const orders: readonly Order[] = ORDERS_OF[column];
  const at = orders.indexOf(current);
  return orders[(at + 1) % orders.length] ?? current;
}

/** How a column is sorted; undefined if another one is. */
export function sortOf(column: SortColumn, current: Order): "ascending" | "descending" | undefined {
  const at = (ORDERS_OF[column] as readonly Order[]).indexOf(current);
  if (at < 0) return undefined;
  return at === 0 ? "descending" : "ascending";
}
