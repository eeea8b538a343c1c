"""Reads back what the senders sent, over Jaeger's HTTP API, and compares every field.

Usage: check.py TRACE_JSON UI_PORT SENT_JSONL EXPECTED_TRACES. Prints each failed check and, as its last
line, "N passed, N failed"; fails if a check failed. Acknowledged means visible, so nothing here waits
or retries, but for what a Kafka acknowledged.
"""

import json
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_SECONDS = 20
OTLP_KINDS = {"server": 2, "client": 3}


class Jaeger:
    """Jaeger's query API at one port."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path, status=200, **query):
        url = self.base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
                found, body = response.status, response.read()
        except urllib.error.HTTPError as error:
            found, body = error.code, error.read()
        equal(f"status of {url}", found, status)
        return json.loads(body)


def equal(what, found, expected):
    if found != expected or type(found) is not type(expected):
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


# What Jaeger's JSON shows of an attribute.


def jaeger_tag(key, value):
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        return {"key": key, "type": "int64", "value": value}
    if isinstance(value, float):
        return {"key": key, "type": "float64", "value": value}
    if isinstance(value, str):
        return {"key": key, "type": "string", "value": value}
    return {"key": key, "type": "string", "value": json.dumps(value)}


def jaeger_tags(attributes):
    return [jaeger_tag(key, attributes[key]) for key in sorted(attributes)]


def equal_tags(what, found, expected):
    equal(f"keys of {what}", [tag["key"] for tag in found], [tag["key"] for tag in expected])
    for found_tag, expected_tag in zip(found, expected):
        # Arrays are shown as JSON text; its spaces are not part of the contract.
        if expected_tag["type"] == "string" and expected_tag["value"].startswith("["):
            found_tag = {**found_tag, "value": json.loads(found_tag["value"])}
            expected_tag = {**expected_tag, "value": json.loads(expected_tag["value"])}
        equal(f"{what}: {expected_tag['key']}", found_tag, expected_tag)


def check_jaeger_trace(trace, description, sent):
    equal("keys of the trace", sorted(trace), ["processes", "spans", "traceID", "warnings"])
    equal("traceID", trace["traceID"], sent["trace_id"].removeprefix("0" * 16))
    equal("warnings", trace["warnings"], None)
    equal("processes", list(trace["processes"]), ["p1"])
    equal("serviceName", trace["processes"]["p1"]["serviceName"], sent["service"])
    check_jaeger_process(trace["processes"]["p1"]["tags"], description, sent)
    spans = {span["spanID"]: span for span in trace["spans"]}
    equal("span ids", sorted(spans), sorted([sent["parent_id"], sent["child_id"]]))
    equal("count of spans", len(trace["spans"]), 2)
    check_jaeger_span(spans[sent["parent_id"]], description, "parent", sent)
    check_jaeger_span(spans[sent["child_id"]], description, "child", sent)


def check_jaeger_process(tags, description, sent):
    keys = [tag["key"] for tag in tags]
    equal("order of process tags", keys, sorted(keys))
    equal("service.name is no tag", "service.name" in keys, False)
    found = {tag["key"]: tag for tag in tags}
    language = jaeger_tag("telemetry.sdk.language", sent["language"])
    equal("language", found.get("telemetry.sdk.language"), language)
    expected = jaeger_tags(description["resource"])
    equal_tags("process", [found[tag["key"]] for tag in expected], expected)


def check_jaeger_span(span, description, which, sent):
    expected = description[which]
    scope = description["scope"]
    begin_ns = int(sent["begin_ns"])
    equal("traceID", span["traceID"], sent["trace_id"].removeprefix("0" * 16))
    equal("operationName", span["operationName"], expected["name"])
    equal("processID", span["processID"], "p1")
    equal("warnings", span["warnings"], None)
    equal("startTime", span["startTime"], (begin_ns + expected["start_ns"]) // 1000)
    equal("duration", span["duration"], (expected["end_ns"] - expected["start_ns"]) // 1000)
    equal("flags", span.get("flags", 1), 1)

    references = []
    if which == "child":
        link = expected["link"]
        references = [
            {"refType": "CHILD_OF", "traceID": span["traceID"], "spanID": sent["parent_id"]},
            {"refType": "FOLLOWS_FROM", "traceID": link["trace_id"], "spanID": link["span_id"]},
        ]
    equal("references", span["references"], references)

    tags = [jaeger_tag("otel.scope.name", scope["name"])]
    tags += [jaeger_tag("otel.scope.version", scope["version"])]
    tags += jaeger_tags(expected["attributes"])
    tags += [jaeger_tag("span.kind", expected["kind"])]
    if "status" in expected:
        tags += [jaeger_tag("otel.status_code", "ERROR"), jaeger_tag("error", True)]
        tags += [jaeger_tag("otel.status_description", expected["status"]["message"])]
    equal_tags(f"tags of the {which}", span["tags"], tags)

    events = [expected["event"]] if "event" in expected else []
    equal("count of logs", len(span["logs"]), len(events))
    for log, event in zip(span["logs"], events):
        equal("time of the log", log["timestamp"], (begin_ns + event["time_ns"]) // 1000)
        fields = [jaeger_tag("event", event["name"])] + jaeger_tags(event["attributes"])
        equal_tags("fields of the log", log["fields"], fields)


# What OTLP JSON shows of an attribute.


def otlp_value(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [otlp_value(item) for item in value]}}


def equal_attributes(what, found, expected):
    by_key = {attribute["key"]: attribute["value"] for attribute in found}
    equal(f"{what}: no key twice", len(by_key), len(found))
    equal(what, by_key, {key: otlp_value(value) for key, value in expected.items()})


def check_otlp_trace(answer, description, sent):
    resources = answer["result"]["resourceSpans"]
    found = {}
    for resource in resources:
        attributes = resource["resource"]["attributes"]
        wanted = {**description["resource"], "service.name": sent["service"]}
        kept = [attribute for attribute in attributes if attribute["key"] in wanted]
        equal_attributes("resource", kept, wanted)
        for scope in resource["scopeSpans"]:
            equal("scope name", scope["scope"]["name"], description["scope"]["name"])
            equal("scope version", scope["scope"]["version"], description["scope"]["version"])
            found.update({span["spanId"]: span for span in scope["spans"]})
    equal("span ids", sorted(found), sorted([sent["parent_id"], sent["child_id"]]))
    check_otlp_span(found[sent["parent_id"]], description["parent"], sent, "")
    check_otlp_span(found[sent["child_id"]], description["child"], sent, sent["parent_id"])


def check_otlp_span(span, expected, sent, parent_id):
    begin_ns = int(sent["begin_ns"])
    equal("traceId", span["traceId"], sent["trace_id"])
    equal("parentSpanId", span.get("parentSpanId", ""), parent_id)
    equal("name", span["name"], expected["name"])
    equal("kind", span["kind"], OTLP_KINDS[expected["kind"]])
    equal("start", span["startTimeUnixNano"], str(begin_ns + expected["start_ns"]))
    equal("end", span["endTimeUnixNano"], str(begin_ns + expected["end_ns"]))
    equal_attributes("attributes", span["attributes"], expected["attributes"])

    status = {}
    if "status" in expected:
        status = {"code": 2, "message": expected["status"]["message"]}
    equal("status", span.get("status", {}), status)

    events = [expected["event"]] if "event" in expected else []
    equal("count of events", len(span.get("events", [])), len(events))
    for found, event in zip(span.get("events", []), events):
        equal("event", found["name"], event["name"])
        equal("time of the event", found["timeUnixNano"], str(begin_ns + event["time_ns"]))
        equal_attributes("event attributes", found["attributes"], event["attributes"])

    links = [expected["link"]] if "link" in expected else []
    equal("count of links", len(span.get("links", [])), len(links))
    for found, link in zip(span.get("links", []), links):
        equal("link", (found["traceId"], found["spanId"]), (link["trace_id"], link["span_id"]))
        equal_attributes("link attributes", found["attributes"], link["attributes"])


# The checks of one sent trace.


def by_id(jaeger, description, sent):
    answer = jaeger.get(f"/api/traces/{sent['trace_id']}")
    equal("keys of the answer", list(answer), ["data", "total", "limit", "offset", "errors"])
    equal("errors", answer["errors"], None)
    equal("count of traces", len(answer["data"]), 1)
    check_jaeger_trace(answer["data"][0], description, sent)


def by_id_otlp(jaeger, description, sent):
    answer = jaeger.get(f"/api/v3/traces/{sent['trace_id']}")
    check_otlp_trace(answer, description, sent)


def by_id_otlp_raw(jaeger, description, sent):
    answer = jaeger.get(f"/api/v3/traces/{sent['trace_id']}", rawTraces="true")
    check_otlp_trace(answer, description, sent)


def services(jaeger, _description, sent):
    answer = jaeger.get("/api/services")
    equal("total", answer["total"], len(answer["data"]))
    equal("the service is listed once", answer["data"].count(sent["service"]), 1)
    answer = jaeger.get("/api/v3/services")
    equal("the service is listed once", answer["services"].count(sent["service"]), 1)


def operations(jaeger, description, sent):
    names = sorted(description[which]["name"] for which in ("parent", "child"))
    service = urllib.parse.quote(sent["service"])
    equal("names", sorted(jaeger.get(f"/api/services/{service}/operations")["data"]), names)
    answer = jaeger.get("/api/operations", service=sent["service"], spanKind="client")
    child = {"name": description["child"]["name"], "spanKind": "client"}
    equal("operations", answer["data"], [child])


def search(jaeger, description, sent):
    answer = jaeger.get("/api/traces", service=sent["service"])
    equal("count of traces", len(answer["data"]), 1)
    check_jaeger_trace(answer["data"][0], description, sent)


def search_by_everything(jaeger, description, sent):
    child = description["child"]
    tags = {
        "db.negative": "-42",
        "db.cached": "true",
        "db.ratio": "-0.125",
        "db.query.text": child["attributes"]["db.query.text"],
        "deployment.environment.name": description["resource"]["deployment.environment.name"],
        "exception.type": "NichtGefunden",
        "link.reason": "batch",
        "error": "true",
    }
    query = {
        "service": sent["service"],
        "operation": child["name"],
        "tags": json.dumps(tags),
        "minDuration": "190ms",
        "maxDuration": "191ms",
        "start": int(sent["begin_ns"]) // 1000,
        "end": int(sent["begin_ns"]) // 1000 + 60_000_000,
    }
    answer = jaeger.get("/api/traces", **query)
    equal("traces", [trace["traceID"] for trace in answer["data"]], [sent["trace_id"].removeprefix("0" * 16)])
    for parameter, other in {
        "operation": "another",
        "tags": json.dumps({**tags, "db.negative": "42"}),
        "maxDuration": "190000us",
        "end": query["start"] - 1_000_000,
    }.items():
        changed = {**query, parameter: other}
        if parameter == "end":
            changed["start"] = other - 1_000_000
        answer = jaeger.get("/api/traces", **changed)
        equal(f"traces with another {parameter}", answer["data"], [])


def unknown_trace(jaeger, _description, _sent):
    answer = jaeger.get("/api/traces/00000000000000000000000000000abc", status=404)
    equal("errors", answer["errors"], [{"code": 404, "msg": "trace not found"}])


def until_stored(jaeger, sent):
    """Waits for a trace that went through something that answers before it is stored."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    url = f"{jaeger.base}/api/traces/{sent['trace_id']}"
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS).close()
            return
        except urllib.error.HTTPError:
            time.sleep(0.05)


PER_TRACE = [by_id, by_id_otlp, by_id_otlp_raw, services, operations, search, search_by_everything]


def main():
    description_path, port, sent_path, expected_traces = sys.argv[1:]
    with open(description_path, encoding="utf-8") as file:
        description = json.load(file)
    with open(sent_path, encoding="utf-8") as file:
        traces = [json.loads(line) for line in file]
    jaeger = Jaeger(port)
    for sent in traces:
        if sent.get("is_forwarded"):
            until_stored(jaeger, sent)

    passed = failed = 0
    checks = [(check, sent) for sent in traces for check in PER_TRACE]
    checks.append((unknown_trace, {"service": "any"}))
    for check, sent in checks:
        try:
            check(jaeger, description, sent)
            passed += 1
        except Exception:  # A check that trips over a strange answer has failed, whatever it raised.
            failed += 1
            print(f"FAILED {check.__name__} of {sent['service']}\n{traceback.format_exc(limit=-3)}")
    missing = int(expected_traces) - len(traces)
    if missing:
        failed += missing
        print(f"FAILED: {missing} of {expected_traces} traces were not sent")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
