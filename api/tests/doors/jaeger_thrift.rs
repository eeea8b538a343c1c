//! `jaeger.thrift` in both encodings, the rules of Jaeger's model, and the HTTP door.

use api::jaeger_thrift::binary::Binary;
use api::jaeger_thrift::compact::Compact;
use api::jaeger_thrift::{batch, http};
use api::tenant::Tenancy;

use crate::shown::{lines, walked};
use crate::store::{Headers, backend, by_header, gzip, post, zlib};
use crate::thrift_writer::{V, binary, binary_message, compact, compact_message, text};

pub(crate) fn tag(key: &str, kind: i32, value: V) -> V {
    let field = match kind {
        0 => 3,
        1 => 4,
        2 => 5,
        3 => 6,
        _ => 7,
    };
    V::Struct(vec![(1, text(key)), (2, V::I32(kind)), (field, value)])
}

pub(crate) fn text_tag(key: &str, value: &str) -> V {
    tag(key, 0, text(value))
}

fn truth_tag(key: &str, value: bool) -> V {
    tag(key, 2, V::Bool(value))
}

fn long_tag(key: &str, value: i64) -> V {
    tag(key, 3, V::I64(value))
}

pub(crate) fn reference(kind: i32, high: i64, low: i64, span: i64) -> V {
    V::Struct(vec![(1, V::I32(kind)), (2, V::I64(low)), (3, V::I64(high)), (4, V::I64(span))])
}

fn log(time: i64, fields: Vec<V>) -> V {
    V::Struct(vec![(1, V::I64(time)), (2, V::List(fields))])
}

/// A span of trace 1/2 whose parent and lists are said.
pub(crate) fn span(id: i64, parent: i64, lists: Vec<(i16, V)>) -> V {
    let mut fields = vec![
        (1, V::I64(2)),
        (2, V::I64(1)),
        (3, V::I64(id)),
        (4, V::I64(parent)),
        (5, text("op")),
        (7, V::I32(1)),
        (8, V::I64(1_000)),
        (9, V::I64(5)),
    ];
    fields.extend(lists);
    fields.sort_by_key(|(id, _)| *id);
    V::Struct(fields)
}

pub(crate) fn process(tags: Vec<V>) -> V {
    V::Struct(vec![(1, text("shop")), (2, V::List(tags))])
}

pub(crate) fn batch_of(process: V, spans: Vec<V>) -> V {
    V::Struct(vec![(1, process), (2, V::List(spans)), (3, V::I64(9))])
}

const TRACE: &str = "00000000000000010000000000000002";

