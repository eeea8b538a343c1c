// A trace as the server sends it in columns: one line of JSON, then typed arrays, read without
// an object for any span. The form is described in docs/formats/columns-v1.md.

import { epochMicros, micros } from "../base/time";
import { spreadErrors } from "./build";
import { type Completeness, parseCompleteness } from "./completeness";
import { selfTimes } from "./self-time";
import { Flag, KINDS, type TraceColumns } from "./trace";
import { type Ordered, orderTree } from "./tree";

export interface Decoded {
  readonly columns: TraceColumns;
  readonly completeness: Completeness;
  /** Which state of the trace this is; equal texts are equal states. */
  readonly revision: string;
  /** For each of our rows the row of the server's. */
  readonly sentRows: Int32Array;
}

const LINE_FEED = 0x0a;
const WIDTHS: Readonly<Record<string, number>> = { bytes8: 8, u64: 8, u32: 4, u8: 1 };
const HALF = 2 ** 32;
const NANOS_PER_MICRO = 1_000;
/** Bits of the server's flags. */
const Sent = { kind: 0b111, error: 8, events: 16, links: 32, orphan: 64 } as const;

interface Line {
  readonly trace_id: string;
  readonly revision: string;
  readonly completeness: string;
  readonly spans: number;
  readonly start_time_unix_nano: string;
  readonly services: readonly string[];
  readonly operations: readonly string[];
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly offset: number;
    readonly bytes: number;
  }[];
  readonly column_bytes: number;
}

/** Throws on anything that is not a whole answer of the version it knows. */
export function decodeColumns(body: ArrayBuffer): Decoded {
  const { line, at } = readLine(body);
  if (body.byteLength - at !== line.column_bytes) throw new Error("the columns were cut off");
  const sent = new Sections(body, at, line);
  const start = toMicros(sent.u32("start", "u64", 2), line.spans);
  const parent = parentsOf(sent.u32("parent", "u32", 1));
  const tree = orderTree({ parent, start });
  const { end, ...rows } = permuted(sent, tree, start, line);
  spreadErrors(tree.parent, rows.flags);
  return {
    columns: {
      traceId: line.trace_id,
      origin: epochMicros(originOf(line.start_time_unix_nano)),
      duration: micros(end),
      count: line.spans,
      ...rows,
      self: selfTimes(tree.parent, rows.start, rows.length),
      parent: tree.parent,
      depth: tree.depth,
      descendants: tree.descendants,
      services: line.services,
      operations: line.operations,
    },
    completeness: parseCompleteness(line.completeness),
    revision: line.revision,
    sentRows: tree.spanOfRow,
  };
}

function readLine(body: ArrayBuffer): { line: Line; at: number } {
  const bytes = new Uint8Array(body);
  const end = bytes.indexOf(LINE_FEED);
  if (end < 0) throw new Error("the line before the columns is missing");
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as Record<
    string,
    unknown
  >;
  if (json["format"] !== "skua-columns" || json["version"] !== 1) {
    throw new Error("the columns are of a version that this page does not know");
  }
  const line = json as unknown as Line;
  const isSound =
    Number.isSafeInteger(line.spans) &&
    line.spans >= 0 &&
    Array.isArray(line.services) &&
    Array.isArray(line.operations) &&
    Array.isArray(line.columns);
  if (!isSound) throw new Error("the line before the columns lacks something");
  return { line, at: end + 1 };
}

/** The columns by name, each checked against what is expected of it. */
class Sections {
  readonly #body: ArrayBuffer;
  readonly #at: number;
  readonly #line: Line;

  constructor(body: ArrayBuffer, at: number, line: Line) {
    this.#body = body;
    this.#at = at;
    this.#line = line;
  }

