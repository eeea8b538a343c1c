//! Bad input over real sockets: refused clearly, counted, nothing of it stored, and the next good
//! request works. Whatever is sent, the node's memory stays bounded.
#![cfg(test)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use api::read_context::ReadLimits;
use bench::wire::{put_bytes, put_bytes_head, put_fixed64};
use hyper::Request;
use hyper::body::Bytes;
use model::TraceId;
use tokio::task::JoinSet;

use crate::client::{Client, Outcome};
use crate::originals;
use crate::server::Server;

/// More than a node needs for anything here, and far less than the worst request asks for.
const RESIDENT_KIB_MAX: u64 = 512 << 10;

/// What sealing a huge trace may add: the rows of one trace are put in order as a whole.
const SEALING_KIB: u64 = 192 << 10;

/// The largest request, before and after decompression.
const REQUEST_BYTES_MAX: usize = api::limits::REQUEST_BYTES_MAX;

/// What a bomb unfolds to.
const BOMB_BYTES: usize = 1 << 30;

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;

/// A trace id of which every request that must be refused holds a span.
const REFUSED: TraceId = TraceId([0xbd; 16]);

/// A `ResourceSpans` group of these spans.
fn request(spans: &[Vec<u8>]) -> Vec<u8> {
    let mut scope_spans = Vec::new();
    for span in spans {
        put_bytes(&mut scope_spans, 2, span);
    }
    let mut resource_spans = Vec::new();
    put_bytes(&mut resource_spans, 2, &scope_spans);
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &resource_spans);
    message
}

/// A span without anything that a span need not have.
fn span(trace_id: TraceId, number: u64) -> Vec<u8> {
    let mut span = Vec::with_capacity(64);
    put_bytes(&mut span, 1, trace_id.as_bytes());
    put_bytes(&mut span, 2, &number.to_be_bytes());
    put_bytes(&mut span, 5, b"work");
    put_fixed64(&mut span, 7, 1_700_000_000_000_000_000 + number);
    put_fixed64(&mut span, 8, 1_700_000_000_000_001_000 + number);
    span
}

/// A refused trace's span with an attribute of this value message.
fn span_with_value(value: &[u8]) -> Vec<u8> {
    let mut pair = Vec::new();
    put_bytes(&mut pair, 1, b"key");
    put_bytes(&mut pair, 2, value);
    let mut span = span(REFUSED, 1);
    put_bytes(&mut span, 9, &pair);
    span
}

/// A list in a list in a list.
fn deep_value(levels: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..levels {
        let mut list = Vec::new();
        put_bytes(&mut list, 1, &value);
        value.clear();
        put_bytes(&mut value, 5, &list);
    }
    value
}

fn gzip(bytes: impl Read) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

fn zeros() -> impl Read {
    std::io::repeat(0).take(BOMB_BYTES as u64)
}

/// A request that must be refused, and how.
struct Case {
    name: &'static str,
    body: Bytes,
    encoding: &'static str,
    content_type: &'static str,
    status: u16,
    grpc_status: i32,
}

impl Case {
    /// Protobuf that is a bad argument.
    fn new(name: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            name,
            body: body.into(),
            encoding: "identity",
            content_type: "application/x-protobuf",
            status: 400,
            grpc_status: INVALID_ARGUMENT,
        }
    }

    fn json(name: &'static str, text: impl Into<Bytes>) -> Self {
        Self { content_type: "application/json", ..Self::new(name, text) }
    }

    fn packed(self, encoding: &'static str) -> Self {
        Self { encoding, ..self }
    }

    fn answered(self, status: u16, grpc_status: i32) -> Self {
        Self { status, grpc_status, ..self }
    }
}

