// Answers of the server, kept while they are fresh: a small cache with one entry for each
// question. Two who ask the same share one request; what nobody waits for is broken off.

import { useEffect, useMemo, useRef } from "react";
import { ApiError, isAbort } from "../api/http";
import { MICROS_PER_MILLI, wallClock } from "../base/time";
import { Store, useArrived } from "./store";

const RETRIES_MAX = 1;
const RETRY_MILLIS = 400;
/** For longer nobody waits without being told why. */
const RETRY_MILLIS_MAX = 2_000;
/** An answer that nobody looks at is forgotten after this long. */
const KEEP_MILLIS = 120_000;

export interface Question<T> {
  /** Equal keys are the same question. */
  readonly key: string;
  readonly ask: (signal: AbortSignal) => Promise<T>;
  /** For so long an answer is not asked for again; for ever by default. */
  readonly freshMillis?: number;
  /** Ask again and again. */
  readonly pollMillis?: number;
  /** False asks nothing. */
  readonly isEnabled?: boolean;
  /** Show the answer to the question before until this one is answered. */
  readonly keepsPrevious?: boolean;
}

export interface Reply<T> {
  readonly data: T | undefined;
  /** Set while the latest attempt failed; the last good answer stays in `data`. */
  readonly error: Error | undefined;
  readonly isFetching: boolean;
  /** `data` answers the question before. */
  readonly isPrevious: boolean;
  readonly refetch: () => void;
}

interface Known {
  readonly data: unknown;
  readonly error: Error | undefined;
  readonly isFetching: boolean;
}

const NOTHING: Known = { data: undefined, error: undefined, isFetching: false };

class Entry {
  readonly store = new Store<Known>(NOTHING);
  #answeredAt = Number.NEGATIVE_INFINITY;
  #users = 0;
  #running: AbortController | undefined;
  #forget: ReturnType<typeof setTimeout> | undefined;

  use(onForgotten: () => void): () => void {
    this.#users += 1;
    clearTimeout(this.#forget);
    return () => {
      this.#users -= 1;
      if (this.#users > 0) return;
      this.#stop();
      this.#forget = setTimeout(onForgotten, KEEP_MILLIS);
    };
  }

  #stop(): void {
    if (this.#running === undefined) return;
    this.#running.abort();
    this.#running = undefined;
    this.store.set({ ...this.store.get(), isFetching: false });
  }

  isFresh(millis: number): boolean {
    return performance.now() - this.#answeredAt < millis;
  }

  async run(ask: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    if (this.#running !== undefined) return;
    const controller = new AbortController();
    this.#running = controller;
    this.store.set({ ...this.store.get(), isFetching: true });
    try {
      const data = await withRetries(() => ask(controller.signal));
      if (controller.signal.aborted) return;
      this.#answeredAt = performance.now();
      this.store.set({ data, error: undefined, isFetching: false });
    } catch (thrown) {
      if (controller.signal.aborted) return;
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.store.set({ ...this.store.get(), error, isFetching: false });
    }
    this.#running = undefined;
  }
}

/** Only what may be over in a moment is worth another try. */
export async function withRetries<T>(ask: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      const pause = pauseAfter(error);
      if (failures >= RETRIES_MAX || pause === undefined || isAbort(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** How long to wait, as the server asks; undefined if there is no use in another try so soon. */
function pauseAfter(error: unknown): number | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const { notBefore } = error.told;
  if (notBefore !== undefined) {
    const pause = (notBefore - wallClock()) / MICROS_PER_MILLI;
    return pause > RETRY_MILLIS_MAX ? undefined : Math.max(pause, RETRY_MILLIS);
  }
  return error.kind === "network" || error.kind === "unavailable" ? RETRY_MILLIS : undefined;
}

const entries = new Map<string, Entry>();

function entryOf(key: string): Entry {
  const known = entries.get(key);
  if (known !== undefined) return known;
  const entry = new Entry();
  entries.set(key, entry);
  return entry;
}

/** Asks now what a page will ask in a moment. */
export function askEarly<T>({ key, ask }: Question<T>): void {
  void entryOf(key).run(ask);
}

export function useQuery<T>(question: Question<T>): Reply<T> {
  const { key, freshMillis = Number.POSITIVE_INFINITY, pollMillis, isEnabled = true } = question;
  const entry = useMemo(() => entryOf(key), [key]);
  const latest = useRef(question);
  latest.current = question;
  const known = useArrived(entry.store) as Known & { readonly data: T | undefined };
  useEffect(() => {
    if (!isEnabled) return;
    const release = entry.use(() => {
      if (entries.get(key) === entry) entries.delete(key);
    });
    const run = () => void entry.run(latest.current.ask);
    if (!entry.isFresh(freshMillis)) run();
    const timer = pollMillis === undefined ? undefined : setInterval(run, pollMillis);
    return () => {
      clearInterval(timer);
      release();
    };
  }, [entry, key, isEnabled, freshMillis, pollMillis]);
  const previous = useRef<T | undefined>(undefined);
  if (known.data !== undefined) previous.current = known.data;
  const isPrevious = known.data === undefined && question.keepsPrevious === true;
  return {
    data: isPrevious ? previous.current : known.data,
    error: known.error,
    isFetching: known.isFetching,
    isPrevious: isPrevious && previous.current !== undefined,
    refetch: () => void entry.run(latest.current.ask),
  };
}
