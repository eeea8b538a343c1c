// The spans that made traces match, asked for trace by trace as the traces come into view.

import { useEffect, useMemo } from "react";
import { isAbort } from "../api/http";
import { fetchMatchedSpans } from "../api/matched-spans";
import { printSearch, type SearchQuery, type TimeSpan } from "../model/search-query";
import { type SpansOfTrace, spanQuestionOf } from "../model/span-rows";
import type { TraceSummary } from "../model/summary";
import { Store, useStore } from "./store";

class SpanFinder {
  readonly store = new Store<ReadonlyMap<string, SpansOfTrace>>(new Map());
  readonly #query: SearchQuery;
  readonly #window: TimeSpan;
  /** By trace id, how many spans the trace had when it was asked about. */
  readonly #asked = new Map<string, number>();
  #controller = new AbortController();

  constructor(query: SearchQuery, window: TimeSpan) {
    this.#query = query;
    this.#window = window;
  }

  /** Asks about those that were not asked about, or have grown since. */
  want(traces: readonly TraceSummary[]): void {
    for (const trace of traces) {
      if (this.#asked.get(trace.traceId) !== trace.spans) void this.#ask(trace);
    }
  }

  again(trace: TraceSummary): void {
    void this.#ask(trace);
  }

  stop(): void {
    this.#controller.abort();
    this.#controller = new AbortController();
    // What never came is asked for again by whoever wants it.
    for (const id of this.#asked.keys()) if (!this.store.get().has(id)) this.#asked.delete(id);
  }

  async #ask(trace: TraceSummary): Promise<void> {
    const { traceId, spans } = trace;
    const { signal } = this.#controller;
    this.#asked.set(traceId, spans);
    try {
      const question = spanQuestionOf(this.#query, this.#window, trace);
      const found = await fetchMatchedSpans(question, signal);
      if (!signal.aborted) this.#put(traceId, { is: "known", ...found });
    } catch (thrown) {
      if (signal.aborted || isAbort(thrown)) return;
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#put(traceId, { is: "failed", error });
    }
  }

  #put(traceId: string, found: SpansOfTrace): void {
    this.store.set(new Map([...this.store.get(), [traceId, found]]));
  }
}

export interface MatchedSpansView {
  readonly found: ReadonlyMap<string, SpansOfTrace>;
  /** Asks for the spans of these traces. */
  readonly want: (traces: readonly TraceSummary[]) => void;
  readonly again: (trace: TraceSummary) => void;
}

export function useMatchedSpans(query: SearchQuery, window: TimeSpan): MatchedSpansView {
  const key = `${printSearch(query)} ${window.start} ${window.end}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal questions have equal keys.
  const finder = useMemo(() => new SpanFinder(query, window), [key]);
  const found = useStore(finder.store);
  useEffect(() => () => finder.stop(), [finder]);
  return useMemo(
    () => ({
      found,
      want: (traces) => finder.want(traces),
      again: (trace) => finder.again(trace),
    }),
    [finder, found],
  );
}
