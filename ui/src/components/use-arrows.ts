// The links of the span under the pointer, asked for once the pointer rests on it.

import { useCallback, useEffect, useRef } from "react";
import { Flag, hasFlag, rowOfSpanId } from "../model/trace";
import type { TraceView } from "../state/trace-view";
import type { Arrows } from "../timeline/arrows";

const REST_MILLIS = 120;

/** `changed` is called when there are others; `hover` with the row under the pointer, or -1. */
export function useArrows(view: TraceView, changed: (arrows: Arrows | null) => void) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const current = useRef(-1);
  const hover = useCallback(
    (row: number) => {
      if (current.current === row) return;
      current.current = row;
      clearTimeout(timer.current);
      changed(null);
      if (row < 0) return;
      const look = async () => {
        const [to, from] = await Promise.all([linkedTo(view, row), view.source.linkedFrom(row)]);
        if (current.current === row && to.length + from.length > 0) changed({ row, to, from });
      };
      // What cannot be had is not shown: the panel of the span says why.
      timer.current = setTimeout(() => void look().catch(() => undefined), REST_MILLIS);
    },
    [view, changed],
  );
  useEffect(() => () => clearTimeout(timer.current), []);
  return hover;
}

/** Rows of this trace that a span links to; one without links is not asked about. */
async function linkedTo(view: TraceView, row: number): Promise<readonly number[]> {
  if (!hasFlag(view.trace, row, Flag.links)) return [];
  const [span] = await view.source.details([row]);
  const own = (span?.links ?? []).filter(({ traceId }) => traceId === view.trace.traceId);
  return own.map(({ spanId }) => rowOfSpanId(view.trace, spanId)).filter((to) => to >= 0);
}
