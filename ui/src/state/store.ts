// The smallest store there is: a value, those who want to know when it changes, and two hooks.

import { startTransition, useEffect, useState, useSyncExternalStore } from "react";

export class Store<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  readonly get = (): T => this.#value;

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of this.#listeners) listener();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get);
}

/**
 * As above for what comes without having been touched: an answer is shown in slices, between which
 * the page takes keys and draws. A field must not use this: it would lag behind what is typed.
 */
export function useArrived<T>(store: Store<T>): T {
  const [shown, setShown] = useState(() => ({ store, value: store.get() }));
  useEffect(() => {
    const show = () =>
      startTransition(() =>
        setShown((last) => {
          const value = store.get();
          return last.store === store && Object.is(last.value, value) ? last : { store, value };
        }),
      );
    // It may have changed before anybody listened.
    show();
    return store.subscribe(show);
  }, [store]);
  return shown.store === store ? shown.value : store.get();
}
