// The trace that was open last in this tab, to come back to.

const KEY = "skua.last-trace";

export function rememberTrace(traceId: string): void {
  try {
    sessionStorage.setItem(KEY, traceId);
  } catch {
    // A browser that keeps nothing still shows traces.
  }
}

/** Empty if none was. */
export function lastTrace(): string {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}
