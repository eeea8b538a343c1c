// Where a trace is in the forms that programs read, and how it is kept.

import { apiUrl, postJson } from "./http";

/** Jaeger's JSON; `raw` is without the server's repairs. */
export function traceJsonUrl(traceId: string, options: { raw?: boolean } = {}): string {
  const params = new URLSearchParams({ prettyPrint: "true" });
  if (options.raw) params.set("raw", "true");
  return apiUrl(`api/traces/${encodeURIComponent(traceId)}`, params);
}

/** OTLP in JSON. */
export function traceOtlpJsonUrl(traceId: string): string {
  return apiUrl(`api/v3/traces/${encodeURIComponent(traceId)}`);
}

/** As it came in: OTLP protobuf. */
export function traceOtlpUrl(traceId: string): string {
  return apiUrl(`api/skua/v1/traces/${encodeURIComponent(traceId)}`);
}

/** Keeps a trace beyond its retention. */
export async function archiveTrace(traceId: string): Promise<void> {
  const nothing = new Blob([]);
  await postJson(apiUrl(`api/archive/${encodeURIComponent(traceId)}`), nothing, () => undefined);
}
