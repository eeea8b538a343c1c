// What a search shows while shards still answer: the first traces of those that are known so far,
// which later ones may push down and out.

import type { TraceSummary } from "./summary";

export interface SearchProgress {
  /** Shards that were asked. */
  readonly shards: number;
  readonly answered: number;
  /** Shards that failed to. */
  readonly missing: number;
  readonly spansScanned: number;
}

export interface EarlyTrace {
  /** How many of those told so far stand before it. */
  readonly place: number;
  readonly trace: TraceSummary;
}

/** Each at its place, in the order in which they were told; the first `limit` stay. */
export function withEarly(
  known: readonly TraceSummary[],
  early: readonly EarlyTrace[],
  limit: number,
): readonly TraceSummary[] {
  const traces = [...known];
  for (const { place, trace } of early) traces.splice(place, 0, trace);
  return traces.slice(0, limit);
}

/** The beginning of the answer, and behind it what was known before it came. */
export function beforeEarly(
  answer: readonly TraceSummary[],
  early: readonly TraceSummary[],
  limit: number,
): readonly TraceSummary[] {
  const known = new Set(answer.map(({ traceId }) => traceId));
  return [...answer, ...early.filter(({ traceId }) => !known.has(traceId))].slice(0, limit);
}

/**
 * What a list that is looked at shows next: rows that come below at once; whatever would move those
 * on the screen waits, and how many are new among it is told.
 */
export function steadied(
  shown: readonly TraceSummary[],
  next: readonly TraceSummary[],
): { readonly shown: readonly TraceSummary[]; readonly waiting: number } {
  const moves =
    next.length < shown.length ||
    shown.some(({ traceId }, index) => next[index]?.traceId !== traceId);
  if (!moves) return { shown: next, waiting: 0 };
  const known = new Set(shown.map(({ traceId }) => traceId));
  const fresh = next.filter(({ traceId }) => !known.has(traceId)).length;
  // The same rows in another order wait too.
  return { shown, waiting: Math.max(fresh, 1) };
}
