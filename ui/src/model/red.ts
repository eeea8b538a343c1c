// Rate, errors and durations of services and operations, from the server's figures by time.

import { MICROS_PER_SECOND, type Micros, micros } from "../base/time";
import type { RedGroup, RedSeries } from "./figures";
import type { TimeSpan } from "./search-query";

/** The quantiles that are asked for, in this order. */
export const QUANTILES = [0.5, 0.95, 0.99] as const;

/** A group over all of the time. */
export interface RedRow {
  readonly service: string;
  readonly operation: string;
  readonly spans: number;
  readonly errors: number;
  /** Spans a second. */
  readonly rate: number;
  readonly errorShare: number;
  readonly p50: Micros;
  readonly p95: Micros;
  readonly p99: Micros;
  /** Share of the time that all groups take together, by the longest of their spans. */
  readonly impact: number;
}

/** `series` has one bin over all of the time. */
export function rowsOf(series: RedSeries, window: TimeSpan): readonly RedRow[] {
  const seconds = Math.max((window.end - window.start) / MICROS_PER_SECOND, 1);
  const rows = series.groups.flatMap((group) => {
    const spans = sum(group, "spans");
    const errors = sum(group, "errors");
    if (spans === 0) return [];
    const [p50 = 0, p95 = 0, p99 = 0] = largest(group);
    const { service, operation } = group;
    return [{ service, operation, spans, errors, rate: spans / seconds, p50, p95, p99 }];
  });
  const all = rows.reduce((total, row) => total + row.rate * row.p95, 0);
  return rows
    .map((row) => ({
      ...row,
      errorShare: row.errors / row.spans,
      p50: micros(row.p50),
      p95: micros(row.p95),
      p99: micros(row.p99),
      impact: all > 0 ? (row.rate * row.p95) / all : 0,
    }))
    .sort((left, right) => right.impact - left.impact || right.rate - left.rate);
}

function sum(group: RedGroup, of: "spans" | "errors"): number {
  return group.bins.reduce((total, bin) => total + bin[of], 0);
}

/** A window that is not whole steps long can have a second, short bin; the fuller one counts. */
function largest(group: RedGroup): readonly number[] {
  const fullest = group.bins.reduce(
    (most, bin) => (bin.spans > (most?.spans ?? 0) ? bin : most),
    group.bins[0],
  );
  return fullest?.quantiles ?? [];
}

/** A line of a chart: one value a step, `undefined` where there is none. */
export type Line = readonly (number | undefined)[];

export interface RedLines {
  readonly rate: Line;
  readonly errorShare: Line;
  /** As many as were asked for; microseconds. */
  readonly quantiles: readonly Line[];
}

/** The groups of a service by time; the last step is left out if it has only begun. */
export function linesOf(series: RedSeries, service: string, window: TimeSpan): RedLines {
  const steps = Math.max(1, Math.floor((window.end - series.start) / series.step));
  const seconds = series.step / MICROS_PER_SECOND;
  const spans = new Float64Array(steps);
  const errors = new Float64Array(steps);
  const quantiles = series.quantiles.map(() => new Array<number | undefined>(steps));
  for (const group of series.groups) {
    if (group.service !== service) continue;
    for (const { bin, ...counts } of group.bins) {
      if (bin >= steps) continue;
      spans[bin] = (spans[bin] ?? 0) + counts.spans;
      errors[bin] = (errors[bin] ?? 0) + counts.errors;
      counts.quantiles.forEach((value, index) => {
        const line = quantiles[index];
        if (line) line[bin] = Math.max(line[bin] ?? 0, value);
      });
    }
  }
  return {
    rate: Array.from(spans, (each) => each / seconds),
    errorShare: Array.from(spans, (each, bin) =>
      each > 0 ? (errors[bin] ?? 0) / each : undefined,
    ),
    quantiles: quantiles.map((line) => Array.from(line)),
  };
}

/** Rates from a thousandth to millions, in three digits. */
export function rateText(rate: number): string {
  if (rate === 0) return "0/s";
  if (rate < 0.001) return `${Number((rate * 3_600).toPrecision(2))}/h`;
  if (rate < 0.1) return `${Number((rate * 60).toPrecision(2))}/min`;
  if (rate < 1_000) return `${Number(rate.toPrecision(3))}/s`;
  return `${Number((rate / 1_000).toPrecision(3))}k/s`;
}
