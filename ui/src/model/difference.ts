// What sets some spans apart from the others of a search: for each key, which values are more or
// less frequent among them. Which spans: a rectangle of the heatmap, or those that failed.

import { epochMicros } from "../base/time";
import type { Counts, ValueCount } from "./figures";
import { type Brush, typedDuration } from "./heat";
import { all, type Predicate } from "./predicate";
import type { TimeSpan } from "./search-query";

export type Selection = { readonly kind: "errors" } | { readonly kind: "box"; readonly box: Brush };

/** The values of a key among some spans; spans that lack the key are in no value. */
export interface Tally {
  readonly spans: number;
  readonly values: readonly ValueCount[];
}

export interface ValueDifference {
  readonly value: string;
  /** Share of the selected spans that have it, and of all others. */
  readonly selected: number;
  readonly rest: number;
  readonly spans: number;
}

export interface KeyDifference {
  readonly key: string;
  /** The largest difference of a share, 0 to 1. */
  readonly weight: number;
  /** Largest difference first. */
  readonly values: readonly ValueDifference[];
}

/** A difference below this is noise to the eye. */
const WEIGHT_MIN = 0.02;

/** As a parameter of the URL. */
export function printSelection(selection: Selection): string {
  if (selection.kind === "errors") return "errors";
  const { window, min, max } = selection.box;
  return [window.start, window.end, min, max ?? ""].join("~");
}

export function parseSelection(text: string | null): Selection | undefined {
  if (text === "errors") return { kind: "errors" };
  const [start = Number.NaN, end = Number.NaN, min = Number.NaN, max] = (text ?? "")
    .split("~")
    .map((part) => (part === "" ? undefined : Number(part)));
  if (!(start < end && min >= 0)) return undefined;
  const window = { start: epochMicros(start), end: epochMicros(end) };
  const top = max !== undefined && max > min ? max : undefined;
  return { kind: "box", box: { window, min, max: top } };
}

/** The selected spans, of those that `where` and `window` speak of. */
export function selectedSpans(
  selection: Selection,
  where: Predicate,
  window: TimeSpan,
): { readonly where: Predicate; readonly window: TimeSpan } {
  if (selection.kind === "errors") {
    return { where: all([where, { field: "status", op: "=", value: "error" }]), window };
  }
  const { box } = selection;
  const bound = (op: string, length: number): Predicate => ({
    field: "duration",
    op,
    value: typedDuration(length),
  });
  const terms = [
    where,
    ...(box.min > 0 ? [bound(">=", box.min)] : []),
    ...(box.max === undefined ? [] : [bound("<", box.max)]),
  ];
  return { where: all(terms), window: box.window };
}

/** `whole` counts all spans, the selected ones among them. */
export function differenceOf(key: string, selected: Tally, whole: Tally): KeyDifference {
  const countsOf = ({ values }: Tally) =>
    new Map<string, Counts>(values.map((each) => [each.value, each]));
  const [inside, everywhere] = [countsOf(selected), countsOf(whole)];
  const others = Math.max(whole.spans - selected.spans, 0);
  const values = [...new Set([...inside.keys(), ...everywhere.keys()])].map((value) => {
    const spans = inside.get(value)?.spans ?? 0;
    const outside = Math.max((everywhere.get(value)?.spans ?? spans) - spans, 0);
    return {
      value,
      spans,
      selected: selected.spans > 0 ? spans / selected.spans : 0,
      rest: others > 0 ? outside / others : 0,
    };
  });
  values.sort((left, right) => weightOf(right) - weightOf(left) || right.spans - left.spans);
  return { key, weight: values[0] === undefined ? 0 : weightOf(values[0]), values };
}

function weightOf({ selected, rest }: ValueDifference): number {
  return Math.abs(selected - rest);
}

/** Those that say something, most telling first. */
export function ranked(differences: readonly KeyDifference[]): readonly KeyDifference[] {
  return differences
    .filter(({ weight }) => weight >= WEIGHT_MIN)
    .sort((left, right) => right.weight - left.weight || (left.key < right.key ? -1 : 1));
}
