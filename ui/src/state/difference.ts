// Asks for what sets the selected spans of a search apart: the same counts over them and over all.

import { fetchRed, fetchTopValues } from "../api/aggregate";
import {
  differenceOf,
  type KeyDifference,
  ranked,
  type Selection,
  selectedSpans,
  type Tally,
} from "../model/difference";
import type { RedGroup } from "../model/figures";
import { type Predicate, scopeOf } from "../model/predicate";
import type { TimeSpan } from "../model/search-query";
import { useQuery } from "./query";

/** Keys that are compared; each costs two requests. */
export const KEYS_MAX = 16;
const VALUES_MAX = 100;

export interface Differences {
  /** How many spans were selected, and of how many. */
  readonly selected: number;
  readonly whole: number;
  readonly keys: readonly KeyDifference[];
}

interface Asked {
  readonly window: TimeSpan;
  readonly where: Predicate;
}

export function useDifference(
  selection: Selection,
  whole: Asked,
  keys: readonly string[],
  isEnabled: boolean,
) {
  const { window, where } = whole;
  const inside = selectedSpans(selection, where, window);
  return useQuery({
    key: `difference ${JSON.stringify([inside, whole, keys])}`,
    ask: (signal) => ask(inside, { window, where }, keys.slice(0, KEYS_MAX), signal),
    isEnabled,
    keepsPrevious: true,
  });
}

async function ask(
  inside: Asked,
  whole: Asked,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<Differences> {
  const own = (asked: Asked) => {
    const step = Math.max(1, asked.window.end - asked.window.start + 1);
    return fetchRed(asked, { step, groupBy: "operation", quantiles: [] }, signal);
  };
  const values = (asked: Asked, key: string) => {
    const { scope, name } = scopeOf(key);
    return fetchTopValues(asked, name, scope, VALUES_MAX, signal);
  };
  const [selected, all, ...tallies] = await Promise.all([
    own(inside),
    own(whole),
    ...keys.map((key) => Promise.all([values(inside, key), values(whole, key)])),
  ]);
  const fields = (["service", "operation", "kind"] as const).map((field) =>
    differenceOf(field, tallyOf(selected.value, field), tallyOf(all.value, field)),
  );
  const attributes = tallies.map(([one, other], index) =>
    differenceOf(keys[index] ?? "", one.value, other.value),
  );
  return {
    selected: selected.value.spans,
    whole: all.value.spans,
    keys: ranked([...fields, ...attributes]),
  };
}

function tallyOf(
  series: { readonly spans: number; readonly groups: readonly RedGroup[] },
  field: "service" | "operation" | "kind",
): Tally {
  const sums = new Map<string, { value: string; spans: number; errors: number }>();
  for (const group of series.groups) {
    const value = group[field];
    const sum = sums.get(value) ?? { value, spans: 0, errors: 0 };
    for (const bin of group.bins) {
      sum.spans += bin.spans;
      sum.errors += bin.errors;
    }
    sums.set(value, sum);
  }
  return { spans: series.spans, values: [...sums.values()] };
}
