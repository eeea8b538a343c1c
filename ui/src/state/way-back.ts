// The way back: who returns to a page is where they left it from, at the same row or link. The
// browser does that for pages it loads, not for those that a script puts in place.

/** What had the focus when a page was left. */
interface Place {
  readonly tag: string;
  /** Where it leads, or what it says. */
  readonly name: string;
  /** Of those with the same name. */
  readonly nth: number;
  /** Of a list that has only the rows on the screen. */
  readonly row: number | undefined;
}

/** Goes to where the page was left from, as "back" does. */
export const LEADS_BACK = "data-back";

const KEY = "skua.left";
const PAGES_MAX = 30;
/** What is not there after so long has gone. */
const WAIT_MILLIS_MAX = 10_000;
const NAME_MAX = 1_000;

/** Who does one of these is somewhere else already. */
const ACTS = ["keydown", "pointerdown", "wheel"] as const;

const left = new Map<string, Place>(stored());
let sought: Place | undefined;
let giveUp: () => void = () => undefined;

/** From now on every page remembers where it was left from. */
export function watchWays(): void {
  let here = address();
  addEventListener("pushState", () => {
    const leaving = document.activeElement;
    remember(here, leaving);
    here = address();
    giveUp();
    if (leaving?.hasAttribute(LEADS_BACK)) seek(left.get(here));
  });
  addEventListener("replaceState", () => {
    here = address();
  });
  addEventListener("popstate", () => {
    here = address();
    giveUp();
    seek(left.get(here));
  });
}

/** The row that somebody comes back to, for the list that has to bring it on the screen. */
export function rowSought(): number | undefined {
  return sought?.row;
}

function address(): string {
  return location.pathname + location.search;
}

function remember(page: string, element: Element | null): void {
  left.delete(page);
  const place = placeOf(element);
  if (place !== undefined) left.set(page, place);
  for (const [oldest] of left) {
    if (left.size <= PAGES_MAX) break;
    left.delete(oldest);
  }
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...left]));
  } catch {
    // Without it a page that was loaded anew knows nothing of those before.
  }
}

/** What an earlier load of the page has left; nothing of it if it is anything else. */
function stored(): [string, Place][] {
  try {
    const known: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(known) ? known.filter(isKnown).slice(-PAGES_MAX) : [];
  } catch {
    return [];
  }
}

function isKnown(entry: unknown): entry is [string, Place] {
  if (!Array.isArray(entry)) return false;
  const [page, place]: unknown[] = entry;
  if (typeof page !== "string" || typeof place !== "object" || place === null) return false;
  const { tag, name, nth, row } = place as Record<string, unknown>;
  const isRow = row === undefined || typeof row === "number";
  return typeof tag === "string" && typeof name === "string" && typeof nth === "number" && isRow;
}

function placeOf(element: Element | null): Place | undefined {
  if (element === null || element === document.body) return undefined;
  const { tagName: tag } = element;
  const name = nameOf(element);
  const nth = allLike(tag, name).indexOf(element);
  if (name === "" || nth < 0) return undefined;
  return { tag, name, nth, row: rowOf(element) };
}

function nameOf(element: Element): string {
  // A stretch of time may have moved with the clock meanwhile.
  const href = element.getAttribute("href")?.replace(/\b(start|end)=\d+&?/g, "");
  const name = href ?? element.getAttribute("aria-label") ?? element.textContent ?? "";
  return name.trim().slice(0, NAME_MAX);
}

/** Within the page: what is around it stays and keeps the focus. */
function allLike(tag: string, name: string): Element[] {
  return [...document.querySelectorAll(`main ${CSS.escape(tag)}`)].filter(
    (each) => nameOf(each) === name,
  );
}

/** Gives the focus to what is there now or soon, unless somebody does something else. */
function seek(place: Place | undefined): void {
  if (place === undefined) return;
  sought = place;
  let frame = 0;
  const look = () => {
    frame = 0;
    const { activeElement } = document;
    const found = allLike(place.tag, place.name);
    const isInRow = place.row !== undefined;
    const target = isInRow ? found.find((each) => rowOf(each) !== undefined) : found[place.nth];
    if (!(target instanceof HTMLElement || target instanceof SVGElement)) return;
    if (activeElement === null || activeElement === document.body) target.focus();
    stop();
  };
  const soon = () => {
    if (frame === 0) frame = requestAnimationFrame(look);
  };
  const watch = new MutationObserver(soon);
  const timer = setTimeout(() => stop(), WAIT_MILLIS_MAX);
  const stop = () => {
    sought = undefined;
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    watch.disconnect();
    for (const act of ACTS) removeEventListener(act, stop, true);
    giveUp = () => undefined;
  };
  giveUp = stop;
  for (const act of ACTS) addEventListener(act, stop, true);
  watch.observe(document.body, { childList: true, subtree: true });
  soon();
}

function rowOf(element: Element): number | undefined {
  const row = element.closest<HTMLElement>("[data-row]")?.dataset["row"];
  return row === undefined ? undefined : Number(row);
}
