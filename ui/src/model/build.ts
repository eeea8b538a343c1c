// Columns from Jaeger's trace JSON.

import { epochMicros, micros } from "../base/time";
import type { JaegerSpan, JaegerTag, JaegerTrace } from "./jaeger-json";
import { selfTimes } from "./self-time";
import { type EventColumns, Flag, KINDS, parseSpanId, type TraceColumns } from "./trace";
import { orderTree } from "./tree";

/** The columns, and which span of the JSON each row is. */
export interface Built {
  readonly columns: TraceColumns;
  readonly events: EventColumns;
  readonly spanOfRow: Int32Array;
}

export function buildColumns(trace: JaegerTrace): Built {
  const { spans } = trace;
  const count = spans.length;
  const ids = idsOf(spans);
  const origin = spans.reduce((least, span) => Math.min(least, span.startTime), Infinity);
  const base = count === 0 ? 0 : origin;
  const startOfSpan = Float64Array.from(spans, (span) => span.startTime - base);
  const { parent: parentOfSpan, isOrphan } = findParents(trace, ids);
  const tree = orderTree({ parent: parentOfSpan, start: startOfSpan });
  const services = new Names();
  const operations = new Names();
  const rows = columnsOf(count);
  let end = 0;
  for (let row = 0; row < count; row += 1) {
    const index = tree.spanOfRow[row] ?? 0;
    const span = spans[index];
    if (!span) continue;
    rows.start[row] = span.startTime - base;
    rows.length[row] = span.duration;
    rows.service[row] = services.index(trace.processes[span.processID]?.serviceName ?? "");
    rows.operation[row] = operations.index(span.operationName);
    rows.spanId[2 * row] = ids[2 * index] ?? 0;
    rows.spanId[2 * row + 1] = ids[2 * index + 1] ?? 0;
    const { kind, flags } = describe(span, isOrphan[index] === 1);
    rows.kind[row] = kind;
    rows.flags[row] = flags;
    end = Math.max(end, span.startTime - base + span.duration);
  }
  spreadErrors(tree.parent, rows.flags);
  const columns: TraceColumns = {
    traceId: trace.traceID,
    origin: epochMicros(base),
    duration: micros(end),
    count,
    ...rows,
    self: selfTimes(tree.parent, rows.start, rows.length),
    parent: tree.parent,
    depth: tree.depth,
    descendants: tree.descendants,
    services: services.all,
    operations: operations.all,
  };
  return { columns, events: eventsOf(spans, tree.spanOfRow, base), spanOfRow: tree.spanOfRow };
}

function idsOf(spans: readonly JaegerSpan[]): Uint32Array {
  const ids = new Uint32Array(2 * spans.length);
  spans.forEach((span, index) => {
    // An id that is not one, as odd files have them, is zero.
    const [high, low] = parseSpanId(span.spanID) ?? [0, 0];
    ids[2 * index] = high;
    ids[2 * index + 1] = low;
  });
  return ids;
}

function columnsOf(count: number) {
  return {
    start: new Float64Array(count),
    length: new Float64Array(count),
    service: new Uint32Array(count),
    operation: new Uint32Array(count),
    spanId: new Uint32Array(2 * count),
    kind: new Uint8Array(count),
    flags: new Uint8Array(count),
  };
}

/** Names to small numbers. */
class Names {
  readonly all: string[] = [];
  readonly #indexes = new Map<string, number>();

  index(name: string): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    const index = this.all.length;
    this.all.push(name);
    this.#indexes.set(name, index);
    return index;
  }
}

/** Parents as Jaeger's UI finds them: the first CHILD_OF in this trace, else any reference. */
function findParents(
  trace: JaegerTrace,
  ids: Uint32Array,
): { parent: Int32Array; isOrphan: Uint8Array } {
  const indexOfId = new Map<string, number>();
  trace.spans.forEach((span, index) => {
    const isId = ids[2 * index] !== 0 || ids[2 * index + 1] !== 0;
    const id = span.spanID.toLowerCase();
    if (isId && !indexOfId.has(id)) indexOfId.set(id, index);
  });
  const parent = new Int32Array(trace.spans.length).fill(-1);
  const isOrphan = new Uint8Array(trace.spans.length);
  trace.spans.forEach((span, index) => {
    const above = parentIdOf(span);
    if (above === undefined) return;
    const found = indexOfId.get(above.toLowerCase());
    if (found === undefined) isOrphan[index] = 1;
    else if (found !== index) parent[index] = found;
  });
  return { parent, isOrphan };
}

function parentIdOf(span: JaegerSpan): string | undefined {
  const own = (span.references ?? []).filter((each) => each.traceID === span.traceID);
  const chosen = own.find((each) => each.refType === "CHILD_OF") ?? own[0];
  return chosen?.spanID ?? (span.parentSpanID || undefined);
}

function describe(span: JaegerSpan, isOrphan: boolean): { kind: number; flags: number } {
  let flags = isOrphan ? Flag.orphan : 0;
  let kind = 0;
  for (const tag of span.tags ?? []) {
    if (tag.key === "span.kind") kind = Math.max(KINDS.indexOf(String(tag.value) as never), 0);
    else if (isError(tag)) flags |= Flag.error;
  }
  if (span.logs?.length) flags |= Flag.events;
  if (span.warnings?.length) flags |= Flag.warnings;
  const references = span.references ?? [];
  if (references.length > 1 || references.some((each) => each.traceID !== span.traceID)) {
    flags |= Flag.links;
  }
  return { kind, flags };
}

/** Did the span fail? */
export function isFailed(span: JaegerSpan): boolean {
  return span.tags?.some(isError) ?? false;
}

function isError(tag: JaegerTag): boolean {
  if (tag.key === "error") return tag.value === true || tag.value === "true";
  return tag.key === "otel.status_code" && tag.value === "ERROR";
}

/** Marks whoever hides a failed span. */
export function spreadErrors(parent: Int32Array, flags: Uint8Array): void {
  for (let row = parent.length - 1; row >= 0; row -= 1) {
    const above = parent[row] ?? -1;
    if (above >= 0 && ((flags[row] ?? 0) & (Flag.error | Flag.errorBelow)) !== 0) {
      flags[above] = (flags[above] ?? 0) | Flag.errorBelow;
    }
  }
}

/** When the events of each row were. */
export function eventsOf(
  spans: readonly JaegerSpan[],
  spanOfRow: Int32Array,
  base: number,
): EventColumns {
  const offset = new Int32Array(spanOfRow.length + 1);
  const time: number[] = [];
  spanOfRow.forEach((index, row) => {
    for (const log of spans[index]?.logs ?? []) time.push(log.timestamp - base);
    offset[row + 1] = time.length;
  });
  return { offset, time: Float64Array.from(time) };
}
