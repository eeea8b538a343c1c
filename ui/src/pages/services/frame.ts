// Which stretch of time and which kind of spans the figures are of, as Jaeger's Monitor has them in
// its URLs: `timeframe` in milliseconds, `spanKind`.

const HOUR = 3_600_000;

export interface Frame {
  readonly millis: number;
  readonly kind: string;
}

export const FRAMES: readonly (readonly [millis: number, name: string])[] = [
  [HOUR / 12, "Last 5 min"],
  [HOUR / 4, "Last 15 min"],
  [HOUR, "Last hour"],
  [6 * HOUR, "Last 6 h"],
  [24 * HOUR, "Last 24 h"],
  [48 * HOUR, "Last 48 h"],
];

export const KINDS = ["server", "client", "internal", "producer", "consumer", "unspecified"];

const DEFAULT: Frame = { millis: HOUR, kind: "server" };
/** A longer time has more steps than a chart has pixels. */
const MILLIS_MAX = 28 * 24 * HOUR;

/** Bad values count for nothing, as in Jaeger. */
export function frameOf(params: URLSearchParams): Frame {
  const millis = Number(params.get("timeframe") ?? Number.NaN);
  const isTime = Number.isFinite(millis) && millis > 0 && millis <= MILLIS_MAX;
  const kind = (params.get("spanKind") ?? "").toLowerCase();
  return {
    millis: isTime ? millis : DEFAULT.millis,
    kind: KINDS.includes(kind) ? kind : DEFAULT.kind,
  };
}

export function printFrame(frame: Frame): string {
  const params = new URLSearchParams();
  if (frame.kind !== DEFAULT.kind) params.set("spanKind", frame.kind);
  if (frame.millis !== DEFAULT.millis) params.set("timeframe", String(frame.millis));
  return params.toString();
}
