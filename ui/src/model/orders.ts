// In which order traces are found.

/** Exact orders of a search: its first page has the first of all traces. */
export const ORDERS = {
  newest: "Newest first",
  oldest: "Oldest first",
  longest: "Longest first",
  shortest: "Shortest first",
  mostSpans: "Most spans",
  mostErrors: "Most errors",
} as const;

export type Order = keyof typeof ORDERS;

export function isOrder(text: string): text is Order {
  return text in ORDERS;
}
