"""Sends the trace of trace.json with OpenTelemetry's Python SDK, once for each way it can speak OTLP.

Usage: send.py TRACE_JSON GRPC_PORT HTTP_PORT. Prints one JSON line per trace: who sent it, under which
service and ids, and when it began. Fails if an exporter reports anything but success.
"""

import json
import sys
import time

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, set_span_in_context

TIMEOUT_SECONDS = 20


class Watched(SpanExporter):
    """Passes spans on and remembers whether the server took them."""

    def __init__(self, exporter):
        self.exporter = exporter
        self.results = []

    def export(self, spans):
        result = self.exporter.export(spans)
        self.results.append(result)
        return result

    def shutdown(self):
        self.exporter.shutdown()


def send(description, exporter, service):
    """Sends the described trace and returns its ids and begin."""
    watched = Watched(exporter)
    provider = TracerProvider(
        resource=Resource.create({**description["resource"], "service.name": service})
    )
    provider.add_span_processor(BatchSpanProcessor(watched))
    tracer = provider.get_tracer(description["scope"]["name"], description["scope"]["version"])

    # A minute ago, with nanoseconds that microseconds cannot show.
    begin_ns = (int(time.time()) - 60) * 1_000_000_000 + 123_456_789
    parent = start(tracer, description["parent"], begin_ns)
    child = start(tracer, description["child"], begin_ns, set_span_in_context(parent))
    event = description["child"]["event"]
    child.add_event(event["name"], event["attributes"], begin_ns + event["time_ns"])
    child.set_status(Status(StatusCode.ERROR, description["child"]["status"]["message"]))
    child.end(begin_ns + description["child"]["end_ns"])
    parent.end(begin_ns + description["parent"]["end_ns"])

    flushed = provider.force_flush(TIMEOUT_SECONDS * 1000)
    provider.shutdown()
    if not flushed or watched.results != [SpanExportResult.SUCCESS]:
        raise SystemExit(f"{service}: the export was not acknowledged: {watched.results}")
    return {
        "service": service,
        "language": "python",
        "trace_id": f"{parent.get_span_context().trace_id:032x}",
        "parent_id": f"{parent.get_span_context().span_id:016x}",
        "child_id": f"{child.get_span_context().span_id:016x}",
        "begin_ns": str(begin_ns),
    }


def start(tracer, span, begin_ns, context=None):
    link = span.get("link")
    links = []
    if link:
        target = SpanContext(int(link["trace_id"], 16), int(link["span_id"], 16), is_remote=True)
        links = [Link(target, link["attributes"])]
    return tracer.start_span(
        span["name"],
        context=context,
        kind=SpanKind[span["kind"].upper()],
        attributes=span["attributes"],
        links=links,
        start_time=begin_ns + span["start_ns"],
    )


def main():
    description_path, grpc_port, http_port = sys.argv[1:]
    with open(description_path, encoding="utf-8") as file:
        description = json.load(file)
    url = f"http://127.0.0.1:{http_port}/v1/traces"
    address = f"127.0.0.1:{grpc_port}"
    plain, gzip = grpc.Compression.NoCompression, grpc.Compression.Gzip
    exporters = {
        "grpc": lambda: GrpcExporter(
            address, insecure=True, compression=plain, timeout=TIMEOUT_SECONDS
        ),
        "grpc-gzip": lambda: GrpcExporter(
            address, insecure=True, compression=gzip, timeout=TIMEOUT_SECONDS
        ),
        "http": lambda: HttpExporter(
            url, compression=Compression.NoCompression, timeout=TIMEOUT_SECONDS
        ),
        "http-gzip": lambda: HttpExporter(
            url, compression=Compression.Gzip, timeout=TIMEOUT_SECONDS
        ),
    }
    for way, exporter in exporters.items():
        print(json.dumps(send(description, exporter(), f"clients.python.{way}")), flush=True)


if __name__ == "__main__":
    main()
