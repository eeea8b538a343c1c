//! Bodies that nobody would write: for every decoder junk, truncated and damaged bodies from
//! seeds. The answer is a refusal or spans; what is translated is always well-formed OTLP and
//! never much larger than what came in.
#![expect(clippy::disallowed_methods, reason = "how many cases is said in the environment")]

use api::jaeger_thrift::arena::Arena;
use api::jaeger_thrift::binary::Binary;
use api::jaeger_thrift::compact::Compact;
use api::jaeger_thrift::limits::ARENA_BYTES_MAX;
use api::jaeger_thrift::{batch, limits};
use api::kafka::KafkaEncoding;
use api::{jaeger_grpc, zipkin};
use model::testing::Random;

use crate::jaeger_proto::good_body;
use crate::jaeger_thrift::{batch_of, process, reference, span, text_tag};
use crate::real_clients::recorded;
use crate::shown::{Translate, walked};
use crate::thrift_writer::{V, binary, binary_message, compact, compact_message};
use crate::zipkin::{v1_thrift, v2_protobuf};

fn cases(default: u64) -> u64 {
    std::env::var("SKUA_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Every decoder with good bodies: those that use every field, and those of real clients.
fn decoders() -> Vec<(&'static str, Translate, Vec<u8>)> {
    let mut all = our_own();
    all.extend(recorded().into_iter().map(|it| (it.name, it.translate, it.body.to_vec())));
    all
}

fn our_own() -> Vec<(&'static str, Translate, Vec<u8>)> {
    let tags = || V::List(vec![text_tag("span.kind", "client"), text_tag("event", "x")]);
    let log = V::Struct(vec![(1, V::I64(5)), (2, tags())]);
    let lists =
        vec![(6, V::List(vec![reference(0, 1, 2, 3)])), (10, tags()), (11, V::List(vec![log]))];
    let batch = batch_of(process(vec![text_tag("hostname", "h")]), vec![span(5, 0, lists)]);
    let arguments = V::Struct(vec![(1, batch.clone())]);
    let v2 = br#"[{"traceId":"0a","id":"0b","kind":"CLIENT","timestamp":1,"duration":2,"name":"op",
        "localEndpoint":{"serviceName":"s","ipv4":"1.2.3.4","port":8},"tags":{"a":"b"},
        "annotations":[{"timestamp":1,"value":"n|{\"a\":1}|0"}],"parentId":"c"}]"#;
    let v1 = br#"[{"traceId":"000000000000000a","id":"000000000000000b","name":"op","timestamp":1,
        "annotations":[{"timestamp":1,"value":"cs","endpoint":{"serviceName":"s","port":8}}],
        "binaryAnnotations":[{"key":"sa","value":true,"endpoint":{"ipv4":"1.2.3.4"}}]}]"#;
    vec![
        ("compact", |b, a| batch::translate::<Compact<'_>>(b, a), compact(&batch)),
        ("binary", |b, a| batch::translate::<Binary<'_>>(b, a), binary(&batch)),
        (
            "compact message",
            |b, a| batch::translate_message::<Compact<'_>>(b, a),
            compact_message("emitBatch", &arguments),
        ),
        (
            "binary message",
            |b, a| batch::translate_message::<Binary<'_>>(b, a),
            binary_message("emitBatch", &arguments),
        ),
        ("api_v2", jaeger_grpc::batch::translate, good_body()),
        ("zipkin v2 json", zipkin::json::translate_v2, v2.to_vec()),
        ("zipkin v1 json", zipkin::json::translate_v1, v1.to_vec()),
        ("zipkin v2 protobuf", zipkin::protobuf::translate, v2_protobuf()),
        ("zipkin v1 thrift", zipkin::thrift::translate, v1_thrift()),
    ]
}

fn damaged(random: &mut Random, good: &[u8]) -> Vec<u8> {
    let mut body = good.to_vec();
    for _ in 0..=random.below(4) {
        if body.is_empty() {
            break;
        }
        let at = random.index(body.len());
        let byte = random.next_u64().to_le_bytes()[0];
        match random.below(7) {
            0 => body[at] = byte,
            1 => body[at] ^= 1 << (byte & 7),
            2 => body.truncate(at),
            3 => drop(body.remove(at)),
            4 => body.insert(at, byte),
            5 => {
                let end = at + random.index(body.len() - at);
                let part = body[at..end].to_vec();
                body.splice(at..at, part);
            }
            // Where a length may stand, a huge one.
            _ => body[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
        }
    }
    body
}

#[test]
fn damaged_bodies_do_no_harm() {
    for (name, translate, good) in decoders() {
        assert_eq!(walked(translate, &good).unwrap().1, 0, "{name}");
        for seed in 0..cases(1_000) {
            let mut random = Random::new(seed);
            let body = damaged(&mut random, &good);
            let mut arena = Arena::default();
            let translated = translate(&body, &mut arena);
            // At most eight bytes for one, a word about an unknown type, and the head of a span.
            assert!(arena.len() <= 64 * body.len() + 64, "{name}, seed {seed}");
            if translated.is_ok() {
                drop(walked(translate, &body));
            }
        }
    }
}

#[test]
fn damaged_messages_of_kafka_do_no_harm() {
    let span = br#"{"traceId":"AAAAAAAAAAAAAAAAAAAACg==","spanId":"AAAAAAAAAAs=",
        "operationName":"buy","references":[{"spanId":"AAAAAAAAAA0=","refType":"FOLLOWS_FROM"}],
        "startTime":"2026-01-31T12:00:00.000001500Z","duration":"1.000250s",
        "tags":[{"key":"n","vType":"INT64","vInt64":"-7"},{"key":"y","vType":"BINARY","vBinary":
        "AQI="}],"logs":[{"timestamp":"2026-01-31T12:00:01Z","fields":[{"key":"event"}]}],
        "process":{"serviceName":"shop"},"warnings":["w"]}"#;
    let otlp = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"0000000000000001",
        "traceId":"0000000000000000000000000000000a","name":"n","attributes":[{"key":"k",
        "value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}]}]}]}"#;
    let decoders = [(KafkaEncoding::JaegerJson, &span[..]), (KafkaEncoding::OtlpJson, otlp)];
    for (encoding, good) in decoders {
        assert!(encoding.to_otlp(good).is_ok(), "{encoding:?}");
        for seed in 0..cases(2_000) {
            let mut random = Random::new(seed);
            let body = damaged(&mut random, good);
            if let Ok(otlp) = encoding.to_otlp(&body) {
                assert!(otlp.len() <= 64 * body.len() + 64, "{encoding:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn junk_does_no_harm() {
    for (name, translate, _) in our_own() {
        for seed in 0..cases(1_000) {
            let mut random = Random::new(seed);
            let length = random.index(300);
            let body: Vec<u8> = (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect();
            if let Ok((spans, _)) = walked(translate, &body) {
                assert!(spans.len() <= body.len(), "{name}, seed {seed}");
            }
        }
    }
}

#[test]
fn small_things_in_great_number_stay_bounded() {
    let count = 2_000_000;
    let empty_tag = |kind: i32| binary(&V::Struct(vec![(1, V::Bytes(vec![])), (2, V::I32(kind))]));
    // A batch of one span with as many tags of an unknown type as fit.
    let mut body = binary(&batch_of(process(vec![]), vec![span(5, 0, vec![])]));
    let end = body.len();
    // Behind the last field of the span: its end, then the batch's sequence number and end.
    let span_end = end - 1 - 11 - 1;
    let tags = 900_000_i32;
    let mut list = vec![15, 0, 10, 12];
    list.extend(tags.to_be_bytes());
    list.extend(empty_tag(9).repeat(usize::try_from(tags).unwrap()));
    body.splice(span_end..span_end, list);
    let mut arena = Arena::default();
    batch::translate::<Binary<'_>>(&body, &mut arena).unwrap();
    assert!(arena.len() < 100 * limits::ATTRIBUTES_TRANSLATED_MAX);
    let (spans, rejected) =
        walked(|bytes, arena| batch::translate::<Binary<'_>>(bytes, arena), &body).unwrap();
    assert_eq!((spans.len(), rejected), (0, 1));

    // Empty annotations and empty tags.
    let items = "{},".repeat(count);
    let json = format!(r#"[{{"traceId":"1","id":"1","annotations":[{items}{{}}]}}]"#);
    let (spans, rejected) = walked(zipkin::json::translate_v2, json.as_bytes()).unwrap();
    assert_eq!((spans.len(), rejected), (0, 1));
    let items = r#""":"","#.repeat(count);
    let json = format!(r#"[{{"traceId":"1","id":"1","tags":{{{items}"":""}}}}]"#);
    let (spans, rejected) = walked(zipkin::json::translate_v2, json.as_bytes()).unwrap();
    assert_eq!((spans.len(), rejected), (0, 1));

    // Spans that are nothing, and more of them than an arena holds.
    let json = format!("[{}{{}}]", "{},".repeat(count));
    let refused = walked(zipkin::json::translate_v2, json.as_bytes()).unwrap_err();
    assert_eq!(refused, format!("the request is larger than {ARENA_BYTES_MAX} bytes as OTLP"));
}
