//! `jaeger.api_v2` against messages that prost writes, and the gRPC door.
#![expect(clippy::struct_field_names, reason = "the names of the protocol")]

use api::ingest::framing;
use api::jaeger_grpc::batch::translate;
use api::jaeger_grpc::collector::{POST_SPANS_PATH, router};
use api::tenant::Tenancy;
use prost::Message;

use crate::shown::{lines, walked};
use crate::store::{backend, gzip, post};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(int32, tag = "2")]
    v_type: i32,
    #[prost(string, tag = "3")]
    v_str: String,
    #[prost(bool, tag = "4")]
    v_bool: bool,
    #[prost(int64, tag = "5")]
    v_int64: i64,
    #[prost(double, tag = "6")]
    v_float64: f64,
    #[prost(bytes = "vec", tag = "7")]
    v_binary: Vec<u8>,
}

/// `Timestamp` and `Duration`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Log {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Time>,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SpanRef {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(int32, tag = "3")]
    ref_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Process {
    #[prost(string, tag = "1")]
    service_name: String,
    #[prost(message, repeated, tag = "2")]
    tags: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    operation_name: String,
    #[prost(message, repeated, tag = "4")]
    references: Vec<SpanRef>,
    #[prost(uint32, tag = "5")]
    flags: u32,
    #[prost(message, optional, tag = "6")]
    start_time: Option<Time>,
    #[prost(message, optional, tag = "7")]
    duration: Option<Time>,
    #[prost(message, repeated, tag = "8")]
    tags: Vec<KeyValue>,
    #[prost(message, repeated, tag = "9")]
    logs: Vec<Log>,
    #[prost(message, optional, tag = "10")]
    process: Option<Process>,
    #[prost(string, tag = "11")]
    process_id: String,
    #[prost(string, repeated, tag = "12")]
    warnings: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Batch {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<Span>,
    #[prost(message, optional, tag = "2")]
    process: Option<Process>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PostSpansRequest {
    #[prost(message, optional, tag = "1")]
    batch: Option<Batch>,
}

fn text_tag(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), v_str: value.to_owned(), ..KeyValue::default() }
}

fn process(name: &str, tags: Vec<KeyValue>) -> Process {
    Process { service_name: name.to_owned(), tags }
}

fn span(id: u8, tags: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![9; 16],
        span_id: vec![id; 8],
        operation_name: "op".to_owned(),
        start_time: Some(Time { seconds: 1, nanos: 5 }),
        duration: Some(Time { seconds: 0, nanos: 20 }),
        tags,
        ..Span::default()
    }
}

fn body(spans: Vec<Span>, process: Option<Process>) -> Vec<u8> {
    PostSpansRequest { batch: Some(Batch { spans, process }) }.encode_to_vec()
}

/// A good request for other tests.
pub(crate) fn good_body() -> Vec<u8> {
    let mut whole = span(1, vec![text_tag("a", "b")]);
    whole.logs = vec![Log {
        timestamp: Some(Time { seconds: 1, nanos: 6 }),
        fields: vec![text_tag("event", "x")],
    }];
    whole.references = vec![SpanRef { trace_id: vec![9; 16], span_id: vec![4; 8], ref_type: 0 }];
    whole.process = Some(process("own", vec![text_tag("hostname", "h")]));
    whole.warnings = vec!["w".to_owned()];
    body(vec![whole, span(2, vec![])], Some(process("shop", vec![])))
}

const TRACE: &str = "09090909090909090909090909090909";

#[test]
fn a_whole_batch() {
    let mut whole = span(
        1,
        vec![
            text_tag("t", "x"),
            KeyValue { key: "b".into(), v_type: 1, v_bool: true, ..KeyValue::default() },
            KeyValue { key: "i".into(), v_type: 2, v_int64: -3, ..KeyValue::default() },
            KeyValue { key: "f".into(), v_type: 3, v_float64: 0.5, ..KeyValue::default() },
            KeyValue { key: "y".into(), v_type: 4, v_binary: vec![1, 2], ..KeyValue::default() },
            KeyValue { key: "u".into(), v_type: 42, ..KeyValue::default() },
            KeyValue { key: "error".into(), v_type: 1, v_bool: true, ..KeyValue::default() },
            text_tag("span.kind", "client"),
        ],
    );
    whole.flags = 3;
    whole.references = vec![
        SpanRef { trace_id: vec![9; 16], span_id: vec![4; 8], ref_type: 1 },
        SpanRef { trace_id: vec![9; 16], span_id: vec![5; 8], ref_type: 0 },
        SpanRef { trace_id: vec![7; 8], span_id: vec![6; 8], ref_type: 0 },
    ];
    whole.logs = vec![Log {
        timestamp: Some(Time { seconds: 1, nanos: 6 }),
        fields: vec![text_tag("event", "first"), text_tag("event", "last"), text_tag("k", "v")],
    }];
    whole.warnings = vec!["clock".to_owned(), "skew".to_owned()];
    assert_eq!(
        lines(translate, &body(vec![whole], Some(process("shop", vec![])))),
        [
            "resource service.name=\"shop\"",
            &format!(
                "{TRACE} 0101010101010101 \"op\" 1000000005..1000000025 parent 0505050505050505 \
                 client flags 1 status 2 \"\" t=\"x\" b=true i=-3 f=0.5 y=0x0102 \
                 u=\"<Unknown Jaeger TagType \\\"42\\\">\" @jaeger@warnings=[\"clock\",\"skew\"]"
            ),
            "event 1000000006 \"last\" event=\"first\" k=\"v\"",
            &format!("link {TRACE} 0404040404040404 opentracing.ref_type=\"follows_from\""),
            "link 00000000000000000707070707070707 0606060606060606 \
             opentracing.ref_type=\"child_of\"",
        ]
    );
}

