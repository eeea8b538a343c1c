// Searches as Jaeger has them: summaries of api/v3, and traces by their ids.

import { rfc3339, wallClock } from "../base/time";
import { resolveWindow, type SearchQuery } from "../model/search-query";
import { summaryFrom, summaryOf, type TraceSummary } from "../model/summary";
import { list, number, record, text } from "./guards";
import { type Answered, apiUrl, getJson } from "./http";
import { readTraces } from "./jaeger";

export function searchTraces(
  query: SearchQuery,
  signal?: AbortSignal,
): Promise<Answered<readonly TraceSummary[]>> {
  if (query.traceIds.length > 0) return fetchByIds(query.traceIds, signal);
  const read = (json: unknown) =>
    list(record(json, "answer")["summaries"], "summaries").map(readSummary);
  return getJson(apiUrl("api/v3/trace-summaries", searchParams(query)), read, signal);
}

function searchParams(query: SearchQuery): URLSearchParams {
  const window = resolveWindow(query.window, wallClock());
  const params = new URLSearchParams({
    "query.startTimeMin": rfc3339(window.start),
    "query.startTimeMax": rfc3339(window.end),
    "query.searchDepth": String(query.limit),
  });
  const add = (name: string, value: string) => {
    if (value !== "") params.set(name, value);
  };
  add("query.serviceName", query.service);
  add("query.operationName", query.operation);
  add("query.durationMin", query.minDuration);
  add("query.durationMax", query.maxDuration);
  if (query.tags.length > 0) {
    params.set("query.attributes", JSON.stringify(Object.fromEntries(query.tags)));
  }
  return params;
}

function readSummary(json: unknown): TraceSummary {
  const summary = record(json, "summary");
  const services = list(summary["services"], "services").map((each) => {
    const share = record(each, "service");
    return {
      name: text(share["name"], "name"),
      spans: number(share["spanCount"], "spanCount"),
      errors: number(share["errorSpanCount"], "errorSpanCount"),
    };
  });
  const start = text(summary["minStartTimeUnixNano"], "minStartTimeUnixNano");
  return summaryFrom({
    traceId: text(summary["traceId"], "traceId"),
    rootService: text(summary["rootServiceName"], "rootServiceName"),
    rootOperation: text(summary["rootOperationName"], "rootOperationName"),
    startNanos: start,
    endNanos: text(summary["maxEndTimeUnixNano"], "maxEndTimeUnixNano") || start,
    spans: number(summary["spanCount"], "spanCount"),
    errors: number(summary["errorSpanCount"], "errorSpanCount"),
    orphans: number(summary["orphanSpanCount"], "orphanSpanCount"),
    services,
  });
}

function fetchByIds(
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<Answered<readonly TraceSummary[]>> {
  const params = new URLSearchParams(ids.map((id) => ["traceID", id]));
  return getJson(apiUrl("api/traces", params), (json) => readTraces(json).map(summaryOf), signal);
}
