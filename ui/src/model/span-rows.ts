// Results as spans: of each trace found those that made it match, as rows below the trace. Which
// those are is asked of the server, which knows what its conditions mean.

import { type EpochMicros, earlier, later, type Micros, micros } from "../base/time";
import type { Attribute, SpanDetails } from "./details";
import { isField } from "./filter";
import { isSameId } from "./matched";
import { all, type Predicate, ROOT_SPANS, scopeOf, spanPredicate } from "./predicate";
import type { SearchQuery, TimeSpan } from "./search-query";
import type { TraceSummary } from "./summary";

/** Of one trace; the trace's own page shows all. */
export const SPANS_SHOWN = 20;

/** Spans of one trace that a search is about. */
export interface SpanQuestion {
  readonly traceId: string;
  /** Named by the link, in the place of conditions. */
  readonly spanIds: readonly string[] | undefined;
  readonly where: Predicate;
  readonly window: TimeSpan;
}

export interface MatchedSpans {
  /** In order of time, the first `SPANS_SHOWN` at most. */
  readonly spans: readonly SpanDetails[];
  /** How many there are. */
  readonly total: number;
  readonly isComplete: boolean;
}

export type SpansOfTrace =
  | ({ readonly is: "known" } & MatchedSpans)
  | { readonly is: "failed"; readonly error: Error };

/** Without a condition on spans all of them would match: the roots stand for their traces. */
export function isOfRoots(query: SearchQuery): boolean {
  return query.spans.length === 0 && spanPredicate(query) === true;
}

/** What is asked about one trace that was found. */
export function spanQuestionOf(
  query: SearchQuery,
  window: TimeSpan,
  trace: TraceSummary,
): SpanQuestion {
  const named = query.spans.find(({ traceId }) => isSameId(traceId, trace.traceId));
  const ofSpan = spanPredicate(query);
  const ofTrace = { field: "trace_id", op: "=", value: trace.traceId.padStart(32, "0") };
  return {
    traceId: trace.traceId,
    spanIds: named?.spanIds.slice(0, SPANS_SHOWN),
    where: all([ofTrace, ofSpan === true ? ROOT_SPANS : ofSpan]),
    window: windowOf(query, window, trace),
  };
}

/** Times of a summary are rounded to a microsecond. */
const ROUNDING = micros(1);

/**
 * Only spans that start within the window of the search can match. A window that moves with the
 * clock has no end for traces that came after it, and traces asked for by their ids have none.
 */
function windowOf(query: SearchQuery, window: TimeSpan, trace: TraceSummary): TimeSpan {
  const start = earlier(trace.start, ROUNDING);
  const end = later(trace.start, micros(trace.duration + ROUNDING));
  if (query.traceIds.length > 0) return { start, end };
  const isMoving = query.window.kind === "lookback";
  return {
    start: Math.max(start, window.start) as EpochMicros,
    end: isMoving ? end : (Math.min(end, window.end) as EpochMicros),
  };
}

export type SpanRow =
  | { readonly is: "trace"; readonly trace: TraceSummary; readonly found: SpansOfTrace | undefined }
  | { readonly is: "span"; readonly trace: TraceSummary; readonly span: SpanDetails }
  | { readonly is: "more"; readonly trace: TraceSummary; readonly more: number }
  | { readonly is: "waiting"; readonly trace: TraceSummary };

/** A row for each trace, and below it its spans as far as they are known. */
export function spanRowsOf(
  traces: readonly TraceSummary[],
  found: ReadonlyMap<string, SpansOfTrace>,
): readonly SpanRow[] {
  return traces.flatMap((trace): SpanRow[] => {
    const known = found.get(trace.traceId);
    const head: SpanRow = { is: "trace", trace, found: known };
    if (known === undefined) return [head, { is: "waiting", trace }];
    if (known.is === "failed") return [head];
    const more = known.total - known.spans.length;
    return [
      head,
      ...known.spans.map((span): SpanRow => ({ is: "span", trace, span })),
      ...(more > 0 ? [{ is: "more", trace, more } as const] : []),
    ];
  });
}

/** Attributes that the conditions name: why a span is here. */
export function namedKeys(query: SearchQuery): readonly string[] {
  const filtered = query.filters.filter(
    ({ key, isExcluded }) => !isExcluded && !isField(key) && !key.startsWith("trace."),
  );
  return [...new Set([...query.tags.map(([key]) => key), ...filtered.map(({ key }) => key)])];
}

/** What a span, its resource or its events have under these keys. */
export function valuesOf(span: SpanDetails, keys: readonly string[]): readonly Attribute[] {
  const lists = [
    span.attributes,
    span.resource,
    ...span.events.map(({ attributes }) => attributes),
    span.scope,
  ];
  return keys.flatMap((key) => {
    const names = new Set([key, scopeOf(key).name]);
    const attribute = lists.flat().find((each) => names.has(each.key));
    return attribute === undefined ? [] : [attribute];
  });
}

/** When a span began, from the start of its trace. */
export function offsetOf(trace: TraceSummary, span: SpanDetails): Micros {
  return micros(Math.max(0, span.start - trace.start));
}
