// Traces as a list shows them.

import { between, type EpochMicros, epochMicros, type Micros } from "../base/time";
import { buildColumns } from "./build";
import type { JaegerTrace } from "./jaeger-json";
import type { Order } from "./orders";
import { countFlag, Flag, hasFlag, operationOf, serviceOf } from "./trace";

export interface ServiceShare {
  readonly name: string;
  readonly spans: number;
  readonly errors: number;
}

export interface TraceSummary {
  readonly traceId: string;
  /** Empty if the root has not arrived. */
  readonly rootService: string;
  readonly rootOperation: string;
  readonly start: EpochMicros;
  readonly duration: Micros;
  readonly spans: number;
  readonly errors: number;
  readonly orphans: number;
  readonly services: readonly ServiceShare[];
}

const COMPARE: Record<Order, (left: TraceSummary, right: TraceSummary) => number> = {
  newest: (left, right) => right.start - left.start,
  oldest: (left, right) => left.start - right.start,
  longest: (left, right) => right.duration - left.duration,
  shortest: (left, right) => left.duration - right.duration,
  mostSpans: (left, right) => right.spans - left.spans,
  mostErrors: (left, right) => right.errors - left.errors,
};

export function nameOf(trace: TraceSummary): string {
  return `${trace.rootService}: ${trace.rootOperation}`;
}

/** Sorted; equal traces in order of id, so that the list never flickers. */
export function sortSummaries(traces: readonly TraceSummary[], by: Order): TraceSummary[] {
  const order = COMPARE[by];
  return [...traces].sort(
    (left, right) => order(left, right) || (left.traceId < right.traceId ? -1 : 1),
  );
}

/** How many spans each service has in all the traces. */
export function servicesOf(traces: readonly TraceSummary[]): ServiceShare[] {
  const totals = new Map<string, { name: string; spans: number; errors: number; traces: number }>();
  for (const { services } of traces) {
    for (const { name, spans, errors } of services) {
      const total = totals.get(name) ?? { name, spans: 0, errors: 0, traces: 0 };
      total.spans += spans;
      total.errors += errors;
      totals.set(name, total);
    }
  }
  return [...totals.values()].sort((left, right) => right.spans - left.spans);
}

/** The summary of a trace that came whole. */
export function summaryOf(trace: JaegerTrace): TraceSummary {
  const { columns } = buildColumns(trace);
  const shares = columns.services.map((name) => ({ name, spans: 0, errors: 0 }));
  for (let row = 0; row < columns.count; row += 1) {
    const share = shares[columns.service[row] ?? 0];
    if (!share) continue;
    share.spans += 1;
    if (hasFlag(columns, row, Flag.error)) share.errors += 1;
  }
  return {
    traceId: columns.traceId,
    rootService: columns.count > 0 ? serviceOf(columns, 0) : "",
    rootOperation: columns.count > 0 ? operationOf(columns, 0) : "",
    start: columns.origin,
    duration: columns.duration,
    spans: columns.count,
    errors: countFlag(columns, Flag.error),
    orphans: countFlag(columns, Flag.orphan),
    services: shares,
  };
}

/** A summary from the parts that api/v3 gives; all but the id may be absent. */
export function summaryFrom(parts: {
  readonly traceId: string;
  readonly rootService?: string;
  readonly rootOperation?: string;
  readonly startNanos?: string;
  readonly endNanos?: string;
  readonly spans?: number;
  readonly errors?: number;
  readonly orphans?: number;
  readonly services?: readonly ServiceShare[];
}): TraceSummary {
  const start = nanosToMicros(parts.startNanos);
  return {
    traceId: parts.traceId,
    rootService: parts.rootService ?? "",
    rootOperation: parts.rootOperation ?? "",
    start,
    duration: between(start, nanosToMicros(parts.endNanos ?? parts.startNanos)),
    spans: parts.spans ?? 0,
    errors: parts.errors ?? 0,
    orphans: parts.orphans ?? 0,
    services: parts.services ?? [],
  };
}

/** Nanoseconds since the epoch do not fit a number, so they are cut as text. */
function nanosToMicros(nanos: string | undefined): EpochMicros {
  if (nanos === undefined || !/^\d+$/.test(nanos)) return epochMicros(0);
  const whole = nanos.slice(0, -3);
  return epochMicros(Number(whole === "" ? "0" : whole) + Number(nanos.slice(-3)) / 1_000);
}
