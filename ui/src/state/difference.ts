// Asks for what sets the selected spans of a search apart: the same counts over them and over all.

import { useEffect, useState } from "react";
import { fetchRed, fetchTopValues } from "../api/aggregate";
import { isAbort } from "../api/http";
import {
  differenceOf,
  type KeyDifference,
  ranked,
  type Selection,
  selectedSpans,
  type Tally,
} from "../model/difference";
import type { RedGroup } from "../model/figures";
import type { Predicate } from "../model/predicate";
import type { TimeSpan } from "../model/search-query";

/** Keys that are compared; each costs two requests. */
const KEYS_MAX = 16;
const VALUES_MAX = 100;
/** Keys that are asked for at once. */
const KEYS_AT_ONCE = 3;

export interface Differences {
  /** How many spans were selected, and of how many. */
  readonly selected: number;
  readonly whole: number;
  readonly keys: readonly KeyDifference[];
  /** Some of the counts are over a part of the spans. */
  readonly isPartial: boolean;
  /** False while further keys are looked at. */
  readonly isDone: boolean;
}

interface Asked {
  readonly window: TimeSpan;
  readonly where: Predicate;
}

export interface DifferenceView {
  readonly data: Differences | undefined;
  readonly error: Error | undefined;
  readonly again: () => void;
}

const NOTHING = { data: undefined, error: undefined };

/** What is found is shown as it comes: services and operations first, then the keys in order. */
export function useDifference(
  selection: Selection,
  whole: Asked,
  keys: readonly string[],
  isEnabled: boolean,
): DifferenceView {
  const [found, setFound] = useState<Omit<DifferenceView, "again">>(NOTHING);
  const [attempt, setAttempt] = useState(0);
  const { window, where } = whole;
  const inside = selectedSpans(selection, where, window);
  const question = JSON.stringify([inside, { window, where }, keys]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal questions have equal texts.
  useEffect(() => {
    setFound(NOTHING);
    if (!isEnabled) return;
    const controller = new AbortController();
    const onFound = (data: Differences) => setFound({ data, error: undefined });
    const asked = ask(inside, { window, where }, keys, controller.signal, onFound);
    asked.catch((thrown: unknown) => {
      if (controller.signal.aborted || isAbort(thrown)) return;
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      setFound((before) => ({ ...before, error }));
    });
    return () => controller.abort();
  }, [question, isEnabled, attempt]);
  return { ...found, again: () => setAttempt(attempt + 1) };
}

async function ask(
  inside: Asked,
  whole: Asked,
  keys: readonly string[],
  signal: AbortSignal,
  onFound: (found: Differences) => void,
): Promise<void> {
  const own = (asked: Asked) => {
    const step = Math.max(1, asked.window.end - asked.window.start + 1);
    return fetchRed(asked, { step, groupBy: "operation", quantiles: [] }, signal);
  };
  const values = (asked: Asked, key: string) => {
    return fetchTopValues(asked, key, VALUES_MAX, signal);
  };
  const [selected, all] = await Promise.all([own(inside), own(whole)]);
  const answers = [selected, all].map(({ completeness }) => completeness.isComplete);
  const differences = (["service", "operation", "kind"] as const).map((field) =>
    differenceOf(field, tallyOf(selected.value, field), tallyOf(all.value, field)),
  );
  const tell = (isDone: boolean) => {
    if (signal.aborted) return;
    onFound({
      selected: selected.value.spans,
      whole: all.value.spans,
      keys: ranked(differences),
      isPartial: answers.includes(false),
      isDone,
    });
  };
  const left = selected.value.spans === 0 ? [] : keys.slice(0, KEYS_MAX);
  tell(left.length === 0);
  for (let at = 0; at < left.length; at += KEYS_AT_ONCE) {
    const some = left.slice(at, at + KEYS_AT_ONCE);
    const pairs = await Promise.all(
      some.map((key) => Promise.all([values(inside, key), values(whole, key)])),
    );
    pairs.forEach(([one, other], index) => {
      differences.push(differenceOf(some[index] ?? "", one.value, other.value));
      answers.push(one.completeness.isComplete, other.completeness.isComplete);
    });
    tell(at + KEYS_AT_ONCE >= left.length);
  }
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
