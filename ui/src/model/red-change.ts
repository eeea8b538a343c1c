// How the figures of a group differ from those of the window before, as far as it is worth a word.

import type { Micros } from "../base/time";
import type { RedRow } from "./red";
import type { TimeSpan } from "./search-query";

export interface Change {
  readonly name: "rate" | "p95" | "errors";
  /** A share of what was before; for errors the difference of the shares. */
  readonly by: number;
  readonly isWorse: boolean;
}

/** A smaller change is how traffic varies. */
const NOTABLE = 0.1;
const NOTABLE_ERRORS = 0.005;
/** Of fewer spans a share or a quantile says nothing. */
const SPANS_MIN = 20;

/** As long, and up to where this one begins. */
export function windowBefore({ start, end }: TimeSpan): TimeSpan {
  const at = (time: number) => Math.max(0, time) as TimeSpan["start"];
  return { start: at(2 * start - end - 1), end: at(start - 1) };
}

/** `new` where there was nothing before. */
export function changesOf(row: RedRow, before: RedRow | undefined): readonly Change[] | "new" {
  if (before === undefined || before.spans === 0) return "new";
  const changes: Change[] = [];
  const rate = row.rate / before.rate - 1;
  if (Math.abs(rate) >= NOTABLE) changes.push({ name: "rate", by: rate, isWorse: false });
  const isKnown = Math.min(row.spans, before.spans) >= SPANS_MIN;
  const errors = row.errorShare - before.errorShare;
  if (isKnown && Math.abs(errors) >= NOTABLE_ERRORS) {
    changes.push({ name: "errors", by: errors, isWorse: errors > 0 });
  }
  const p95 = before.p95 > 0 ? row.p95 / before.p95 - 1 : 0;
  if (isKnown && Math.abs(p95) >= NOTABLE) {
    changes.push({ name: "p95", by: p95, isWorse: p95 > 0 });
  }
  return changes;
}

/** `+12%`, `×3.4`, `−5 points`. */
export function changeText({ name, by }: Change): string {
  const sign = by > 0 ? "+" : "−";
  if (name === "errors") return `${sign}${Number((100 * Math.abs(by)).toPrecision(2))} points`;
  if (by >= 2) return `×${Number((1 + by).toPrecision(2))}`;
  return `${sign}${Math.round(100 * Math.abs(by))}%`;
}

/** A trace to look at, where it stands in a chart. */
export interface Exemplar {
  readonly traceId: string;
  readonly start: number;
  readonly duration: Micros;
  readonly errors: number;
}

/** One for each step of a chart: the longest, so that marks do not cover each other. */
export function thinned(
  traces: readonly Exemplar[],
  start: number,
  step: number,
): readonly Exemplar[] {
  const best = new Map<number, Exemplar>();
  for (const trace of traces) {
    const bin = Math.floor((trace.start - start) / step);
    const known = best.get(bin);
    if (known === undefined || trace.duration > known.duration) best.set(bin, trace);
  }
  return [...best.values()].sort((left, right) => left.start - right.start);
}
