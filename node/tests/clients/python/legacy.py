"""Sends known traces with the Python clients of Jaeger's and Zipkin's own days, each through its door.

Usage: legacy.py PORTS_JSON. Prints one JSON line per trace: what the client was told to send, as
Jaeger's API is to show it. `check_legacy.py` compares.
"""

import json
import sys
import time
from unittest import mock

import requests
from jaeger_client import Config
from opentelemetry.exporter.zipkin.encoder import Protocol
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from py_zipkin import Encoding, Kind
from py_zipkin.util import ZipkinAttrs
from py_zipkin.zipkin import zipkin_client_span, zipkin_span

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 20


def begin_us():
    """A minute ago, on a whole second, so that doubles of seconds hold it exactly."""
    return (int(time.time()) - 60) * 1_000_000


def until(what, holds):
    """Waits for what a client does by itself."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} does not happen")
        time.sleep(0.02)


def tell(sent):
    print(json.dumps(sent, ensure_ascii=False), flush=True)


# --- jaeger-client 4.8.0: Thrift compact over UDP ------------------------------------------------


def jaeger_client(ports, way, sampler, sampler_tags):
    service = f"clients.jaeger-client-python.{way}"
    config = Config(
        {
            "sampler": sampler,
            "sampling_refresh_interval": 1,
            "local_agent": {
                "reporting_host": HOST,
                "reporting_port": ports["jaeger_compact"],
                "sampling_port": ports["sampling_http"],
            },
            "tags": {"gegend": "küste"},
            "generate_128bit_trace_id": way == "udp",
            "logging": False,
        },
        service_name=service,
        validate=True,
    )
    tracer = config.new_tracer()
    # The largest id is sampled by a probability of 1 alone.
    until("sampling as told", lambda: tracer.sampler.is_sampled((1 << 64) - 1, "op")[0])
    begin = begin_us()
    seconds = begin / 1e6
    parent = tracer.start_span(
        "GET /möwen",
        start_time=seconds,
        tags={"span.kind": "client", "text": "grüße 🦅", "count": 42, "ratio": 1.5, "ok": True},
    )
    child = tracer.start_span("SELECT", child_of=parent, start_time=seconds + 0.25)
    child.set_tag("error", True)
    child.log_kv({"event": "cache miss", "tries": 3}, timestamp=seconds + 0.5)
    child.finish(finish_time=seconds + 0.75)
    parent.finish(finish_time=seconds + 1)
    closed = tracer.close()
    until("the flush of the reporter", closed.done)
    tell(
        {
            "service": service,
            "trace_id": f"{parent.trace_id:x}",
            "process": {"gegend": "küste", "opencensus.exporterversion": "Jaeger-Python-4.8.0"},
            "spans": [
                {
                    "id": f"{parent.span_id:016x}",
                    "name": "GET /möwen",
                    "start_us": begin,
                    "duration_us": 1_000_000,
                    "tags": {
                        "span.kind": ["string", "client"],
                        "text": ["string", "grüße 🦅"],
                        "count": ["int64", 42],
                        "ratio": ["float64", 1.5],
                        "ok": ["bool", True],
                        **sampler_tags,
                    },
                    "logs": [],
                },
                {
                    "id": f"{child.span_id:016x}",
                    "parent": f"{parent.span_id:016x}",
                    "name": "SELECT",
                    "start_us": begin + 250_000,
                    "duration_us": 500_000,
                    "tags": {
                        "error": ["bool", True],
                        "otel.status_code": ["string", "ERROR"],
                    },
                    "logs": [
                        {
                            "time_us": begin + 500_000,
                            "fields": {"event": ["string", "cache miss"], "tries": ["int64", 3]},
                        }
                    ],
                },
            ],
        }
    )


# --- py_zipkin: v1 and v2 as JSON, v2 as protobuf ------------------------------------------------


def py_zipkin(ports, encoding, path, content_type):
    service = f"clients.py-zipkin.{encoding.value.lower()}"
    # Of this run alone, and with 128 bits, of which no encoding is to lose one.
    trace_id, parent_id, child_id = f"1{time.time_ns():031x}", "a2fb4a1d1a96d312", None
    answers = []

    def post(payload):
        answer = requests.post(
            f"http://{HOST}:{ports['zipkin']}{path}",
            data=payload,
            headers={"Content-Type": content_type},
            timeout=TIMEOUT_SECONDS,
        )
        answers.append(answer.status_code)

    begin = begin_us()
    attributes = ZipkinAttrs(
        trace_id=trace_id, span_id=parent_id, parent_span_id=None, flags="0", is_sampled=True
    )
    # The outermost span takes its times from the clock alone.
    clock = mock.Mock(time=mock.Mock(side_effect=[begin / 1e6, begin / 1e6 + 1]))
    with mock.patch("py_zipkin.logging_helper.time", clock), zipkin_span(
        service_name=service,
        span_name="get möwen",
        zipkin_attrs=attributes,
        transport_handler=post,
        encoding=encoding,
        kind=Kind.SERVER,
        host="10.1.2.3",
        port=8080,
        report_root_timestamp=True,
        binary_annotations={"text": "grüße 🦅", "count": "42"},
        annotations={"cache miss": begin / 1e6 + 0.5},
    ):
        with zipkin_client_span(
            service_name=service,
            span_name="select",
            timestamp=begin / 1e6 + 0.25,
            duration=0.5,
        ) as child:
            child.add_sa_binary_annotation(port=5432, service_name="db", host="10.1.2.4")
            child_id = child.zipkin_attrs.span_id
    if answers != [202]:
        raise SystemExit(f"{service}: {answers} instead of one 202")
    endpoint = {"net.host.ip": ["string", "10.1.2.3"], "net.host.port": ["int64", 8080]}
    if encoding == Encoding.V1_JSON:
        # Version 1 says the endpoint of each annotation, of which Jaeger takes the service.
        endpoint = {}
    tell(
        {
            "service": service,
            "trace_id": trace_id,
            "process": {},
            "spans": [
                {
                    "id": parent_id,
                    "name": "get möwen",
                    "start_us": begin,
                    "duration_us": 1_000_000,
                    "tags": {
                        "span.kind": ["string", "server"],
                        "text": ["string", "grüße 🦅"],
                        "count": ["string", "42"],
                        **endpoint,
                    },
                    "logs": [
                        {
                            "time_us": begin + 500_000,
                            "fields": {"event": ["string", "cache miss"]},
                        }
                    ],
                },
                {
                    "id": child_id,
                    "parent": parent_id,
                    "name": "select",
                    "start_us": begin + 250_000,
                    "duration_us": 500_000,
                    "tags": {
                        "span.kind": ["string", "client"],
                        "peer.service": ["string", "db"],
                        "net.peer.ip": ["string", "10.1.2.4"],
                        "net.peer.port": ["int64", 5432],
                        **endpoint,
                    },
                    "logs": [],
                },
            ],
        }
    )


# --- OpenTelemetry's exporter for Zipkin ---------------------------------------------------------


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


def opentelemetry_zipkin(ports, protocol, path):
    service = f"clients.opentelemetry-zipkin-python.{protocol.value}"
    url = f"http://{HOST}:{ports['zipkin']}{path}"
    watched = Watched(
        # Version 1 compares the length of a tag with this, so that it must not be None.
        ZipkinExporter(
            version=protocol, endpoint=url, timeout=TIMEOUT_SECONDS, max_tag_value_length=1000
        )
    )
    provider = TracerProvider(resource=Resource({"service.name": service, "gegend": "küste"}))
    provider.add_span_processor(SimpleSpanProcessor(watched))
    tracer = provider.get_tracer("skua.clients", "1.2.3")
    begin = begin_us()
    at = lambda micros: (begin + micros) * 1000
    parent = tracer.start_span("GET /möwen", kind=SpanKind.SERVER, start_time=at(0))
    parent.set_attributes({"text": "grüße 🦅", "count": 42, "ok": True})
    context = set_span_in_context(parent)
    child = tracer.start_span("SELECT", context=context, start_time=at(250_000))
    child.add_event("cache miss", timestamp=at(500_000))
    child.set_status(Status(StatusCode.ERROR, "bad"))
    child.end(at(750_000))
    parent.end(at(1_000_000))
    provider.shutdown()
    if watched.results != [SpanExportResult.SUCCESS] * 2:
        raise SystemExit(f"{service}: {watched.results}")
    if protocol == Protocol.V1:
        # It tells no kind, and what it tells besides stays what it is.
        kind = {}
        common = {
            "gegend": ["string", "küste"],
            "service.name": ["string", service],
            "otel.library.name": ["string", "skua.clients"],
            "otel.library.version": ["string", "1.2.3"],
            "otel.scope.name": ["string", "skua.clients"],
            "otel.scope.version": ["string", "1.2.3"],
        }
    else:
        kind = {"span.kind": ["string", "server"]}
        common = {
            "gegend": ["string", "küste"],
            # Once from the scope, which Jaeger makes of `otel.library.*`, and once as it was sent.
            "otel.scope.name": ["string", "skua.clients", 2],
            "otel.scope.version": ["string", "1.2.3", 2],
        }
    tell(
        {
            "service": service,
            "trace_id": f"{parent.get_span_context().trace_id:032x}",
            "process": {},
            "spans": [
                {
                    "id": f"{parent.get_span_context().span_id:016x}",
                    "name": "GET /möwen",
                    "start_us": begin,
                    "duration_us": 1_000_000,
                    "tags": {
                        **kind,
                        "text": ["string", "grüße 🦅"],
                        "count": ["string", "42"],
                        "ok": ["string", "true"],
                        **common,
                    },
                    "logs": [],
                },
                {
                    "id": f"{child.get_span_context().span_id:016x}",
                    "parent": f"{parent.get_span_context().span_id:016x}",
                    "name": "SELECT",
                    "start_us": begin + 250_000,
                    "duration_us": 500_000,
                    "tags": {
                        # That of the status, and the text that was sent.
                        "error": [["bool", True], ["string", "bad"]],
                        "otel.status_code": ["string", "ERROR"],
                        **common,
                    },
                    "logs": [
                        {
                            "time_us": begin + 500_000,
                            "fields": {"event": ["string", '{"cache miss": {}}']},
                        }
                    ],
                },
            ],
        }
    )


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ports = json.load(file)
    const = {"sampler.type": ["string", "const"], "sampler.param": ["bool", True]}
    jaeger_client(ports, "udp", {"type": "const", "param": 1}, const)
    # Without a type the sampler asks port 5778, and samples nothing until it is told. It takes the number
    # of the JSON as it stands.
    told = {"sampler.type": ["string", "probabilistic"], "sampler.param": ["int64", 1]}
    jaeger_client(ports, "remote-sampling", {"param": 0}, told)
    py_zipkin(ports, Encoding.V1_JSON, "/api/v1/spans", "application/json")
    py_zipkin(ports, Encoding.V2_JSON, "/api/v2/spans", "application/json")
    py_zipkin(ports, Encoding.V2_PROTO3, "/api/v2/spans", "application/x-protobuf")
    opentelemetry_zipkin(ports, Protocol.V1, "/api/v1/spans")
    opentelemetry_zipkin(ports, Protocol.V2, "/api/v2/spans")


main()
