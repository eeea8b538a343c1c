// Figures about a search: the heatmap, facets, and how much matches at all.

import { fetchHeatmap, fetchRed, fetchTopValues, fetchTotals } from "../api/aggregate";
import { suggestKeys, suggestOperations, suggestValues } from "../api/suggest";
import type { Predicate } from "../model/predicate";
import { scopeOf } from "../model/predicate";
import type { TimeSpan } from "../model/search-query";
import { useQuery } from "./query";

const SUGGESTIONS_MAX = 100;
const SUGGESTIONS_FRESH_MILLIS = 20_000;

interface Asked {
  readonly window: TimeSpan;
  readonly where: Predicate;
  /** False asks nothing. */
  readonly isEnabled: boolean;
}

function keyOf(what: string, { window, where }: Asked, more = ""): string {
  return `${what} ${window.start} ${window.end} ${JSON.stringify(where)} ${more}`;
}

export function useTotals(asked: Asked) {
  return useQuery({
    key: keyOf("totals", asked),
    ask: (signal) => fetchTotals(asked, signal),
    isEnabled: asked.isEnabled,
  });
}

export function useHeatmap(asked: Asked, step: number) {
  return useQuery({
    key: keyOf("heatmap", asked, String(step)),
    ask: (signal) => fetchHeatmap(asked, step, signal),
    isEnabled: asked.isEnabled,
    keepsPrevious: true,
  });
}

export function useTopValues(asked: Asked, key: string, limit: number) {
  return useQuery({
    key: keyOf("values", asked, `${limit} ${key}`),
    ask: (signal) => fetchTopValues(asked, key, limit, signal),
    isEnabled: asked.isEnabled,
    keepsPrevious: true,
  });
}

export function useRed(
  asked: Asked,
  question: {
    readonly step: number;
    readonly groupBy: "service" | "operation";
    readonly quantiles: readonly number[];
  },
) {
  return useQuery({
    key: keyOf("red", asked, JSON.stringify(question)),
    ask: (signal) => fetchRed(asked, question, signal),
    isEnabled: asked.isEnabled,
    keepsPrevious: true,
  });
}

export function useKeys(prefix: string, isEnabled: boolean) {
  return useQuery({
    key: `keys ${prefix}`,
    ask: (signal) => suggestKeys({ prefix, limit: SUGGESTIONS_MAX }, signal),
    isEnabled,
    freshMillis: SUGGESTIONS_FRESH_MILLIS,
    keepsPrevious: true,
  });
}

export function useValues(key: string, prefix: string, isEnabled: boolean) {
  const { scope, name } = scopeOf(key);
  return useQuery({
    key: `values of ${key} ${prefix}`,
    ask: (signal) => suggestValues({ key: name, scope, prefix, limit: SUGGESTIONS_MAX }, signal),
    isEnabled,
    freshMillis: SUGGESTIONS_FRESH_MILLIS,
    keepsPrevious: true,
  });
}

export function useOperationsLike(service: string, prefix: string, isEnabled: boolean) {
  return useQuery({
    key: `operations of ${service} ${prefix}`,
    ask: (signal) => suggestOperations({ service, prefix, limit: SUGGESTIONS_MAX }, signal),
    isEnabled,
    freshMillis: SUGGESTIONS_FRESH_MILLIS,
    keepsPrevious: true,
  });
}
