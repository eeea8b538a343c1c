// The columns of several traces, opened one after another and kept for as long as the page is there.

import { useEffect, useState } from "react";
import { openTrace } from "../api/trace-source";
import type { Completeness } from "../model/completeness";
import type { TraceColumns } from "../model/trace";

export type KnownTrace =
  | {
      readonly is: "open";
      readonly columns: TraceColumns;
      readonly completeness: Completeness;
    }
  | { readonly is: "failed"; readonly error: Error };

/** By id; one that is not there yet is on its way. */
export function useTraces(ids: readonly string[]): ReadonlyMap<string, KnownTrace> {
  const [known, setKnown] = useState<ReadonlyMap<string, KnownTrace>>(new Map());
  const next = ids.find((id) => !known.has(id));
  useEffect(() => {
    if (next === undefined) return;
    const controller = new AbortController();
    const put = (trace: KnownTrace) => {
      if (!controller.signal.aborted) setKnown((before) => new Map([...before, [next, trace]]));
    };
    openTrace(next, controller.signal).then(
      (source) => {
        // Nothing is asked of it but what is here.
        source.close();
        put({ is: "open", columns: source.columns, completeness: source.completeness });
      },
      (error: unknown) => {
        put({ is: "failed", error: error instanceof Error ? error : new Error(String(error)) });
      },
    );
    return () => controller.abort();
  }, [next]);
  return known;
}
