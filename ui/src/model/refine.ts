// A search made narrower or wider by one condition: what facets and the empty page offer.

import { type Filter, isField, printConditions, printFilter } from "./filter";
import { LOOKBACKS, type SearchQuery } from "./search-query";

/** The values that a facet has switched on. */
export function chosenValues(query: SearchQuery, key: string): readonly string[] {
  if (key === "service" && query.service !== "") return [query.service];
  if (key === "operation" && query.operation !== "") return [query.operation];
  const tag = query.tags.find(([name]) => name === key);
  if (tag !== undefined) return [tag[1]];
  return query.filters.find((filter) => isChoice(filter, key))?.values ?? [];
}

/** The values that a facet has ruled out. */
export function excludedValues(query: SearchQuery, key: string): readonly string[] {
  return query.filters
    .filter((filter) => filter.key === key && filter.isExcluded && filter.operator === "=")
    .flatMap((filter) => filter.values);
}

function isChoice(filter: Filter, key: string): boolean {
  return filter.key === key && filter.operator === "=" && !filter.isExcluded;
}

/** Switches a value of a facet; several of them are alternatives. */
export function toggleValue(query: SearchQuery, key: string, value: string): SearchQuery {
  const chosen = chosenValues(query, key);
  const values = chosen.includes(value)
    ? chosen.filter((each) => each !== value)
    : [...chosen, value];
  return withValues(query, key, values);
}

/** Rules a value out, or lets it in again. */
export function toggleExcluded(query: SearchQuery, key: string, value: string): SearchQuery {
  const others = query.filters.filter(
    (each) => !(each.key === key && each.isExcluded && each.values.includes(value)),
  );
  if (others.length < query.filters.length) return { ...query, filters: others };
  const chosen = chosenValues(query, key).filter((each) => each !== value);
  const kept = withValues(query, key, chosen);
  const excluded: Filter = { key, operator: "=", values: [value], isExcluded: true };
  return { ...kept, filters: [...kept.filters, excluded] };
}

/** One value goes where Jaeger's links have it, several into a condition of our own. */
function withValues(query: SearchQuery, key: string, values: readonly string[]): SearchQuery {
  const [only = ""] = values;
  const isOne = values.length === 1;
  const filters = query.filters.filter((filter) => !isChoice(filter, key));
  const own: Filter = { key, operator: "=", values, isExcluded: false };
  const more = values.length > 1 ? [...filters, own] : filters;
  if (key === "service") return { ...query, service: isOne ? only : "", filters: more };
  if (key === "operation") return { ...query, operation: isOne ? only : "", filters: more };
  if (isField(key)) {
    return { ...query, filters: values.length > 0 ? [...filters, own] : filters };
  }
  const tags = query.tags.filter(([name]) => name !== key);
  return { ...query, tags: isOne ? [...tags, [key, only]] : tags, filters: more };
}

export interface Wider {
  /** The condition that is left out, as it is typed. */
  readonly without: string;
  readonly query: SearchQuery;
}

/** The search without each of its conditions in turn. */
export function widened(query: SearchQuery): readonly Wider[] {
  const found: Wider[] = [];
  const add = (without: string, change: Partial<SearchQuery>) =>
    found.push({ without, query: { ...query, ...change } });
  if (query.operation !== "") add(`operation=${query.operation}`, { operation: "" });
  else if (query.service !== "") add(`service=${query.service}`, { service: "" });
  for (const tag of query.tags) {
    const without = printConditions({ tags: [tag], filters: [] });
    add(without, { tags: query.tags.filter((each) => each !== tag) });
  }
  for (const filter of query.filters) {
    add(printFilter(filter), { filters: query.filters.filter((each) => each !== filter) });
  }
  if (query.minDuration !== "") add(`at least ${query.minDuration}`, { minDuration: "" });
  if (query.maxDuration !== "") add(`at most ${query.maxDuration}`, { maxDuration: "" });
  return found;
}

/** Of these the shorter ones are offered to a search that failed: less to read may work. */
const SHORT = ["15m", "1h", "6h"] as const;
const SHORTER_MAX = 2;

/** Of a search over a fixed time, and of traces by id, none is a part. */
export function shorterLookbacks({ window, traceIds }: SearchQuery): readonly string[] {
  if (window.kind !== "lookback" || traceIds.length > 0) return [];
  const lookbacks: readonly string[] = LOOKBACKS;
  const asked = lookbacks.indexOf(window.lookback);
  return SHORT.filter((each) => lookbacks.indexOf(each) < asked).slice(-SHORTER_MAX);
}