fn cases() -> Vec<Case> {
    let good = request(&[span(REFUSED, 1)]);
    let mut text_value = Vec::new();
    put_bytes(&mut text_value, 1, &vec![b'x'; 10 << 20]);
    let mut long_key = Vec::new();
    put_bytes(&mut long_key, 1, &vec![b'k'; api::limits::KEY_BYTES_MAX + 1]);
    let mut long_key_span = span(REFUSED, 1);
    put_bytes(&mut long_key_span, 9, &long_key);
    let mut lying = good.clone();
    put_bytes_head(&mut lying, 1, usize::MAX / 2);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let zstd_bomb = zstd::encode_all(zeros(), 1).unwrap();
    let deep_json = format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":\
         [{{\"key\":\"k\",\"value\":{}{}}}]}}}}]}}",
        "{\"arrayValue\":{\"values\":[".repeat(20_000),
        "]}}".repeat(20_000),
    );
    let long_id = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\
                   {\"traceId\":\"bdbd\",\"spanId\":\"0000000000000001\"}]}]}]}";
    vec![
        Case::new("junk", &b"not protobuf at all"[..]),
        Case::new("junk of a kind", vec![0xff; 1_000]),
        Case::new("truncated", good[..good.len() - 1].to_vec()),
        Case::new("one byte more", [&good[..], &[0x0a]].concat()),
        Case::new("a length that is a lie", lying),
        Case::new("zero trace id", request(&[span(TraceId([0; 16]), 1)])),
        Case::new("zero span id", request(&[span(REFUSED, 0)])),
        Case::new("deep nesting", request(&[span_with_value(&deep_value(5_000))])),
        Case::new("an attribute of 10 MB", request(&[span_with_value(&text_value)])),
        Case::new("a key that is too long", request(&[long_key_span])),
        Case::new("over-long", vec![0; REQUEST_BYTES_MAX + 1]).answered(413, RESOURCE_EXHAUSTED),
        Case::new("gzip bomb", gzip(zeros())).packed("gzip").answered(413, RESOURCE_EXHAUSTED),
        Case::new("zstd bomb", zstd_bomb).packed("zstd").answered(413, RESOURCE_EXHAUSTED),
        Case::new("not gzip", good.clone()).packed("gzip"),
        Case::new("cut gzip", gzip(&good[..])[..20].to_vec()).packed("gzip"),
        Case::new("junk in gzip", gzip(&b"junk"[..])).packed("gzip"),
        Case::new("not zstd", good.clone()).packed("zstd"),
        Case::new("cut zstd", zstd(&good)[..20].to_vec()).packed("zstd"),
        Case::new("unknown encoding", good).packed("br").answered(415, UNIMPLEMENTED),
        Case::json("JSON that is cut", &b"{\"resourceSpans\":[{"[..]),
        Case::json("JSON of another shape", &b"[1,2]"[..]),
        Case::json("JSON that is deep", deep_json),
        Case::json("JSON with a short id", long_id),
        Case::json("JSON that is junk", &b"junk"[..]),
        Case::json("JSON that is not UTF-8", &b"{\"resourceSpans\":[\"\xff\"]}"[..]),
    ]
}

/// Good requests, each of a trace of its own, and what the node should hold by now.
struct Witness {
    client: Client,
    spans: u64,
}

impl Witness {
    /// Nothing but good spans is stored, and the node takes another one.
    async fn check(&mut self, name: &str) {
        assert_eq!(self.client.spans_held().await, self.spans, "after {name}");
        for path in ["/api/skua/v1/traces/", "/api/traces/"] {
            let answer = self.client.get(&format!("{path}{REFUSED}")).await;
            assert_eq!(answer.status, 404, "after {name}");
        }
        self.spans += 1;
        let trace_id = TraceId(u128::from(self.spans).to_be_bytes());
        let message = request(&[span(trace_id, 1)]);
        assert_eq!(self.client.export_http(message.into()).await, Outcome::Acknowledged, "{name}");
        let answer = self.client.get(&format!("/api/skua/v1/traces/{trace_id}")).await;
        assert_eq!(answer.status, 200, "after {name}");
    }

    /// Refused write requests that were counted.
    async fn refusals(&self) -> u64 {
        let all = self.client.metric("skua_ingest_requests_total{", &[]).await;
        all - self.client.metric("skua_ingest_requests_total{", &["code=\"ok\""]).await
    }
}

