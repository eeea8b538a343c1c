// Sends known traces with the Node clients of Jaeger's and Zipkin's own days, and with OpenTelemetry's
// exporters for both.
//
// Usage: legacy.mjs PORTS_JSON. Prints one JSON line per trace: what the client was told to send, as
// Jaeger's API is to show it. `check_legacy.py` compares. Modules are looked up from NODE_HOME.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';

const require = createRequire(`${process.env.NODE_HOME}/`);
const { initTracer } = require('jaeger-client');
const zipkin = require('zipkin');
const { HttpLogger } = require('zipkin-transport-http');
const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api');
const { JaegerExporter } = require('@opentelemetry/exporter-jaeger');
const { ZipkinExporter } = require('@opentelemetry/exporter-zipkin');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

const HOST = '127.0.0.1';
const PATIENCE_MILLIS = 20_000;

// A minute ago, on a whole second: a number of milliseconds holds it exactly.
const beginMillis = () => (Math.floor(Date.now() / 1000) - 60) * 1000;

const tell = (sent) => console.log(JSON.stringify(sent));

async function until(what, holds) {
  const deadline = Date.now() + PATIENCE_MILLIS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`${what} does not happen`);
    await pause(20);
  }
}

// --- jaeger-client 3.19.0: Thrift binary over UDP and HTTP ---------------------------------------

async function jaegerClient(way, sampler, reporter, samplerTags) {
  const serviceName = `clients.jaeger-client-node.${way}`;
  const lost = [];
  const logger = { info() {}, error: (message) => lost.push(message) };
  const tracer = initTracer(
    { serviceName, sampler, reporter, traceId128bit: way === 'udp' },
    { tags: { gegend: 'küste' }, logger },
  );
  // The largest id is sampled by a probability of 1 alone; until then nothing is.
  await until('sampling as told', () => {
    const probe = tracer.startSpan('probe');
    return probe.context().isSampled();
  });
  const begin = beginMillis();
  const parent = tracer.startSpan('GET /möwen', {
    startTime: begin,
    tags: { 'span.kind': 'client', text: 'grüße 🦅', count: 42, ratio: 1.5, ok: true },
  });
  const child = tracer.startSpan('SELECT', { childOf: parent, startTime: begin + 250 });
  child.setTag('error', true);
  child.log({ event: 'cache miss', tries: 3 }, begin + 500);
  child.finish(begin + 750);
  parent.finish(begin + 1000);
  await new Promise((done) => tracer.close(done));
  if (lost.length) throw new Error(`${serviceName}: ${lost}`);
  tell({
    service: serviceName,
    trace_id: parent.context().traceIdStr,
    process: { gegend: 'küste', 'opencensus.exporterversion': 'Jaeger-Node-3.19.0' },
    spans: [
      {
        id: parent.context().spanIdStr,
        name: 'GET /möwen',
        start_us: begin * 1000,
        duration_us: 1_000_000,
        // Every number of JavaScript is a double.
        tags: {
          'span.kind': ['string', 'client'],
          text: ['string', 'grüße 🦅'],
          count: ['float64', 42],
          ratio: ['float64', 1.5],
          ok: ['bool', true],
          ...samplerTags,
        },
        logs: [],
      },
      {
        id: child.context().spanIdStr,
        parent: parent.context().spanIdStr,
        name: 'SELECT',
        start_us: (begin + 250) * 1000,
        duration_us: 500_000,
        tags: { error: ['bool', true], 'otel.status_code': ['string', 'ERROR'] },
        logs: [
          {
            time_us: (begin + 500) * 1000,
            fields: { event: ['string', 'cache miss'], tries: ['float64', 3] },
          },
        ],
      },
    ],
  });
}

// --- zipkin 0.22.0 -------------------------------------------------------------------------------

async function zipkinJs(ports, version, path) {
  const service = `clients.zipkin-js.${version}`;
  const { Annotation, BatchRecorder, ExplicitContext, Tracer, jsonEncoder } = zipkin;
  const lost = [];
  const answers = [];
  const logger = new HttpLogger({
    endpoint: `http://${HOST}:${ports.zipkin}${path}`,
    jsonEncoder: version === 'v1' ? jsonEncoder.JSON_V1 : jsonEncoder.JSON_V2,
    httpInterval: 50,
    log: { error: (message) => lost.push(message) },
  });
  logger.on('success', (answer) => answers.push(answer.status));
  const tracer = new Tracer({
    ctxImpl: new ExplicitContext(),
    recorder: new BatchRecorder({ logger }),
    localServiceName: service,
    traceId128Bit: true,
  });
  const begin = beginMillis() * 1000;
  const parent = tracer.createRootId();
  const child = tracer.letId(parent, () => tracer.createChildId());
  tracer.letId(child, () => {
    tracer.recordServiceName(service);
    tracer.recordRpc('select');
    tracer.recordAnnotation(new Annotation.ClientSend(), begin + 250_000);
    tracer.recordAnnotation(
      new Annotation.ServerAddr({
        serviceName: 'db',
        host: new zipkin.InetAddress('10.1.2.4'),
        port: 5432,
      }),
    );
    tracer.recordAnnotation(new Annotation.Message('cache miss'), begin + 500_000);
    tracer.recordAnnotation(new Annotation.ClientRecv(), begin + 750_000);
  });
  tracer.letId(parent, () => {
    tracer.recordServiceName(service);
    tracer.recordRpc('get möwen');
    tracer.recordAnnotation(new Annotation.ServerRecv(), begin);
    tracer.recordBinary('text', 'grüße 🦅');
    tracer.recordBinary('count', 42);
    tracer.recordAnnotation(new Annotation.ServerSend(), begin + 1_000_000);
  });
  await until(`${service}: an answer`, () => answers.length > 0 || lost.length > 0);
  if (lost.length || answers.some((status) => status !== 202)) {
    throw new Error(`${service}: ${lost} ${answers}`);
  }
  tell({
    service,
    trace_id: parent.traceId,
    process: {},
    spans: [
      {
        id: parent.spanId,
        name: 'get möwen',
        start_us: begin,
        duration_us: 1_000_000,
        tags: {
          'span.kind': ['string', 'server'],
          text: ['string', 'grüße 🦅'],
          count: ['string', '42'],
        },
        logs: [],
      },
      {
        id: child.spanId,
        parent: parent.spanId,
        name: 'select',
        start_us: begin + 250_000,
        duration_us: 500_000,
        tags: {
          'span.kind': ['string', 'client'],
          'peer.service': ['string', 'db'],
          'net.peer.ip': ['string', '10.1.2.4'],
          'net.peer.port': ['int64', 5432],
        },
        logs: [{ time_us: begin + 500_000, fields: { event: ['string', 'cache miss'] } }],
      },
    ],
  });
}