  u8(name: string): Uint8Array {
    return new Uint8Array(this.#body, this.#find(name, "u8"), this.#line.spans);
  }

  /** `halves` is how many 32-bit numbers an entry takes. */
  u32(name: string, type: string, halves: number): Uint32Array {
    return new Uint32Array(this.#body, this.#find(name, type), this.#line.spans * halves);
  }

  #find(name: string, type: string): number {
    const found = this.#line.columns.find((column) => column.name === name);
    const bytes = (WIDTHS[type] ?? 0) * this.#line.spans;
    const isSound =
      found !== undefined &&
      found.type === type &&
      found.bytes === bytes &&
      found.offset >= 0 &&
      found.offset + bytes <= this.#line.column_bytes;
    if (!isSound) throw new Error(`the column ${name} is not as expected`);
    return this.#at + found.offset;
  }
}

/** Nanoseconds in two halves, low before high, to microseconds. */
function toMicros(halves: Uint32Array, count: number): Float64Array {
  const times = new Float64Array(count);
  for (let row = 0; row < count; row += 1) {
    const nanos = (halves[2 * row] ?? 0) + (halves[2 * row + 1] ?? 0) * HALF;
    times[row] = nanos / NANOS_PER_MICRO;
  }
  return times;
}

/** A row that is its own parent has none. */
function parentsOf(sent: Uint32Array): Int32Array {
  const parent = new Int32Array(sent.length);
  for (let row = 0; row < sent.length; row += 1) {
    const above = sent[row] ?? 0;
    if (above >= sent.length) throw new Error("a parent is not a row");
    parent[row] = above === row ? -1 : above;
  }
  return parent;
}

/** From the server's order, by start, to ours, depth first; `end` is when the last span ends. */
function permuted(sent: Sections, tree: Ordered, startOfSpan: Float64Array, line: Line) {
  const count = line.spans;
  const ids = sent.u32("span_id", "bytes8", 2);
  const duration = sent.u32("duration", "u64", 2);
  const serviceOfSpan = sent.u32("service", "u32", 1);
  const operationOfSpan = sent.u32("operation", "u32", 1);
  const sentFlags = sent.u8("flags");
  const start = new Float64Array(count);
  const length = new Float64Array(count);
  const service = new Uint32Array(count);
  const operation = new Uint32Array(count);
  const spanId = new Uint32Array(2 * count);
  const kind = new Uint8Array(count);
  const flags = new Uint8Array(count);
  let end = 0;
  for (let row = 0; row < count; row += 1) {
    const from = tree.spanOfRow[row] ?? 0;
    const begins = startOfSpan[from] ?? 0;
    const nanos = (duration[2 * from] ?? 0) + (duration[2 * from + 1] ?? 0) * HALF;
    const lasts = nanos / NANOS_PER_MICRO;
    start[row] = begins;
    length[row] = lasts;
    if (begins + lasts > end) end = begins + lasts;
    service[row] = serviceOfSpan[from] ?? 0;
    operation[row] = operationOfSpan[from] ?? 0;
    spanId[2 * row] = swapped(ids[2 * from] ?? 0);
    spanId[2 * row + 1] = swapped(ids[2 * from + 1] ?? 0);
    const bits = sentFlags[from] ?? 0;
    kind[row] = KIND_OF_BITS[bits & Sent.kind] ?? 0;
    flags[row] = FLAGS_OF_BITS[bits] ?? 0;
  }
  return { start, length, service, operation, spanId, kind, flags, end };
}

const KIND_OF_BITS = Uint8Array.from({ length: Sent.kind + 1 }, (_, kind) =>
  kind < KINDS.length ? kind : 0,
);

/** Our flags for each of the server's bytes. */
const FLAGS_OF_BITS = Uint8Array.from(
  { length: 256 },
  (_, bits) =>
    ((bits & Sent.error) !== 0 ? Flag.error : 0) |
    ((bits & Sent.events) !== 0 ? Flag.events : 0) |
    ((bits & Sent.links) !== 0 ? Flag.links : 0) |
    ((bits & Sent.orphan) !== 0 ? Flag.orphan : 0),
);

/** Ids come with their highest byte first. */
function swapped(value: number): number {
  return (
    (((value & 0xff) << 24) |
      ((value & 0xff00) << 8) |
      ((value >>> 8) & 0xff00) |
      (value >>> 24)) >>>
    0
  );
}

/** Nanoseconds since the epoch do not fit a number, so they are cut as text. */
function originOf(nanos: string): number {
  if (!/^\d{1,20}$/.test(nanos)) throw new Error("the start is not a time");
  return Number(nanos.slice(0, -3) || "0") + Number(nanos.slice(-3)) / NANOS_PER_MICRO;
}