#[tokio::test]
async fn a_bad_request_is_refused_counted_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let client = Client::of(server.ports);
    let mut witness = Witness { client: client.clone(), spans: 0 };
    for case in cases() {
        let name = case.name;
        let before = witness.refusals().await;
        let request = client
            .post()
            .header("content-type", case.content_type)
            .header("content-encoding", case.encoding);
        match client.send(request, case.body.clone()).await {
            Ok(answer) => {
                assert_eq!(answer.status, case.status, "{name}: {}", answer.text());
                assert!(!answer.body.is_empty(), "{name} is refused without a word");
            }
            // A client that is still sending when it is refused may miss the answer.
            Err(error) => assert_eq!(case.status, 413, "{name}: {error}"),
        }
        let mut sent = 1;
        if case.content_type != "application/json" {
            let answer = client.call(&case.body, case.encoding).await.unwrap();
            assert_eq!(answer.grpc_status(), case.grpc_status, "{name}: {answer:?}");
            sent += 1;
        }
        assert_eq!(witness.refusals().await, before + sent, "{name} is not counted");
        witness.check(name).await;
    }
    for (name, request) in [
        ("another content type", client.post().header("content-type", "text/plain")),
        ("no content type", client.post()),
    ] {
        let body = Bytes::from(self::request(&[span(REFUSED, 1)]));
        let answer = client.send(request, body).await.unwrap();
        assert_eq!(answer.status, 415, "{name}");
        witness.check(name).await;
    }
    let path = format!("http://127.0.0.1:{}/v1/traces", server.ports.otlp_http);
    let answer = client.send(Request::get(path), Bytes::new()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    assert!(server.resident_kib_max() < RESIDENT_KIB_MAX, "{} KiB", server.resident_kib_max());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_and_large_requests_together_stay_within_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let mut witness = Witness { client: Client::of(server.ports), spans: 0 };
    let zstd_bomb = Bytes::from(zstd::encode_all(zeros(), 1).unwrap());
    let gzip_bomb = Bytes::from(gzip(zeros()));
    let large = Bytes::from(vec![0; REQUEST_BYTES_MAX - 1]);
    let mut senders = JoinSet::new();
    for number in 0..48 {
        let (body, encoding) = match number % 3 {
            0 => (zstd_bomb.clone(), "zstd"),
            1 => (gzip_bomb.clone(), "gzip"),
            _ => (large.clone(), "identity"),
        };
        let client = Client::of(server.ports);
        senders.spawn(async move { client.call(&body, encoding).await.unwrap().grpc_status() });
    }
    while let Some(ended) = senders.join_next().await {
        let status = ended.unwrap();
        assert!([INVALID_ARGUMENT, RESOURCE_EXHAUSTED].contains(&status), "{status}");
    }
    witness.check("48 bombs and large requests").await;
    assert!(server.resident_kib_max() < RESIDENT_KIB_MAX, "{} KiB", server.resident_kib_max());
}

/// Spans of an upload: some 9 MB of JSON, and many times that when they are spans.
const UPLOADED_SPANS: usize = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_together_stay_within_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let id = "7".repeat(32);
    let span = |number| format!(r#"{{"traceId":"{id}","spanId":"{number:016x}","name":"n"}}"#);
    let spans = (1..=UPLOADED_SPANS).map(span).collect::<Vec<_>>().join(",");
    let document =
        Bytes::from(format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#));
    let mut senders = JoinSet::new();
    for _ in 0..16 {
        let (client, document) = (Client::of(server.ports), document.clone());
        let url = format!("http://127.0.0.1:{}/api/transform", server.ports.ui);
        senders.spawn(async move {
            // Who is refused may still be sending when the connection goes.
            let answer = client.send(Request::post(url), document).await.ok()?;
            Some((answer.status.as_u16(), answer.header("retry-after").to_owned()))
        });
    }
    let mut shown = 0;
    while let Some(ended) = senders.join_next().await {
        match ended.unwrap() {
            Some((200, _)) => shown += 1,
            Some((status, again)) => assert_eq!((status, again.as_str()), (429, "1")),
            None => {}
        }
    }
    assert!(shown > 0, "none is shown");
    let client = Client::of(server.ports);
    assert_eq!(client.get("/api/services").await.status, 200);
    assert!(server.resident_kib_max() < RESIDENT_KIB_MAX, "{} KiB", server.resident_kib_max());
}

#[tokio::test]
async fn bytes_that_are_no_request_are_answered_or_hung_up_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let mut witness = Witness { client: Client::of(server.ports), spans: 0 };
    let ports = server.ports;
    let body = request(&[span(REFUSED, 1)]);
    let mut half = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: skua\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    half.extend_from_slice(&body[..body.len() / 2]);
    let chunks = b"POST /v1/traces HTTP/1.1\r\nHost: skua\r\n\
                   Content-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n\
                   zz\r\nhello\r\n0\r\n\r\n";
    let client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for port in [ports.otlp_grpc, ports.otlp_http, ports.ui, ports.health, ports.metrics] {
        for bytes in [&client_hello[..], b"\r\n\r\n\0\0", &half, chunks] {
            let answer = exchange(port, bytes);
            // In gRPC a refusal is a success of HTTP.
            let is_refused = !answer.starts_with("HTTP/1.1 200")
                || (port == ports.otlp_grpc && answer.contains("grpc-status: 12"));
            assert!(is_refused, "port {port}: {answer}");
        }
        witness.check("bytes that are no request").await;
    }
}

