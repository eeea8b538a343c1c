//! OTLP over HTTP, end to end.

use std::io::Write;

use axum::body::Body;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::Request;
use model::TraceId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;

use crate::client::{Node, good_request, in_pieces, send, start, start_with};
use crate::recorded;
use crate::reference::walk;

const PROTOBUF: &str = "application/x-protobuf";

fn post(content_type: &str) -> http::request::Builder {
    Request::post("/v1/traces").header("content-type", content_type)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Encode<'a> = dyn Fn(&[u8]) -> Vec<u8> + 'a;

async fn assert_stored(node: &Node, message: &[u8]) {
    let (spans, _) = walk(message).unwrap();
    let mut by_trace = std::collections::BTreeMap::<TraceId, Vec<_>>::new();
    for span in spans {
        by_trace.entry(span.trace_id).or_default().push(span);
    }
    for (trace_id, mut spans) in by_trace {
        let mut stored = node.spans(trace_id).await;
        spans.sort_by_cached_key(model::canonical::fingerprint);
        stored.sort_by_cached_key(model::canonical::fingerprint);
        assert_eq!(stored, spans);
    }
}

#[tokio::test]
async fn a_recorded_request_is_stored_however_it_is_sent() {
    let messages = recorded::hipster();
    let json = |message: &[u8]| serde_json::to_vec(&TracesData::decode(message).unwrap()).unwrap();
    let plain = |message: &[u8]| message.to_vec();
    let zstd = |message: &[u8]| zstd::encode_all(message, 1).unwrap();
    let ways: [(&str, &str, &Encode<'_>); 7] = [
        (PROTOBUF, "identity", &plain),
        ("application/x-protobuf; charset=utf-8", "gzip", &gzip),
        (PROTOBUF, "deflate", &zlib),
        (PROTOBUF, "zlib", &zlib),
        (PROTOBUF, "zstd", &zstd),
        ("application/json; charset=utf-8", "", &json),
        ("application/json", "gzip", &|message| gzip(&json(message))),
    ];
    for ((content_type, encoding, encode), message) in ways.into_iter().zip(&messages) {
        let node = start().await;
        let body = encode(message);
        let request = post(content_type).header("content-encoding", encoding);
        let answer = send(node.addresses.otlp_http, request, in_pieces(&body, 10_000)).await;
        assert_eq!(answer.status, 200, "{content_type} {encoding}: {}", answer.text());
        let is_json = content_type.starts_with("application/json");
        assert_eq!(answer.text(), if is_json { "{}" } else { "" });
        let answered = answer.header("content-type");
        assert_eq!(answered, if is_json { "application/json" } else { PROTOBUF });
        assert_stored(&node, message).await;
    }
}

#[tokio::test]
async fn rejected_spans_are_counted_in_the_answer() {
    let node = start().await;
    let (good, trace_id) = good_request(1);
    let mut bad = TracesData::decode(good.as_slice()).unwrap();
    bad.resource_spans[0].scope_spans[0].spans[0].span_id = vec![0; 8];
    let mut both = good;
    both.extend(bad.encode_to_vec());
    let answer = send(node.addresses.otlp_http, post(PROTOBUF), Body::from(both.clone())).await;
    assert_eq!(answer.status, 200);
    let response = ExportTraceServiceResponse::decode(answer.body).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("span id"), "{}", partial.error_message);
    assert_eq!(node.spans(trace_id).await.len(), 1);
    assert_eq!(node.meter.spans_taken(), 1, "spans that were taken, without those that were not");

    let json = serde_json::to_vec(&TracesData::decode(both.as_slice()).unwrap()).unwrap();
    let answer = send(node.addresses.otlp_http, post("application/json"), json.into()).await;
    let text = answer.text();
    assert!(text.starts_with(r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"1 spa"#));
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
}

#[tokio::test]
async fn overload_is_said_with_a_time_to_come_back() {
    let node = start().await;
    node.store.set_overloaded(true);
    let (good, trace_id) = good_request(2);
    let answer = send(node.addresses.otlp_http, post(PROTOBUF), good.clone().into()).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "1");
    node.store.set_overloaded(false);
    assert_eq!(node.spans(trace_id).await.len(), 0);
    let answer = send(node.addresses.otlp_http, post(PROTOBUF), good.into()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(node.spans(trace_id).await.len(), 1);
}

#[tokio::test]
async fn methods_types_and_paths_are_held_to() {
    let node = start().await;
    let at = node.addresses.otlp_http;
    let answer = send(at, Request::get("/v1/traces"), Body::empty()).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    let answer = send(at, post("text/plain"), Body::from("x")).await;
    assert_eq!(answer.status, 415);
    let answer = send(at, Request::post("/v1/traces"), Body::from("x")).await;
    assert_eq!(answer.status, 415);
    let request = post(PROTOBUF).header("content-encoding", "br");
    assert_eq!(send(at, request, Body::from("x")).await.status, 415);
    let answer = send(at, Request::post("/v1/metrics"), Body::empty()).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn pages_of_a_named_origin_may_send() {
    let node = start().await;
    for (origin, allowed) in [("https://shop.example", true), ("https://other.example", false)] {
        let request = Request::options("/v1/traces")
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        let answer = send(node.addresses.otlp_http, request, Body::empty()).await;
        let answered = answer.header("access-control-allow-origin");
        assert_eq!(answered, if allowed { origin } else { "" });
    }
}

#[tokio::test]
async fn tenants_are_kept_apart() {
    let name = http::HeaderName::from_static("x-tenant");
    let tenancy = api::tenant::Tenancy::Header { name, allowed: None };
    let node = start_with(tenancy, model::admin::Readiness::Ready).await;
    let (good, trace_id) = good_request(3);
    let answer = send(node.addresses.otlp_http, post(PROTOBUF), good.clone().into()).await;
    assert_eq!(answer.status, 401);
    let request = post(PROTOBUF).header("x-tenant", "acme");
    assert_eq!(send(node.addresses.otlp_http, request, good.into()).await.status, 200);
    let tenant = |name| model::Tenant::new(name).unwrap();
    assert_eq!(node.spans_of(tenant("acme"), trace_id).await.len(), 1);
    assert_eq!(node.spans_of(tenant("other"), trace_id).await.len(), 0);
    let raw = format!("/api/skua/v1/traces/{trace_id}");
    let read = async |tenant: Option<&str>| {
        let request = Request::get(&raw);
        let request = match tenant {
            Some(name) => request.header("x-tenant", name),
            None => request,
        };
        let answer = send(node.addresses.ui, request, Body::empty()).await;
        (answer.status.as_u16(), answer.text())
    };
    assert_eq!(read(None).await, (401, "missing tenant header".to_owned()));
    assert_eq!(read(Some("other")).await.0, 404);
    assert_eq!(read(Some("acme")).await.0, 200);
}