#[test]
fn a_span_of_its_own_process_has_its_own_resource() {
    let mut foreign = span(2, vec![]);
    foreign.process = Some(process("other", vec![text_tag("hostname", "h")]));
    let spans = vec![span(1, vec![]), foreign, span(3, vec![])];
    let lines = lines(translate, &body(spans.clone(), Some(process("shop", vec![]))));
    let shop = "resource service.name=\"shop\"";
    let other = "resource service.name=\"other\" host.name=\"h\"";
    assert_eq!([&*lines[0], &*lines[2], &*lines[4]], [shop, other, shop]);
    let without = crate::shown::lines(translate, &body(spans, None));
    assert_eq!([&*without[0], &*without[2], &*without[4]], ["resource", other, "resource"]);
}

#[test]
fn a_span_may_stand_alone() {
    let mut alone = span(1, vec![text_tag("a", "b")]);
    alone.process = Some(process("shop", vec![]));
    let expected = lines(translate, &body(vec![alone.clone()], None));
    assert_eq!(lines(api::jaeger_grpc::batch::translate_span, &alone.encode_to_vec()), expected);
}

#[test]
fn scopes_are_tags() {
    let name = || text_tag("otel.scope.name", "lib");
    let version = || text_tag("otel.scope.version", "1");
    let spans = vec![
        span(1, vec![name(), version(), text_tag("a", "b")]),
        span(2, vec![version()]),
        span(3, vec![name(), text_tag("otel.scope.name", "second")]),
    ];
    let lines = lines(translate, &body(spans, None));
    assert_eq!(lines[0], "resource scope lib@1");
    assert!(lines[1].ends_with(" a=\"b\"") && !lines[1].contains("otel.scope"));
    assert_eq!(lines[2], "resource");
    assert!(lines[3].ends_with(" otel.scope.version=\"1\""));
    assert_eq!(lines[4], "resource scope lib@");
    assert!(lines[5].ends_with(" otel.scope.name=\"second\""));
}

#[test]
fn fields_may_come_in_any_order_and_in_parts() {
    let good = body(vec![span(1, vec![])], Some(process("shop", vec![])));
    let first = body(vec![span(1, vec![])], None);
    let second = body(vec![], Some(process("shop", vec![])));
    assert_eq!(
        lines(translate, &[first.clone(), second.clone()].concat()),
        lines(translate, &good)
    );
    assert_eq!(lines(translate, &[second, first].concat()), lines(translate, &good));
}

#[test]
fn odd_ids_are_rejected_and_their_neighbours_kept() {
    let mut odd = span(1, vec![]);
    odd.trace_id = vec![1; 5];
    let mut zero = span(0, vec![]);
    zero.flags = 1;
    let mut short = span(7, vec![]);
    short.span_id = vec![7; 3];
    let spans = vec![odd, zero, short, span(2, vec![])];
    let (spans, rejected) = walked(translate, &body(spans, None)).unwrap();
    assert_eq!((spans.len(), rejected), (1, 3));
}

#[test]
fn what_is_not_a_request_is_refused() {
    let good = good_body();
    for length in 1..good.len() {
        // A prefix that ends between fields is a request; every other one is not.
        if let Ok((spans, _)) = walked(translate, &good[..length]) {
            assert!(spans.len() <= 2);
        }
    }
    for bad in [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x07], &[0x0a, 2, 0x0a, 9]] {
        walked(translate, bad).unwrap_err();
    }
    assert_eq!(walked(translate, &[]).unwrap().0.len(), 0);
}

fn framed(message: &[u8], flag: u8) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

#[tokio::test]
async fn the_grpc_door_answers() {
    let backend = backend();
    let router =
        router(backend.receiver.clone(), Tenancy::Off).fallback(async || framing::unimplemented());
    let grpc = ("content-type", "application/grpc");
    let send =
        async |headers: &[(&str, &str)], body| post(&router, POST_SPANS_PATH, headers, body).await;
    let answer = send(&[grpc], framed(&good_body(), 0)).await;
    assert_eq!((answer.grpc_status(), &answer.body[..]), ("0", &[0; 5][..]));
    assert_eq!(backend.spans([9; 16]).await.len(), 2);
    let answer = send(&[grpc, ("grpc-encoding", "gzip")], framed(&gzip(&good_body()), 1)).await;
    assert_eq!(answer.grpc_status(), "0");
    // An empty batch is one of no spans.
    assert_eq!(send(&[grpc], framed(&[], 0)).await.grpc_status(), "0");
    for bad in [vec![], vec![0, 0, 0, 0, 9], framed(&[0x0a, 9], 0), framed(&good_body(), 1)] {
        assert_eq!(send(&[grpc], bad).await.grpc_status(), "3");
    }
    let unknown = post(&router, "/jaeger.api_v2.CollectorService/Other", &[grpc], vec![]).await;
    assert_eq!(unknown.grpc_status(), "12");
    let plain = send(&[("content-type", "application/json")], vec![]).await;
    assert_eq!(plain.status, 415);
    backend.store.set_overloaded(true);
    assert_eq!(send(&[grpc], framed(&good_body(), 0)).await.grpc_status(), "8");
}
