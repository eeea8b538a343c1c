// Sends the trace of trace.json with OpenTelemetry's Node SDK, once for each way it can speak OTLP.
//
// Usage: send.mjs TRACE_JSON GRPC_PORT HTTP_PORT. Prints one JSON line per trace: who sent it, under
// which service and ids, and when it began. Fails if an exporter reports anything but success.
// Modules are looked up from the folder that NODE_HOME names, where `npm ci` put them.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NODE_HOME}/`);
const { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } = require('@opentelemetry/api');
const { CompressionAlgorithm } = require('@opentelemetry/otlp-exporter-base');
const { defaultResource, resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const exporters = {
  grpc: require('@opentelemetry/exporter-trace-otlp-grpc').OTLPTraceExporter,
  proto: require('@opentelemetry/exporter-trace-otlp-proto').OTLPTraceExporter,
  json: require('@opentelemetry/exporter-trace-otlp-http').OTLPTraceExporter,
};

const TIMEOUT_MILLIS = 20_000;

/** Passes spans on and remembers whether the server took them. */
class Watched {
  results = [];

  constructor(exporter) {
    this.exporter = exporter;
  }

  export(spans, done) {
    this.exporter.export(spans, (result) => {
      this.results.push(result);
      done(result);
    });
  }

  forceFlush() {
    return this.exporter.forceFlush();
  }

  shutdown() {
    return this.exporter.shutdown();
  }
}

/** Sends the described trace and returns its ids and begin. */
async function send(description, exporter, service) {
  const watched = new Watched(exporter);
  const attributes = { ...description.resource, 'service.name': service };
  const provider = new NodeTracerProvider({
    resource: defaultResource().merge(resourceFromAttributes(attributes)),
    spanProcessors: [new BatchSpanProcessor(watched, { exportTimeoutMillis: TIMEOUT_MILLIS })],
  });
  const tracer = provider.getTracer(description.scope.name, description.scope.version);

  // A minute ago, with nanoseconds that microseconds cannot show.
  const beginNs = BigInt(Math.floor(Date.now() / 1000) - 60) * 1_000_000_000n + 123_456_789n;
  const parent = start(tracer, description.parent, beginNs, ROOT_CONTEXT);
  const within = trace.setSpan(ROOT_CONTEXT, parent);
  const child = start(tracer, description.child, beginNs, within);
  const { event, status } = description.child;
  child.addEvent(event.name, event.attributes, time(beginNs, event.time_ns));
  child.setStatus({ code: SpanStatusCode.ERROR, message: status.message });
  child.end(time(beginNs, description.child.end_ns));
  parent.end(time(beginNs, description.parent.end_ns));

  await provider.forceFlush();
  await provider.shutdown();
  if (watched.results.length !== 1 || watched.results[0].code !== 0) {
    const errors = watched.results.map((result) => String(result.error ?? 'taken'));
    throw new Error(`${service}: the export was not acknowledged: ${errors}`);
  }
  return {
    service,
    language: 'nodejs',
    trace_id: parent.spanContext().traceId,
    parent_id: parent.spanContext().spanId,
    child_id: child.spanContext().spanId,
    begin_ns: String(beginNs),
  };
}

function start(tracer, span, beginNs, context) {
  const links = [];
  if (span.link) {
    const { trace_id: traceId, span_id: spanId, attributes } = span.link;
    links.push({ context: { traceId, spanId, traceFlags: TraceFlags.NONE }, attributes });
  }
  const kind = SpanKind[span.kind.toUpperCase()];
  const startTime = time(beginNs, span.start_ns);
  return tracer.startSpan(span.name, { kind, attributes: span.attributes, links, startTime }, context);
}

/** Seconds and nanoseconds, as the SDK takes an exact time. */
function time(beginNs, offsetNs) {
  const ns = beginNs + BigInt(offsetNs);
  return [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
}

const [descriptionPath, grpcPort, httpPort] = process.argv.slice(2);
const description = JSON.parse(readFileSync(descriptionPath, 'utf8'));
for (const [protocol, Exporter] of Object.entries(exporters)) {
  const url =
    protocol === 'grpc'
      ? `http://127.0.0.1:${grpcPort}`
      : `http://127.0.0.1:${httpPort}/v1/traces`;
  for (const compression of [CompressionAlgorithm.NONE, CompressionAlgorithm.GZIP]) {
    const suffix = compression === CompressionAlgorithm.GZIP ? '-gzip' : '';
    const exporter = new Exporter({ url, compression, timeoutMillis: TIMEOUT_MILLIS });
    const sent = await send(description, exporter, `clients.node.${protocol}${suffix}`);
    console.log(JSON.stringify(sent));
  }
}
