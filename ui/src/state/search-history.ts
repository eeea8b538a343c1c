// Searches that were run and searches that were kept, in this browser.

import { Store, useStore } from "./store";

const KEY = "skua.searches";
const RECENT_MAX = 12;
const SAVED_MAX = 100;
/** A link that is longer is not remembered. */
const LENGTH_MAX = 7_000;

export interface SearchHistory {
  /** Query parts of addresses, latest first. */
  readonly recent: readonly string[];
  readonly saved: readonly string[];
}

const store = new Store<SearchHistory>(load());

function load(): SearchHistory {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<
      Record<keyof SearchHistory, unknown>
    >;
    return { recent: textsOf(stored.recent), saved: textsOf(stored.saved) };
  } catch {
    return { recent: [], saved: [] };
  }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function keep(history: SearchHistory): void {
  store.set(history);
  try {
    localStorage.setItem(KEY, JSON.stringify(history));
  } catch {
    // A browser that keeps nothing still works until it is closed.
  }
}

export function useSearchHistory(): SearchHistory {
  return useStore(store);
}

export function noteSearch(search: string): void {
  if (search.length > LENGTH_MAX) return;
  const { recent, saved } = store.get();
  if (recent[0] === search) return;
  const others = recent.filter((each) => each !== search);
  keep({ recent: [search, ...others].slice(0, RECENT_MAX), saved });
}

export function toggleSaved(search: string): void {
  const { recent, saved } = store.get();
  const others = saved.filter((each) => each !== search);
  const next = others.length < saved.length ? others : [search, ...saved].slice(0, SAVED_MAX);
  keep({ recent, saved: next });
}
