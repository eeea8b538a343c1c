// Jaeger's trace JSON, as its query API sends it and its UI saves it.

export interface JaegerTag {
  readonly key: string;
  readonly type?: string;
  readonly value: unknown;
}

export interface JaegerReference {
  readonly refType: string;
  readonly traceID: string;
  readonly spanID: string;
}

export interface JaegerLog {
  readonly timestamp: number;
  readonly fields: readonly JaegerTag[];
}

export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly parentSpanID?: string;
  readonly operationName: string;
  readonly references?: readonly JaegerReference[] | null;
  readonly startTime: number;
  readonly duration: number;
  readonly tags?: readonly JaegerTag[] | null;
  readonly logs?: readonly JaegerLog[] | null;
  readonly processID: string;
  readonly warnings?: readonly string[] | null;
}

export interface JaegerProcess {
  readonly serviceName: string;
  readonly tags?: readonly JaegerTag[] | null;
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, JaegerProcess>>;
  readonly warnings?: readonly string[] | null;
}
