// Rows of which only those on the screen exist, and the keys that go from one to the next: arrows,
// j and k, Home and End; x ticks a row. A row is marked with `data-row` and its place, and its
// first link or button is what gets the focus.

import {
  elementScroll,
  type Rect,
  useVirtualizer,
  type Virtualizer,
} from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useRef } from "react";
import { useIdle } from "../state/idle";
import { usePlainKeys } from "../state/keys";
import { currentSettings } from "../state/settings";
import { rowSought } from "../state/way-back";

/** Rows beyond the screen, once the page rests: they are there before somebody scrolls to them. */
const OVERSCAN = 12;
const OVERSCAN_FIRST = 2;
/** Of the height of the browser, what a list has about; its own is known after the first layout. */
const SHARE = 0.5;
const HEAD_HEIGHT = 31;
const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };

export function useRows(count: number, rowHeight: number) {
  const scroller = useRef<HTMLDivElement>(null);
  const scrolled = useRef<Element | null>(null);
  const isResting = useIdle();
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: isResting ? OVERSCAN : OVERSCAN_FIRST,
    initialRect: { width: 0, height: Math.round(SHARE * innerHeight) },
    observeElementRect: observeRect,
    scrollToFn: (offset, options, instance) => {
      // A new list is at its top: to put it there would cost a layout.
      const isNew = scrolled.current !== instance.scrollElement;
      scrolled.current = instance.scrollElement;
      if (!isNew || offset !== 0) elementScroll(offset, options, instance);
    },
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
  // Who comes back from a row far down is led there again.
  const returned = useRef<number | undefined>(undefined);
  useEffect(() => {
    const row = rowSought();
    if (row === returned.current || row === undefined || row >= count) return;
    returned.current = row;
    virtual.scrollToIndex(row, { align: "center" });
  });
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

/** Tells the size after each layout, and asks for none of its own. */
function observeRect<T extends Element>(
  { scrollElement }: Virtualizer<T, Element>,
  onRect: (rect: Rect) => void,
): (() => void) | undefined {
  if (scrollElement === null) return undefined;
  const observer = new ResizeObserver(() => {
    onRect({ width: scrollElement.clientWidth, height: scrollElement.clientHeight });
  });
  observer.observe(scrollElement);
  return () => observer.disconnect();
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
