//! One span of `jaeger.api_v2` in protobuf's JSON, as Jaeger's collector puts it into Kafka.
//!
//! It is rewritten into the protobuf that the JSON stands for, which the one translator of that
//! takes. Names are taken as JSON and as the description spell them, integers as numbers and as
//! texts, enums by name and by number; unknown names are passed over. An id is Base64 of its bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::jaeger_http::parse_time;
use crate::otlp::wire::Writer;

const NANOS: i128 = 1_000_000_000;

/// The protobuf of a span.
pub(super) fn to_span(json: &[u8]) -> Result<Vec<u8>, ApiError> {
    let malformed = |what: String| ApiError::Parameter { what: format!("not a span: {what}") };
    let span: Value = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
    let mut writer = Writer::default();
    write_span(&mut writer, &span).map_err(|Wrong { member }| malformed(member.to_owned()))?;
    Ok(writer.bytes)
}

/// A member is of a type that its field does not take.
struct Wrong {
    member: &'static str,
}

type Written = Result<(), Wrong>;

fn write_span(writer: &mut Writer, span: &Value) -> Written {
    let span = object(span, "span")?;
    put_bytes(writer, 1, span, ["traceId", "trace_id"])?;
    put_bytes(writer, 2, span, ["spanId", "span_id"])?;
    put_text(writer, 3, span, ["operationName", "operation_name"])?;
    each(writer, 4, span, "references", |writer, reference| {
        put_bytes(writer, 1, reference, ["traceId", "trace_id"])?;
        put_bytes(writer, 2, reference, ["spanId", "span_id"])?;
        put_enum(writer, 3, reference, ["refType", "ref_type"], &["CHILD_OF", "FOLLOWS_FROM"])
    })?;
    put_integer(writer, 5, span, ["flags", "flags"])?;
    put_time(writer, 6, span, ["startTime", "start_time"])?;
    put_duration(writer, 7, span)?;
    each(writer, 8, span, "tags", write_tag)?;
    each(writer, 9, span, "logs", |writer, log| {
        put_time(writer, 1, log, ["timestamp", "timestamp"])?;
        each(writer, 2, log, "fields", write_tag)
    })?;
    if let Some(process) = member(span, ["process", "process"]) {
        let process = object(process, "process")?;
        let nested = writer.begin(10);
        put_text(writer, 1, process, ["serviceName", "service_name"])?;
        each(writer, 2, process, "tags", write_tag)?;
        writer.end(nested);
    }
    if let Some(warnings) = member(span, ["warnings", "warnings"]) {
        for warning in warnings.as_array().ok_or(Wrong { member: "warnings" })? {
            let warning = warning.as_str().ok_or(Wrong { member: "warnings" })?;
            writer.bytes_field(12, warning.as_bytes());
        }
    }
    Ok(())
}