/// The lines of a batch, the same in both encodings and in messages of both.
fn shown(batch: &V) -> Vec<String> {
    let of_binary =
        lines(|bytes, arena| batch::translate::<Binary<'_>>(bytes, arena), &binary(batch));
    let of_compact =
        lines(|bytes, arena| batch::translate::<Compact<'_>>(bytes, arena), &compact(batch));
    assert_eq!(of_binary, of_compact);
    let arguments = V::Struct(vec![(1, batch.clone())]);
    let message = lines(
        |bytes, arena| batch::translate_message::<Binary<'_>>(bytes, arena),
        &binary_message("emitBatch", &arguments),
    );
    assert_eq!(of_binary, message);
    let message = lines(
        |bytes, arena| batch::translate_message::<Compact<'_>>(bytes, arena),
        &compact_message("emitBatch", &arguments),
    );
    assert_eq!(of_binary, message);
    of_binary
}

#[test]
fn a_whole_batch() {
    let tags = vec![
        text_tag("a", "1"),
        tag("b", 1, V::Double(1.5)),
        truth_tag("c", false),
        long_tag("d", -7),
        tag("e", 4, V::Bytes(vec![0, 255])),
        tag("f", 9, V::I16(3)),
        text_tag("a", "2"),
    ];
    let logs = vec![
        log(1_001, vec![text_tag("event", "cache miss"), long_tag("size", 3)]),
        log(1_002, vec![long_tag("event", 4)]),
        log(1_003, vec![]),
    ];
    let references = vec![reference(0, 1, 2, 7), reference(1, 1, 2, 8), reference(0, 3, 4, 7)];
    let lists = vec![(6, V::List(references)), (10, V::List(tags)), (11, V::List(logs))];
    let process_tags = vec![
        text_tag("hostname", "h1"),
        text_tag("jaeger.version", "Go-2.1"),
        text_tag("ip", "10.0.0.1"),
    ];
    let batch = batch_of(process(process_tags), vec![span(5, 0, lists)]);
    assert_eq!(
        shown(&batch),
        [
            "resource service.name=\"shop\" host.name=\"h1\" \
             opencensus.exporterversion=\"Jaeger-Go-2.1\" ip=\"10.0.0.1\"",
            &format!(
                "{TRACE} 0000000000000005 \"op\" 1000000..1005000 parent 0000000000000007 \
                 flags 1 a=\"1\" b=1.5 c=false d=-7 e=0x00ff \
                 f=\"<Unknown Jaeger TagType \\\"<UNSET>\\\">\" a=\"2\""
            ),
            "event 1001000 \"cache miss\" size=3",
            "event 1002000 \"\" event=4",
            "event 1003000 \"\"",
            &format!("link {TRACE} 0000000000000008 opentracing.ref_type=\"follows_from\""),
            "link 00000000000000030000000000000004 0000000000000007 \
             opentracing.ref_type=\"child_of\"",
        ]
    );
}

#[test]
fn tags_decide_about_kind_and_status() {
    let t = text_tag;
    let kind = |kind: &str| text_tag("span.kind", kind);
    let code = |code: i64| long_tag("http.status_code", code);
    let error = || truth_tag("error", true);
    let table: Vec<(Vec<V>, &str)> = vec![
        (vec![], ""),
        (vec![kind("client")], " client"),
        (vec![kind("server"), t("x", "y")], " server x=\"y\""),
        (vec![kind("producer")], " producer"),
        (vec![kind("consumer")], " consumer"),
        (vec![kind("internal")], " internal"),
        (vec![kind("proxy")], " span.kind=\"proxy\""),
        (vec![kind("client"), kind("server")], " server"),
        (vec![error()], " status 2 \"\""),
        (vec![truth_tag("error", false)], " error=false"),
        (vec![t("error", "true")], " error=\"true\""),
        (vec![error(), t("otel.status_description", "bad")], " status 2 \"bad\""),
        (
            vec![error(), t("http.status_message", "Gone")],
            " status 2 \"Gone\" http.status_message=\"Gone\"",
        ),
        (vec![error(), t("otel.status_code", "OK")], " status 2 \"\""),
        (vec![t("otel.status_code", "ok")], " status 1 \"\""),
        (
            vec![t("otel.status_code", "Error"), t("otel.status_description", "x")],
            " status 2 \"x\"",
        ),
        (vec![t("otel.status_code", "other"), code(500)], " http.status_code=500"),
        (vec![t("otel.status_description", "alone")], " otel.status_description=\"alone\""),
        (vec![code(200)], " http.status_code=200"),
        (vec![code(404)], " status 2 \"\" http.status_code=404"),
        (vec![kind("client"), code(404)], " client status 2 \"\" http.status_code=404"),
        (vec![kind("server"), code(404)], " server http.status_code=404"),
        (vec![kind("server"), code(503)], " server status 2 \"\" http.status_code=503"),
        (vec![code(7)], " status 2 \"\" http.status_code=7"),
        (
            vec![t("http.status_code", "500"), t("http.status_message", "no")],
            " status 2 \"no\" http.status_code=\"500\" http.status_message=\"no\"",
        ),
        (vec![t("http.status_code", "many")], " http.status_code=\"many\""),
        (vec![t("w3c.tracestate", "a=b")], " state a=b"),
    ];
    for (tags, expected) in table {
        let batch = batch_of(process(vec![]), vec![span(5, 0, vec![(10, V::List(tags.clone()))])]);
        let line = format!("{TRACE} 0000000000000005 \"op\" 1000000..1005000");
        let found = shown(&batch)[1].replace(" flags 1", "");
        assert_eq!(found.strip_prefix(&line), Some(expected), "{tags:?}");
    }
}

#[test]
fn references_decide_about_the_parent() {
    let child = |span| reference(0, 1, 2, span);
    let follows = |span| reference(1, 1, 2, span);
    let link = |span: u8, kind: &str| format!(" {span} {kind}");
    // Declared parent, references, parent found, links left.
    let table: Vec<(i64, Vec<V>, u8, Vec<String>)> = vec![
        (0, vec![], 0, vec![]),
        (9, vec![], 9, vec![]),
        (9, vec![child(9)], 9, vec![]),
        (9, vec![child(8)], 9, vec![link(8, "child_of")]),
        (0, vec![child(8)], 8, vec![]),
        (0, vec![follows(7), child(8)], 8, vec![link(7, "follows_from")]),
        (0, vec![follows(7)], 7, vec![link(7, "follows_from")]),
        (0, vec![reference(0, 5, 5, 8)], 0, vec![link(8, "child_of")]),
        (0, vec![child(8), child(7)], 8, vec![link(7, "child_of")]),
    ];
    for (declared, references, parent, links) in table {
        let lists = vec![(6, V::List(references.clone()))];
        let batch = batch_of(process(vec![]), vec![span(5, declared, lists)]);
        let lines = shown(&batch);
        match parent {
            0 => assert!(!lines[1].contains("parent"), "{references:?}"),
            id => {
                let expected = format!(" parent {id:016x}");
                assert!(lines[1].contains(&expected), "{references:?}: {lines:?}");
            }
        }
        let found: Vec<String> = lines[2..]
            .iter()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let kind = words[3].split('"').nth(1).unwrap();
                format!(" {} {kind}", words[2].trim_start_matches('0'))
            })
            .collect();
        assert_eq!(found, links, "{references:?}");
    }
}

