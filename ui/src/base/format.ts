// How numbers, durations, times and ids read. Every page says the same thing the same way.

import { type EpochMicros, MICROS_PER_MILLI, type Micros, type Zone } from "./time";

const SCALES: readonly (readonly [limit: number, divisor: number, unit: string])[] = [
  [1_000, 1, "µs"],
  [1_000_000, 1_000, "ms"],
  [60_000_000, 1_000_000, "s"],
];

/** Three significant digits: `12.3 ms`, `1.42 s`, `3m 05s`. */
export function duration(length: Micros): string {
  if (length === 0) return "0 µs";
  if (length < 1) return `${Math.round(length * 1_000)} ns`;
  for (const [limit, divisor, unit] of SCALES) {
    // What would round up to the limit belongs to the next unit.
    if (length < limit * 0.9995) return `${significant(length / divisor)} ${unit}`;
  }
  const seconds = Math.round(length / 1_000_000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${pad(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h ${pad(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

function significant(value: number): string {
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A moment on a ruler: fine enough to tell it from the next, `step` away. */
export function rulerTime(at: Micros, step: Micros): string {
  const scale = SCALES.find(([limit]) => at < limit) ?? SCALES[2];
  if (scale === undefined || at === 0) return duration(at);
  const digits = Math.ceil(-Math.log10(step / scale[1]) - 1e-9);
  return `${(at / scale[1]).toFixed(Math.min(Math.max(digits, 0), 6))} ${scale[2]}`;
}

/** To the microsecond, for titles: `1,234,567 µs`. */
export function exactDuration(length: Micros): string {
  return `${count(Math.round(length))} µs`;
}

/** By hand: the first formatter of the browser costs a starting page more than all its texts. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value < 0 ? "-∞" : "∞";
  const digits = Math.abs(value).toFixed(0);
  return `${value < 0 ? "-" : ""}${digits.replace(/\B(?=(\d{3})+$)/g, ",")}`;
}

/** A count that may be the mean of several: `12`, `2.5`, `0.1`. */
export function meanCount(value: number): string {
  if (Number.isInteger(value)) return count(value);
  if (value < 0.05) return "<0.1";
  return value < 100 ? (Math.round(value * 10) / 10).toFixed(1).replace(".0", "") : count(value);
}

/** The same with its noun: `1 span`, `2.5 spans`. */
export function meanPlural(value: number, one: string): string {
  return `${meanCount(value)} ${value === 1 ? one : `${one}s`}`;
}

/** Short counts for labels: `12.3k`, `4.5M`. */
export function shortCount(value: number): string {
  if (value < 1_000) return String(value);
  if (value < 999_500) return `${significant(value / 1_000)}k`;
  if (value < 999_500_000) return `${significant(value / 1_000_000)}M`;
  return `${significant(value / 1_000_000_000)}G`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 1_024 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? String(scaled) : significant(scaled)} ${BYTE_UNITS[unit] ?? ""}`;
}

export function percent(share: number): string {
  if (share === 0) return "0%";
  const hundredths = share * 100;
  if (hundredths > 0 && hundredths < 0.1) return "<0.1%";
  return `${hundredths < 10 ? hundredths.toFixed(1) : hundredths.toFixed(0)}%`;
}

/** The time of day to the millisecond. */
export function clock(time: EpochMicros, zone: Zone): string {
  const parts = calendar(time, zone);
  return `${parts.hour}:${parts.minute}:${parts.second}.${parts.micros.slice(0, 3)}`;
}

/** Day and time to the microsecond, with the zone. */
export function timestamp(time: EpochMicros, zone: Zone): string {
  const parts = calendar(time, zone);
  const clockText = `${parts.hour}:${parts.minute}:${parts.second}.${parts.micros}`;
  return `${parts.day} ${clockText} ${zone === "utc" ? "UTC" : parts.offset}`;
}

/** Day and time to the second, as the time fields take it. */
export function editableTime(time: EpochMicros, zone: Zone): string {
  const parts = calendar(time, zone);
  const fraction = parts.micros === "000000" ? "" : `.${parts.micros.replace(/0+$/, "")}`;
  return `${parts.day} ${parts.hour}:${parts.minute}:${parts.second}${fraction}`;
}

export function day(time: EpochMicros, zone: Zone): string {
  return calendar(time, zone).day;
}

/** The time of day alone does not tell the times of such a stretch apart. */
export function isOverDays(length: Micros): boolean {
  return length > 26 * 3_600_000_000;
}

/** For axes: `Sep 21 14:13`. */
export function dayAndClock(time: EpochMicros, zone: Zone): string {
  const date = new Date(time / MICROS_PER_MILLI).toLocaleDateString("en", {
    month: "short",
    day: "numeric",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  });
  return `${date} ${clock(time, zone).slice(0, 5)}`;
}

interface Calendar {
  readonly day: string;
  readonly hour: string;
  readonly minute: string;
  readonly second: string;
  readonly micros: string;
  readonly offset: string;
}

function calendar(time: EpochMicros, zone: Zone): Calendar {
  const millis = Math.floor(time / MICROS_PER_MILLI);
  const date = new Date(millis);
  const offsetMinutes = zone === "utc" ? 0 : -date.getTimezoneOffset();
  const shifted = new Date(millis + offsetMinutes * 60_000);
  const iso = Number.isNaN(shifted.getTime()) ? "????-??-??T??:??:??" : shifted.toISOString();
  const withinSecond = ((time % 1_000_000) + 1_000_000) % 1_000_000;
  const sign = offsetMinutes < 0 ? "−" : "+";
  const offset = Math.abs(offsetMinutes);
  return {
    day: iso.slice(0, 10),
    hour: iso.slice(11, 13),
    minute: iso.slice(14, 16),
    second: iso.slice(17, 19),
    micros: String(Math.floor(withinSecond)).padStart(6, "0"),
    offset: `${sign}${pad(Math.floor(offset / 60))}:${pad(offset % 60)}`,
  };
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

/** `2 min ago`; a point ahead of the clock reads `in 5 s`. */
export function ago(time: EpochMicros, now: EpochMicros): string {
  const seconds = (now - time) / 1_000_000;
  const distance = Math.abs(seconds);
  if (distance < 1) return "just now";
  const text = lasting(distance);
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

/** A stretch of time as people tell it: `12 s`, `4 min`, `3 h`, `2 d`. */
export function lasting(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
