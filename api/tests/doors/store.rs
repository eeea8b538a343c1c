//! A store in memory behind a receiver, and what doors answer.

use std::sync::Arc;

use api::ingest::{Admission, Receiver};
use api::tenant::Tenancy;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode};
use http_body_util::BodyExt;
use model::budget::Budget;
use model::store::{ReadScope, TraceRequest};
use model::testing::{ManualClock, MemoryStore};
use model::{Clock, Duration, Span, Tenant, TraceId, TraceStore};
use tower::ServiceExt;

/// A store and its receiver.
pub(crate) struct Backend {
    pub(crate) store: MemoryStore,
    pub(crate) receiver: Receiver<MemoryStore>,
    clock: Arc<dyn Clock>,
}

pub(crate) fn backend() -> Backend {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::default()) as Arc<dyn Clock>);
    let receiver = Receiver::new(store.clone(), Arc::clone(&clock), Admission::default());
    Backend { store, receiver, clock }
}

impl Backend {
    /// The spans of a trace, none if the store does not know it.
    pub(crate) async fn spans(&self, trace_id: [u8; 16]) -> Vec<Span> {
        let deadline = self.clock.monotonic().plus(Duration::from_secs(1));
        let budget = Budget::new(Arc::clone(&self.clock), deadline, u64::MAX);
        let scope = ReadScope { tenant: Tenant::default(), budget, stale: false };
        let request = TraceRequest { scope, trace_id: TraceId(trace_id), spans_max: 1_000_000 };
        let trace = self.store.trace(request).await.unwrap().value;
        trace.map(|trace| trace.spans).unwrap_or_default()
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// gRPC's status, wherever it stands.
    pub(crate) fn grpc_status(&self) -> &str {
        let value = self.trailers.get("grpc-status").or(self.headers.get("grpc-status"));
        value.unwrap().to_str().unwrap()
    }
}

/// Sends a request with these headers to a router.
pub(crate) async fn post(
    router: &Router,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes();
    Answer { status: head.status, headers: head.headers, trailers, body }
}

/// Names and values.
pub(crate) type Headers<'a> = Vec<(&'a str, &'a str)>;

/// A header has to name the tenant.
pub(crate) fn by_header() -> Tenancy {
    Tenancy::Header { name: HeaderName::from_static("x-tenant"), allowed: None }
}

/// A body compressed with gzip.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A body compressed with zlib, which HTTP calls deflate.
pub(crate) fn zlib(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}
