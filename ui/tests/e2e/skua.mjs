// Answers of Skua's own reads, as docs/architecture/10-api.md describes them, for a few traces.

import { syntheticColumns } from "../../bench/synthetic.mjs";

const END_NANOS = 1_790_000_000_000_000_000n;

export function found(traceId, { service = "shop", errors = 0, index = 0 } = {}) {
  const start = END_NANOS - BigInt(index) * 1_000_000_000n;
  return {
    trace: {
      trace_id: traceId,
      start_time_unix_nano: String(start),
      end_time_unix_nano: String(start + 250_000_000n),
      root_service: service,
      root_operation: "GET /",
      span_count: 3,
      error_count: errors,
      orphan_count: 0,
      services: [{ name: service, span_count: 3, error_count: errors }],
    },
  };
}

export function end(more = {}) {
  return {
    end: {
      completeness: "complete",
      missing: [],
      stale: [],
      exhausted: null,
      cursor: null,
      moved: [],
      spans_scanned: 1_234,
      ...more,
    },
  };
}

/** Lines of JSON, as a search is answered. */
export function lines(...objects) {
  const text = objects.map((each) => `${JSON.stringify(each)}\n`).join("");
  return [200, text, { "content-type": "application/x-ndjson" }];
}

/** Figures that fit whatever is asked. */
export function aggregate(_, body) {
  const totals = { completeness: "complete", spans: 900, errors: 30, traces: 120, other: 0 };
  const start = body.window.start;
  const step_nanos = 30_000_000_000;
  switch (body.kind) {
    case "heatmap":
      return {
        ...totals,
        heatmap: {
          start,
          step_nanos,
          cells: Array.from({ length: 100 }, (_, bin) => [
            bin,
            24 + (bin % 7),
            1 + ((bin * bin) % 90),
            bin % 9 === 0 ? 1 : 0,
          ]),
        },
      };
    case "top_values":
      if (body.field === "span_id") return { ...totals, spans: 3, values: spanIds() };
      return {
        ...totals,
        values: ["200", "404", "500"].map((value, index) => ({
          value,
          spans: 800 - 390 * index,
          errors: index === 2 ? 20 : 0,
        })),
      };
    case "red":
      return {
        ...totals,
        red: { start, step_nanos, quantiles: body.quantiles, groups: groups(body) },
      };
    default:
      return totals;
  }
}

function spanIds() {
  return ["0a", "0b"].map((id) => ({ value: id.padStart(16, "0"), spans: 1, errors: 0 }));
}

/** Some spans of a trace, as their ids ask for them. */
export function spans(url) {
  const { pathname, searchParams } = new URL(url, "http://x");
  const traceID = pathname.split("/").at(-2);
  const ids = searchParams.getAll("span_id");
  return {
    data: [
      {
        traceID,
        spans: ids.map((spanID, index) => ({
          traceID,
          spanID,
          operationName: `SELECT ${index}`,
          // The later one first: whoever shows them puts them in order.
          startTime: Number(END_NANOS / 1_000n) + 1_000 * (ids.length - index),
          duration: 1_500,
          tags: [
            { key: "http.status_code", type: "int64", value: 404 },
            { key: "otel.status_code", type: "string", value: index === 0 ? "ERROR" : "" },
          ],
          logs: [],
          processID: "p1",
        })),
        processes: { p1: { serviceName: "cart", tags: [] } },
      },
    ],
  };
}

function groups(body) {
  const isLong = body.quantiles.length > 0;
  const only = body.where?.all?.find(({ field }) => field === "service")?.value;
  return (only === undefined ? ["shop", "cart"] : [only]).flatMap((service) =>
    (body.group_by === "operation" ? ["GET /", "POST /pay"] : [""]).map((operation) => ({
      service,
      operation,
      kind: "server",
      bins: Array.from({ length: isLong ? 60 : 1 }, (_, bin) => [
        bin,
        100 + ((bin * 37) % 60),
        bin % 11 === 0 ? 7 : 1,
        ...body.quantiles.map((quantile) =>
          Math.round(quantile * quantile * (60 + (bin % 5)) * 1e6),
        ),
      ]),
    })),
  );
}

/** Everything but traces and searches. */
export const SKUA = {
  "/api/skua/v1/aggregate": aggregate,
  "/api/skua/v1/suggest/keys": {
    items: [
      { scope: "span", key: "http.status_code" },
      { scope: "resource", key: "host.name" },
    ],
    more: false,
  },
  "/api/skua/v1/suggest/values": { items: ["200", "404", "500"], more: false },
  "/api/skua/v1/suggest/operations": { items: [{ name: "GET /", kind: "server" }], more: false },
};

export function columns(spans, traceId, originMicros) {
  const body = syntheticColumns(spans, traceId, originMicros);
  return [200, body, { "content-type": "application/vnd.skua.columns" }];
}
