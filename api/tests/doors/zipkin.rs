//! Zipkin's formats and the rules of its two models.

use api::zipkin::{json, protobuf, thrift};
use prost::Message;

use crate::shown::{lines, walked};
use crate::thrift_writer::{V, binary, text};

/// A v2 span in JSON with more members, which begin with a comma.
fn v2(more: &str) -> Vec<u8> {
    format!(r#"[{{"traceId":"0a","id":"0b","name":"op","timestamp":10,"duration":5{more}}}]"#)
        .into_bytes()
}

const HEAD: &str = "0000000000000000000000000000000a 000000000000000b \"op\" 10000..15000";

#[test]
fn the_rules_of_v2() {
    let local = r#","localEndpoint":{"serviceName":"shop","ipv4":"1.2.3.4","port":80}"#;
    // Members, resource (and scope), the rest of the span's line.
    let table = [
        ("", "resource", ""),
        (local, "resource service.name=\"shop\"", " net.host.ip=\"1.2.3.4\" net.host.port=80"),
        (r#","localEndpoint":{"serviceName":""}"#, "resource", ""),
        (r#","localEndpoint":null,"tags":null,"annotations":null,"parentId":null"#, "resource", ""),
        (
            r#","remoteEndpoint":{"serviceName":"db","ipv6":"2001:DB8::0:1","port":5432}"#,
            "resource",
            " peer.service=\"db\" net.peer.ip=\"2001:db8::1\" net.peer.port=5432",
        ),
        (r#","kind":"CLIENT""#, "resource", " client"),
        (r#","kind":"SERVER""#, "resource", " server"),
        (r#","kind":"PRODUCER""#, "resource", " producer"),
        (r#","kind":"CONSUMER""#, "resource", " consumer"),
        (r#","kind":"OTHER","tags":{"span.kind":"internal"}"#, "resource", " internal"),
        (r#","tags":{"span.kind":"other"}"#, "resource", " span.kind=\"other\""),
        (r#","parentId":"c""#, "resource", " parent 000000000000000c"),
        (r#","parentId":"0b""#, "resource", ""),
        (r#","tags":{"error":"true"}"#, "resource", " status 2 \"\""),
        (r#","tags":{"error":"boom"}"#, "resource", " error=\"boom\""),
        (
            r#","tags":{"otel.status_code":"STATUS_CODE_OK","otel.status_description":"d"}"#,
            "resource",
            " status 1 \"d\"",
        ),
        (
            r#","tags":{"otel.status_code":"ERROR","error":"why"}"#,
            "resource",
            " status 2 \"\" error=\"why\"",
        ),
        (
            r#","tags":{"otel.status_description":"d"}"#,
            "resource",
            " otel.status_description=\"d\"",
        ),
        (r#","tags":{"w3c.tracestate":"a=b","x":"1"}"#, "resource", " state a=b x=\"1\""),
        (
            r#","localEndpoint":{"serviceName":"shop"},"tags":{"host.name":"h","a":"b"}"#,
            "resource service.name=\"shop\" host.name=\"h\"",
            " a=\"b\"",
        ),
        (
            r#","localEndpoint":{"serviceName":"f"},
            "tags":{"otlp.service.name.source":"faas.name"}"#,
            "resource faas.name=\"f\"",
            "",
        ),
        (
            r#","tags":{"otel.library.name":"lib","otel.library.version":"2"}"#,
            "resource scope lib@2",
            "",
        ),
        (r#","tags":{"otel.library.version":"2"}"#, "resource", " otel.library.version=\"2\""),
        (r#","unknown":[{"deep":{}}],"debug":true,"shared":true"#, "resource", ""),
    ];
    for (more, resource, rest) in table {
        let lines = lines(json::translate_v2, &v2(more));
        assert_eq!(lines[0], resource, "{more}");
        assert_eq!(lines[1].strip_prefix(HEAD), Some(rest), "{more}");
    }
}

#[test]
fn annotations_and_links_of_v2() {
    let more = r#","annotations":[{"timestamp":11,"value":"plain"},
        {"timestamp":12,
        "value":"named|{\"a\":\"x|y\",\"i\":3,\"f\":1.5,\"w\":2.0,\"b\":true}|4"},
        {"timestamp":13,"value":"bars|that are|not json"},{"value":"a|{}"}],
        "tags":{"otlp.link.1":"no link",
        "otlp.link.0":"000000000000000000000000000000ff|00000000000000ee|s=t|{\"k\":\"v\"}|2"}"#;
    assert_eq!(
        lines(json::translate_v2, &v2(more))[1..],
        [
            &format!("{HEAD} otlp.link.1=\"no link\"")[..],
            "event 11000 \"plain\"",
            "event 12000 \"named\" a=\"x|y\" b=true f=1.5 i=3 w=2 dropped 4",
            "event 13000 \"bars|that are|not json\"",
            "event 0 \"a|{}\"",
            "link 000000000000000000000000000000ff 00000000000000ee k=\"v\"",
        ]
    );
}

#[test]
fn a_span_without_a_timestamp_begins_at_the_epoch() {
    let span = br#"[{"traceId":"1","id":"2","duration":7}]"#;
    let expected = "00000000000000000000000000000001 0000000000000002 \"\" 0..7000 \
                    otel.zipkin.absentField.startTime=true";
    assert_eq!(lines(json::translate_v2, span)[1], expected);
    let wide = br#"[{"traceId":"48485a3953bb61246b221d5bc9e6496c","id":"6b221d5bc9e6496c"}, null]"#;
    let line = &lines(json::translate_v2, wide)[1];
    assert!(line.starts_with("48485a3953bb61246b221d5bc9e6496c 6b221d5bc9e6496c"), "{line}");
}

#[test]
fn bad_json_is_refused() {
    let table: [&[u8]; 19] = [
        b"",
        b"{}",
        b"[",
        b"[1]",
        b"[{}] x",
        br#"[{"traceId":""}]"#,
        br#"[{"traceId":"xyz","id":"1"}]"#,
        br#"[{"traceId":"111111111111111111111111111111111","id":"1"}]"#,
        br#"[{"traceId":"1","id":"11111111111111111"}]"#,
        br#"[{"traceId":"1","id":"+1"}]"#,
        br#"[{"traceId":1,"id":"1"}]"#,
        br#"[{"traceId":"1","id":"1","timestamp":"10"}]"#,
        br#"[{"traceId":"1","id":"1","timestamp":1.5}]"#,
        br#"[{"traceId":"1","id":"1","timestamp":99999999999999999999}]"#,
        br#"[{"traceId":"1","id":"1","tags":{"a":1}}]"#,
        br#"[{"traceId":"1","id":"1","tags":[]}]"#,
        br#"[{"traceId":"1","id":"1","localEndpoint":{"ipv4":"1.2.3"}}]"#,
        br#"[{"traceId":"1","id":"1","localEndpoint":{"port":70000}}]"#,
        br#"[{"traceId":"1","id":"1","annotations":[{"value":7}]}]"#,
    ];
    for bad in table {
        let shown = String::from_utf8_lossy(bad);
        assert!(walked(json::translate_v2, bad).is_err(), "{shown}");
    }
    walked(json::translate_v2, "[".repeat(100_000).as_bytes()).unwrap_err();
    let deep = format!(r#"[{{"traceId":"1","id":"1","x":{}}}]"#, "[".repeat(100_000));
    walked(json::translate_v2, deep.as_bytes()).unwrap_err();
    // An id that is left out rejects its span alone.
    let (spans, rejected) =
        walked(json::translate_v2, br#"[{"id":"1"},{"traceId":"1","id":"1"}]"#).unwrap();
    assert_eq!((spans.len(), rejected), (1, 1));
    // Half a surrogate pair is kept as what it is.
    let half = br#"[{"traceId":"1","id":"1","name":"a\ud83d","tags":{"k":"\ud83d"}}]"#;
    assert_eq!(walked(json::translate_v2, half).unwrap().0.len(), 1);
}

/// A v1 span in JSON with more members.
fn v1(more: &str) -> Vec<u8> {
    format!(r#"[{{"traceId":"000000000000000a","id":"000000000000000b","name":"op"{more}}}]"#)
        .into_bytes()
}

#[test]
fn the_rules_of_v1() {
    let head = "0000000000000000000000000000000a 000000000000000b \"op\" ";
    let at = |value: &str, time: u32| {
        format!(
            r#"{{"timestamp":{time},"value":"{value}","endpoint":{{"serviceName":"shop",
            "ipv4":"1.2.3.4","port":80}}}}"#
        )
    };
    let annotations = |list: &[String]| format!(r#","annotations":[{}]"#, list.join(","));
    let tags = |list: &str| format!(r#","timestamp":10,"duration":5,"binaryAnnotations":[{list}]"#);
    let shop = "resource service.name=\"shop\" ipv4=\"1.2.3.4\" port=\"80\"";
    let unknown = "resource service.name=\"unknown-service\"";
    let table: Vec<(String, &str, &str)> = vec![
        (String::new(), unknown, "0..0 otel.zipkin.absentField.startTime=true"),
        (r#","timestamp":10,"duration":5"#.to_owned(), unknown, "10000..15000"),
        (annotations(&[at("cs", 20), at("cr", 25)]), shop, "20000..25000 client"),
        (annotations(&[at("sr", 21), at("ss", 24)]), shop, "21000..24000 server"),
        (annotations(&[at("ms", 21)]), shop, "21000..21000 producer"),
        (annotations(&[at("mr", 21)]), shop, "21000..21000 consumer"),
        (
            tags(r#"{"key":"a","value":"b","endpoint":{"serviceName":"tagged"}}"#),
            "resource service.name=\"tagged\"",
            "10000..15000 a=\"b\"",
        ),
        (
            tags(r#"{"key":"lc","value":"part"}"#),
            "resource service.name=\"part\"",
            "10000..15000 component=\"part\"",
        ),
        (
            tags(
                r#"{"key":"sa","value":true,"endpoint":{"serviceName":"db","ipv4":"9.9.9.9",
                "port":3306}}"#,
            ),
            unknown,
            "10000..15000 peer.service=\"db\" net.peer.ip=\"9.9.9.9\" net.peer.port=3306",
        ),
        (
            tags(r#"{"key":"i","value":7},{"key":"f","value":1.5},{"key":"b","value":false}"#),
            unknown,
            "10000..15000 i=7 f=1.5 b=false",
        ),
        (tags(r#"{"key":"error","value":"true"}"#), unknown, "10000..15000 status 2 \"\""),
        (
            tags(r#"{"key":"error","value":"boom"}"#),
            unknown,
            "10000..15000 status 2 \"\" error=\"boom\"",
        ),
        (
            tags(r#"{"key":"http.status_code","value":"404"}"#),
            unknown,
            "10000..15000 status 2 \"\" http.status_code=\"404\"",
        ),
        (
            tags(r#"{"key":"http.status_code","value":"200"}"#),
            unknown,
            "10000..15000 http.status_code=\"200\"",
        ),
        (
            tags(
                r#"{"key":"census.status_code","value":"0"},
                {"key":"census.status_description","value":"fine"},{"key":"error","value":""}"#,
            ),
            unknown,
            "10000..15000 status 1 \"fine\"",
        ),
        (
            tags(
                r#"{"key":"otel.status_code","value":"2"},
                {"key":"otel.status_description","value":"d"}"#,
            ),
            unknown,
            "10000..15000 status 2 \"d\"",
        ),
        (
            r#","timestamp":10,"parentId":"000000000000000c""#.to_owned(),
            unknown,
            "10000..10000 parent 000000000000000c",
        ),
    ];
    for (more, resource, rest) in table {
        let lines = lines(json::translate_v1, &v1(&more));
        assert_eq!(lines[0], resource, "{more}");
        assert_eq!(lines[1].strip_prefix(head), Some(rest), "{more}");
    }
    let events = annotations(&[at("cs", 20), at("wire", 22), at("", 23), at("ws", 24)]);
    assert_eq!(
        lines(json::translate_v1, &v1(&events))[2..],
        ["event 22000 \"wire\"", "event 24000 \"ws\""]
    );
    for bad in [
        &br#"[{"traceId":"0a","id":"000000000000000b"}]"#[..],
        br#"[{"traceId":"0000000000000000","id":"000000000000000b"}]"#,
        br#"[{"traceId":"000000000000000a","id":"0b"}]"#,
        br#"[{"traceId":"000000000000000a"}]"#,
        br#"[{"traceId":"000000000000000a","id":"000000000000000b","parentId":"c"}]"#,
    ] {
        assert!(walked(json::translate_v1, bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
}

fn host(service: &str) -> V {
    V::Struct(vec![
        (1, V::I32(0x0102_0304)),
        (2, V::I16(-1)),
        (3, text(service)),
        (4, V::Bytes([&[0x20, 1][..], &[0; 13], &[1]].concat())),
    ])
}

/// A list of one `zipkincore.Span`.
pub(crate) fn v1_thrift() -> Vec<u8> {
    let annotation =
        |time, value| V::Struct(vec![(1, V::I64(time)), (2, text(value)), (3, host("shop"))]);
    let binary_annotation = |key: &str, kind, value: &[u8]| {
        V::Struct(vec![(1, text(key)), (2, V::Bytes(value.to_vec())), (3, V::I32(kind))])
    };
    let span = V::Struct(vec![
        (1, V::I64(10)),
        (3, text("op")),
        (4, V::I64(11)),
        (5, V::I64(12)),
        (6, V::List(vec![annotation(20, "sr"), annotation(22, "x"), annotation(25, "ss")])),
        (
            8,
            V::List(vec![
                binary_annotation("bool", 0, &[1]),
                binary_annotation("bytes", 1, &[1, 2]),
                binary_annotation("i16", 2, &(-2_i16).to_be_bytes()),
                binary_annotation("i32", 3, &70_000_i32.to_be_bytes()),
                binary_annotation("i64", 4, &(-3_i64).to_be_bytes()),
                binary_annotation("double", 5, &1.5_f64.to_be_bytes()),
                binary_annotation("text", 6, b"hello"),
                binary_annotation("short", 4, &[1]),
                binary_annotation("odd", 9, &[]),
            ]),
        ),
        (9, V::Bool(true)),
        (12, V::I64(1)),
    ]);
    binary(&V::List(vec![span]))
}

#[test]
fn v1_in_thrift() {
    assert_eq!(
        lines(thrift::translate, &v1_thrift()),
        [
            "resource service.name=\"shop\" ipv4=\"1.2.3.4\" ipv6=\"2001::1\" port=\"65535\"",
            "0000000000000001000000000000000a 000000000000000b \"op\" 20000..25000 \
             parent 000000000000000c server bool=true bytes=\"AQI=\" i16=-2 i32=70000 i64=-3 \
             double=1.5 text=\"hello\" short=\"<not enough bytes representing the number>\" \
             odd=\"<unknown zipkin v1 binary annotation type (9)>\"",
            "event 22000 \"x\"",
        ]
    );
    let good = v1_thrift();
    for length in 0..good.len() {
        assert!(walked(thrift::translate, &good[..length]).is_err(), "{length}");
    }
    walked(thrift::translate, &[12, 0x7f, 0xff, 0xff, 0xff]).unwrap_err();
    walked(thrift::translate, &[8, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap_err();
    assert_eq!(walked(thrift::translate, &[12, 0, 0, 0, 0]).unwrap().0.len(), 0);
}

#[derive(Clone, PartialEq, Message)]
struct Endpoint {
    #[prost(string, tag = "1")]
    service_name: String,
    #[prost(bytes = "vec", tag = "2")]
    ipv4: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    ipv6: Vec<u8>,
    #[prost(int32, tag = "4")]
    port: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Annotation {
    #[prost(fixed64, tag = "1")]
    timestamp: u64,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    parent_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    id: Vec<u8>,
    #[prost(int32, tag = "4")]
    kind: i32,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(fixed64, tag = "6")]
    timestamp: u64,
    #[prost(uint64, tag = "7")]
    duration: u64,
    #[prost(message, optional, tag = "8")]
    local_endpoint: Option<Endpoint>,
    #[prost(message, optional, tag = "9")]
    remote_endpoint: Option<Endpoint>,
    #[prost(message, repeated, tag = "10")]
    annotations: Vec<Annotation>,
    #[prost(btree_map = "string, string", tag = "11")]
    tags: std::collections::BTreeMap<String, String>,
    #[prost(bool, tag = "12")]
    debug: bool,
    #[prost(bool, tag = "13")]
    shared: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ListOfSpans {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<Span>,
}

fn proto_span() -> Span {
    Span {
        trace_id: vec![1; 16],
        parent_id: vec![3; 8],
        id: vec![2; 8],
        kind: 1,
        name: "op".to_owned(),
        timestamp: 10,
        duration: 5,
        local_endpoint: Some(Endpoint {
            service_name: "shop".to_owned(),
            ipv4: vec![1, 2, 3, 4],
            ..Endpoint::default()
        }),
        remote_endpoint: Some(Endpoint { ipv4: vec![9; 3], port: 80, ..Endpoint::default() }),
        annotations: vec![Annotation { timestamp: 12, value: "x".to_owned() }],
        tags: [("a", "b"), ("error", "true")].map(|(k, v)| (k.into(), v.into())).into(),
        debug: true,
        shared: true,
    }
}

/// A good list for other tests.
pub(crate) fn v2_protobuf() -> Vec<u8> {
    ListOfSpans { spans: vec![proto_span()] }.encode_to_vec()
}

#[test]
fn v2_in_protobuf() {
    assert_eq!(
        lines(protobuf::translate, &v2_protobuf()),
        [
            "resource service.name=\"shop\"",
            "01010101010101010101010101010101 0202020202020202 \"op\" 10000..15000 \
             parent 0303030303030303 client status 2 \"\" a=\"b\" net.host.ip=\"1.2.3.4\" \
             net.peer.ip=\"?090909\" net.peer.port=80",
            "event 12000 \"x\"",
        ]
    );
    let kinds = [0, 1, 2, 3, 4, 5].map(|kind| {
        let span = Span { kind, ..proto_span() };
        let body = ListOfSpans { spans: vec![span] }.encode_to_vec();
        walked(protobuf::translate, &body).unwrap().0[0].kind.name().to_owned()
    });
    assert_eq!(kinds, ["", "client", "server", "producer", "consumer", ""]);
    for span in [
        Span { trace_id: vec![1; 7], ..proto_span() },
        Span { trace_id: vec![], id: vec![1; 3], ..proto_span() },
        Span { parent_id: vec![1; 9], ..proto_span() },
    ] {
        let body = ListOfSpans { spans: vec![span] }.encode_to_vec();
        walked(protobuf::translate, &body).unwrap_err();
    }
    let spans =
        vec![Span { trace_id: vec![4; 8], ..proto_span() }, Span { id: vec![], ..proto_span() }];
    let (spans, rejected) =
        walked(protobuf::translate, &ListOfSpans { spans }.encode_to_vec()).unwrap();
    assert_eq!((spans.len(), rejected), (1, 1));
    assert_eq!(spans[0].trace_id.0, (u128::from(u64::from_be_bytes([4; 8]))).to_be_bytes());
}
