//! Zipkin's HTTP door: paths, content types, encodings, answers.

use api::tenant::Tenancy;
use api::zipkin::http::router;

use crate::store::{Headers, backend, by_header, gzip, post, zlib};
use crate::zipkin::{v1_thrift, v2_protobuf};

const V2: &[u8] = br#"[{"traceId":"0a","id":"0b"}]"#;
const V1: &[u8] = br#"[{"traceId":"000000000000000a","id":"000000000000000c"}]"#;

#[tokio::test]
async fn the_door_answers_as_jaeger_does() {
    let backend = backend();
    let router = router(backend.receiver.clone(), Tenancy::Off);
    let json = ("content-type", "application/json");
    let protobuf = ("content-type", "application/x-protobuf");
    let thrift = ("content-type", "application/x-thrift");
    let encoded = |name| ("content-encoding", name);
    let table: Vec<(&str, Headers<'_>, Vec<u8>, u16)> = vec![
        ("/api/v2/spans", vec![json], V2.to_vec(), 202),
        ("/api/v2/spans", vec![], V2.to_vec(), 202),
        ("/", vec![("content-type", "text/plain")], V2.to_vec(), 202),
        ("/api/v2/spans", vec![protobuf], v2_protobuf(), 202),
        ("/api/v1/spans", vec![json], V1.to_vec(), 202),
        ("/zipkin/api/v1/spans?x=y", vec![], V1.to_vec(), 202),
        ("/api/v1/spans", vec![thrift], v1_thrift(), 202),
        ("/api/v2/spans", vec![encoded("gzip")], gzip(V2), 202),
        ("/api/v2/spans", vec![encoded("deflate")], zlib(V2), 202),
        ("/api/v2/spans", vec![encoded("zlib")], zlib(V2), 202),
        // What is not compressed as it says, and what nobody knows, is taken as it is.
        ("/api/v2/spans", vec![encoded("gzip")], V2.to_vec(), 202),
        ("/api/v2/spans", vec![encoded("br")], V2.to_vec(), 202),
        ("/api/v2/spans", vec![json], b"[]".to_vec(), 202),
        ("/api/v2/spans", vec![json], V1[..20].to_vec(), 400),
        ("/api/v2/spans", vec![thrift], v1_thrift(), 400),
        ("/api/v1/spans", vec![protobuf], v2_protobuf(), 400),
        ("/api/v2/spans", vec![encoded("gzip")], gzip(V2)[..15].to_vec(), 400),
        ("/api/v2/spans", vec![], vec![b' '; api::limits::REQUEST_BYTES_MAX + 1], 400),
    ];
    for (path, headers, body, status) in table {
        let answer = post(&router, path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {headers:?}: {}", answer.text());
        assert_eq!(answer.body.is_empty(), status == 202, "{path} {headers:?}");
    }
    assert_eq!(backend.spans(10_u128.to_be_bytes()).await.len(), 2);
    assert_eq!(backend.spans([1; 16]).await.len(), 1);

    let strict = api::zipkin::http::router(backend.receiver.clone(), by_header());
    let answer = post(&strict, "/api/v2/spans", &[], V2.to_vec()).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (401, "missing tenant header\n"));
    let rejected = post(&router, "/api/v2/spans", &[], br#"[{"id":"1"}]"#.to_vec()).await;
    assert_eq!((rejected.status.as_u16(), rejected.text()), (400, "\"Bad Request\""));
    backend.store.set_overloaded(true);
    let refused = post(&router, "/api/v2/spans", &[], V2.to_vec()).await;
    assert_eq!((refused.status.as_u16(), refused.text()), (500, "\"Internal Server Error\""));
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_small_body_does_not_unfold_beyond_the_bound() {
    let backend = backend();
    let router = router(backend.receiver.clone(), Tenancy::Off);
    let bomb = gzip(&vec![b' '; api::limits::DECOMPRESSED_BYTES_MAX + 1]);
    let answer = post(&router, "/api/v2/spans", &[("content-encoding", "gzip")], bomb).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}
