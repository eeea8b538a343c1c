"""Sends a known trace with OpenTelemetry's Python exporters that only older SDKs have: those for Jaeger
over UDP, HTTP and gRPC, and that for Zipkin in protobuf.

Usage: send.py PORTS_JSON. Prints one JSON line per trace: what the client was told to send, as Jaeger's
API is to show it. `check_legacy.py` compares.
"""

import json
import sys
import time

from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter as GrpcExporter
from opentelemetry.exporter.jaeger.thrift import JaegerExporter as ThriftExporter
from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, set_span_in_context

HOST = "127.0.0.1"
SCOPE = ("otel.scope.name", "otel.scope.version")
LINKED_TRACE, LINKED_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def send(way, exporter, is_zipkin=False):
    service = f"clients.opentelemetry-exporter-{way}"
    resource = Resource({"service.name": service, "gegend": "küste"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("skua.clients", "1.2.3")
    begin = (int(time.time()) - 60) * 1_000_000
    at = lambda micros: (begin + micros) * 1000
    parent = tracer.start_span("GET /möwen", kind=SpanKind.SERVER, start_time=at(0))
    parent.set_attributes({"text": "grüße 🦅", "count": 42, "ratio": 1.5, "ok": True})
    context = set_span_in_context(parent)
    link = Link(SpanContext(int(LINKED_TRACE, 16), int(LINKED_SPAN, 16), is_remote=True))
    child = tracer.start_span("SELECT", context=context, links=[link], start_time=at(500_000))
    child.add_event("cache miss", {"tries": 3}, at(1_000_000))
    child.set_status(Status(StatusCode.ERROR, "bad"))
    child.end(at(1_500_000))
    parent.end(at(2_000_000))
    provider.shutdown()

    library = {
        "otel.library.name": ["string", "skua.clients"],
        "otel.library.version": ["string", "1.2.3"],
        "otel.scope.name": ["string", "skua.clients"],
        "otel.scope.version": ["string", "1.2.3"],
    }
    # It writes the resource's attributes to every span.
    library["gegend"] = ["string", "küste"]
    error = ["bool", True]
    description = {"otel.status_description": ["string", "bad"]}
    if is_zipkin:
        # Zipkin knows texts only, no links, and no attributes of events but as part of their name.
        number, truth, double = ["string", "42"], ["string", "true"], ["string", "1.5"]
        event = {"event": ["string", '{"cache miss": {"tries": 3}}']}
        kind, links, description = {}, [], {}
        # That of the status, and the text that was sent.
        error = [error, ["string", "bad"]]
        # Once from the scope, which Jaeger makes of `otel.library.*`, and once as it was sent.
        del library["otel.library.name"], library["otel.library.version"]
        library = {key: [*value, 2] if key in SCOPE else value for key, value in library.items()}
    else:
        library["service.name"] = ["string", service]
        number, truth, double = ["int64", 42], ["bool", True], ["float64", 1.5]
        event = {"message": ["string", "cache miss"], "tries": ["int64", 3]}
        kind = {"span.kind": ["string", "internal"]}
        links = [[LINKED_TRACE, LINKED_SPAN]]
    sent = {
        "service": service,
        "trace_id": f"{parent.get_span_context().trace_id:032x}",
        "process": {},
        "spans": [
            {
                "id": f"{parent.get_span_context().span_id:016x}",
                "name": "GET /möwen",
                "start_us": begin,
                "duration_us": 2_000_000,
                "tags": {
                    "span.kind": ["string", "server"],
                    "text": ["string", "grüße 🦅"],
                    "count": number,
                    "ratio": double,
                    "ok": truth,
                    **library,
                },
                "logs": [],
            },
            {
                "id": f"{child.get_span_context().span_id:016x}",
                "parent": f"{parent.get_span_context().span_id:016x}",
                "links": links,
                "name": "SELECT",
                "start_us": begin + 500_000,
                "duration_us": 1_000_000,
                "tags": {
                    "error": error,
                    "otel.status_code": ["string", "ERROR"],
                    **description,
                    **kind,
                    **library,
                },
                "logs": [{"time_us": begin + 1_000_000, "fields": event}],
            },
        ],
    }
    print(json.dumps(sent, ensure_ascii=False), flush=True)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ports = json.load(file)
    send("jaeger.udp", ThriftExporter(HOST, ports["jaeger_compact"]))
    url = f"http://{HOST}:{ports['jaeger_http']}/api/traces?format=jaeger.thrift"
    send("jaeger.http", ThriftExporter(collector_endpoint=url))
    address = f"{HOST}:{ports['jaeger_grpc']}"
    send("jaeger.grpc", GrpcExporter(collector_endpoint=address, insecure=True))
    url = f"http://{HOST}:{ports['zipkin']}/api/v2/spans"
    send("zipkin.protobuf", ZipkinExporter(endpoint=url), is_zipkin=True)


main()