/// Sends bytes and nothing more, and reads whatever comes.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // The node may have hung up already.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn odd_but_legal_spans_are_kept_as_they_are_and_shown_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let client = Client::of(server.ports);
    let trace_id = TraceId([0x0d; 16]);
    let mut spans = Vec::new();
    for (number, (start, end)) in
        (1..).zip([(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (5, 4)])
    {
        let mut pair = Vec::new();
        put_bytes(&mut pair, 1, b"key \xc3\x28");
        put_bytes(&mut pair, 2, b"\x0a\x03\xff\xfe\xfd");
        let mut span = span(trace_id, number);
        put_bytes(&mut span, 5, b"name \xff\xfe");
        put_fixed64(&mut span, 7, start);
        put_fixed64(&mut span, 8, end);
        put_bytes(&mut span, 9, &pair);
        spans.push(span);
    }
    // One span of them cannot be kept, which the answer says.
    spans.push(span(TraceId([0; 16]), 9));
    let post = client.post().header("content-type", "application/x-protobuf");
    let answer = client.send(post, request(&spans).into()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with(&[0x0a]), "no partial success in {answer:?}");
    let rejected = client.metric("skua_ingest_spans_total{", &["outcome=\"rejected\""]).await;
    assert_eq!((client.spans_held().await, rejected), (5, 1));

    let raw = client.get(&format!("/api/skua/v1/traces/{trace_id}")).await;
    assert_eq!(raw.status, 200);
    let count = |text: &[u8]| raw.body.windows(text.len()).filter(|piece| *piece == text).count();
    assert_eq!(
        (count(b"name \xff\xfe"), count(b"key \xc3\x28"), count(b"\xff\xfe\xfd")),
        (5, 5, 5)
    );
    for path in [
        format!("/api/traces/{trace_id}"),
        format!("/api/traces/{trace_id}?raw=true"),
        "/api/traces?start=0&end=18446744073709551&limit=5".to_owned(),
    ] {
        let answer = client.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["data"][0]["spans"].as_array().unwrap().len(), 5, "{path}");
        assert_eq!(json["data"][0]["spans"][0]["operationName"], "name \u{fffd}\u{fffd}", "{path}");
    }
    let answer = client.get(&format!("/api/v3/traces/{trace_id}")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json().is_object());
}

