// Small traces for tests, written as rows: id, parent, start, length.

import { buildColumns } from "./build";
import type { JaegerSpan, JaegerTrace } from "./jaeger-json";
import type { TraceColumns } from "./trace";

export interface SpanSketch {
  readonly id: string;
  readonly parent?: string;
  readonly start: number;
  readonly length: number;
  readonly service?: string;
  readonly failed?: boolean;
}

const TRACE_ID = "00000000000000000000000000000001";

export function sketchTrace(spans: readonly SpanSketch[]): JaegerTrace {
  const services = [...new Set(spans.map((span) => span.service ?? "a"))];
  return {
    traceID: TRACE_ID,
    spans: spans.map((span) => sketchSpan(span, services)),
    processes: Object.fromEntries(
      services.map((serviceName, index) => [`p${index}`, { serviceName, tags: [] }]),
    ),
  };
}

function sketchSpan(span: SpanSketch, services: readonly string[]): JaegerSpan {
  const { parent } = span;
  return {
    traceID: TRACE_ID,
    spanID: span.id,
    operationName: `op ${span.id}`,
    references:
      parent === undefined ? [] : [{ refType: "CHILD_OF", traceID: TRACE_ID, spanID: parent }],
    startTime: 1_000_000 + span.start,
    duration: span.length,
    tags: span.failed ? [{ key: "error", type: "bool", value: true }] : [],
    logs: [],
    processID: `p${services.indexOf(span.service ?? "a")}`,
    warnings: null,
  };
}

export function sketchColumns(spans: readonly SpanSketch[]): TraceColumns {
  return buildColumns(sketchTrace(spans)).columns;
}
