// How long spans of the same operation usually take: what a span is held against.

import { useEffect, useState } from "react";
import { type EpochMicros, epochMicros, type Micros } from "../base/time";
import type { SpanDetails } from "../model/details";
import { rowsOf } from "../model/red";
import { useRed } from "./figures";

const QUANTILES = [0.5, 0.95, 0.99] as const;
const HOUR = 3_600_000_000;
/** Who walks through spans does not ask about each of them. */
const REST_MILLIS = 350;
/** Fewer spans say little about what is usual. */
const SPANS_MIN = 10;

export interface Alike {
  readonly spans: number;
  readonly p50: Micros;
  readonly p95: Micros;
  readonly p99: Micros;
}

/** The spans of the hour around; undefined until known, and where there are too few. */
export function useAlike(span: SpanDetails): Alike | undefined {
  const rests = useRest(span.spanId);
  const window = hourAround(span.start);
  const where = {
    all: [
      { field: "service", op: "=", value: span.service },
      { field: "operation", op: "=", value: span.operation },
    ],
  };
  const step = window.end - window.start + 1;
  const answer = useRed(
    { window, where, isEnabled: rests },
    { step, groupBy: "operation", quantiles: QUANTILES },
  );
  if (answer.data === undefined || answer.isPrevious) return undefined;
  const rows = rowsOf(answer.data.value, window);
  const [row] = [...rows].sort((left, right) => right.spans - left.spans);
  if (row === undefined || row.spans < SPANS_MIN) return undefined;
  return { spans: row.spans, p50: row.p50, p95: row.p95, p99: row.p99 };
}

/** To whole minutes, so that neighbours share one answer. */
function hourAround(start: EpochMicros) {
  const minute = 60_000_000;
  const end = Math.ceil((start + 1) / minute) * minute;
  return { start: epochMicros(end - HOUR), end: epochMicros(end - 1) };
}

function useRest(of: string): boolean {
  const [rested, setRested] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setRested(of), REST_MILLIS);
    return () => clearTimeout(timer);
  }, [of]);
  return rested === of;
}

/** Where a length stands among its like, in words. */
export function standingOf(length: Micros, alike: Alike): string {
  if (length > alike.p99) return "slowest 1%";
  if (length > alike.p95) return "slowest 5%";
  if (length > alike.p50) return "slower half";
  return "faster half";
}
