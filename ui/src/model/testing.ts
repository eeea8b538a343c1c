// Small traces for tests, written as rows, and columns as a server writes them.

import { buildColumns } from "./build";
import type { JaegerSpan, JaegerTrace } from "./jaeger-json";
import type { TraceColumns } from "./trace";

export interface SpanSketch {
  readonly id: string;
  readonly parent?: string;
  readonly start: number;
  readonly length: number;
  readonly service?: string;
  readonly operation?: string;
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
    operationName: span.operation ?? `op ${span.id}`,
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

/** A trace in the order of a server: by start. */
export interface ColumnsSketch {
  readonly traceId?: string;
  readonly revision?: string;
  readonly completeness?: string;
  /** Decimal nanoseconds. */
  readonly start?: string;
  readonly services: readonly string[];
  readonly operations: readonly string[];
  readonly rows: readonly {
    /** Sixteen hexadecimal digits. */
    readonly id: string;
    /** Nanoseconds. */
    readonly start: number;
    readonly duration: number;
    readonly parent: number;
    readonly service?: number;
    readonly operation?: number;
    readonly flags?: number;
  }[];
}

/** The counterpart of `columns.ts`. */
export function encodeColumns(sketch: ColumnsSketch): ArrayBuffer {
  const { rows } = sketch;
  const widths = {
    span_id: 8,
    start: 8,
    duration: 8,
    parent: 4,
    service: 4,
    operation: 4,
    flags: 1,
  };
  const types = { 8: "u64", 4: "u32", 1: "u8" } as Readonly<Record<number, string>>;
  let offset = 0;
  const columns = Object.entries(widths).map(([name, width]) => {
    const bytes = width * rows.length;
    const type = name === "span_id" ? "bytes8" : types[width];
    const column = { name, type, offset, bytes };
    offset += bytes;
    return column;
  });
  const line = JSON.stringify({
    format: "skua-columns",
    version: 1,
    trace_id: sketch.traceId ?? "00000000000000000000000000000001",
    revision: sketch.revision ?? "0-1-1",
    completeness: sketch.completeness ?? "complete",
    spans: rows.length,
    start_time_unix_nano: sketch.start ?? "1000000000",
    services: sketch.services,
    operations: sketch.operations,
    columns,
    column_bytes: offset,
  });
  const text = new TextEncoder().encode(line);
  const at = Math.ceil((text.length + 1) / 8) * 8;
  const body = new Uint8Array(at + offset);
  body.fill(0x20, 0, at);
  body.set(text);
  body[at - 1] = 0x0a;
  const view = new DataView(body.buffer, at);
  const place = (name: string) => columns.find((column) => column.name === name)?.offset ?? 0;
  rows.forEach((row, index) => {
    view.setBigUint64(place("span_id") + 8 * index, BigInt(`0x${row.id}`), false);
    view.setBigUint64(place("start") + 8 * index, BigInt(row.start), true);
    view.setBigUint64(place("duration") + 8 * index, BigInt(row.duration), true);
    view.setUint32(place("parent") + 4 * index, row.parent, true);
    view.setUint32(place("service") + 4 * index, row.service ?? 0, true);
    view.setUint32(place("operation") + 4 * index, row.operation ?? 0, true);
    view.setUint8(place("flags") + index, row.flags ?? 0);
  });
  return body.buffer;
}
