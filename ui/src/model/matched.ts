// Which spans of a trace a search was about, in the words that find spans within a trace. What
// those words cannot say is left out, so that more spans are marked and none is missed.

import { type Filter, isField } from "./filter";
import { scopeOf } from "./predicate";
import type { SearchQuery } from "./search-query";

/** Looking into the attributes of a larger trace is left to whoever asks for it. */
const SPANS_MAX = 20_000;

/** Fields of a span that a find knows, and how it calls them. */
const FIELDS: Readonly<Record<string, string>> = {
  service: "service",
  operation: "op",
  kind: "kind",
  status: "status",
  duration: "dur",
};
const COMPARED = new Set(["=", "!=", "<", "<=", ">", ">="]);

/** Empty where the search was about whole traces, or about nothing but a service. */
export function findTextOf(query: SearchQuery, traceId: string, spans: number): string {
  const marked = query.spans.find((each) => isSameId(each.traceId, traceId));
  if (marked !== undefined) return marked.spanIds.join(" ");
  if (query.traceIds.length > 0 || spans > SPANS_MAX) return "";
  const terms = [
    ...(query.operation === "" ? [] : [`op=${quote(query.operation)}`]),
    ...query.tags.flatMap(([key, value]) => term(key, "=", value)),
    ...query.filters.flatMap(termOf),
    ...(query.minDuration === "" ? [] : [`dur>=${query.minDuration.replaceAll(" ", "")}`]),
    ...(query.maxDuration === "" ? [] : [`dur<=${query.maxDuration.replaceAll(" ", "")}`]),
  ];
  if (terms.length === 0) return "";
  const service = query.service === "" ? [] : [`service=${quote(query.service)}`];
  return [...service, ...terms].join(" ");
}

/** The address of a trace, with the spans marked that the search was about. */
export function traceHref(query: SearchQuery, trace: TraceSize): string {
  const find = findTextOf(query, trace.traceId, trace.spans);
  const path = `/trace/${trace.traceId}`;
  return find === "" ? path : `${path}?${new URLSearchParams({ uiFind: find })}`;
}

/** The same with one of its spans selected. */
export function spanHref(query: SearchQuery, trace: TraceSize, spanId: string): string {
  const href = traceHref(query, trace);
  return `${href}${href.includes("?") ? "&" : "?"}span=${spanId}`;
}

/** Links leave out the zeros in front of an id. */
export function isSameId(left: string, right: string): boolean {
  return left.padStart(32, "0") === right.padStart(32, "0");
}

interface TraceSize {
  readonly traceId: string;
  readonly spans: number;
}

function termOf({ key, operator, values, isExcluded }: Filter): readonly string[] {
  const [value] = values;
  // What no span may pass marks none, and alternatives cannot be said.
  if (isExcluded || value === undefined || values.length > 1) return [];
  return term(key, operator, value);
}

function term(key: string, operator: string, value: string): readonly string[] {
  if (!COMPARED.has(operator) || value.includes('"')) return [];
  const field = FIELDS[key];
  if (field !== undefined) return [`${field}${operator}${quote(value)}`];
  const { scope, name } = scopeOf(key);
  const isAttribute = scope === undefined ? !key.startsWith("trace.") : ATTRIBUTES.has(scope);
  if (!isAttribute || !/^[\w.@/:-]+$/.test(name) || isField(key)) return [];
  return [`${name}${operator}${quote(value)}`];
}

const ATTRIBUTES = new Set(["span", "resource", "event"]);

function quote(text: string): string {
  return /\s/.test(text) ? `"${text}"` : text;
}
