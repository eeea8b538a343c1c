"""Reads back what the clients of Jaeger's and Zipkin's days sent, over Jaeger's HTTP API, and compares
every field with what they said that they were told to send.

Usage: check_legacy.py UI_PORT SENT_JSONL EXPECTED_TRACES. Prints each failed check and, as its last line,
"N passed, N failed"; fails if a check failed. Nobody acknowledges a datagram, so it waits for a trace.
"""

import json
import sys
import time
import traceback
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 20


def get(port, path):
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS
        ) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def read(port, sent):
    """The trace, once all its spans are there."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        status, answer = get(port, f"/api/traces/{sent['trace_id']}")
        trace = answer["data"][0] if status == 200 else {"spans": []}
        if len(trace["spans"]) >= len(sent["spans"]) or time.monotonic() > deadline:
            return trace
        time.sleep(0.02)


def equal(what, found, expected):
    if found != expected or type(found) is not type(expected):
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def shown(key, kind, value):
    # JSON has one kind of number: 42.0 may come as 42.
    return [key, kind, json.dumps(float(value) if kind == "float64" else value)]


def equal_tags(what, tags, expected):
    """Exactly the expected tags. A value is [type, value], or [type, value, how often]; two values
    of one key are a list of them."""
    found = sorted(shown(tag["key"], tag["type"], tag["value"]) for tag in tags)
    wanted = []
    for key, value in expected.items():
        for kind, *rest in value if isinstance(value[0], list) else [value]:
            wanted += [shown(key, kind, rest[0])] * (rest[1] if len(rest) > 1 else 1)
    equal(what, found, sorted(wanted))


def check(port, sent):
    trace = read(port, sent)
    equal("count of spans", len(trace["spans"]), len(sent["spans"]))
    equal("warnings", trace["warnings"], None)
    trace_id = sent["trace_id"].zfill(32)
    short_id = trace_id.removeprefix("0" * 16)
    equal("traceID", trace["traceID"], short_id)
    spans = {span["spanID"]: span for span in trace["spans"]}
    for expected in sent["spans"]:
        span, what = spans[expected["id"].zfill(16)], expected["name"]
        process = trace["processes"][span["processID"]]
        equal("serviceName", process["serviceName"], sent["service"])
        for key, value in sent["process"].items():
            found = [tag["value"] for tag in process["tags"] if tag["key"] == key]
            equal(f"{key} of the process", found, [value])
        equal("traceID", span["traceID"], short_id)
        equal("operationName", span["operationName"], expected["name"])
        equal(f"startTime of {what}", span["startTime"], expected["start_us"])
        equal(f"duration of {what}", span["duration"], expected["duration_us"])
        equal(f"warnings of {what}", span["warnings"], None)
        references = []
        if "parent" in expected:
            parent = {"refType": "CHILD_OF", "traceID": short_id, "spanID": expected["parent"].zfill(16)}
            references.append(parent)
        for trace_id, span_id in expected.get("links", []):
            link = {"refType": "FOLLOWS_FROM", "traceID": trace_id, "spanID": span_id}
            references.append(link)
        equal(f"references of {what}", span["references"], references)
        equal_tags(f"tags of {what}", span["tags"], expected["tags"])
        equal(f"logs of {what}", len(span["logs"]), len(expected["logs"]))
        for log, wanted in zip(span["logs"], expected["logs"]):
            equal(f"time of a log of {what}", log["timestamp"], wanted["time_us"])
            equal_tags(f"a log of {what}", log["fields"], wanted["fields"])
    # Found as well as known.
    status, answer = get(port, f"/api/traces?service={sent['service']}&operation=SELECT")
    if any(span["name"] == "SELECT" for span in sent["spans"]):
        equal("status of the search", status, 200)
        found = [trace["traceID"] for trace in answer["data"]]
        equal("the search finds it", short_id in found, True)


def main():
    ui_port, sent_path, traces_expected = sys.argv[1:]
    with open(sent_path, encoding="utf-8") as file:
        all_sent = [json.loads(line) for line in file]
    passed, failed = 0, 0
    for sent in all_sent:
        try:
            check(ui_port, sent)
            passed += 1
        except Exception as error:  # every check is to be made
            failed += 1
            expected = isinstance(error, AssertionError)
            text = str(error) if expected else traceback.format_exc()
            print(f"FAILED {sent['service']}: {text}")
    if len(all_sent) != int(traces_expected):
        failed += 1
        print(f"FAILED: {len(all_sent)} traces were sent, expected {traces_expected}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
