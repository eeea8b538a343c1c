// The spans of one trace that a search is about: first which, then what they carry.

import { detailsOf } from "../model/details";
import { type MatchedSpans, SPANS_SHOWN, type SpanQuestion } from "../model/span-rows";
import { fetchTopValues } from "./aggregate";
import { apiUrl, getJson } from "./http";
import { readTraces } from "./jaeger";
import { Lane } from "./lane";

/** Beside those of figures: what is found comes before what is counted, and one stays free. */
const AT_A_TIME = 2;
const lane = new Lane(AT_A_TIME);

export async function fetchMatchedSpans(
  question: SpanQuestion,
  signal: AbortSignal,
): Promise<MatchedSpans> {
  const { traceId, spanIds, where, window } = question;
  if (spanIds !== undefined) {
    const { value, completeness } = await fetchSpans(traceId, spanIds, signal);
    return { spans: value, total: value.length, isComplete: completeness.isComplete };
  }
  const counted = await fetchTopValues({ window, where }, "span_id", SPANS_SHOWN, signal, lane);
  const { values, spans: total } = counted.value;
  const ids = values.map(({ value }) => value);
  if (ids.length === 0) {
    return { spans: [], total, isComplete: counted.completeness.isComplete };
  }
  const { value, completeness } = await fetchSpans(traceId, ids, signal);
  return {
    spans: value,
    // Spans with one id are told of together, and counted apart.
    total: Math.max(total, value.length),
    isComplete: counted.completeness.isComplete && completeness.isComplete,
  };
}

function fetchSpans(traceId: string, ids: readonly string[], signal: AbortSignal) {
  const params = new URLSearchParams(ids.map((id) => ["span_id", id]));
  const url = apiUrl(`api/skua/v1/traces/${traceId}/spans`, params);
  const read = (json: unknown) =>
    readTraces(json)
      .flatMap(({ spans, processes }) =>
        spans.map((span) => detailsOf(span, processes[span.processID])),
      )
      .sort((left, right) => left.start - right.start);
  return lane.run(() => getJson(url, read, signal), signal);
}
