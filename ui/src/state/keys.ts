// Which keys mean something without Ctrl, Cmd or Alt, and when they do not: while someone types, in
// a dialog, or when a person has switched them off.

import { useEffect, useRef } from "react";
import { currentSettings } from "./settings";

export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.matches("input, textarea, select") || target.closest("dialog") !== null)
  );
}

function isPlain(event: KeyboardEvent): boolean {
  const isModified = event.ctrlKey || event.metaKey || event.altKey;
  return !isModified && !isTyping(event.target) && currentSettings().singleKeys;
}

/** After the first key of two, the second is waited for so long. */
const SECOND_KEY_MILLIS = 1_200;

/** Keys, and pairs such as `g s`, to what they do. What a page took before stays its own. */
export function usePlainKeys(actions: Readonly<Record<string, () => void>>): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    let first = "";
    let timer: ReturnType<typeof setTimeout>;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || !isPlain(event)) return;
      const pair = `${first} ${event.key}`;
      const action = latest.current[pair] ?? (first === "" ? latest.current[event.key] : undefined);
      const begins = Object.keys(latest.current).some((keys) => keys.startsWith(`${event.key} `));
      clearTimeout(timer);
      first = action === undefined && first === "" && begins ? event.key : "";
      if (first !== "") {
        timer = setTimeout(() => {
          first = "";
        }, SECOND_KEY_MILLIS);
      }
      if (action === undefined) return;
      event.preventDefault();
      // The page's own keys are not meant by the second of a pair.
      event.stopPropagation();
      action();
    };
    // Pairs come before the page: in `g d` the `d` is not its own.
    const onPair = (event: KeyboardEvent) => {
      if (first !== "") onKey(event);
    };
    document.addEventListener("keydown", onPair, { capture: true });
    document.addEventListener("keydown", onKey);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("keydown", onPair, { capture: true });
      document.removeEventListener("keydown", onKey);
    };
  }, []);
}
