// When a change of a store is shown: at once, or in slices.

import { createElement, startTransition } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Store, useArrived, useStore } from "./store";

let root: Root;
let box: HTMLElement;

beforeEach(() => {
  box = document.createElement("div");
  root = createRoot(box);
});

afterEach(() => root.unmount());

const Shown = (props: { readonly use: (store: Store<string>) => string; store: Store<string> }) =>
  props.use(props.store);

async function shown(use: (store: Store<string>) => string, store: Store<string>) {
  const subscribed = vi.spyOn(store, "subscribe");
  root.render(createElement(Shown, { use, store }));
  // Who listens does so only after the first picture.
  await vi.waitFor(() => expect(subscribed).toHaveBeenCalled());
  expect(box.textContent).toBe(store.get());
}

/** What is there before the browser can take a key. */
async function afterChange(store: Store<string>, value: string) {
  store.set(value);
  for (let step = 0; step < 10; step += 1) await Promise.resolve();
  return box.textContent;
}

describe("a store", () => {
  it("is followed at once where somebody types", async () => {
    const store = new Store("one");
    await shown(useStore, store);
    expect(await afterChange(store, "two")).toBe("two");
  });

  it("does not hold the page up with what arrives", async () => {
    const store = new Store("one");
    await shown(useArrived, store);
    expect(await afterChange(store, "two")).toBe("one");
    await vi.waitFor(() => expect(box.textContent).toBe("two"));
  });

  it("shows what changed before anybody listened", async () => {
    const store = new Store("one");
    startTransition(() => root.render(createElement(Shown, { use: useArrived, store })));
    store.set("two");
    await vi.waitFor(() => expect(box.textContent).toBe("two"));
  });

  it("never shows one store's value as another's", async () => {
    const [first, second] = [new Store("one"), new Store("other")];
    await shown(useArrived, first);
    await shown(useArrived, second);
    expect(box.textContent).toBe("other");
    first.set("late");
    await afterChange(second, "last");
    await vi.waitFor(() => expect(box.textContent).toBe("last"));
  });
});
