// Columns from Jaeger's trace JSON.

import { epochMicros, micros } from "../base/time";
import type { JaegerSpan, JaegerTag, JaegerTrace } from "./jaeger-json";
import { selfTimes } from "./self-time";
import { Flag, KINDS, type TraceColumns } from "./trace";
import { orderTree } from "./tree";

/** The columns, and which span of the JSON each row is. */
export interface Built {
  readonly columns: TraceColumns;
  readonly spanOfRow: Int32Array;
}

export function buildColumns(trace: JaegerTrace): Built {
  const { spans } = trace;
  const count = spans.length;
  const ids = BigUint64Array.from(spans, (span) => parseSpanId(span.spanID));
  const origin = spans.reduce((least, span) => Math.min(least, span.startTime), Infinity);
  const base = count === 0 ? 0 : origin;
  const startOfSpan = Float64Array.from(spans, (span) => span.startTime - base);
  const { parent: parentOfSpan, isOrphan } = findParents(trace, ids);
  const tree = orderTree({ parent: parentOfSpan, start: startOfSpan });
  const services = new Names();
  const operations = new Names();
  const rows = columnsOf(count);
  let end = 0;
  let events = 0;
  for (let row = 0; row < count; row += 1) {
    const index = tree.spanOfRow[row] ?? 0;
    const span = spans[index];
    if (!span) continue;
    rows.start[row] = span.startTime - base;
    rows.length[row] = span.duration;
    rows.service[row] = services.index(trace.processes[span.processID]?.serviceName ?? "");
    rows.operation[row] = operations.index(span.operationName);
    rows.spanId[row] = ids[index] ?? 0n;
    const { kind, flags } = describe(span, isOrphan[index] === 1);
    rows.kind[row] = kind;
    rows.flags[row] = flags;
    events += span.logs?.length ?? 0;
    rows.eventOffset[row + 1] = events;
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
    eventTime: eventTimes(spans, tree.spanOfRow, base, events),
    services: services.all,
    operations: operations.all,
  };
  return { columns, spanOfRow: tree.spanOfRow };
}

function columnsOf(count: number) {
  return {
    start: new Float64Array(count),
    length: new Float64Array(count),
    service: new Uint16Array(count),
    operation: new Uint32Array(count),
    spanId: new BigUint64Array(count),
    kind: new Uint8Array(count),
    flags: new Uint8Array(count),
    eventOffset: new Int32Array(count + 1),
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

/** An id as a number; an id that is not one, as odd files have them, as zero. */
export function parseSpanId(id: string): bigint {
  return /^[0-9a-f]{1,16}$/i.test(id) ? BigInt(`0x${id}`) : 0n;
}

/** Parents as Jaeger's UI finds them: the first CHILD_OF in this trace, else any reference. */
function findParents(
  trace: JaegerTrace,
  ids: BigUint64Array,
): { parent: Int32Array; isOrphan: Uint8Array } {
  const indexOfId = new Map<bigint, number>();
  ids.forEach((id, index) => {
    if (id !== 0n && !indexOfId.has(id)) indexOfId.set(id, index);
  });
  const parent = new Int32Array(ids.length).fill(-1);
  const isOrphan = new Uint8Array(ids.length);
  trace.spans.forEach((span, index) => {
    const above = parentIdOf(span);
    if (above === undefined) return;
    const found = indexOfId.get(parseSpanId(above));
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

function spreadErrors(parent: Int32Array, flags: Uint8Array): void {
  for (let row = parent.length - 1; row >= 0; row -= 1) {
    const above = parent[row] ?? -1;
    if (above >= 0 && ((flags[row] ?? 0) & (Flag.error | Flag.errorBelow)) !== 0) {
      flags[above] = (flags[above] ?? 0) | Flag.errorBelow;
    }
  }
}

function eventTimes(
  spans: readonly JaegerSpan[],
  spanOfRow: Int32Array,
  base: number,
  count: number,
): Float64Array {
  const times = new Float64Array(count);
  let at = 0;
  for (const index of spanOfRow) {
    for (const log of spans[index]?.logs ?? []) {
      times[at] = log.timestamp - base;
      at += 1;
    }
  }
  return times;
}
