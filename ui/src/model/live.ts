// The traces of a live search: what arrived since it began, beside what had been found before. Rows
// never move under the pointer: while the list is held, new ones wait.

import type { TraceSummary } from "./summary";

/** Newest first; more are let go at the end. */
export const LIVE_TRACES_MAX = 5_000;

export interface LiveTraces {
  /** Shown above what the search found, newest first. */
  readonly shown: readonly TraceSummary[];
  /** What is known and not shown yet. */
  readonly waiting: ReadonlyMap<string, TraceSummary>;
}

export const NO_LIVE_TRACES: LiveTraces = { shown: [], waiting: new Map() };

/** Takes in what one look found; a trace that grew is replaced where it stands. */
export function taken(
  live: LiveTraces,
  found: readonly TraceSummary[],
  isHeld: boolean,
): LiveTraces {
  const news = new Map(live.waiting);
  const grown = new Map<string, TraceSummary>();
  const places = new Set(live.shown.map(({ traceId }) => traceId));
  for (const trace of found) {
    if (places.has(trace.traceId)) grown.set(trace.traceId, trace);
    else news.set(trace.traceId, trace);
  }
  const shown =
    grown.size === 0 ? live.shown : live.shown.map((each) => grown.get(each.traceId) ?? each);
  const next = { shown, waiting: news };
  return isHeld ? bounded(next) : released(next);
}

/** Shows what waits. */
export function released({ shown, waiting }: LiveTraces): LiveTraces {
  if (waiting.size === 0) return { shown, waiting };
  const all = [...waiting.values(), ...shown].sort(
    (left, right) => right.start - left.start || (left.traceId < right.traceId ? -1 : 1),
  );
  return { shown: all.slice(0, LIVE_TRACES_MAX), waiting: new Map() };
}

/** While the list is held, the oldest of those that wait are let go. */
function bounded({ shown, waiting }: LiveTraces): LiveTraces {
  if (waiting.size <= LIVE_TRACES_MAX) return { shown, waiting };
  const newest = [...waiting.values()].sort((left, right) => right.start - left.start);
  const kept = newest.slice(0, LIVE_TRACES_MAX).map((each) => [each.traceId, each] as const);
  return { shown, waiting: new Map(kept) };
}

/** One list, each trace once: a live one knows more than the search did. */
export function withLive(
  live: readonly TraceSummary[],
  found: readonly TraceSummary[],
): readonly TraceSummary[] {
  if (live.length === 0) return found;
  const known = new Set(live.map(({ traceId }) => traceId));
  return [...live, ...found.filter(({ traceId }) => !known.has(traceId))];
}
