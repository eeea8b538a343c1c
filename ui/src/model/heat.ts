// How the heatmap of time and duration is laid out: pure arithmetic, the drawing is elsewhere.

import { HEAT_SHADES } from "../base/color";
import { micros } from "../base/time";
import { bucketStart, type HeatCell, type Heatmap } from "./figures";
import type { TimeSpan } from "./search-query";

/** About so many steps of time. */
const BINS_WANTED = 120;
/** Rows that are shown at least, so that one duration is no wall. */
const ROWS_MIN = 6;

const SECOND = 1_000_000;
const STEPS = [
  1_000,
  2_000,
  5_000,
  10_000,
  20_000,
  50_000,
  100_000,
  200_000,
  500_000,
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  60 * SECOND,
  120 * SECOND,
  300 * SECOND,
  600 * SECOND,
  1_800 * SECOND,
  3_600 * SECOND,
  10_800 * SECOND,
  21_600 * SECOND,
  86_400 * SECOND,
];

/** A step that people can name; microseconds. */
export function stepFor(window: TimeSpan, wanted = BINS_WANTED): number {
  const exact = Math.max(window.end - window.start, 1) / wanted;
  const last = STEPS[STEPS.length - 1] ?? SECOND;
  return STEPS.find((step) => step >= exact) ?? Math.ceil(exact / last) * last;
}

export interface HeatGrid {
  readonly columns: number;
  /** The bucket of the lowest row. */
  readonly bucketMin: number;
  readonly rows: number;
  readonly most: number;
}

export function gridOf(heatmap: Heatmap, window: TimeSpan): HeatGrid {
  const columns = Math.max(1, Math.ceil((window.end - heatmap.start + 1) / heatmap.step));
  const buckets = heatmap.cells.map((cell) => cell.bucket);
  const low = buckets.reduce((least, each) => Math.min(least, each), 64);
  const high = buckets.reduce((most, each) => Math.max(most, each), 0);
  const missing = Math.max(0, ROWS_MIN - (high - low + 1));
  const bucketMin = Math.max(0, low - Math.floor(missing / 2));
  return {
    columns,
    bucketMin,
    rows: Math.max(ROWS_MIN, high - bucketMin + 1),
    most: heatmap.cells.reduce((most, cell) => Math.max(most, cell.spans), 1),
  };
}

/** 0 for the faintest shade; logarithmic, so that single spans beside thousands are seen. */
export function shadeOf(cell: HeatCell, most: number): number {
  const share = most <= 1 ? 1 : Math.log1p(cell.spans) / Math.log1p(most);
  return Math.min(HEAT_SHADES - 1, Math.floor(share * HEAT_SHADES));
}

/** A rectangle of the heatmap as bounds of time and duration, all in microseconds. */
export interface Brush {
  readonly window: TimeSpan;
  readonly min: number;
  /** Undefined above the highest row. */
  readonly max: number | undefined;
}

/** From cell to cell, both included; rows count from the lowest. */
export function brushOf(
  heatmap: Heatmap,
  grid: HeatGrid,
  from: { readonly column: number; readonly row: number },
  to: { readonly column: number; readonly row: number },
): Brush {
  const [left, right] = [Math.min(from.column, to.column), Math.max(from.column, to.column)];
  const [low, high] = [Math.min(from.row, to.row), Math.max(from.row, to.row)];
  const time = (column: number) => (heatmap.start + column * heatmap.step) as TimeSpan["start"];
  return {
    window: { start: time(left), end: time(right + 1) },
    min: low === 0 ? 0 : bucketStart(grid.bucketMin + low),
    max: high >= grid.rows - 1 ? undefined : bucketStart(grid.bucketMin + high + 1),
  };
}

/** The corners of a rectangle among the cells: the opposite of `brushOf`. */
export function cellsOf(heatmap: Heatmap, grid: HeatGrid, brush: Brush) {
  const column = (time: number) => Math.round((time - heatmap.start) / heatmap.step);
  const row = (length: number) =>
    length <= 0 ? 0 : Math.round(Math.log2(length * 1_000)) + 1 - grid.bucketMin;
  const within = (value: number, count: number) => Math.min(Math.max(value, 0), count - 1);
  return {
    from: {
      column: within(column(brush.window.start), grid.columns),
      row: within(row(brush.min), grid.rows),
    },
    to: {
      column: within(column(brush.window.end) - 1, grid.columns),
      row: within(brush.max === undefined ? grid.rows - 1 : row(brush.max) - 1, grid.rows),
    },
  };
}

/** A duration as a condition takes it: exact, in one unit. */
export function typedDuration(length: number): string {
  const exact = micros(length);
  if (exact < 1) return `${Math.round(exact * 1_000)}ns`;
  if (exact < 1_000) return `${trimmed(exact)}us`;
  if (exact < SECOND) return `${trimmed(exact / 1_000)}ms`;
  return `${trimmed(exact / SECOND)}s`;
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(6)));
}
