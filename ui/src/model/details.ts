// Everything about one span: what its row does not carry.

import { type EpochMicros, epochMicros, type Micros, micros } from "../base/time";
import type { JaegerProcess, JaegerSpan, JaegerTag } from "./jaeger-json";
import {
  Flag,
  hasFlag,
  KINDS,
  lengthOf,
  operationOf,
  serviceOf,
  spanIdOf,
  startTimeOf,
  type TraceColumns,
} from "./trace";

export type AttributeValue = string | number | boolean;

export interface Attribute {
  readonly key: string;
  readonly value: AttributeValue;
}

export interface SpanEvent {
  readonly time: EpochMicros;
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  /** `CHILD_OF` or `FOLLOWS_FROM`. */
  readonly type: string;
}

export interface SpanDetails {
  readonly spanId: string;
  readonly service: string;
  readonly operation: string;
  readonly start: EpochMicros;
  readonly length: Micros;
  readonly kind: string;
  /** `OK`, `ERROR` or empty. */
  readonly status: string;
  readonly statusMessage: string;
  readonly attributes: readonly Attribute[];
  readonly resource: readonly Attribute[];
  readonly scope: readonly Attribute[];
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  readonly warnings: readonly string[];
  /** The span as the server sent it. */
  readonly raw: unknown;
  /** False if only what columns say is known. */
  readonly isWhole: boolean;
}

/** Keys that have a place of their own in the panel. */
const PLACED = new Set(["span.kind", "otel.status_code", "otel.status_description"]);
const SCOPE_KEYS = /^otel\.(scope|library)\./;

export function detailsOf(span: JaegerSpan, process: JaegerProcess | undefined): SpanDetails {
  const tags = (span.tags ?? []).map(attributeOf);
  const textOf = (key: string) => String(tags.find((tag) => tag.key === key)?.value ?? "");
  const failed = tags.some(({ key, value }) => key === "error" && String(value) === "true");
  return {
    spanId: span.spanID,
    service: process?.serviceName ?? "",
    operation: span.operationName,
    start: epochMicros(span.startTime),
    length: micros(span.duration),
    kind: textOf("span.kind"),
    status: textOf("otel.status_code") || (failed ? "ERROR" : ""),
    statusMessage: textOf("otel.status_description"),
    attributes: tags.filter(({ key }) => !PLACED.has(key) && !SCOPE_KEYS.test(key)),
    resource: (process?.tags ?? []).map(attributeOf),
    scope: tags.filter(({ key }) => SCOPE_KEYS.test(key)),
    events: (span.logs ?? []).map((log) => eventOf(log.timestamp, log.fields)),
    links: linksOf(span),
    warnings: span.warnings ?? [],
    raw: span,
    isWhole: true,
  };
}

/** What the columns alone say. */
export function bareDetails(trace: TraceColumns, row: number): SpanDetails {
  const spanId = spanIdOf(trace, row);
  const service = serviceOf(trace, row);
  const operation = operationOf(trace, row);
  const start = startTimeOf(trace, row);
  const kind = KINDS[trace.kind[row] ?? 0] ?? "";
  return {
    spanId,
    service,
    operation,
    start,
    length: lengthOf(trace, row),
    kind,
    status: hasFlag(trace, row, Flag.error) ? "ERROR" : "",
    statusMessage: "",
    attributes: [],
    resource: [],
    scope: [],
    events: [],
    links: [],
    warnings: [],
    raw: { spanID: spanId, service, operation, start, duration: lengthOf(trace, row), kind },
    isWhole: false,
  };
}

function attributeOf({ key, value }: JaegerTag): Attribute {
  const isPlain =
    typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return { key, value: isPlain ? value : JSON.stringify(value) };
}

/** Jaeger keeps the name of an event in its field `event`, older clients in `message`. */
function eventOf(timestamp: number, fields: readonly JaegerTag[]): SpanEvent {
  const attributes = fields.map(attributeOf);
  const named =
    attributes.find(({ key }) => key === "event") ??
    attributes.find(({ key }) => key === "message");
  return {
    time: epochMicros(timestamp),
    name: named === undefined ? "event" : String(named.value),
    attributes: attributes.filter((attribute) => attribute !== named),
  };
}

/** All references but the one that makes the tree. */
function linksOf(span: JaegerSpan): SpanLink[] {
  const references = span.references ?? [];
  const own = references.filter((each) => each.traceID === span.traceID);
  const parent = own.find((each) => each.refType === "CHILD_OF") ?? own[0];
  return references
    .filter((each) => each !== parent)
    .map(({ traceID, spanID, refType }) => ({ traceId: traceID, spanId: spanID, type: refType }));
}
