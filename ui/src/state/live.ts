// A search that goes on: looks again and again for what is new, for as long as a page shows it.

import { useEffect, useRef, useState } from "react";
import { isAbort } from "../api/http";
import { search } from "../api/search";
import { earlier, micros, wallClock } from "../base/time";
import { type LiveTraces, NO_LIVE_TRACES, released, taken } from "../model/live";
import type { SearchQuery, TimeSpan } from "../model/search-query";
import type { TraceSummary } from "../model/summary";

const LOOK_MILLIS = 2_000;
/** One look takes so many at most; what a faster stream has more is counted, not shown. */
const LOOK_TRACES_MAX = 200;
/** Spans arrive late and from clocks that differ, so looks overlap. */
const OVERLAP = micros(10_000_000);

export interface Live {
  readonly traces: readonly TraceSummary[];
  /** New, and held back until the list is let go. */
  readonly waiting: number;
  /** More arrived than one look takes. */
  readonly isTooFast: boolean;
  readonly error: Error | undefined;
  /** Holds the list as it is, or lets it go. */
  readonly hold: (isHeld: boolean) => void;
  readonly release: () => void;
}

/** `began` is the end of the window of what was found before. */
export function useLive(query: SearchQuery, key: string, isOn: boolean, began: TimeSpan): Live {
  const [live, setLive] = useState<LiveTraces>(NO_LIVE_TRACES);
  const [isTooFast, setTooFast] = useState(false);
  const [error, setError] = useState<Error | undefined>();
  const isHeld = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal queries have equal keys.
  useEffect(() => {
    setLive(NO_LIVE_TRACES);
    setTooFast(false);
    setError(undefined);
    if (!isOn) return;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    let from = began.end;
    const look = async () => {
      const now = wallClock();
      const window = { start: earlier(from, OVERLAP), end: now };
      const asked: SearchQuery = { ...query, order: "newest", limit: LOOK_TRACES_MAX };
      const found: TraceSummary[] = [];
      try {
        const onTraces = (traces: readonly TraceSummary[]) => void found.push(...traces);
        const end = await search(asked, window, undefined, onTraces, controller.signal);
        from = now;
        setTooFast(end.cursor !== undefined);
        setError(undefined);
        setLive((before) => taken(before, found, isHeld.current));
      } catch (thrown) {
        if (controller.signal.aborted || isAbort(thrown)) return;
        setError(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
      if (!controller.signal.aborted) timer = setTimeout(() => void look(), LOOK_MILLIS);
    };
    void look();
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [key, isOn, began.end]);
  const release = () => setLive(released);
  return {
    traces: live.shown,
    waiting: live.waiting.size,
    isTooFast,
    error,
    hold: (held) => {
      isHeld.current = held;
      if (!held) release();
    },
    release,
  };
}