#[tokio::test]
async fn bad_questions_are_refused_and_unknown_parameters_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let client = Client::of(server.ports);
    let mut witness = Witness { client: client.clone(), spans: 0 };
    witness.check("nothing").await;
    let window = "query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2030-01-01T00:00:00Z";
    for path in [
        "/api/traces?minDuration=long",
        "/api/traces?minDuration=5",
        "/api/traces?maxDuration=1h-",
        "/api/traces?minDuration=99999999999h",
        "/api/traces?minDuration=2s&maxDuration=1s",
        "/api/traces?limit=many",
        "/api/traces?limit=99999999999999999999",
        "/api/traces?start=yesterday",
        "/api/traces?end=1e9",
        "/api/traces?tag=error",
        "/api/traces?tags=%7B",
        "/api/traces?tags=%5B1%5D",
        "/api/traces?raw=perhaps",
        "/api/traces?traceID=xyz",
        "/api/traces/xyz",
        "/api/traces/000000000000000000000000000000001",
        "/api/traces/1?raw=perhaps",
        "/api/operations",
        "/api/v3/traces",
        &format!("/api/v3/traces?{window}&query.durationMin=short"),
        &format!("/api/v3/traces?{window}&query.searchDepth=deep"),
        &format!("/api/v3/traces?{window}&query.attributes=%7B"),
        "/api/v3/traces?query.startTimeMin=now&query.startTimeMax=later",
        "/api/v3/traces/xyz",
        "/api/skua/v1/traces/xyz",
        "/api/skua/v1/traces/00000000000000000000000000000001?stale=perhaps",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(!answer.body.is_empty(), "{path} is refused without a word");
    }
    let long = format!("/api/traces?service={}", "x".repeat(60 << 10));
    assert_eq!(client.get(&long).await.status, 200);
    let service = "x".repeat(200 << 10);
    let longer = format!("GET /api/traces?service={service} HTTP/1.1\r\nHost: skua\r\n\r\n");
    let answer = exchange(server.ports.ui, longer.as_bytes());
    // A node that hangs up while it is still being sent to may not be heard.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    for path in [
        "/api/services?frobnicate=1",
        "/api/traces?frobnicate=1&limit=3&=&&%zz=1",
        &format!("/api/v3/traces?{window}&frobnicate=1"),
        &format!("/api/traces/{:032x}?frobnicate=1", 1),
        &format!("/api/skua/v1/traces/{:032x}?frobnicate=1", 1),
    ] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    witness.check("bad questions").await;
}

/// Spans of a trace that no person looks at.
const HUGE_TRACE_SPANS: u64 = 1_000_000;

/// Spans of each request of it.
const HUGE_TRACE_REQUEST_SPANS: u64 = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_of_a_million_spans_is_shown_in_part_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let client = Client::of(server.ports);
    let trace_id = TraceId([0x1a; 16]);
    for request_number in 0..HUGE_TRACE_SPANS / HUGE_TRACE_REQUEST_SPANS {
        let first = request_number * HUGE_TRACE_REQUEST_SPANS + 1;
        let spans: Vec<_> = (first..first + HUGE_TRACE_REQUEST_SPANS)
            .map(|number| span(trace_id, number))
            .collect();
        assert_eq!(client.export_grpc(&request(&spans)).await, Outcome::Acknowledged);
    }
    assert_eq!(client.spans_held().await, HUGE_TRACE_SPANS);
    let summaries = client
        .get(
            "/api/v3/trace-summaries?query.startTimeMin=2020-01-01T00:00:00Z\
             &query.startTimeMax=2030-01-01T00:00:00Z",
        )
        .await;
    assert_eq!((summaries.status.as_u16(), summaries.completeness()), (200, "complete"));
    assert_eq!(summaries.json()["summaries"][0]["spanCount"], HUGE_TRACE_SPANS);
    // The trace is being sealed at the same time, which takes a share of its own.
    let resident_kib = server.resident_kib_max();
    assert!(resident_kib < RESIDENT_KIB_MAX + SEALING_KIB, "{resident_kib} KiB");

    let shown = ReadLimits::default().spans_max;
    for path in [format!("/api/traces/{trace_id}"), "/api/traces?start=0&limit=1".to_owned()] {
        let json = client.get(&path).await.json();
        let spans = json["data"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), shown, "{path}");
        let warning =
            format!("trace has more than {shown} spans, showing first {shown} spans only");
        assert_eq!(spans[0]["warnings"][0], warning, "{path}");
    }
    let raw = client.get(&format!("/api/skua/v1/traces/{trace_id}")).await;
    let truncated = format!("partial; truncated={HUGE_TRACE_SPANS}");
    assert_eq!((raw.status.as_u16(), raw.completeness()), (200, truncated.as_str()));
    let spans = originals::one_by_one(&raw.body);
    assert_eq!(spans.len(), api::limits::RAW_TRACE_SPANS_MAX);
    let resident_kib = server.resident_kib_max();
    println!("{resident_kib} KiB resident at most");
    // Two doors show 100,000 and 250,000 owned spans, and their documents with them.
    assert!(resident_kib < 2 * RESIDENT_KIB_MAX, "{resident_kib} KiB");
}
