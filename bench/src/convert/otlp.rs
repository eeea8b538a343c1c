//! OTLP/JSON to OTLP protobuf, by a table of the messages' fields.
//!
//! OTLP's JSON differs from protobuf's in one point: trace and span ids are hexadecimal. Names are
//! taken in camel case and in snake case, 64-bit integers as strings and as numbers, enums as
//! numbers and by name. Unknown names are left out, as a receiver does.

use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use serde_json::Value;

use crate::wire::{put_bytes, put_fixed32, put_fixed64, put_integer};

/// The fields of a message: name, number, form.
type Schema = [(&'static str, u32, Form)];

#[derive(Clone, Copy)]
enum Form {
    Text,
    Hex,
    Base64,
    Bool,
    Integer,
    Fixed32,
    Fixed64,
    Double,
    /// The names, by number.
    Enum(&'static [&'static str]),
    /// Through a function, because values nest in themselves.
    Message(fn() -> &'static Schema),
}

static REQUEST: &Schema = &[("resourceSpans", 1, Form::Message(|| RESOURCE_SPANS))];
static RESOURCE_SPANS: &Schema = &[
    ("resource", 1, Form::Message(|| RESOURCE)),
    ("scopeSpans", 2, Form::Message(|| SCOPE_SPANS)),
    ("schemaUrl", 3, Form::Text),
];
static RESOURCE: &Schema =
    &[("attributes", 1, Form::Message(|| KEY_VALUE)), ("droppedAttributesCount", 2, Form::Integer)];
static SCOPE_SPANS: &Schema = &[
    ("scope", 1, Form::Message(|| SCOPE)),
    ("spans", 2, Form::Message(|| SPAN)),
    ("schemaUrl", 3, Form::Text),
];
static SCOPE: &Schema = &[
    ("name", 1, Form::Text),
    ("version", 2, Form::Text),
    ("attributes", 3, Form::Message(|| KEY_VALUE)),
    ("droppedAttributesCount", 4, Form::Integer),
];
static SPAN: &Schema = &[
    ("traceId", 1, Form::Hex),
    ("spanId", 2, Form::Hex),
    ("traceState", 3, Form::Text),
    ("parentSpanId", 4, Form::Hex),
    ("name", 5, Form::Text),
    ("kind", 6, Form::Enum(KINDS)),
    ("startTimeUnixNano", 7, Form::Fixed64),
    ("endTimeUnixNano", 8, Form::Fixed64),
    ("attributes", 9, Form::Message(|| KEY_VALUE)),
    ("droppedAttributesCount", 10, Form::Integer),
    ("events", 11, Form::Message(|| EVENT)),
    ("droppedEventsCount", 12, Form::Integer),
    ("links", 13, Form::Message(|| LINK)),
    ("droppedLinksCount", 14, Form::Integer),
    ("status", 15, Form::Message(|| STATUS)),
    ("flags", 16, Form::Fixed32),
];
static KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
static EVENT: &Schema = &[
    ("timeUnixNano", 1, Form::Fixed64),
    ("name", 2, Form::Text),
    ("attributes", 3, Form::Message(|| KEY_VALUE)),
    ("droppedAttributesCount", 4, Form::Integer),
];
static LINK: &Schema = &[
    ("traceId", 1, Form::Hex),
    ("spanId", 2, Form::Hex),
    ("traceState", 3, Form::Text),
    ("attributes", 4, Form::Message(|| KEY_VALUE)),
    ("droppedAttributesCount", 5, Form::Integer),
    ("flags", 6, Form::Fixed32),
];
static STATUS: &Schema = &[("message", 2, Form::Text), ("code", 3, Form::Enum(STATUS_CODES))];
static STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
static KEY_VALUE: &Schema = &[("key", 1, Form::Text), ("value", 2, Form::Message(|| ANY_VALUE))];
static ANY_VALUE: &Schema = &[
    ("stringValue", 1, Form::Text),
    ("boolValue", 2, Form::Bool),
    ("intValue", 3, Form::Integer),
    ("doubleValue", 4, Form::Double),
    ("arrayValue", 5, Form::Message(|| ARRAY)),
    ("kvlistValue", 6, Form::Message(|| KEY_VALUE_LIST)),
    ("bytesValue", 7, Form::Base64),
];
static ARRAY: &Schema = &[("values", 1, Form::Message(|| ANY_VALUE))];
static KEY_VALUE_LIST: &Schema = &[("values", 1, Form::Message(|| KEY_VALUE))];

/// An OTLP/JSON request (or `TracesData`) as protobuf.
pub fn otlp_json(request: &Value) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    put_message(&mut out, request, REQUEST)?;
    Ok(out)
}

/// Appends the fields of `message` in the order of the schema.
fn put_message(out: &mut Vec<u8>, message: &Value, schema: &Schema) -> anyhow::Result<()> {
    let members = message.as_object().ok_or_else(|| anyhow!("an object is wanted"))?;
    for (name, number, form) in schema {
        let value = members.get(*name).or_else(|| members.get(&snake_case(name)));
        let put = |out: &mut Vec<u8>, value| {
            put_field(out, *number, value, *form).with_context(|| format!("in `{name}`"))
        };
        match value {
            None | Some(Value::Null) => {}
            Some(Value::Array(elements)) => {
                for element in elements {
                    put(out, element)?;
                }
            }
            Some(value) => put(out, value)?,
        }
    }
    Ok(())
}

fn put_field(out: &mut Vec<u8>, number: u32, value: &Value, form: Form) -> anyhow::Result<()> {
    let text = || value.as_str().ok_or_else(|| anyhow!("a string is wanted"));
    match form {
        Form::Text => put_bytes(out, number, text()?.as_bytes()),
        Form::Hex => put_bytes(out, number, &parse_hex(text()?)?),
        Form::Base64 => {
            put_bytes(out, number, &base64::engine::general_purpose::STANDARD.decode(text()?)?);
        }
        Form::Bool => {
            let truth = value.as_bool().ok_or_else(|| anyhow!("true or false is wanted"))?;
            put_integer(out, number, u64::from(truth));
        }
        Form::Integer => put_integer(out, number, integer(value)?),
        Form::Fixed32 => put_fixed32(out, number, u32::try_from(integer(value)?)?),
        Form::Fixed64 => put_fixed64(out, number, integer(value)?),
        Form::Double => put_fixed64(out, number, double(value)?.to_bits()),
        Form::Enum(names) => {
            let known = names.iter().position(|name| value.as_str() == Some(name));
            put_integer(out, number, known.map_or_else(|| integer(value), |at| Ok(at as u64))?);
        }
        Form::Message(schema) => {
            let mut nested = Vec::new();
            put_message(&mut nested, value, schema())?;
            put_bytes(out, number, &nested);
        }
    }
    Ok(())
}

/// An integer as its two's complement, as protobuf writes it.
fn integer(value: &Value) -> anyhow::Result<u64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => bail!("an integer is wanted"),
    };
    match text.parse::<u64>() {
        Ok(integer) => Ok(integer),
        Err(_) => {
            Ok(text.parse::<i64>().context("an integer of 64 bits is wanted")?.cast_unsigned())
        }
    }
}

