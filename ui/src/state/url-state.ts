// What a page shows, as parameters of its address: a reload shows the same, and so does the link
// that somebody sends. Changes replace the address, so that "back" leaves the page.

import { useLocation, useSearch } from "wouter";

/** Parameters and what they become; undefined and empty ones go. */
export type UrlChange = Readonly<Record<string, string | undefined>>;

/** The parameters of the address, and what changes some of them and leaves the others. */
export function useUrlState(): readonly [URLSearchParams, (change: UrlChange) => void] {
  const params = new URLSearchParams(useSearch());
  const [path, navigate] = useLocation();
  const put = (change: UrlChange) => {
    // Others may have written since this was drawn.
    const next = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(change)) {
      if (value === undefined || value === "") next.delete(name);
      else next.set(name, value);
    }
    navigate(next.size === 0 ? path : `${path}?${next}`, { replace: true });
  };
  return [params, put];
}

/**
 * Which of `names` is shown, as the parameter `name` of the address says; the first of them if it
 * says nothing, or what nobody knows.
 */
export function useUrlChoice<T extends string>(
  name: string,
  names: Readonly<Record<T, unknown>>,
): readonly [T, (value: T) => void] {
  const [params, put] = useUrlState();
  const known = Object.keys(names) as T[];
  const asked = params.get(name);
  const [first] = known;
  const value = known.find((each) => each === asked) ?? (first as T);
  return [value, (next) => put({ [name]: next === first ? undefined : next })];
}
