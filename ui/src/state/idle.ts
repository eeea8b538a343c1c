// What can wait until the page shows what was asked for: whoever opens a trace waits for its rows,
// and everything else that is done meanwhile makes them later.

import { useEffect, useState } from "react";

/** Even a page that never rests gets to it. */
const WAIT_MILLIS_MAX = 1_000;

/** Calls `work` once the page has been painted and rests; what comes back takes that back. */
export function whenIdle(work: () => void): () => void {
  // Not every browser tells when it rests.
  if (typeof requestIdleCallback !== "function") {
    const timer = setTimeout(work, WAIT_MILLIS_MAX / 10);
    return () => clearTimeout(timer);
  }
  let asked: number;
  const frame = requestAnimationFrame(() => {
    asked = requestIdleCallback(work, { timeout: WAIT_MILLIS_MAX });
  });
  return () => {
    cancelAnimationFrame(frame);
    if (asked !== undefined) cancelIdleCallback(asked);
  };
}

/** False until the page rests for the first time. */
export function useIdle(): boolean {
  const [isIdle, setIdle] = useState(false);
  useEffect(() => whenIdle(() => setIdle(true)), []);
  return isIdle;
}
