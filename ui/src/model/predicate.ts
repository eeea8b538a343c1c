// A search as the server takes it: predicates in JSON, as docs/architecture/10-api.md has them.

import { MICROS_PER_MILLI, parseDuration } from "../base/time";
import { type Filter, isField } from "./filter";
import type { SearchQuery } from "./search-query";

/** JSON; what it may hold is the server's to say. */
export type Predicate = true | { readonly [member: string]: unknown };

const NANOS_PER_MICRO = MICROS_PER_MILLI;
const SCOPES = ["span", "resource", "event", "link", "scope"];
const TRACE_KEYS: Readonly<Record<string, string>> = {
  "trace.duration": "duration",
  "trace.spans": "span_count",
  "trace.errors": "error_count",
  "root.service": "root_service",
  "root.operation": "root_operation",
};

/** What must hold of a trace. */
export function tracePredicate(query: SearchQuery): Predicate {
  const ofSpan = spanPredicate(query);
  const terms: Predicate[] = ofSpan === true ? [] : [{ span: ofSpan }];
  for (const filter of query.filters) {
    if (isOfTrace(filter)) terms.push(negated(filter.isExcluded, traceTerm(filter)));
    else if (filter.isExcluded) terms.push({ not: { span: spanTerm(filter) } });
  }
  return all(terms);
}

/** What must hold of one span, all of it of the same. */
export function spanPredicate(query: SearchQuery): Predicate {
  const terms: Predicate[] = [];
  const field = (name: string, op: string, value: unknown) =>
    terms.push({ field: name, op, value });
  if (query.service !== "") field("service", "=", query.service);
  if (query.operation !== "") field("operation", "=", query.operation);
  for (const [key, value] of query.tags) terms.push({ tag: key, value });
  for (const filter of query.filters) {
    if (!isOfTrace(filter) && !filter.isExcluded) terms.push(spanTerm(filter));
  }
  if (query.minDuration !== "") field("duration", ">=", nanosOf(query.minDuration));
  if (query.maxDuration !== "") field("duration", "<=", nanosOf(query.maxDuration));
  return all(terms);
}

/** For figures over spans: that no other span of the trace passes cannot be said there. */
export function isExactOnSpans(query: SearchQuery): boolean {
  return query.filters.every((filter) => !isOfTrace(filter) && !filter.isExcluded);
}

function isOfTrace({ key }: Filter): boolean {
  return key in TRACE_KEYS;
}

/** Spans that nothing in their trace called: about one a trace. */
export const ROOT_SPANS: Predicate = { not: { field: "parent_id", op: "exists" } };

export function all(terms: readonly Predicate[]): Predicate {
  const needed = terms.filter((term) => term !== true);
  const [only] = needed;
  if (only === undefined) return true;
  return needed.length === 1 ? only : { all: needed };
}

function any(terms: readonly Predicate[]): Predicate {
  const [only] = terms;
  return terms.length === 1 && only !== undefined ? only : { any: terms };
}

function negated(isNegated: boolean, term: Predicate): Predicate {
  return isNegated ? { not: term } : term;
}

function traceTerm({ key, operator, values }: Filter): Predicate {
  const name = TRACE_KEYS[key] ?? key;
  const isText = name.startsWith("root_");
  const value = (text: string) =>
    isText ? text : name === "duration" ? nanosOf(text) : numberOf(text);
  if (operator === "exists" || operator === "absent") {
    // Whether there is a root shows in its name.
    return negated(operator === "absent", {
      [name]: { op: isText ? "exists" : ">=", ...(isText ? {} : { value: 0 }) },
    });
  }
  if (operator === "!=" || operator === "!~") {
    const op = operator === "!=" ? "=" : "~";
    return { not: any(values.map((text) => ({ [name]: { op, value: value(text) } }))) };
  }
  return any(values.map((text) => ({ [name]: { op: operator, value: value(text) } })));
}

function spanTerm({ key, operator, values }: Filter): Predicate {
  const of = placeOf(key);
  const is = "field" in of ? "=" : "is";
  const test = (op: string, text: string): Predicate => ({
    ...of,
    op,
    value: literalOf(key, op, text),
  });
  const exists: Predicate = { ...of, op: "exists" };
  switch (operator) {
    case "exists":
      return exists;
    case "absent":
      return { not: exists };
    case "!=":
      return { all: [exists, { not: any(values.map((text) => test(is, text))) }] };
    case "!~":
      return { all: [exists, { not: any(values.map((text) => test("~", text))) }] };
    case "=":
      return any(values.map((text) => test(is, text)));
    default:
      return any(values.map((text) => test(operator, text)));
  }
}

/** `resource.host` is `host` of the resource; a key without a scope is of the span or of that. */
function placeOf(key: string): { readonly [member: string]: string } {
  if (isField(key)) return { field: key };
  const { scope, name } = scopeOf(key);
  return scope === undefined ? { attribute: name } : { attribute: name, scope };
}

/** What of a span is counted by its values. */
export function countedOf(key: string): { readonly [member: string]: string } {
  if (isField(key)) return { field: key };
  const { scope, name } = scopeOf(key);
  return scope === undefined ? { key: name } : { key: name, scope };
}

/** The scope that a key names, and the key within it. */
export function scopeOf(key: string): {
  readonly scope: string | undefined;
  readonly name: string;
} {
  const scope = SCOPES.find((each) => key.startsWith(`${each}.`) && key.length > each.length + 1);
  // Jaeger's name for the kind is not an attribute `kind` of the span.
  if (scope === undefined || key === "span.kind") return { scope: undefined, name: key };
  return { scope, name: key.slice(scope.length + 1) };
}

function literalOf(key: string, op: string, text: string): unknown {
  if (key === "duration") return nanosOf(text);
  const isOrdered = op.startsWith("<") || op.startsWith(">");
  return isOrdered && !isField(key) ? numberOf(text) : text;
}

/** Text that is no number is compared as text. */
function numberOf(text: string): number | string {
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? number : text;
}

/** Nanoseconds of a duration; what is none goes as it is, and the server says what is wrong. */
function nanosOf(text: string): number | string {
  const length = parseDuration(text);
  return length.ok ? Math.round(length.value * NANOS_PER_MICRO) : text;
}
