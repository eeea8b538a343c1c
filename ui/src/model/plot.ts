// Where a trace is in the plot of time against duration. Pure.

import type { TraceSummary } from "./summary";

export interface Extent {
  readonly timeMin: number;
  readonly timeMax: number;
  readonly lengthMin: number;
  readonly lengthMax: number;
}

/** The ranges the plot covers: whole decades of duration, a little more than the time. */
export function extentOf(traces: readonly TraceSummary[]): Extent {
  const times = traces.map((trace) => trace.start);
  const lengths = traces.map((trace) => Math.max(trace.duration, 1));
  const timeMin = Math.min(...times);
  const timeMax = Math.max(...times);
  const margin = Math.max((timeMax - timeMin) * 0.02, 1_000);
  return {
    timeMin: timeMin - margin,
    timeMax: timeMax + margin,
    lengthMin: 10 ** Math.floor(Math.log10(Math.min(...lengths))),
    lengthMax: 10 ** Math.ceil(Math.log10(Math.max(...lengths) * 1.05)),
  };
}

/** 0 at the left, 1 at the right. */
export function timeShare(extent: Extent, time: number): number {
  return (time - extent.timeMin) / Math.max(extent.timeMax - extent.timeMin, 1);
}

/** 0 at the bottom, 1 at the top; logarithmic. */
export function lengthShare(extent: Extent, length: number): number {
  const low = Math.log10(extent.lengthMin);
  const high = Math.log10(extent.lengthMax);
  return (Math.log10(Math.max(length, 1)) - low) / Math.max(high - low, 1);
}

/** The decades of duration within the extent. */
export function decades(extent: Extent): number[] {
  const found: number[] = [];
  for (let at = extent.lengthMin; at <= extent.lengthMax * 1.001; at *= 10) found.push(at);
  return found;
}

/** Radius in pixels: a thousand spans look larger than ten, not a hundred times so. */
export function radiusOf(trace: TraceSummary): number {
  return Math.min(2.5 + Math.log10(Math.max(trace.spans, 1)) * 1.6, 9);
}