fn double(value: &Value) -> anyhow::Result<f64> {
    match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| anyhow!("a number is wanted")),
        Value::String(text) => Ok(text.trim_start_matches('+').parse()?),
        _ => bail!("a number is wanted"),
    }
}

fn parse_hex(text: &str) -> anyhow::Result<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        bail!("an id of hexadecimal digits is wanted, not `{text}`");
    }
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_protobuf_equals_what_serde_reads() {
        let request = json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "shop"}},
                {"key": "n", "value": {"intValue": "-3"}},
                {"key": "d", "value": {"doubleValue": 0.25}},
                {"key": "b", "value": {"boolValue": false}},
                {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
            ]},
            "scopeSpans": [{"scope": {"name": "lib", "version": "1"}, "spans": [{
                "traceId": "5b8efff798038103d269b633813fc60c",
                "spanId": "eee19b7ec3c1b174",
                "name": "buy", "kind": 2,
                "startTimeUnixNano": "1544712660000000000",
                "endTimeUnixNano": "1544712661000000000",
                "status": {"code": 2, "message": "no"},
            }], "schemaUrl": "s"}],
            "schemaUrl": "r",
        }]});
        let ours = otlp_json(&request).unwrap();
        let ours = ExportTraceServiceRequest::decode(ours.as_slice()).unwrap();
        let theirs: ExportTraceServiceRequest = serde_json::from_value(request).unwrap();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn wrong_types_are_errors() {
        for request in [
            json!({"resourceSpans": 1}),
            json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xy"}]}]}]}),
            json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "é1"}]}]}]}),
        ] {
            assert!(otlp_json(&request).is_err(), "{request}");
        }
    }
}
