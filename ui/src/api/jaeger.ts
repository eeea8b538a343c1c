// Jaeger's query APIs: the old one and api/v3.

import type { JaegerTrace } from "../model/jaeger-json";
import type { DependencyEdge, Operation } from "../model/operation";
import { list, number, record, text } from "./guards";
import { type Answered, apiUrl, getJson } from "./http";

export function fetchServices(signal?: AbortSignal): Promise<Answered<readonly string[]>> {
  const read = (json: unknown) =>
    list(record(json, "answer")["services"], "services").map((each) => text(each, "service"));
  return getJson(apiUrl("api/v3/services"), read, signal);
}

export function fetchOperations(
  service: string,
  signal?: AbortSignal,
): Promise<Answered<readonly Operation[]>> {
  const read = (json: unknown) =>
    list(record(json, "answer")["operations"], "operations").map((each) => {
      const operation = record(each, "operation");
      return {
        name: text(operation["name"], "name"),
        kind: text(operation["spanKind"], "spanKind"),
      };
    });
  return getJson(apiUrl("api/v3/operations", new URLSearchParams({ service })), read, signal);
}

/** The traces within the old API's envelope, or a file that Jaeger's UI saved. */
export function readTraces(json: unknown): readonly JaegerTrace[] {
  const data = list(record(json, "answer")["data"], "data");
  return data.map((each) => {
    const trace = record(each, "trace");
    record(trace["processes"], "processes");
    for (const span of list(trace["spans"], "spans")) checkSpan(span);
    text(trace["traceID"], "traceID");
    return trace as unknown as JaegerTrace;
  });
}

/** The members that no span can do without; the rest is read with care. */
function checkSpan(json: unknown): void {
  const span = record(json, "span");
  text(span["spanID"], "spanID");
  text(span["operationName"], "operationName");
  number(span["startTime"], "startTime");
  number(span["duration"], "duration");
}

export function fetchDependencies(
  endMillis: number,
  lookbackMillis: number,
  signal?: AbortSignal,
): Promise<Answered<readonly DependencyEdge[]>> {
  const params = new URLSearchParams({
    endTs: String(endMillis),
    lookback: String(lookbackMillis),
  });
  const read = (json: unknown) =>
    list(record(json, "answer")["data"], "data").map((each) => {
      const edge = record(each, "dependency");
      return {
        parent: text(edge["parent"], "parent"),
        child: text(edge["child"], "child"),
        calls: number(edge["callCount"], "callCount"),
      };
    });
  return getJson(apiUrl("api/dependencies", params), read, signal);
}
