//! Jaeger's JSON (`{"data": [trace, ...]}`, as its UI saves and its query API answers) to OTLP.
//!
//! The rules are those of Jaeger's own translation: process to resource, the tags that OTLP has
//! fields for to those fields, the first reference of the same trace to the parent, the others to
//! links, microseconds to nanoseconds. Warnings, which Jaeger's reader added, are left out.

use anyhow::anyhow;
use serde_json::{Map, Value, json};

use super::otlp_json;

/// All traces of the answer as one request.
pub fn jaeger_json(answer: &Value) -> anyhow::Result<Vec<u8>> {
    let mut resource_spans = Vec::new();
    for trace in array(answer, "data") {
        for span in array(trace, "spans") {
            let id = text(span, "processID");
            let process = span.get("process").or_else(|| trace.get("processes")?.get(id));
            let process = process.ok_or_else(|| anyhow!("a span names no process `{id}`"))?;
            resource_spans.push(json!({
                "resource": {"attributes": resource(process)},
                "scopeSpans": [scope_spans(span)],
            }));
        }
    }
    otlp_json(&json!({ "resourceSpans": resource_spans }))
}

fn resource(process: &Value) -> Vec<Value> {
    let service = text(process, "serviceName");
    let mut attributes = vec![attribute("service.name", json!({ "stringValue": service }))];
    attributes.extend(array(process, "tags").iter().map(tag));
    attributes
}

/// A span with its scope, in the shape of a `ScopeSpans`.
fn scope_spans(span: &Value) -> Value {
    let start = micros(span, "startTime");
    let mut otlp = json!({
        "traceId": padded(text(span, "traceID"), 32),
        "spanId": padded(text(span, "spanID"), 16),
        "name": text(span, "operationName"),
        "startTimeUnixNano": nanos(start),
        "endTimeUnixNano": nanos(start + micros(span, "duration")),
    });
    let (mut scope, mut status, mut attributes) = (Map::new(), Map::new(), Vec::new());
    for tag_value in array(span, "tags") {
        let (key, value) = (text(tag_value, "key"), tag_value.get("value"));
        let string = value.and_then(Value::as_str).unwrap_or_default();
        match key {
            "span.kind" => put(&mut otlp, "kind", kind(string)),
            "w3c.tracestate" => put(&mut otlp, "traceState", json!(string)),
            "otel.scope.name" | "otel.library.name" => {
                scope.insert("name".into(), string.into());
            }
            "otel.scope.version" | "otel.library.version" => {
                scope.insert("version".into(), string.into());
            }
            "otel.status_description" => {
                status.insert("message".into(), string.into());
            }
            "otel.status_code" if string.eq_ignore_ascii_case("ok") => {
                status.insert("code".into(), 1.into());
            }
            "otel.status_code" if string.eq_ignore_ascii_case("error") => {
                status.insert("code".into(), 2.into());
            }
            "error" if value == Some(&Value::Bool(true)) => {
                status.insert("code".into(), 2.into());
            }
            _ => attributes.push(tag(tag_value)),
        }
    }
    put(&mut otlp, "attributes", Value::Array(attributes));
    put(&mut otlp, "events", array(span, "logs").iter().map(event).collect());
    if !status.is_empty() {
        put(&mut otlp, "status", Value::Object(status));
    }
    put_references(&mut otlp, span);
    json!({"scope": scope, "spans": [otlp]})
}

/// The parent (the first `CHILD_OF` of the same trace, else the first `FOLLOWS_FROM` of it), and
/// the other references as links.
fn put_references(otlp: &mut Value, span: &Value) {
    let references = array(span, "references");
    let same_trace = |reference: &&Value| text(reference, "traceID") == text(span, "traceID");
    let of_type = |wanted: &str| {
        references
            .iter()
            .filter(same_trace)
            .position(|reference| text(reference, "refType") == wanted)
    };
    let parent = of_type("CHILD_OF").or_else(|| of_type("FOLLOWS_FROM"));
    let parent = parent.and_then(|at| references.iter().filter(same_trace).nth(at));
    if let Some(parent) = parent {
        put(otlp, "parentSpanId", json!(padded(text(parent, "spanID"), 16)));
    }
    let links = references
        .iter()
        .filter(|reference| parent.is_none_or(|parent| !std::ptr::eq(*reference, parent)));
    let link = |reference: &Value| {
        let kind = text(reference, "refType").to_ascii_lowercase();
        json!({
            "traceId": padded(text(reference, "traceID"), 32),
            "spanId": padded(text(reference, "spanID"), 16),
            "attributes": [attribute("opentracing.ref_type", json!({ "stringValue": kind }))],
        })
    };
    put(otlp, "links", links.map(link).collect());
}

