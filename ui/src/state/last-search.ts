// The search that was on the screen last, so that the way back to it is one click.

import { Store, useStore } from "./store";

const lastSearch = new Store("");

/** Remembers the query part of the search page's address. */
export function rememberSearch(search: string): void {
  lastSearch.set(search);
}

/** Where "Explore" leads. */
export function useSearchHref(): string {
  const search = useStore(lastSearch);
  return search === "" ? "/search" : `/search?${search}`;
}
