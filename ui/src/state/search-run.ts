// A search as it runs: traces appear as shards answer, and further pages are appended. What was
// found stays for a while, so that the way back from a trace shows it at once.

import { useEffect, useMemo, useRef } from "react";
import { ApiError, isAbort } from "../api/http";
import { type SearchEnd, search } from "../api/search";
import { wallClock } from "../base/time";
import { beforeEarly, type SearchProgress, withEarly } from "../model/early";
import { printSearch, resolveWindow, type SearchQuery, type TimeSpan } from "../model/search-query";
import type { TraceSummary } from "../model/summary";
import { Store, useArrived } from "./store";

/** Searches whose results are kept. */
const RUNS_MAX = 6;
/** More rows than anyone scrolls through; a narrower search shows the others. */
export const RESULTS_MAX = 20_000;

export interface Found {
  /** The window as it was when the search began. */
  readonly window: TimeSpan;
  readonly traces: readonly TraceSummary[];
  /** Undefined until the first page is complete. */
  readonly end: SearchEnd | undefined;
  /** While shards still answer: traces may come before and between those that are shown. */
  readonly progress: SearchProgress | undefined;
  readonly error: Error | undefined;
  readonly isRunning: boolean;
}

class SearchRun {
  readonly store: Store<Found>;
  readonly #query: SearchQuery;
  #controller: AbortController | undefined;

  constructor(query: SearchQuery) {
    this.#query = query;
    this.store = new Store<Found>({
      window: resolveWindow(query.window, wallClock()),
      traces: [],
      end: undefined,
      progress: undefined,
      error: undefined,
      isRunning: false,
    });
  }

  /** Asks for the first page, or for it again if it never came. */
  start(): void {
    const { end, isRunning } = this.store.get();
    if (end === undefined && !isRunning) void this.#ask(undefined);
  }

  more(): void {
    const { end, isRunning } = this.store.get();
    if (end?.cursor !== undefined && !isRunning) void this.#ask(end.cursor);
  }

  stop(): void {
    this.#controller?.abort();
    this.#change({ isRunning: false, progress: undefined });
  }

  async #ask(cursor: string | undefined): Promise<void> {
    const controller = new AbortController();
    this.#controller = controller;
    const before = cursor === undefined ? [] : this.store.get().traces;
    const known = new Set(before.map((trace) => trace.traceId));
    const { limit } = this.#query;
    let answer: readonly TraceSummary[] = [];
    let early: readonly TraceSummary[] = [];
    const show = (page: readonly TraceSummary[], more: Partial<Found>) => {
      // Between two pages a trace can move in the order; it is shown once.
      const fresh = page.filter(({ traceId }) => !known.has(traceId));
      this.#change({ traces: [...before, ...fresh].slice(0, RESULTS_MAX), ...more });
    };
    show([], { isRunning: true, error: undefined, progress: undefined });
    const { signal } = controller;
    try {
      const end = await search(
        this.#query,
        this.store.get().window,
        cursor,
        (found) => {
          if (signal.aborted) return;
          answer = [...answer, ...found];
          show(beforeEarly(answer, early, limit), { progress: undefined });
        },
        signal,
        (progress, told) => {
          if (signal.aborted) return;
          early = withEarly(early, told, limit);
          show(early, { progress });
        },
      );
      if (!signal.aborted) show(answer, { end, progress: undefined, isRunning: false });
    } catch (thrown) {
      if (signal.aborted || isAbort(thrown)) return;
      const error = thrown instanceof Error ? thrown : new ApiError("malformed", 0, "", "failed");
      this.#change({ error, progress: undefined, isRunning: false });
    }
  }

  #change(change: Partial<Found>): void {
    this.store.set({ ...this.store.get(), ...change });
  }
}

const runs = new Map<string, SearchRun>();

function runOf(key: string, query: SearchQuery): SearchRun {
  const known = runs.get(key);
  if (known !== undefined) return known;
  const run = new SearchRun(query);
  runs.set(key, run);
  for (const [oldest] of runs) {
    if (runs.size <= RUNS_MAX) break;
    runs.delete(oldest);
  }
  return run;
}

export interface SearchView extends Found {
  /** What is shown was found by the search before. */
  readonly isPrevious: boolean;
  readonly more: () => void;
  readonly stop: () => void;
}

/** `attempt` counts how often the same search was asked for: a window may move with the clock. */
export function useSearchRun(query: SearchQuery, attempt: number): SearchView {
  const key = `${attempt} ${printSearch(query)}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal queries have equal keys.
  const run = useMemo(() => runOf(key, query), [key]);
  const found = useArrived(run.store);
  useEffect(() => {
    run.start();
    return () => run.stop();
  }, [run]);
  const previous = useRef<Found | undefined>(undefined);
  const isEmpty = found.traces.length === 0 && found.end === undefined;
  if (!isEmpty) previous.current = found;
  // That the search before found nothing says nothing of one that failed.
  const before =
    found.error && previous.current?.traces.length === 0 ? undefined : previous.current;
  const shown = isEmpty ? (before ?? found) : found;
  return {
    ...shown,
    // Of the search that was asked, also over what the one before it found.
    error: found.error,
    isRunning: found.isRunning,
    isPrevious: shown !== found,
    more: () => run.more(),
    stop: () => run.stop(),
  };
}
