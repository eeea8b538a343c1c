// Points in time and lengths of time. Both are microseconds, as in Jaeger's API and URLs; the
// brands keep them apart from each other and from plain numbers.

import type { Brand } from "./brand";
import { err, ok, type Result } from "./result";

/** A length of time in microseconds. */
export type Micros = Brand<number, "Micros">;
/** A point in time: microseconds since the Unix epoch. */
export type EpochMicros = Brand<number, "EpochMicros">;
/** Which clock people want to read. */
export type Zone = "local" | "utc";

export const MICROS_PER_MILLI = 1_000;
export const MICROS_PER_SECOND = 1_000_000;

export function micros(value: number): Micros {
  return value as Micros;
}

export function epochMicros(value: number): EpochMicros {
  return value as EpochMicros;
}

export function epochFromMillis(millis: number): EpochMicros {
  return epochMicros(Math.round(millis * MICROS_PER_MILLI));
}

/** The present; the one place that asks the clock. */
export function wallClock(): EpochMicros {
  return epochFromMillis(Date.now());
}

export function later(time: EpochMicros, by: Micros): EpochMicros {
  return epochMicros(time + by);
}

export function earlier(time: EpochMicros, by: Micros): EpochMicros {
  return epochMicros(time - by);
}

export function between(start: EpochMicros, end: EpochMicros): Micros {
  return micros(end - start);
}

/** RFC 3339 with microseconds, as api/v3 takes it. */
export function rfc3339(time: EpochMicros): string {
  const millis = Math.floor(time / MICROS_PER_MILLI);
  const rest = String(time - millis * MICROS_PER_MILLI).padStart(3, "0");
  return new Date(millis).toISOString().replace("Z", `${rest}Z`);
}

const UNIT_MICROS: Readonly<Record<string, number>> = {
  ns: 0.001,
  us: 1,
  µs: 1,
  μs: 1,
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
  w: 604_800_000_000,
};

/** Reads durations as people and Go write them: `1.5s`, `100ms`, `1m30s`, `2d`. */
export function parseDuration(text: string): Result<Micros, string> {
  const compact = text.trim().replaceAll(" ", "");
  if (compact === "") return err("is empty");
  const pieces = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h|d|w))+$/;
  if (!pieces.test(compact)) return err(`“${text}” is not a duration such as 1.5s or 100ms`);
  let total = 0;
  for (const piece of compact.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d|w)/g)) {
    total += Number(piece[1]) * (UNIT_MICROS[piece[2] ?? ""] ?? 0);
  }
  return ok(micros(total));
}

/** Reads a point in time: ISO, or a number of seconds, milliseconds, micro- or nanoseconds. */
export function parseTime(text: string, zone: Zone): Result<EpochMicros, string> {
  const trimmed = text.trim();
  if (/^\d{9,19}$/.test(trimmed)) {
    const number = Number(trimmed);
    const digits = trimmed.length;
    if (digits <= 11) return ok(epochMicros(number * MICROS_PER_SECOND));
    if (digits <= 14) return ok(epochMicros(number * MICROS_PER_MILLI));
    if (digits <= 17) return ok(epochMicros(number));
    return ok(epochMicros(Math.floor(number / 1_000)));
  }
  const match =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(
      trimmed,
    );
  if (!match) return err(`“${text}” is not a time such as 2026-01-31 12:30:00.5`);
  const [, date, time = "00:00", fraction = "", offset] = match;
  const suffix = offset ?? (zone === "utc" ? "Z" : "");
  const millis = Date.parse(`${date}T${time}${suffix.toUpperCase()}`);
  if (Number.isNaN(millis)) return err(`“${text}” is not a time`);
  const fractionMicros = Number(fraction.padEnd(6, "0").slice(0, 6));
  return ok(epochMicros(millis * MICROS_PER_MILLI + fractionMicros));
}
