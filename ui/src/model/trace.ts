// A trace as columns: one typed array for each property, one row for each span, rows in
// depth-first order. A million spans are some forty megabytes, and a frame reads only the rows it
// draws.
//
// Invariants: a parent's row is before its children's; the subtree of row r is the rows
// r .. r + descendants[r]; children of one span are in order of their start.

import { type EpochMicros, epochMicros, type Micros, micros } from "../base/time";

/** What is true of a span, as bits of `flags`. */
export const Flag = {
  /** The span failed. */
  error: 1,
  events: 2,
  links: 4,
  /** The server repaired or doubts something. */
  warnings: 8,
  /** It names a parent that is not in the trace. */
  orphan: 16,
  /** Some span below it failed. */
  errorBelow: 32,
} as const;

/** Span kinds by their number in `kind`. */
export const KINDS = ["", "internal", "server", "client", "producer", "consumer"] as const;

export interface TraceColumns {
  readonly traceId: string;
  /** When the first span starts; `start` counts from here. */
  readonly origin: EpochMicros;
  /** From the first start to the last end. */
  readonly duration: Micros;
  readonly count: number;
  /** Microseconds after `origin`. */
  readonly start: Float64Array;
  /** Microseconds. */
  readonly length: Float64Array;
  /** Microseconds in which no child was at work. */
  readonly self: Float64Array;
  /** Row of the parent, -1 for a root. */
  readonly parent: Int32Array;
  readonly depth: Uint16Array;
  readonly descendants: Int32Array;
  /** Index into `services`. */
  readonly service: Uint32Array;
  /** Index into `operations`. */
  readonly operation: Uint32Array;
  /** Index into `KINDS`. */
  readonly kind: Uint8Array;
  /** Bits of `Flag`. */
  readonly flags: Uint8Array;
  /** The id of row r: its high half at 2r, its low half at 2r + 1. */
  readonly spanId: Uint32Array;
  readonly services: readonly string[];
  readonly operations: readonly string[];
}

/** When the events of spans were. Apart from the columns, since it may come later. */
export interface EventColumns {
  /** The events of row r are at offset[r] .. offset[r + 1] of `time`. */
  readonly offset: Int32Array;
  /** Microseconds after the origin of the trace. */
  readonly time: Float64Array;
}

export function serviceOf(trace: TraceColumns, row: number): string {
  return trace.services[trace.service[row] ?? 0] ?? "";
}

export function operationOf(trace: TraceColumns, row: number): string {
  return trace.operations[trace.operation[row] ?? 0] ?? "";
}

export function hasFlag(trace: TraceColumns, row: number, flag: number): boolean {
  return ((trace.flags[row] ?? 0) & flag) !== 0;
}

export function startOf(trace: TraceColumns, row: number): Micros {
  return micros(trace.start[row] ?? 0);
}

/** When a span began. */
export function startTimeOf(trace: TraceColumns, row: number): EpochMicros {
  return epochMicros(trace.origin + (trace.start[row] ?? 0));
}

export function lengthOf(trace: TraceColumns, row: number): Micros {
  return micros(trace.length[row] ?? 0);
}

export function endOf(trace: TraceColumns, row: number): Micros {
  return micros((trace.start[row] ?? 0) + (trace.length[row] ?? 0));
}

/** The id as 16 hexadecimal digits. */
export function spanIdOf(trace: TraceColumns, row: number): string {
  return hex(trace.spanId[2 * row] ?? 0) + hex(trace.spanId[2 * row + 1] ?? 0);
}

function hex(half: number): string {
  return half.toString(16).padStart(8, "0");
}

/** The halves of a span id in hexadecimal, leading zeros optional; undefined if it is not one. */
export function parseSpanId(id: string): readonly [high: number, low: number] | undefined {
  if (!/^[0-9a-f]{1,16}$/i.test(id)) return undefined;
  const full = id.padStart(16, "0");
  return [Number.parseInt(full.slice(0, 8), 16), Number.parseInt(full.slice(8), 16)];
}

/** The row of a span id; -1 if there is none. */
export function rowOfSpanId(trace: TraceColumns, id: string): number {
  const wanted = parseSpanId(id);
  if (wanted === undefined) return -1;
  const [high, low] = wanted;
  for (let row = 0; row < trace.count; row += 1) {
    if (trace.spanId[2 * row + 1] === low && trace.spanId[2 * row] === high) return row;
  }
  return -1;
}

/** Rows from the root down to the parent of `row`. */
export function ancestorsOf(trace: TraceColumns, row: number): number[] {
  const ancestors: number[] = [];
  let at = trace.parent[row] ?? -1;
  while (at >= 0) {
    ancestors.push(at);
    at = trace.parent[at] ?? -1;
  }
  return ancestors.reverse();
}

export function countFlag(trace: TraceColumns, flag: number): number {
  let found = 0;
  for (const flags of trace.flags) if ((flags & flag) !== 0) found += 1;
  return found;
}

/** How many spans each service has, in the order of `services`. */
export function spansByService(trace: TraceColumns): { name: string; spans: number }[] {
  const counts = trace.services.map((name) => ({ name, spans: 0 }));
  for (const service of trace.service) {
    const entry = counts[service];
    if (entry) entry.spans += 1;
  }
  return counts;
}

/** The buffers behind columns, to be handed between threads without copying. */
export function buffersOf(columns: object): ArrayBuffer[] {
  return Object.values(columns)
    .filter((column) => ArrayBuffer.isView(column))
    .map((column) => column.buffer as ArrayBuffer);
}

/** The same with arrays of its own. */
export function copyOf(trace: TraceColumns): TraceColumns {
  const copies = Object.entries(trace).map(([name, column]) => [
    name,
    ArrayBuffer.isView(column) ? (column as Float64Array).slice() : column,
  ]);
  return Object.fromEntries(copies) as TraceColumns;
}
