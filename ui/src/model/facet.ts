// The values of a facet: what is switched on or ruled out comes first, and a text picks the others.

import type { ValueCount } from "./figures";

/** Of so many values nobody looks for one by eye. */
export const FIND_FROM = 12;

/** What is kept although it was not counted, then everything in the order of the server. */
export function withKept(
  values: readonly ValueCount[],
  kept: readonly string[],
): readonly ValueCount[] {
  const absent = kept.filter((value) => !values.some((each) => each.value === value));
  return [...absent.map((value) => ({ value, spans: 0, errors: 0 })), ...values];
}

/**
 * Values with a text in them, in whatever case; then those that the server suggests for it and that
 * are too rare to be among the counted ones. Of these the number of spans is not known.
 */
export function valuesLike(
  values: readonly ValueCount[],
  text: string,
  suggested: readonly string[],
): readonly ValueCount[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return values;
  const known = new Set(values.map(({ value }) => value));
  const rare = suggested.filter((value) => !known.has(value));
  return [
    ...values.filter(({ value }) => value.toLowerCase().includes(wanted)),
    ...rare.map((value) => ({ value, spans: Number.NaN, errors: Number.NaN })),
  ];
}
