// Two traces side by side, or several on a side: what each service and operation did in the one and
// in the other. Of several traces figures are means of a trace, so that sides of any size compare.

import { type Micros, micros } from "../base/time";
import { Flag, type TraceColumns } from "./trace";

/** One operation on both sides; a side without it has zeros. */
export interface Difference {
  readonly service: string;
  readonly operation: string;
  readonly left: Side;
  readonly right: Side;
  /** How much more of the operation's own time a trace of the right side has; negative if less. */
  readonly self: Micros;
  readonly where: "both" | "left" | "right";
}

export interface Side {
  /** Spans a trace. */
  readonly count: number;
  readonly errors: number;
  readonly self: Micros;
  /** Of all spans of the side. */
  readonly p50: Micros;
}

const ABSENT: Side = { count: 0, errors: 0, self: micros(0), p50: micros(0) };

/** All operations of both sides, those first that account for most of the difference. */
export function compareTraces(
  left: readonly TraceColumns[],
  right: readonly TraceColumns[],
): readonly Difference[] {
  const [ofLeft, ofRight] = [sideOf(left), sideOf(right)];
  return [...new Set([...ofLeft.keys(), ...ofRight.keys()])]
    .map((key) => difference(key, ofLeft.get(key), ofRight.get(key)))
    .sort((one, other) => Math.abs(other.self) - Math.abs(one.self));
}

function difference(key: string, left: Side | undefined, right: Side | undefined): Difference {
  const [service = "", operation = ""] = key.split("\n");
  return {
    service,
    operation,
    left: left ?? ABSENT,
    right: right ?? ABSENT,
    self: micros((right?.self ?? 0) - (left?.self ?? 0)),
    where: left === undefined ? "right" : right === undefined ? "left" : "both",
  };
}

interface Sum {
  errors: number;
  self: number;
  readonly lengths: number[];
}

/** By service and operation with a line break between. */
function sideOf(traces: readonly TraceColumns[]): ReadonlyMap<string, Side> {
  const sums = new Map<string, Sum>();
  for (const trace of traces) addTrace(sums, trace);
  const mean = (sum: number) => sum / Math.max(traces.length, 1);
  return new Map(
    [...sums].map(([key, { errors, self, lengths }]) => {
      const sorted = Float64Array.from(lengths).sort();
      return [
        key,
        {
          count: mean(lengths.length),
          errors: mean(errors),
          self: micros(mean(self)),
          p50: micros(sorted[Math.ceil(0.5 * sorted.length) - 1] ?? 0),
        },
      ];
    }),
  );
}

function addTrace(sums: Map<string, Sum>, trace: TraceColumns): void {
  // Names are put together once for each pair of numbers, not for each span.
  const known = new Map<number, Sum>();
  const operations = trace.operations.length;
  for (let row = 0; row < trace.count; row += 1) {
    const [service, operation] = [trace.service[row] ?? 0, trace.operation[row] ?? 0];
    const pair = service * operations + operation;
    let sum = known.get(pair);
    if (sum === undefined) {
      const key = `${trace.services[service] ?? ""}\n${trace.operations[operation] ?? ""}`;
      sum = sums.get(key) ?? { errors: 0, self: 0, lengths: [] };
      sums.set(key, sum);
      known.set(pair, sum);
    }
    sum.errors += ((trace.flags[row] ?? 0) & Flag.error) !== 0 ? 1 : 0;
    sum.self += trace.self[row] ?? 0;
    sum.lengths.push(trace.length[row] ?? 0);
  }
}

/** How long one of several traces takes. */
export function meanDuration(traces: readonly TraceColumns[]): Micros {
  const sum = traces.reduce((total, { duration }) => total + duration, 0);
  return micros(sum / Math.max(traces.length, 1));
}
