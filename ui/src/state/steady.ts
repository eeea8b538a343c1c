// A list that does not move while it is looked at.

import { useRef, useState } from "react";
import { steadied } from "../model/early";
import type { TraceSummary } from "../model/summary";

export interface Steady {
  readonly traces: readonly TraceSummary[];
  /** So many would move what is shown, and wait. */
  readonly waiting: number;
  readonly hold: (isHeld: boolean) => void;
  readonly release: () => void;
}

/** `of` is the search they were found by: those of another one are shown at once. */
export function useSteady(next: readonly TraceSummary[], of: object): Steady {
  const [isHeld, setHeld] = useState(false);
  // What was released stays shown until the list changes again.
  const [, setReleased] = useState(0);
  const last = useRef({ traces: next, of });
  const kept =
    isHeld && last.current.of === of
      ? steadied(last.current.traces, next)
      : { shown: next, waiting: 0 };
  last.current = { traces: kept.shown, of };
  const release = () => {
    last.current = { traces: next, of };
    setReleased((count) => count + 1);
  };
  return { traces: kept.shown, waiting: kept.waiting, hold: setHeld, release };
}
