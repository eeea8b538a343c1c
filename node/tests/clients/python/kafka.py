"""A Kafka in one process, by librdkafka's mock cluster, and a producer in front of it: OpenTelemetry's
Python SDK writes the trace of trace.json as `otlp_proto`, as its collector does.

Usage: kafka.py TRACE_JSON BROKERS_FILE SENT_FILE. Writes the brokers' addresses, then produces, then
tells what it sent, and stays until its standard input ends.
"""

import json
import os
import sys

from confluent_kafka import Producer
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from send import TIMEOUT_SECONDS, send

TOPIC = "jaeger-spans"


class KafkaExporter(SpanExporter):
    """Puts an export into a topic, one message each."""

    def __init__(self, producer):
        self.producer = producer
        self.errors = []

    def export(self, spans):
        def done(error, _message):
            self.errors.append(error)

        message = encode_spans(spans).SerializeToString()
        self.producer.produce(TOPIC, message, on_delivery=done)
        self.producer.flush(TIMEOUT_SECONDS)
        taken = self.errors == [None]
        return SpanExportResult.SUCCESS if taken else SpanExportResult.FAILURE

    def shutdown(self):
        pass


def write(path, text):
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".part", path)


def main():
    description_path, brokers_file, sent_file = sys.argv[1:]
    with open(description_path, encoding="utf-8") as file:
        description = json.load(file)
    # The mock cluster lives as long as the producer that was told to make it.
    producer = Producer({"test.mock.num.brokers": 3})
    brokers = producer.list_topics(TOPIC, timeout=TIMEOUT_SECONDS).brokers.values()
    write(brokers_file, ",".join(f"{broker.host}:{broker.port}" for broker in brokers))
    sent = send(description, KafkaExporter(producer), "clients.confluent-kafka.otlp_proto")
    write(sent_file, json.dumps({**sent, "is_forwarded": True}) + "\n")
    sys.stdin.read()


main()
