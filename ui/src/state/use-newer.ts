// Tells when spans arrive for a trace that is shown: looked for less and less often, and only while
// the trace is young enough to be under way.

import { useEffect, useState } from "react";
import { countNewSpans, type TraceSource } from "../api/trace-source";
import { wallClock } from "../base/time";

const WAITS_MILLIS = [2_000, 4_000, 8_000, 16_000, 30_000];
/** A trace whose last span ended before is over. */
const YOUNG_MICROS = 120_000_000;

/** How many spans are there that are not shown. */
export function useNewer(source: TraceSource): number {
  const [newer, setNewer] = useState(0);
  useEffect(() => {
    const { columns, revision } = source;
    const end = columns.origin + columns.duration;
    if (revision === "" || wallClock() - end > YOUNG_MICROS) return;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const look = (turn: number) => {
      const wait = WAITS_MILLIS[turn];
      if (wait === undefined) return;
      timer = setTimeout(async () => {
        const known = { revision, spans: columns.count };
        const found = await countNewSpans(columns.traceId, known, controller.signal);
        if (controller.signal.aborted) return;
        setNewer(found);
        look(turn + 1);
      }, wait);
    };
    look(0);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [source]);
  return newer;
}
