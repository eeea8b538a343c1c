// The part of a trace's time that is on the screen. Pure: from one window to the next.

import { type Micros, micros } from "../base/time";

/** Microseconds after the origin of the trace. */
export interface TimeWindow {
  readonly start: Micros;
  readonly end: Micros;
}

/** The shortest stretch one can zoom to, in microseconds. */
const LENGTH_MIN = 2;

export function whole(duration: Micros): TimeWindow {
  return { start: micros(0), end: micros(Math.max(duration, LENGTH_MIN)) };
}

export function isWhole(window: TimeWindow, duration: Micros): boolean {
  return window.start <= 0 && window.end >= duration;
}

/** The window within the trace, not too short. */
export function clamp(window: TimeWindow, duration: Micros): TimeWindow {
  const full = whole(duration);
  const wanted = Math.max(window.end - window.start, LENGTH_MIN);
  const length = Math.min(wanted, full.end);
  const start = Math.min(Math.max(window.start, 0), full.end - length);
  return { start: micros(start), end: micros(start + length) };
}

/** Zooms by `factor` (below 1: closer) and leaves the moment at `share` of the width in place. */
export function zoom(
  window: TimeWindow,
  factor: number,
  share: number,
  duration: Micros,
): TimeWindow {
  const length = window.end - window.start;
  const fixed = window.start + share * length;
  const scaled = Math.max(length * factor, LENGTH_MIN);
  const start = fixed - share * scaled;
  return clamp({ start: micros(start), end: micros(start + scaled) }, duration);
}

/** Moves by a share of the width. */
export function pan(window: TimeWindow, share: number, duration: Micros): TimeWindow {
  const by = (window.end - window.start) * share;
  return clamp({ start: micros(window.start + by), end: micros(window.end + by) }, duration);
}

/** Around a span, with a margin on both sides. */
export function around(start: Micros, length: Micros, duration: Micros): TimeWindow {
  const margin = Math.max(length * 0.15, LENGTH_MIN / 2);
  return clamp({ start: micros(start - margin), end: micros(start + length + margin) }, duration);
}

const STEPS = [1, 2, 5];

/** Round moments for a ruler, at most `countMax`. */
export function ticks(window: TimeWindow, countMax: number): Micros[] {
  const length = window.end - window.start;
  const raw = length / Math.max(countMax, 1);
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step =
    (STEPS.map((each) => each * magnitude).find((each) => each >= raw) ?? magnitude * 10) || 1;
  const found: Micros[] = [];
  for (let at = Math.ceil(window.start / step); at * step <= window.end; at += 1) {
    found.push(micros(at * step));
  }
  return found;
}