#[test]
fn processes_become_resources() {
    let t = text_tag;
    let table: Vec<(&str, Option<Vec<V>>, &str)> = vec![
        ("a", None, "resource service.name=\"a\""),
        ("", None, "resource"),
        ("OTLPResourceNoServiceName", Some(vec![t("x", "y")]), "resource x=\"y\""),
        ("a", Some(vec![t("service.name", "b")]), "resource service.name=\"b\""),
        (
            "a",
            Some(vec![t("hostname", "h"), t("host.name", "i")]),
            "resource service.name=\"a\" hostname=\"h\" host.name=\"i\"",
        ),
        (
            "a",
            Some(vec![t("jaeger.version", "v"), t("opencensus.exporterversion", "w")]),
            "resource service.name=\"a\" jaeger.version=\"v\" opencensus.exporterversion=\"w\"",
        ),
        ("a", Some(vec![long_tag("hostname", 4)]), "resource service.name=\"a\" host.name=4"),
    ];
    for (name, tags, expected) in table {
        let mut fields = vec![(1, text(name))];
        fields.extend(tags.map(|tags| (2, V::List(tags))));
        let batch = batch_of(V::Struct(fields), vec![span(5, 0, vec![])]);
        assert_eq!(shown(&batch)[0], expected, "{name}");
    }
}

#[test]
fn odd_times_and_blank_spans() {
    let with = |id: i16, value: V| {
        let V::Struct(mut fields) = span(5, 0, vec![]) else { unreachable!() };
        fields.retain(|(other, _)| *other != id);
        fields.push((id, value));
        // Fields out of their order are as good.
        shown(&batch_of(process(vec![]), vec![V::Struct(fields)]))[1].clone()
    };
    assert!(with(9, V::I64(-400)).contains(" 1000000..600000 "));
    assert!(with(8, V::I64(-1)).contains(" 0..4000 "));
    assert!(with(8, V::I64(i64::MAX)).contains(&format!(" {}..{} ", u64::MAX, u64::MAX)));
    let zero = |ids: &[i16]| -> V {
        V::Struct(
            (1..=9)
                .filter(|id| *id != 6)
                .map(|id| match id {
                    5 => (id, text("")),
                    7 => (id, V::I32(0)),
                    id => (id, V::I64(i64::from(ids.contains(&id)))),
                })
                .collect(),
        )
    };
    let translate = |bytes: &[u8], arena: &mut _| batch::translate::<Binary<'_>>(bytes, arena);
    let blank = binary(&batch_of(process(vec![]), vec![zero(&[]), span(5, 0, vec![])]));
    let (spans, rejected) = walked(translate, &blank).unwrap();
    assert_eq!((spans.len(), rejected), (1, 0));
    let without_trace = binary(&batch_of(process(vec![]), vec![zero(&[3]), span(5, 0, vec![])]));
    let (spans, rejected) = walked(translate, &without_trace).unwrap();
    assert_eq!((spans.len(), rejected), (1, 1));
}

