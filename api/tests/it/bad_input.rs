//! Bad input at every door: a clear refusal, nothing stored, and the next good request works.

use api::limits;
use api::otlp::wire::Writer;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use model::TraceId;
use tonic::Code;

use crate::client::{Node, good_request, in_pieces, send, send_http2, start};
use crate::http::gzip;

/// A request of one span that `fill` completes; its trace id is all threes.
fn request(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    let resource_spans = writer.begin(1);
    let scope_spans = writer.begin(2);
    let span = writer.begin(2);
    writer.bytes_field(1, &[3; 16]);
    writer.bytes_field(2, &[3; 8]);
    fill(&mut writer);
    writer.end(span);
    writer.end(scope_spans);
    writer.end(resource_spans);
    writer.bytes
}

fn deep_value(levels: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..levels {
        let mut item = Writer::default();
        item.bytes_field(1, &value);
        let mut list = Writer::default();
        list.bytes_field(5, &item.bytes);
        value = list.bytes;
    }
    let mut pair = Writer::default();
    pair.bytes_field(2, &value);
    pair.bytes
}

struct Case {
    name: &'static str,
    body: Vec<u8>,
    encoding: &'static str,
    content_type: &'static str,
    http: u16,
    grpc: Code,
}

fn cases() -> Vec<Case> {
    let protobuf = |name, body, http, grpc| Case {
        name,
        body,
        encoding: "identity",
        content_type: "application/x-protobuf",
        http,
        grpc,
    };
    let good = good_request(9).0;
    let cut = good[..good.len() - 1].to_vec();
    let mut zero_ids = good.clone();
    let id = zero_ids.windows(16).position(|window| window == [9; 16]).unwrap();
    zero_ids[id..id + 16].fill(0);
    let attribute = |value: &[u8]| {
        let mut text = Writer::default();
        text.bytes_field(1, value);
        let mut pair = Writer::default();
        pair.bytes_field(1, b"key");
        pair.bytes_field(2, &text.bytes);
        request(|writer| writer.bytes_field(9, &pair.bytes))
    };
    let bomb = vec![0; limits::DECOMPRESSED_BYTES_MAX + 1];
    let compressed =
        |name, encoding, body, http, grpc| Case { encoding, ..protobuf(name, body, http, grpc) };
    let json = |name, body: &str, http| Case {
        content_type: "application/json",
        ..protobuf(name, body.as_bytes().to_vec(), http, Code::InvalidArgument)
    };
    vec![
        protobuf("junk", b"not protobuf at all".to_vec(), 400, Code::InvalidArgument),
        protobuf("truncated", cut.clone(), 400, Code::InvalidArgument),
        protobuf("one byte more", [good.clone(), vec![0x0a]].concat(), 400, Code::InvalidArgument),
        protobuf("zero ids", zero_ids, 400, Code::InvalidArgument),
        protobuf(
            "deep nesting",
            request(|writer| writer.bytes_field(9, &deep_value(5_000))),
            400,
            Code::InvalidArgument,
        ),
        protobuf("10 MB attribute", attribute(&vec![b'x'; 10 << 20]), 400, Code::InvalidArgument),
        protobuf("over-long", vec![0; limits::REQUEST_BYTES_MAX + 1], 413, Code::ResourceExhausted),
        compressed("gzip bomb", "gzip", gzip(&bomb), 413, Code::ResourceExhausted),
        compressed(
            "zstd bomb",
            "zstd",
            zstd::encode_all(bomb.as_slice(), 1).unwrap(),
            413,
            Code::ResourceExhausted,
        ),
        compressed("not gzip", "gzip", good.clone(), 400, Code::InvalidArgument),
        compressed("cut gzip", "gzip", gzip(&good)[..20].to_vec(), 400, Code::InvalidArgument),
        compressed("not zstd", "zstd", good.clone(), 400, Code::InvalidArgument),
        compressed("junk in gzip", "gzip", gzip(b"junk"), 400, Code::InvalidArgument),
        compressed("unknown encoding", "br", good, 415, Code::Unimplemented),
        json("JSON cut off", r#"{"resourceSpans":[{"#, 400),
        json("JSON of another shape", "[1,2]", 400),
        json("junk as JSON", "junk", 400),
    ]
}

async fn assert_next_good_request_works(node: &Node, number: u8, name: &str) {
    let (good, trace_id) = good_request(number);
    let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
    let answer = send(node.addresses.otlp_http, request, Body::from(good)).await;
    assert_eq!(answer.status, 200, "after {name}");
    assert_eq!(node.spans(trace_id).await.len(), 1, "after {name}");
}

async fn assert_nothing_stored(node: &Node, name: &str) {
    for trace_id in [[3; 16], [9; 16], [0; 16]] {
        assert!(node.spans(TraceId(trace_id)).await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn over_http_with_and_without_a_length() {
    let node = start().await;
    for (number, case) in (20..).zip(cases()) {
        for is_chunked in [false, true] {
            let request = Request::post("/v1/traces")
                .header("content-type", case.content_type)
                .header("content-encoding", case.encoding);
            let body = if is_chunked {
                in_pieces(&case.body, 100_000)
            } else {
                Body::from(case.body.clone())
            };
            let answer = send_lenient(&node, request, body).await;
            // A client that is still sending when the answer comes may miss it.
            if let Some(answer) = answer {
                assert_eq!(answer.status.as_u16(), case.http, "{}: {}", case.name, answer.text());
                assert!(!answer.body.is_empty(), "{}", case.name);
            } else {
                assert_eq!(case.http, 413, "{}", case.name);
            }
        }
        assert_nothing_stored(&node, case.name).await;
        assert_next_good_request_works(&node, number, case.name).await;
    }
}

async fn send_lenient(
    node: &Node,
    request: http::request::Builder,
    body: Body,
) -> Option<crate::client::Answer> {
    let sending = send(node.addresses.otlp_http, request, body);
    futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(sending)).await.ok()
}

#[tokio::test]
async fn over_grpc() {
    let node = start().await;
    for (number, case) in (20..).zip(cases()) {
        if case.content_type == "application/json" {
            continue;
        }
        let mut framed = vec![u8::from(case.encoding != "identity")];
        framed.extend(u32::try_from(case.body.len()).unwrap().to_be_bytes());
        framed.extend(&case.body);
        let request = Request::post(api::otlp::grpc::EXPORT_PATH)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", case.encoding);
        let answer = send_http2(node.addresses.otlp_grpc, request, Body::from(framed)).await;
        assert_eq!(answer.grpc_status(), case.grpc as i32, "{}", case.name);
        assert_nothing_stored(&node, case.name).await;
        assert_next_good_request_works(&node, number, case.name).await;
    }
}

#[tokio::test]
async fn grpc_frames_that_lie_about_their_length() {
    let node = start().await;
    let good = good_request(9).0;
    let length = u32::try_from(good.len()).unwrap();
    let framed = |flag: u8, length: u32| [&[flag][..], &length.to_be_bytes(), &good].concat();
    let twice = [framed(0, length), framed(0, length)].concat();
    for body in [
        Vec::new(),
        vec![0, 0],
        framed(0, length - 1),
        framed(0, u32::MAX),
        framed(7, length),
        twice,
    ] {
        let request = Request::post(api::otlp::grpc::EXPORT_PATH)
            .header("content-type", "application/grpc+proto");
        let answer = send_http2(node.addresses.otlp_grpc, request, Body::from(body)).await;
        assert_eq!(answer.grpc_status(), Code::InvalidArgument as i32);
        assert_nothing_stored(&node, "frames").await;
    }
}

#[tokio::test]
async fn absurd_times_and_text_that_is_not_utf_8_are_legal() {
    let node = start().await;
    let message = request(|writer| {
        writer.bytes_field(5, b"\xff\xfe");
        writer.fixed64_field(7, u64::MAX);
        writer.fixed64_field(8, 1);
    });
    let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
    let answer = send(node.addresses.otlp_http, request, Body::from(message)).await;
    assert_eq!(answer.status, 200);
    let spans = node.spans(TraceId([3; 16])).await;
    assert_eq!((spans[0].start.0, spans[0].end.0), (u64::MAX, 1));
    assert_eq!(spans[0].name.as_bytes(), b"\xff\xfe");
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_leaves_nothing() {
    let node = start().await;
    let (good, trace_id) = good_request(9);
    let half = Bytes::copy_from_slice(&good[..good.len() / 2]);
    let broken = Err(std::io::Error::other("gone"));
    let body = Body::from_stream(futures_util::stream::iter([Ok(half), broken]));
    let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
    assert!(send_lenient(&node, request, body).await.is_none());
    assert!(node.spans(trace_id).await.is_empty());
    assert_next_good_request_works(&node, 20, "a client that left").await;
}

/// The first bytes tell HTTP/1 from HTTP/2; a client that keeps some of them to itself holds a
/// place that others wait for.
#[tokio::test]
async fn a_connection_that_does_not_say_what_it_speaks_is_hung_up_on() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let node = start().await;
    let mut stream = tokio::net::TcpStream::connect(node.addresses.health).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    // Time passes while nobody has anything to do.
    tokio::time::pause();
    let read = tokio::time::timeout(limits::FIRST_BYTE_TIMEOUT, stream.read(&mut [0; 1])).await;
    assert_eq!(read.expect("it is kept").unwrap(), 0);
}