/// A log: its field `event` is the event's name.
fn event(log: &Value) -> Value {
    let fields = array(log, "fields");
    let name = fields.iter().find(|field| text(field, "key") == "event");
    let rest = fields.iter().filter(|field| text(field, "key") != "event");
    json!({
        "timeUnixNano": nanos(micros(log, "timestamp")),
        "name": name.map(|field| text(field, "value")).unwrap_or_default(),
        "attributes": rest.map(tag).collect::<Vec<_>>(),
    })
}

/// A Jaeger tag as an OTLP attribute.
fn tag(tag: &Value) -> Value {
    let value = tag.get("value").cloned().unwrap_or_default();
    let name = match (text(tag, "type"), &value) {
        ("bool", Value::Bool(_)) => "boolValue",
        ("int64", Value::Number(_) | Value::String(_)) => "intValue",
        ("float64", Value::Number(_) | Value::String(_)) => "doubleValue",
        ("binary", Value::String(_)) => "bytesValue",
        _ => "stringValue",
    };
    let value = match (name, value) {
        ("stringValue", Value::String(text)) => Value::String(text),
        ("stringValue", other) => Value::String(other.to_string()),
        (_, value) => value,
    };
    attribute(text(tag, "key"), json!({ name: value }))
}

fn attribute(key: &str, value: Value) -> Value {
    let mut attribute = Map::new();
    attribute.insert("key".into(), key.into());
    attribute.insert("value".into(), value);
    Value::Object(attribute)
}

fn kind(name: &str) -> Value {
    let kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    json!(kinds.iter().position(|kind| kind.eq_ignore_ascii_case(name)).unwrap_or_default())
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.into(), value);
    }
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn micros(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn nanos(micros: u64) -> String {
    micros.saturating_mul(1000).to_string()
}

/// An id with the leading zeros that Jaeger leaves out.
fn padded(id: &str, digits: usize) -> String {
    format!("{id:0>digits$}")
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::TracesData;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_saved_trace_becomes_otlp() {
        let saved = json!({"data": [{
            "traceID": "a1",
            "processes": {"p1": {"serviceName": "shop", "tags": [
                {"key": "host.name", "type": "string", "value": "h"}]}},
            "spans": [{
                "traceID": "a1", "spanID": "b2", "operationName": "buy", "processID": "p1",
                "startTime": 1_700_000_000_000_001_u64, "duration": 5,
                "references": [
                    {"refType": "FOLLOWS_FROM", "traceID": "a1", "spanID": "1"},
                    {"refType": "CHILD_OF", "traceID": "a1", "spanID": "2"}],
                "tags": [
                    {"key": "span.kind", "type": "string", "value": "server"},
                    {"key": "error", "type": "bool", "value": true},
                    {"key": "otel.scope.name", "type": "string", "value": "lib"},
                    {"key": "count", "type": "int64", "value": -7}],
                "logs": [{"timestamp": 1_700_000_000_000_002_u64, "fields": [
                    {"key": "event", "type": "string", "value": "paid"},
                    {"key": "ratio", "type": "float64", "value": 0.5}]}],
            }],
        }]});
        let decoded = TracesData::decode(jaeger_json(&saved).unwrap().as_slice()).unwrap();
        let group = &decoded.resource_spans[0];
        assert_eq!(group.resource.as_ref().unwrap().attributes.len(), 2);
        assert_eq!(group.scope_spans[0].scope.as_ref().unwrap().name, "lib");
        let span = &group.scope_spans[0].spans[0];
        assert_eq!(span.trace_id, [&[0; 15][..], &[0xa1]].concat());
        assert_eq!(span.parent_span_id, [0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(span.kind, 2);
        assert_eq!(span.end_time_unix_nano, 1_700_000_000_000_006_000);
        assert_eq!(span.status.as_ref().unwrap().code, 2);
        assert_eq!(span.events[0].name, "paid");
        assert_eq!(span.links.len(), 1);
        assert_eq!(span.attributes.len(), 1);
    }
}
