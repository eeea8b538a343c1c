// Opens a trace for as long as a page shows it.

import { useEffect, useState } from "react";
import { ApiError } from "../api/http";
import { openFile, openTrace, type TraceSource } from "../api/trace-source";

export type TraceState =
  | { readonly is: "loading" }
  | { readonly is: "open"; readonly source: TraceSource }
  | { readonly is: "failed"; readonly error: Error };

/** A stored trace by its id, or one of the traces in a file. */
export type TraceOrigin =
  | { readonly kind: "stored"; readonly traceId: string }
  | { readonly kind: "file"; readonly file: File; readonly index: number };

/** `attempt` is raised to try again. The origin must stay the same object while it does. */
export function useTrace(origin: TraceOrigin, attempt: number): TraceState {
  const [state, setState] = useState<TraceState>({ is: "loading" });
  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt opens the trace again.
  useEffect(() => {
    const controller = new AbortController();
    let source: TraceSource | undefined;
    setState({ is: "loading" });
    open(origin, controller.signal).then(
      (opened) => {
        source = opened;
        if (controller.signal.aborted) opened.close();
        else setState({ is: "open", source: opened });
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        const failure = error instanceof Error ? error : new Error(String(error));
        setState({ is: "failed", error: failure });
      },
    );
    return () => {
      controller.abort();
      source?.close();
    };
  }, [origin, attempt]);
  return state;
}

function open(origin: TraceOrigin, signal: AbortSignal): Promise<TraceSource> {
  if (origin.kind === "stored") return openTrace(origin.traceId, signal);
  return openFile(origin.file, origin.index, signal);
}

export function isNotFound(error: Error): boolean {
  return error instanceof ApiError && error.kind === "not-found";
}
