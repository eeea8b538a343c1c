// Rows of which only those on the screen exist, and the keys that go from one to the next: arrows,
// j and k, Home and End; x ticks a row. A row is marked with `data-row` and its place, and its
// first link or button is what gets the focus.

import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useRef } from "react";
import { usePlainKeys } from "../state/keys";
import { currentSettings } from "../state/settings";

const OVERSCAN = 12;
const HEAD_HEIGHT = 31;
const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };

export function useRows(count: number, rowHeight: number) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: OVERSCAN,
    // The head stays on top of what scrolls below it.
    scrollPaddingEnd: HEAD_HEIGHT,
  });
  // A row far away is there only after the list has scrolled.
  const wanted = useRef(-1);
  const focusWanted = () => {
    if (wanted.current < 0) return;
    const row = scroller.current?.querySelector(`[data-row="${wanted.current}"]`);
    const target = row?.querySelector<HTMLElement>("a, button");
    if (target === null || target === undefined) return;
    wanted.current = -1;
    target.focus({ preventScroll: true });
  };
  useEffect(focusWanted);
  const goTo = (place: number) => {
    wanted.current = place;
    virtual.scrollToIndex(place, { align: "auto" });
    focusWanted();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof Element))
      return;
    if (event.key.length === 1 && !currentSettings().singleKeys) return;
    const row = event.target.closest<HTMLElement>("[data-row]");
    if (event.key === "x") {
      row?.querySelector<HTMLElement>("input[type=checkbox]")?.click();
      return;
    }
    const from = row === null ? -1 : Number(row.dataset["row"]);
    const to = placeAfter(event.key, from, count);
    if (to === undefined) return;
    event.preventDefault();
    goTo(to);
  };
  // From elsewhere on the page they lead into the list.
  const enter = () => {
    if (count > 0) goTo(0);
  };
  usePlainKeys({ j: enter, k: enter });
  return { scroller, virtual, onKeyDown };
}

/** Where a key leads; undefined if it leads nowhere. */
function placeAfter(key: string, from: number, count: number): number | undefined {
  if (count === 0) return undefined;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const step = STEPS[key];
  if (step === undefined) return undefined;
  return Math.min(Math.max(from + step, 0), count - 1);
}
