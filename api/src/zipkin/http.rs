//! Zipkin over HTTP, port 9411. Jaeger's receiver is one handler for every path and method, and
//! so is this.
//!
//! A path that contains `api/v1/spans` takes v1: Thrift with the content type
//! `application/x-thrift`, JSON with any other. Every other path takes v2: protobuf with
//! `application/x-protobuf`, JSON with any other. Statuses and bodies are Jaeger's: 202 without
//! a body, 400 with the reason for what cannot be read, and for what was read and not kept a JSON
//! string, 400 if for good and 500 if it can be tried again.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::TraceStore;

use super::{json, protobuf, thrift};
use crate::error::{ApiError, retry_after_seconds};
use crate::ingest::{Accepted, BodyError, Encoding, Protocol, Receiver, body, record};
use crate::jaeger_thrift::door::{Door, Failure, Foreign, Translate};
use crate::jaeger_thrift::http::{status_only, text};
use crate::limits;
use crate::tenant::Tenancy;

/// Every path. It answers all of them, so nothing can be merged with it.
pub fn router<S: TraceStore>(receiver: Receiver<S>, tenancy: Tenancy) -> Router {
    Router::new().fallback(submit::<S>).with_state(Door::new(receiver, tenancy))
}

/// A format and what it is counted as.
struct Format {
    translate: Translate,
    protocol: Protocol,
}

impl Format {
    fn of(head: &Parts) -> Self {
        let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_v1 = head.uri.path().contains("api/v1/spans");
        let (translate, name, transport): (Translate, _, _) = match (is_v1, content_type) {
            (true, Some(b"application/x-thrift")) => {
                (thrift::translate, "zipkin_v1_thrift", "http_v1_thrift")
            }
            (true, _) => (json::translate_v1, "zipkin_v1_json", "http_v1_json"),
            (false, Some(b"application/x-protobuf")) => {
                (protobuf::translate, "zipkin_v2_protobuf", "http_v2_proto")
            }
            (false, _) => (json::translate_v2, "zipkin_v2_json", "http_v2_json"),
        };
        Self { translate, protocol: Protocol { name, receiver: "zipkin", transport } }
    }
}

async fn submit<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let started = door.receiver.clock().monotonic();
    let mut body_bytes = 0;
    let (head, body) = request.into_parts();
    let format = Format::of(&head);
    let taking = take(&door, &head.headers, body, format.translate, &mut body_bytes);
    let taken = tokio::time::timeout(limits::WRITE_DEADLINE, taking).await;
    let result = taken.unwrap_or_else(|_| Err(ApiError::Deadline.into()));
    let answer = match &result {
        Ok(_) => status_only(StatusCode::ACCEPTED),
        Err(failure) => refusal(failure),
    };
    let took = door.receiver.clock().monotonic().since(started);
    record(format.protocol, &result.map_err(Failure::into_refused), body_bytes, took);
    answer
}

async fn take<S: TraceStore>(
    door: &Door<S>,
    headers: &HeaderMap,
    body: Body,
    translate: Translate,
    body_bytes: &mut usize,
) -> Result<Accepted, Failure> {
    let tenant = door.tenancy.tenant(headers)?;
    let mut admitted = door.receiver.admission().enter()?;
    let body = match body::read(body, limits::REQUEST_BYTES_MAX, |_| None, &mut admitted).await {
        Ok(body) => body,
        Err(BodyError::Overload(overload)) => return Err(overload.into()),
        Err(error) => return Err(Failure::Unread(error)),
    };
    *body_bytes = body.len();
    let encoding = encoding_of(headers, &body);
    door.take(Foreign { tenant, body, encoding, admitted }, translate).await
}

/// How the body is compressed. A body that does not begin as its encoding does is taken as it
/// is, and so is one of an encoding that nobody knows.
fn encoding_of(headers: &HeaderMap, body: &Bytes) -> Encoding {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        Some(b"gzip") if body.starts_with(&[0x1f, 0x8b]) => Encoding::Gzip,
        // The method is deflate, the window at most 32 KiB, and the first two bytes are a
        // multiple of 31.
        Some(b"deflate" | b"zlib") if is_zlib(body) => Encoding::Deflate,
        Some(b"zstd") => Encoding::Zstd,
        _ => Encoding::Identity,
    }
}

fn is_zlib(body: &[u8]) -> bool {
    match body.first_chunk::<2>() {
        Some(&[method, flags]) => {
            method & 0x0f == 8
                && method >> 4 <= 7
                && u16::from_be_bytes([method, flags]).is_multiple_of(31)
        }
        None => false,
    }
}

fn refusal(failure: &Failure) -> Response {
    let error = match failure {
        Failure::Unread(error) => return text(StatusCode::BAD_REQUEST, &error.to_string()),
        Failure::Header(what) => return text(StatusCode::BAD_REQUEST, what),
        Failure::Malformed(error) => return text(StatusCode::BAD_REQUEST, &error.to_string()),
        Failure::Refused(refused) => &refused.error,
    };
    if let ApiError::Tenant(error) = error {
        return text(StatusCode::UNAUTHORIZED, &error.to_string());
    }
    let answer = error.answer();
    let is_permanent = answer.retry_after.is_none() && answer.status.is_client_error();
    let (status, body) = if is_permanent {
        (StatusCode::BAD_REQUEST, r#""Bad Request""#)
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, r#""Internal Server Error""#)
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    // What Go finds out about such a body by itself.
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if let Some(delay) = answer.retry_after {
        let seconds = HeaderValue::from(retry_after_seconds(delay));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
