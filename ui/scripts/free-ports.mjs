// A node beside others: every port that it takes is one that is free.

const PORTS = [
  "ui",
  "otlp-grpc",
  "otlp-http",
  "health",
  "metrics",
  "jaeger-grpc",
  "jaeger-http",
  "jaeger-compact",
  "jaeger-binary",
  "zipkin",
  "query-grpc",
  "sampling-http",
  "sampling-grpc",
  "remote-storage",
];

/** Flags for `skua serve`. */
export const FREE_PORTS = PORTS.flatMap((name) => [`--${name}-port`, "0"]);