#[test]
fn what_is_not_a_batch_is_refused() {
    let good =
        batch_of(process(vec![]), vec![span(5, 0, vec![(10, V::List(vec![text_tag("a", "b")]))])]);
    let refused = |bytes: &[u8], expected: &str| {
        let refused =
            walked(|bytes, arena| batch::translate::<Binary<'_>>(bytes, arena), bytes).unwrap_err();
        assert!(refused.contains(expected), "{refused} is not {expected}");
    };
    let struct_of = |fields: Vec<(i16, V)>| V::Struct(fields);
    for missing in [1, 2, 3, 4, 5, 7, 8, 9] {
        let V::Struct(mut fields) = span(5, 0, vec![]) else { unreachable!() };
        fields.retain(|(id, _)| *id != missing);
        refused(&binary(&batch_of(process(vec![]), vec![V::Struct(fields)])), "required field");
    }
    refused(&binary(&struct_of(vec![(2, V::List(vec![]))])), "`process`");
    refused(&binary(&struct_of(vec![(1, process(vec![]))])), "`spans`");
    refused(&binary(&batch_of(V::Struct(vec![]), vec![])), "`serviceName`");
    refused(&binary(&batch_of(process(vec![]), vec![V::I32(5)])), "list of `Span`");
    let lists = |lists: Vec<(i16, V)>| binary(&batch_of(process(vec![]), vec![span(5, 0, lists)]));
    refused(&lists(vec![(10, V::List(vec![struct_of(vec![])]))]), "`vType`");
    refused(&lists(vec![(10, V::List(vec![struct_of(vec![(2, V::I32(0))])]))]), "`key`");
    refused(
        &lists(vec![(11, V::List(vec![struct_of(vec![(2, V::List(vec![]))])]))]),
        "`timestamp`",
    );
    refused(&lists(vec![(6, V::List(vec![struct_of(vec![])]))]), "`traceIdHigh`");
    // Absurd lengths, nesting, types.
    refused(&[12, 0, 1, 11, 0, 1, 0x7f, 0xff, 0xff, 0xff], "larger than what is left");
    refused(&[12, 0, 1, 11, 0, 1, 0xff, 0xff, 0xff, 0xff], "larger than what is left");
    refused(&[15, 0, 2, 12, 0x7f, 0xff, 0xff, 0xff, 0], "larger than what is left");
    refused(&[99], "unknown thrift type 99");
    refused(&[], "ends early");
    refused(&[12, 0, 9].repeat(1_000), "nested deeper");
    refused(b"GET / HTTP/1.1", "");
    let bytes = binary(&good);
    for length in 0..bytes.len() {
        refused(&bytes[..length], "");
    }
    let bytes = compact(&good);
    for length in 0..bytes.len() {
        walked(|bytes, arena| batch::translate::<Compact<'_>>(bytes, arena), &bytes[..length])
            .unwrap_err();
    }
    // Unknown fields of every type, in front and behind, change nothing.
    let V::Struct(mut fields) = good.clone() else { unreachable!() };
    let every = V::List(vec![V::Struct(vec![
        (1, V::Bool(true)),
        (2, V::Double(1.0)),
        (90, V::I16(4)),
        (3, V::List(vec![V::Bool(true), V::Bool(false)])),
    ])]);
    fields.insert(0, (77, every.clone()));
    fields.push((78, every));
    assert_eq!(shown(&V::Struct(fields)), shown(&good));
}

#[test]
fn only_calls_of_emit_batch_are_messages() {
    let arguments = V::Struct(vec![(1, batch_of(process(vec![]), vec![]))]);
    let of_binary = |bytes: &[u8]| {
        let translate =
            |bytes: &[u8], arena: &mut _| batch::translate_message::<Binary<'_>>(bytes, arena);
        walked(translate, bytes).expect("a message");
    };
    of_binary(&binary_message("emitBatch", &arguments));
    // Without a version in front of the name.
    let mut old = Vec::new();
    old.extend(binary(&text("emitBatch")));
    old.extend([1, 0, 0, 0, 0]);
    old.extend(binary(&arguments));
    of_binary(&old);
    let compact_error = |bytes: &[u8]| {
        walked(|bytes, arena| batch::translate_message::<Compact<'_>>(bytes, arena), bytes)
            .unwrap_err()
    };
    let zipkin = compact_message("emitZipkinBatch", &arguments);
    assert_eq!(compact_error(&zipkin), "unsupported thrift method");
    let mut reply = compact_message("emitBatch", &arguments);
    reply[1] = 1 | (2 << 5);
    assert_eq!(compact_error(&reply), "not a thrift call");
    reply[1] = 2 | (4 << 5);
    assert_eq!(compact_error(&reply), "not a thrift message of this protocol");
    let wrong = binary_message("emitBatch", &arguments);
    assert_eq!(compact_error(&wrong), "not a thrift message of this protocol");
    let empty = compact_message("emitBatch", &V::Struct(vec![]));
    assert_eq!(compact_error(&empty), "required field `batch` is not set");
}

#[tokio::test]
async fn the_http_door_answers_as_jaeger_does() {
    let backend = backend();
    let router = http::router(backend.receiver.clone(), Tenancy::Off);
    let body = binary(&batch_of(process(vec![]), vec![span(5, 0, vec![])]));
    let thrift = ("content-type", "application/x-thrift");
    let nothing = Vec::new;
    let table: Vec<(Headers<'_>, Vec<u8>, u16, &str)> = vec![
        (vec![thrift], body.clone(), 202, ""),
        (
            vec![("content-type", "application/vnd.apache.thrift.binary; a=b")],
            body.clone(),
            202,
            "",
        ),
        (vec![thrift, ("content-encoding", "gzip")], gzip(&body), 202, ""),
        (vec![thrift, ("content-encoding", "deflate")], zlib(&body), 202, ""),
        (vec![thrift, ("content-encoding", "zlib")], zlib(&body), 202, ""),
        (vec![], nothing(), 400, "Cannot parse content type: mime: no media type\n"),
        (
            vec![("content-type", "a/b/c")],
            nothing(),
            400,
            "Cannot parse content type: mime: expected token after slash\n",
        ),
        (
            vec![("content-type", "application/json")],
            body.clone(),
            400,
            "Unsupported content type: application/json\n",
        ),
        (
            vec![thrift],
            b"<junk>".to_vec(),
            400,
            "Unable to process request body: unknown thrift type 60\n",
        ),
        (
            vec![thrift, ("content-encoding", "gzip")],
            body.clone(),
            400,
            "Unable to process request body: the body is not well-formed gzip\n",
        ),
        (
            vec![thrift],
            vec![0; api::limits::REQUEST_BYTES_MAX + 1],
            500,
            "Unable to process request body: the body is larger than 16777216 bytes\n",
        ),
    ];
    for (headers, body, status, expected) in table {
        let answer = post(&router, "/api/traces?format=jaeger.thrift", &headers, body).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, expected), "{headers:?}");
    }
    assert_eq!(backend.spans((1_u128 << 64 | 2).to_be_bytes()).await.len(), 1);
    let strict = http::router(backend.receiver.clone(), by_header());
    let answer = post(&strict, "/api/traces", &[thrift], body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (401, "missing tenant header\n"));
    backend.store.set_overloaded(true);
    let answer = post(&router, "/api/traces", &[thrift], body).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with("Cannot submit Jaeger batch: "), "{}", answer.text());
    assert!(answer.headers.contains_key("retry-after"));
}
