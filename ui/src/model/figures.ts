// Figures over many spans, as the server counts them. Times are microseconds.

export interface Counts {
  readonly spans: number;
  /** Of these, failed ones. */
  readonly errors: number;
}

export interface Figures extends Counts {
  /** Traces with at least one of the spans. */
  readonly traces: number;
  /** Spans whose group or value found no room. */
  readonly other: number;
}

export interface ValueCount extends Counts {
  readonly value: string;
}

export interface HeatCell extends Counts {
  /** Counted from the start of the window in steps. */
  readonly bin: number;
  /** 0 for no duration, k for 2^(k-1) to 2^k - 1 nanoseconds. */
  readonly bucket: number;
}

export interface Heatmap extends Figures {
  readonly start: number;
  readonly step: number;
  readonly cells: readonly HeatCell[];
}

export interface RedBin extends Counts {
  readonly bin: number;
  /** As many as were asked for. */
  readonly quantiles: readonly number[];
}

export interface RedGroup {
  readonly service: string;
  /** Empty when grouped by service. */
  readonly operation: string;
  readonly kind: string;
  /** Those with spans, in order of time. */
  readonly bins: readonly RedBin[];
}

export interface RedSeries extends Figures {
  readonly start: number;
  readonly step: number;
  readonly quantiles: readonly number[];
  readonly groups: readonly RedGroup[];
}

/** The shortest duration in a bucket of the heatmap, in microseconds. */
export function bucketStart(bucket: number): number {
  return bucket <= 0 ? 0 : 2 ** (bucket - 1) / 1_000;
}