fn write_tag(writer: &mut Writer, tag: &Map<String, Value>) -> Written {
    const TYPES: [&str; 5] = ["STRING", "BOOL", "INT64", "FLOAT64", "BINARY"];
    put_text(writer, 1, tag, ["key", "key"])?;
    put_enum(writer, 2, tag, ["vType", "v_type"], &TYPES)?;
    put_text(writer, 3, tag, ["vStr", "v_str"])?;
    if let Some(truth) = member(tag, ["vBool", "v_bool"]) {
        writer.varint_field(4, u64::from(truth.as_bool().ok_or(Wrong { member: "vBool" })?));
    }
    put_integer(writer, 5, tag, ["vInt64", "v_int64"])?;
    if let Some(double) = member(tag, ["vFloat64", "v_float64"]) {
        let double = match double {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        writer.fixed64_field(6, double.ok_or(Wrong { member: "vFloat64" })?.to_bits());
    }
    put_bytes(writer, 7, tag, ["vBinary", "v_binary"])
}

fn object<'a>(value: &'a Value, name: &'static str) -> Result<&'a Map<String, Value>, Wrong> {
    value.as_object().ok_or(Wrong { member: name })
}

/// A member under either of its names; `null` is the same as nothing.
fn member<'a>(object: &'a Map<String, Value>, names: [&'static str; 2]) -> Option<&'a Value> {
    let mut found = names.into_iter().filter_map(|name| object.get(name));
    found.find(|value| !value.is_null())
}

/// The messages of a list.
fn each(
    writer: &mut Writer,
    number: u32,
    object_: &Map<String, Value>,
    name: &'static str,
    mut write: impl FnMut(&mut Writer, &Map<String, Value>) -> Written,
) -> Written {
    let Some(list) = member(object_, [name, name]) else { return Ok(()) };
    for item in list.as_array().ok_or(Wrong { member: name })? {
        let nested = writer.begin(number);
        write(writer, object(item, name)?)?;
        writer.end(nested);
    }
    Ok(())
}

type Names = [&'static str; 2];

fn put_text(writer: &mut Writer, number: u32, of: &Map<String, Value>, names: Names) -> Written {
    let [name, _] = names;
    if let Some(text) = member(of, names) {
        let text = text.as_str().ok_or(Wrong { member: name })?;
        writer.bytes_field(number, text.as_bytes());
    }
    Ok(())
}

fn put_bytes(writer: &mut Writer, number: u32, of: &Map<String, Value>, names: Names) -> Written {
    let [name, _] = names;
    if let Some(text) = member(of, names) {
        let text = text.as_str().ok_or(Wrong { member: name })?;
        let bytes = STANDARD.decode(text).map_err(|_| Wrong { member: name })?;
        writer.bytes_field(number, &bytes);
    }
    Ok(())
}

fn put_integer(writer: &mut Writer, number: u32, of: &Map<String, Value>, names: Names) -> Written {
    let [name, _] = names;
    if let Some(value) = member(of, names) {
        let integer = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        writer.varint_field(number, integer.ok_or(Wrong { member: name })?.cast_unsigned());
    }
    Ok(())
}

fn put_enum(
    writer: &mut Writer,
    number: u32,
    of: &Map<String, Value>,
    names: Names,
    values: &[&str],
) -> Written {
    let [name, _] = names;
    let Some(value) = member(of, names) else { return Ok(()) };
    let known = values.iter().position(|known| value.as_str() == Some(*known));
    let value = known.map(|at| at as u64).or_else(|| value.as_u64());
    writer.varint_field(number, value.ok_or(Wrong { member: name })?);
    Ok(())
}

fn put_time(writer: &mut Writer, number: u32, of: &Map<String, Value>, names: Names) -> Written {
    let [name, _] = names;
    if let Some(time) = member(of, names) {
        let time = time.as_str().and_then(|text| parse_time(text).ok());
        put_nanos(writer, number, time.ok_or(Wrong { member: name })?, name)?;
    }
    Ok(())
}

/// A duration: seconds with a fraction, and an `s`.
fn put_duration(writer: &mut Writer, number: u32, of: &Map<String, Value>) -> Written {
    let wrong = || Wrong { member: "duration" };
    let Some(duration) = member(of, ["duration", "duration"]) else { return Ok(()) };
    let text = duration.as_str().and_then(|text| text.strip_suffix('s')).ok_or_else(wrong)?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || fraction.len() > 9 || !is_number(seconds) || !is_number(fraction) {
        return Err(wrong());
    }
    let seconds: i64 = seconds.parse().map_err(|_| wrong())?;
    let nanos: i128 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    put_nanos(writer, number, sign * (i128::from(seconds) * NANOS + nanos), "duration")
}

/// `Timestamp` and `Duration`, which have the same fields.
fn put_nanos(writer: &mut Writer, number: u32, nanos: i128, name: &'static str) -> Written {
    let wrong = |_| Wrong { member: name };
    let seconds = i64::try_from(nanos.div_euclid(NANOS)).map_err(wrong)?;
    let rest = u64::try_from(nanos.rem_euclid(NANOS)).map_err(wrong)?;
    let nested = writer.begin(number);
    writer.varint_field(1, seconds.cast_unsigned());
    writer.varint_field(2, rest);
    writer.end(nested);
    Ok(())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::trace::v1::TracesData;
    use prost::Message as _;

    use super::*;
    use crate::kafka::KafkaEncoding;

    /// As jsonpb prints a span: what is at its default is left out.
    const SPAN: &str = r#"{"traceId":"AAAAAAAAAAAAAAAAAAAACg==","spanId":"AAAAAAAAAAs=",
        "operationName":"buy","references":[{"traceId":"AAAAAAAAAAAAAAAAAAAACg==",
        "spanId":"AAAAAAAAAAw="},{"spanId":"AAAAAAAAAA0=","refType":"FOLLOWS_FROM"}],"flags":1,
        "startTime":"2026-01-31T12:00:00.000001500Z","duration":"1.000250s",
        "tags":[{"key":"n","vType":"INT64","vInt64":"-7"},{"key":"t","vStr":"x"},
        {"key":"b","vType":"BOOL","vBool":true},{"key":"d","vType":"FLOAT64","vFloat64":0.5},
        {"key":"y","vType":"BINARY","vBinary":"AQI="}],
        "logs":[{"timestamp":"2026-01-31T12:00:01Z","fields":[{"key":"event","vStr":"e"}]}],
        "process":{"serviceName":"shop","tags":[{"key":"h","vStr":"1"}]},
        "processId":"","warnings":["w"],"unknown":{}}"#;

    #[test]
    fn a_span_becomes_the_protobuf_that_it_stands_for() {
        let otlp = KafkaEncoding::JaegerJson.to_otlp(SPAN.as_bytes()).unwrap();
        let group = TracesData::decode(&*otlp).unwrap().resource_spans.remove(0);
        assert_eq!(group.resource.unwrap().attributes.len(), 2);
        let span = group.scope_spans[0].spans[0].clone();
        assert_eq!((span.trace_id[15], span.span_id[7]), (10, 11));
        assert_eq!((span.name.as_str(), span.parent_span_id[7]), ("buy", 12));
        assert_eq!((span.links.len(), span.links[0].span_id[7]), (1, 13));
        assert_eq!(span.start_time_unix_nano % 1_000_000_000, 1_500);
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 1_000_250_000);
        let value = |key: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key == key).unwrap();
            found.value.clone().unwrap().value.unwrap()
        };
        assert_eq!(value("n"), Any::IntValue(-7));
        assert_eq!(value("t"), Any::StringValue("x".to_owned()));
        assert_eq!(value("b"), Any::BoolValue(true));
        assert_eq!(value("d"), Any::DoubleValue(0.5));
        assert_eq!(value("y"), Any::BytesValue(vec![1, 2]));
        assert_eq!(span.events[0].name, "e");
    }

    #[test]
    fn wrong_types_are_refused_by_name() {
        for (json, member) in [
            ("[]", "span"),
            (r#"{"traceId":7}"#, "traceId"),
            (r#"{"traceId":"%"}"#, "traceId"),
            (r#"{"duration":"1.5"}"#, "duration"),
            (r#"{"duration":"1.0000000001s"}"#, "duration"),
            (r#"{"startTime":"yesterday"}"#, "startTime"),
            (r#"{"tags":{}}"#, "tags"),
            (r#"{"tags":[{"vType":"COLOUR"}]}"#, "vType"),
        ] {
            let error = to_span(json.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("not a span: {member}"), "{json}");
        }
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(to_span(deep.as_bytes()).is_err());
    }
}
