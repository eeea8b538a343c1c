// Skua's search: traces as they are found, in exact order, then what is known at the end.

import { MICROS_PER_MILLI, type Micros, micros } from "../base/time";
import { type Completeness, completenessOf } from "../model/completeness";
import type { EarlyTrace, SearchProgress } from "../model/early";
import { tracePredicate } from "../model/predicate";
import type { SearchQuery, TimeSpan } from "../model/search-query";
import { summaryFrom, type TraceSummary } from "../model/summary";
import { list, number, record, text } from "./guards";
import { ApiError, apiUrl, postLines } from "./http";
import { searchTraces } from "./jaeger-search";

/** The end of a page of results. */
export interface SearchEnd {
  readonly completeness: Completeness;
  readonly elapsed: Micros;
  /** Goes into the request for the next page; undefined if there is none. */
  readonly cursor: string | undefined;
  /** Did spans arrive since the page before? Then an order can have changed. */
  readonly hasMoved: boolean;
  readonly spansScanned: number;
  /** The server knows Jaeger's search only: no free conditions, no further pages. */
  readonly isLimited: boolean;
}

const ORDERS: Readonly<Record<SearchQuery["order"], string>> = {
  newest: "newest",
  oldest: "oldest",
  longest: "longest",
  shortest: "shortest",
  mostSpans: "most_spans",
  mostErrors: "most_errors",
};

/** Takes what shards found so far, while others still look, and how many have answered. */
export type OnProgress = (progress: SearchProgress, early: readonly EarlyTrace[]) => void;

/**
 * Hands over the traces of the answer, in order, and returns what is known at its end. Before
 * that it tells how far the search has come, if anybody wants to hear it.
 */
export async function search(
  query: SearchQuery,
  window: TimeSpan,
  cursor: string | undefined,
  onTraces: (traces: readonly TraceSummary[]) => void,
  signal: AbortSignal,
  onProgress?: OnProgress,
): Promise<SearchEnd> {
  if (query.traceIds.length > 0) return searchAsJaeger(query, onTraces, signal);
  const body = questionOf(query, window, cursor);
  const began = performance.now();
  try {
    return await stream(body, onTraces, onProgress, began, signal);
  } catch (error) {
    const isUnknown = error instanceof ApiError && [404, 405, 501].includes(error.status);
    if (!isUnknown || query.filters.length > 0) throw error;
    return searchAsJaeger(query, onTraces, signal);
  }
}

function questionOf(query: SearchQuery, window: TimeSpan, cursor: string | undefined) {
  return {
    window: { start: nanos(window.start), end: nanos(window.end) },
    where: tracePredicate(query),
    order: ORDERS[query.order],
    limit: query.limit,
    ...(cursor === undefined ? {} : { cursor }),
  };
}

/** The same search as a command for a terminal. */
export function searchCommand(query: SearchQuery, window: TimeSpan): string {
  const body = JSON.stringify(questionOf(query, window, undefined)).replaceAll("'", "'\\''");
  const url = apiUrl("api/skua/v1/search");
  return `curl -s '${url}' -H 'content-type: application/json' -d '${body}'`;
}

async function stream(
  body: object,
  onTraces: (traces: readonly TraceSummary[]) => void,
  onProgress: OnProgress | undefined,
  began: number,
  signal: AbortSignal,
): Promise<SearchEnd> {
  const wanted = onProgress && new URLSearchParams({ progress: "true" });
  const url = apiUrl("api/skua/v1/search", wanted);
  let end: SearchEnd | undefined;
  let early: EarlyTrace[] = [];
  await postLines(url, body, signal, (lines) => {
    const traces: TraceSummary[] = [];
    for (const json of lines) {
      const line = record(json, "line");
      if (line["trace"] !== undefined) traces.push(readTrace(line["trace"]));
      else if (line["early"] !== undefined) early.push(readEarly(line["early"]));
      else if (line["progress"] !== undefined) {
        onProgress?.(readProgress(line["progress"]), early);
        early = [];
      } else if (line["end"] !== undefined) end = readEnd(line["end"], began);
      else if (line["error"] !== undefined) {
        const message = text(record(line["error"], "error")["message"], "message");
        throw new ApiError("unavailable", 200, new URL(url).pathname, message);
      }
    }
    if (traces.length > 0) onTraces(traces);
  });
  if (end !== undefined) return end;
  throw new ApiError("network", 0, new URL(url).pathname, "The answer was cut off on its way.");
}

async function searchAsJaeger(
  query: SearchQuery,
  onTraces: (traces: readonly TraceSummary[]) => void,
  signal: AbortSignal,
): Promise<SearchEnd> {
  const { value, completeness, elapsed } = await searchTraces(query, signal);
  onTraces(value);
  return {
    completeness,
    elapsed,
    cursor: undefined,
    hasMoved: false,
    spansScanned: 0,
    isLimited: query.traceIds.length === 0,
  };
}

/** Times are too large for a number; whole microseconds are exact in one. */
export function nanos(micros: number): string {
  return `${Math.max(0, Math.round(micros))}000`;
}

function readTrace(json: unknown): TraceSummary {
  const trace = record(json, "trace");
  const services = list(trace["services"], "services").map((each) => {
    const share = record(each, "service");
    return {
      name: text(share["name"], "name"),
      spans: number(share["span_count"], "span_count"),
      errors: number(share["error_count"], "error_count"),
    };
  });
  return summaryFrom({
    traceId: text(trace["trace_id"], "trace_id"),
    rootService: text(trace["root_service"], "root_service"),
    rootOperation: text(trace["root_operation"], "root_operation"),
    startNanos: text(trace["start_time_unix_nano"], "start_time_unix_nano"),
    endNanos: text(trace["end_time_unix_nano"], "end_time_unix_nano"),
    spans: number(trace["span_count"], "span_count"),
    errors: number(trace["error_count"], "error_count"),
    orphans: number(trace["orphan_count"], "orphan_count"),
    services,
  });
}

function readEarly(json: unknown): EarlyTrace {
  const early = record(json, "early");
  return { place: number(early["place"], "place"), trace: readTrace(early["trace"]) };
}

function readProgress(json: unknown): SearchProgress {
  const progress = record(json, "progress");
  return {
    shards: number(progress["shards"], "shards"),
    answered: number(progress["answered"], "answered"),
    missing: list(progress["missing"], "missing").length,
    spansScanned: number(progress["spans_scanned"], "spans_scanned"),
  };
}

function readEnd(json: unknown, began: number): SearchEnd {
  const end = record(json, "end");
  return {
    completeness: completenessOf(
      text(end["completeness"], "completeness"),
      list(end["missing"], "missing").map(String),
      list(end["stale"], "stale").map(String),
      text(end["exhausted"], "exhausted"),
    ),
    elapsed: micros((performance.now() - began) * MICROS_PER_MILLI),
    cursor: text(end["cursor"], "cursor") || undefined,
    hasMoved: list(end["moved"], "moved").length > 0,
    spansScanned: number(end["spans_scanned"], "spans_scanned"),
    isLimited: false,
  };
}
