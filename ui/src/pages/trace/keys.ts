// The keyboard on the trace page: Jaeger's keys, and ours beside them.

import { useEffect } from "react";
import { copyText } from "../../state/clipboard";
import { isTyping } from "../../state/keys";
import { say } from "../../state/notice";
import { changeSettings, currentSettings } from "../../state/settings";
import type { TraceView } from "../../state/trace-view";
import { FIND_ID, VIEWS, type ViewName } from "./toolbar";

interface Page {
  readonly show: (name: ViewName) => void;
  readonly help: () => void;
}

const SHIFT_FACTOR = 4;

export function useTraceKeys(view: TraceView, page: Page): void {
  const { show, help } = page;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the page makes its functions anew.
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "b") {
        event.preventDefault();
        return focusFind();
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const { target, key } = event;
      // To the details of a span that was jumped to while nothing had the focus.
      const isEntered = key === "Enter" && target === document.body && view.state.selected >= 0;
      const inTree =
        isEntered || (target instanceof Element && target.closest("[role=treegrid]") !== null);
      if ((inTree && treeKey(view, event)) || pageKey(view, { show, help }, event)) {
        event.preventDefault();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [view]);
}

function focusFind(): void {
  const input = document.getElementById(FIND_ID);
  if (input instanceof HTMLInputElement) input.select();
}

/** Keys of a tree grid, while it has the focus. */
function treeKey(view: TraceView, event: KeyboardEvent): boolean {
  const { selected } = view.state;
  const isOpen =
    (view.trace.descendants[selected] ?? 0) > 0 &&
    view.state.collapsed[selected] !== 1 &&
    !view.isFolded(selected);
  switch (event.key) {
    case "ArrowDown":
      view.step(1);
      return true;
    case "ArrowUp":
      view.step(-1);
      return true;
    case "PageDown":
      view.step(20);
      return true;
    case "PageUp":
      view.step(-20);
      return true;
    case "Home":
      view.step(Number.NEGATIVE_INFINITY);
      return true;
    case "End":
      view.step(Number.POSITIVE_INFINITY);
      return true;
    case "Enter":
      if (selected < 0) view.step(1);
      document.querySelector<HTMLElement>(".detail")?.focus();
      return true;
    case "ArrowRight":
      if (isOpen) view.step(1);
      else view.setCollapsed(selected, false);
      return true;
    case "ArrowLeft":
      if (isOpen) view.setCollapsed(selected, true);
      else if ((view.trace.parent[selected] ?? -1) >= 0)
        view.select(view.trace.parent[selected] ?? -1);
      return true;
    default:
      return false;
  }
}

function pageKey(view: TraceView, page: Page, event: KeyboardEvent): boolean {
  if (event.key === "Escape") {
    if (view.state.selected < 0) void view.find("");
    else {
      const isWithin = document.activeElement?.closest(".detail") != null;
      view.select(-1);
      // The panel goes, and the focus with it.
      if (isWithin) document.querySelector<HTMLElement>("[role=treegrid]")?.focus();
    }
    return true;
  }
  if (!currentSettings().singleKeys) return false;
  const factor = event.shiftKey ? SHIFT_FACTOR : 1;
  const actions: Readonly<Record<string, () => void>> = {
    "/": focusFind,
    "?": page.help,
    j: () => view.step(1),
    k: () => view.step(-1),
    f: () => view.step(1),
    b: () => view.step(-1),
    s: () => scrollRows(1),
    w: () => scrollRows(-1),
    n: () => view.nextMatch(event.shiftKey ? -1 : 1),
    e: () => view.nextError(event.shiftKey ? -1 : 1),
    a: () => view.pan(-0.05 * factor),
    d: () => view.pan(0.05 * factor),
    arrowleft: () => view.pan(-0.05 * factor),
    arrowright: () => view.pan(0.05 * factor),
    arrowup: () => view.zoom(1 / (1 + 0.15 * factor), 0.5),
    arrowdown: () => view.zoom(1 + 0.15 * factor, 0.5),
    z: () => view.zoomToSelected(),
    "0": () => view.resetWindow(),
    "]": () => view.collapseAll(),
    "[": () => view.expandAll(),
    p: () => view.collapseOne(),
    o: () => view.expandOne(),
    c: () => changeSettings({ showCriticalPath: !currentSettings().showCriticalPath }),
    r: () => changeSettings({ foldsRuns: !currentSettings().foldsRuns }),
    y: () => void copyLink(),
  };
  const chosen = VIEWS[Number(event.key) - 1];
  const action = actions[event.key.toLowerCase()] ?? (chosen ? () => page.show(chosen) : undefined);
  action?.();
  return action !== undefined;
}

async function copyLink(): Promise<void> {
  const isCopied = await copyText(window.location.href);
  say(isCopied ? "Link copied" : "Could not copy the link");
}

function scrollRows(direction: number): void {
  const box = document.querySelector("[role=treegrid]");
  box?.scrollBy({ top: direction * box.clientHeight * 0.5 });
}
