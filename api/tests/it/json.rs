//! OTLP/JSON means the same as its protobuf.

use api::otlp::json::to_protobuf;
use model::testing::Random;
use model::{AttributeValue, Span, Text};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;

use crate::recorded;
use crate::reference::walk;
use crate::walker::fuzz_cases;

#[test]
fn recorded_messages_mean_the_same_in_json() {
    for message in recorded::hipster().iter().take(8).chain(recorded::astronomy().iter().take(40)) {
        let json = serde_json::to_vec(&TracesData::decode(message.as_slice()).unwrap()).unwrap();
        let from_json = walk(&to_protobuf(&json).unwrap()).unwrap();
        assert_eq!(from_json, walk(message).unwrap());
    }
}

fn only_span(fields: &str) -> Span {
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{
            "traceId":"0102030405060708090A0B0C0D0E0F10","spanId":"0102030405060708",{fields}
        }}]}}]}}]}}"#
    );
    let (mut spans, rejected) = walk(&to_protobuf(json.as_bytes()).unwrap()).unwrap();
    assert_eq!((spans.len(), rejected), (1, 0));
    spans.remove(0)
}

fn value(json: &str) -> AttributeValue {
    let span = only_span(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#));
    span.attributes[0].value.clone()
}

#[test]
fn every_form_that_writers_use_is_understood() {
    let span = only_span(
        r#""name":"n","kind":"SPAN_KIND_CLIENT","start_time_unix_nano":"18446744073709551615",
        "endTimeUnixNano":1.5e3,"flags":257,"droppedLinksCount":"3","parentSpanId":"",
        "status":{"code":2,"message":"m"},"unknownKey":{"a":[1,{"b":null}]},"events":null,
        "traceState":null,"links":[{"traceId":"ff"}]"#,
    );
    assert_eq!(span.name, "n");
    assert_eq!(span.kind.0, 3);
    assert_eq!((span.start.0, span.end.0), (u64::MAX, 1_500));
    assert_eq!((span.flags, span.dropped_links_count), (257, 3));
    assert!(span.is_error());
    assert_eq!(span.links[0].trace_id.as_bytes(), [0xff]);
    assert!(only_span(r#""status":{"code":"STATUS_CODE_ERROR"}"#).is_error());
    assert_eq!(only_span(r#""kind":77"#).kind.0, 77);
    assert_eq!(only_span(r#""kind":-1"#).kind.0, -1);
}

#[test]
fn values_of_every_type() {
    assert_eq!(value(r#"{"stringValue":"é\n"}"#), AttributeValue::from("é\n"));
    assert_eq!(value(r#"{"stringValue":""}"#), AttributeValue::from(""));
    assert_eq!(value(r#"{"boolValue":false}"#), AttributeValue::Bool(false));
    assert_eq!(value(r#"{"intValue":"-9223372036854775808"}"#), AttributeValue::Int(i64::MIN));
    assert_eq!(value(r#"{"intValue":7}"#), AttributeValue::Int(7));
    assert_eq!(value(r#"{"doubleValue":0.1}"#), AttributeValue::Double(0.1));
    assert_eq!(value(r#"{"doubleValue":2}"#), AttributeValue::Double(2.0));
    assert_eq!(value(r#"{"doubleValue":"NaN"}"#), AttributeValue::Double(f64::NAN));
    assert_eq!(value(r#"{"doubleValue":"-Infinity"}"#), AttributeValue::Double(-f64::INFINITY));
    for bytes in ["+/8=", "-_8=", "-_8", "+/8"] {
        let bytes = value(&format!(r#"{{"bytesValue":"{bytes}"}}"#));
        assert_eq!(bytes, AttributeValue::Bytes(Text::copy_from(&[0xfb, 0xff])));
    }
    let list = value(r#"{"arrayValue":{"values":[{"intValue":1},{}]}}"#);
    assert_eq!(list, AttributeValue::Array(Text::copy_from(&[0x0a, 2, 0x18, 1, 0x0a, 0])));
    assert_eq!(value(r#"{"kvlistValue":{}}"#), AttributeValue::KeyValueList(Text::EMPTY));
    assert_eq!(value("{}"), AttributeValue::Empty);
    assert_eq!(value("null"), AttributeValue::Missing);
    // Half a surrogate pair, as JavaScript leaves behind when it cuts text.
    let AttributeValue::String(half) = value(r#"{"stringValue":"\ud83d"}"#) else { panic!() };
    assert_eq!(half.as_str(), None);
}

#[test]
fn pairs_inside_a_value_have_one_form_whatever_their_order() {
    let list = |pair: &str| value(&format!(r#"{{"kvlistValue":{{"values":[{pair}]}}}}"#));
    assert_eq!(
        list(r#"{"key":"a","value":{"intValue":1}}"#),
        list(r#"{"value":{"intValue":1},"key":"a"}"#)
    );
}

#[test]
fn of_a_repeated_key_the_last_counts() {
    let span = only_span(
        r#""name":"a","attributes":[{"key":"x"}],"kind":1,"name":"b","attributes":[{"key":"y"}],
        "name":"c","kind":2"#,
    );
    assert_eq!((span.name, span.kind.0), (Text::from("c"), 2));
    assert_eq!(span.attributes.len(), 1);
    assert_eq!(span.attributes[0].key, "y");
    assert_eq!(value(r#"{"stringValue":"a","intValue":1}"#), AttributeValue::Int(1));
}

#[test]
fn what_is_not_otlp_json_is_refused_with_a_place() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let nested = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{}{{}}{}}}]}}}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(200),
        "]}}".repeat(200)
    );
    for bad in [
        "",
        "{",
        "[]",
        "null",
        "1",
        "{} {}",
        "\u{0}",
        "{\"resourceSpans\":{}}",
        r#"{"resourceSpans":[null]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abc"}]}]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"CLIENT"}]}]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":-1}]}]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1.5"}]}]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":5}]}]}]}"#,
        &nested,
    ] {
        let error = to_protobuf(bad.as_bytes()).map(drop).unwrap_err().to_string();
        assert!(error.contains("line"), "{error}");
    }
    // What is unknown may be nested as deep as it likes; it is passed over without recursion.
    assert!(to_protobuf(deep.as_bytes()).is_ok());
}

#[test]
fn fuzz_damaged_json_is_refused_or_walked_and_never_more() {
    let message = &recorded::astronomy()[0];
    let data = TracesData::decode(message.as_slice()).unwrap();
    let json = serde_json::to_vec(&data).unwrap();
    for seed in 0..fuzz_cases(500) {
        let mut random = Random::new(seed);
        let mut damaged = json.clone();
        damaged.truncate(1 + random.index(4_000));
        for _ in 0..=random.below(2) {
            let at = random.index(damaged.len());
            damaged[at] = *random.pick(b"{}[]\",:0123456789nulltrue\\ -.eE\x00\xff");
        }
        if let Ok(protobuf) = to_protobuf(&damaged) {
            assert!(walk(&protobuf).is_ok(), "seed {seed}");
        }
    }
}