// --- OpenTelemetry's exporters -------------------------------------------------------------------

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
    return this.exporter.forceFlush?.();
  }

  shutdown() {
    return this.exporter.shutdown();
  }
}

async function openTelemetry(way, exporter, shown) {
  const service = `clients.opentelemetry-node.${way}`;
  const watched = new Watched(exporter);
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, gegend: 'küste' }),
    spanProcessors: [new BatchSpanProcessor(watched)],
  });
  const tracer = provider.getTracer('skua.clients', '1.2.3');
  const begin = beginMillis();
  const parent = tracer.startSpan(
    'GET /möwen',
    {
      kind: SpanKind.SERVER,
      attributes: { text: 'grüße 🦅', count: 42, ratio: 1.5, ok: true },
      startTime: begin,
    },
    ROOT_CONTEXT,
  );
  const within = trace.setSpan(ROOT_CONTEXT, parent);
  const child = tracer.startSpan('SELECT', { startTime: begin + 250 }, within);
  child.addEvent('cache miss', begin + 500);
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'bad' });
  child.end(begin + 750);
  parent.end(begin + 1000);
  await provider.forceFlush();
  await provider.shutdown();
  if (watched.results.length !== 1 || watched.results[0].code !== 0) {
    const errors = watched.results.map((result) => String(result.error ?? 'taken'));
    throw new Error(`${service}: the export was not acknowledged: ${errors}`);
  }
  tell({
    service,
    trace_id: parent.spanContext().traceId,
    process: {},
    spans: [
      {
        id: parent.spanContext().spanId,
        name: 'GET /möwen',
        start_us: begin * 1000,
        duration_us: 1_000_000,
        tags: {
          'span.kind': ['string', 'server'],
          text: ['string', 'grüße 🦅'],
          count: shown.count,
          ratio: shown.ratio,
          ok: shown.ok,
          ...shown.common(service),
        },
        logs: [],
      },
      {
        id: child.spanContext().spanId,
        parent: parent.spanContext().spanId,
        name: 'SELECT',
        start_us: (begin + 250) * 1000,
        duration_us: 500_000,
        tags: {
          ...shown.failed,
          ...shown.common(service),
        },
        logs: [{ time_us: (begin + 500) * 1000, fields: { event: ['string', 'cache miss'] } }],
      },
    ],
  });
}

const ports = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const collectorEndpoint = `http://${HOST}:${ports.jaeger_http}/api/traces`;
const udp = { agentHost: HOST, agentPort: ports.jaeger_binary };
const constant = { type: 'const', param: 1 };
const isConstant = { 'sampler.type': ['string', 'const'], 'sampler.param': ['bool', true] };
await jaegerClient('udp', constant, udp, isConstant);
await jaegerClient('http', constant, { collectorEndpoint }, isConstant);
const told = { 'sampler.type': ['string', 'probabilistic'], 'sampler.param': ['float64', 1] };
const remote = {
  type: 'remote',
  param: 0,
  hostPort: `${HOST}:${ports.sampling_http}`,
  refreshIntervalMs: 500,
};
await jaegerClient('remote-sampling', remote, udp, told);
await zipkinJs(ports, 'v1', '/api/v1/spans');
await zipkinJs(ports, 'v2', '/api/v2/spans');
// Both write the resource's attributes to every span.
const asZipkin = {
  count: ['string', '42'],
  ratio: ['string', '1.5'],
  ok: ['string', 'true'],
  // Beside that of the status there is the text that was sent.
  failed: {
    error: [
      ['bool', true],
      ['string', 'bad'],
    ],
    'otel.status_code': ['string', 'ERROR'],
  },
  common: () => ({ gegend: ['string', 'küste'] }),
};
const zipkinUrl = `http://${HOST}:${ports.zipkin}/api/v2/spans`;
await openTelemetry('zipkin', new ZipkinExporter({ url: zipkinUrl }), asZipkin);
const asJaeger = {
  count: ['float64', 42],
  ratio: ['float64', 1.5],
  ok: ['bool', true],
  failed: {
    error: ['bool', true],
    'otel.status_code': ['string', 'ERROR'],
    'otel.status_description': ['string', 'bad'],
  },
  common: (service) => ({
    gegend: ['string', 'küste'],
    'service.name': ['string', service],
    'otel.library.name': ['string', 'skua.clients'],
    'otel.library.version': ['string', '1.2.3'],
  }),
};
const jaegerUdp = new JaegerExporter({ host: HOST, port: ports.jaeger_binary });
await openTelemetry('jaeger-udp', jaegerUdp, asJaeger);
const jaegerHttp = new JaegerExporter({ endpoint: collectorEndpoint });
await openTelemetry('jaeger-http', jaegerHttp, asJaeger);
