// What a server tells of a failure beside its message: when to ask again, and under which name its
// log, or that of a proxy in front of it, has the request.

import { type EpochMicros, epochFromMillis, later, micros } from "../base/time";

export interface Told {
  /** Asking again before has no use; undefined if nothing was said. */
  readonly notBefore: EpochMicros | undefined;
  /** Empty if the server names none. */
  readonly requestId: string;
}

export const NOTHING_TOLD: Told = { notBefore: undefined, requestId: "" };

/** What is asked for beyond this is a mistake: nobody waits for it before a page. */
const WAIT_MAX = micros(60_000_000);
const SECOND = 1_000_000;
const ID_CHARACTERS_MAX = 100;

export function toldBy(headers: Headers, now: EpochMicros): Told {
  return {
    notBefore: timeOf(headers.get("retry-after"), now),
    requestId: requestIdOf(headers).slice(0, ID_CHARACTERS_MAX),
  };
}

/** A number of seconds, or a date. */
function timeOf(text: string | null, now: EpochMicros): EpochMicros | undefined {
  if (text === null || text.trim() === "") return undefined;
  const seconds = Number(text);
  const time = Number.isNaN(seconds)
    ? epochFromMillis(Date.parse(text))
    : later(now, micros(seconds * SECOND));
  if (Number.isNaN(time) || time <= now) return undefined;
  return time - now > WAIT_MAX ? later(now, WAIT_MAX) : time;
}

/** The trace of a server that traces itself is `00-{trace id}-{span id}-{flags}`. */
function requestIdOf(headers: Headers): string {
  const id = headers.get("x-request-id") ?? headers.get("x-correlation-id");
  return id ?? /^00-([0-9a-f]{32})-/.exec(headers.get("traceresponse") ?? "")?.[1] ?? "";
}
