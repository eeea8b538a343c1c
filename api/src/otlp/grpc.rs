//! OTLP over gRPC: `opentelemetry.proto.collector.trace.v1.TraceService/Export`.
//!
//! The call is unary and its message is never decoded into a struct, so the gRPC framing (one
//! prefix of five bytes, status in the trailers) is spoken here directly, on the same HTTP/2
//! server as everything else. That keeps every byte of a request under
//! [`Admission`](crate::ingest::Admission) from the first frame on, before and after
//! decompression, which a codec behind a generic server would see only afterwards.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full};
use model::TraceStore;
use tonic::Status;

use super::response;
use super::wire::Writer;
use crate::error::ApiError;
use crate::ingest::{
    Accepted, BodyError, Encoding, Format, Protocol, Receiver, Refused, WriteRequest, body, record,
};
use crate::limits;
use crate::tenant::Tenancy;

/// The path of the one method.
pub const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Compression flag and length in front of a message.
const PREFIX_BYTES: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

struct Door<S: TraceStore> {
    receiver: Receiver<S>,
    tenancy: Tenancy,
}

impl<S: TraceStore> Clone for Door<S> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), tenancy: self.tenancy.clone() }
    }
}

/// The service, and UNIMPLEMENTED for every other method.
pub fn router<S: TraceStore>(receiver: Receiver<S>, tenancy: Tenancy) -> Router {
    Router::new()
        .route(EXPORT_PATH, any(export::<S>))
        .fallback(async || refusal(&Status::unimplemented("unknown service or method")))
        .with_state(Door { receiver, tenancy })
}

async fn export<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let is_grpc = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        let mut response = Response::new(Body::from("this port speaks gRPC\n"));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let started = door.receiver.clock().monotonic();
    let mut body_bytes = 0;
    let deadline = timeout_of(request.headers());
    let taken = tokio::time::timeout(deadline, take(&door, request, &mut body_bytes)).await;
    let result = taken.unwrap_or(Err(ApiError::Deadline.into()));
    let took = door.receiver.clock().monotonic().since(started);
    record(Protocol::OtlpGrpc, &result, body_bytes, took);
    match result {
        Ok(accepted) => success(&accepted),
        Err(refused) => refusal(&refused.error.to_status()),
    }
}

async fn take<S: TraceStore>(
    door: &Door<S>,
    request: Request,
    body_bytes: &mut usize,
) -> Result<Accepted, Refused> {
    let (head, body) = request.into_parts();
    let tenant = door.tenancy.tenant(&head.headers)?;
    let encoding = match head.headers.get("grpc-encoding") {
        Some(name) => Encoding::from_name(name.as_bytes())?,
        None => Encoding::Identity,
    };
    let mut admitted = door.receiver.admission().enter()?;
    let bytes_max = limits::REQUEST_BYTES_MAX + PREFIX_BYTES;
    let framed = body::read(body, bytes_max, frame_bytes, &mut admitted).await?;
    *body_bytes = framed.len();
    let (body, is_compressed) = unframe(&framed)?;
    let encoding = if is_compressed { encoding } else { Encoding::Identity };
    if is_compressed && encoding == Encoding::Identity {
        return Err(BodyError::Frame.into());
    }
    let request = WriteRequest { tenant, body, encoding, format: Format::Protobuf, admitted };
    door.receiver.receive(request).await
}

/// Bytes of the whole frame, from its prefix.
fn frame_bytes(framed: &[u8]) -> Option<usize> {
    let (_, length) = framed.first_chunk::<PREFIX_BYTES>()?.split_first_chunk::<1>()?;
    let length: [u8; 4] = length.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()?.checked_add(PREFIX_BYTES)
}

/// The one message of a unary call, and whether it is compressed.
fn unframe(framed: &Bytes) -> Result<(Bytes, bool), BodyError> {
    match (frame_bytes(framed), framed.first()) {
        (Some(bytes), Some(flag @ (0 | 1))) if bytes == framed.len() => {
            Ok((framed.slice(PREFIX_BYTES..), *flag == 1))
        }
        _ => Err(BodyError::Frame),
    }
}

/// How long the client waits, at most [`limits::WRITE_DEADLINE`].
fn timeout_of(headers: &HeaderMap) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| parse_timeout(value.to_str().ok()?));
    asked.unwrap_or(limits::WRITE_DEADLINE).min(limits::WRITE_DEADLINE)
}

/// `grpc-timeout`: up to eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn success(accepted: &Accepted) -> Response {
    let message = response::export_response(accepted);
    let mut framed = Writer { bytes: Vec::with_capacity(PREFIX_BYTES + message.len()) };
    framed.bytes.push(0);
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    framed.bytes.extend_from_slice(&length.to_be_bytes());
    framed.bytes.extend_from_slice(&message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(framed.bytes)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response.headers_mut().insert("grpc-accept-encoding", ACCEPT_ENCODING);
    response
}

/// A response of trailers only.
fn refusal(status: &Status) -> Response {
    let mut response: Response = status.clone().into_http();
    response.headers_mut().insert("grpc-accept-encoding", ACCEPT_ENCODING);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_digits_and_a_unit() {
        assert_eq!(parse_timeout("10S"), Some(Duration::from_secs(10)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(parse_timeout("5m"), Some(Duration::from_millis(5)));
        for bad in ["", "S", "1", "-1S", "123456789S", "1x", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn frames_have_to_match_their_message() {
        let unframed = |bytes: &'static [u8]| unframe(&Bytes::from_static(bytes)).ok();
        assert_eq!(unframed(&[0, 0, 0, 0, 0]), Some((Bytes::new(), false)));
        assert_eq!(unframed(&[1, 0, 0, 0, 1, 7]), Some((Bytes::from_static(&[7]), true)));
        for bad in [&[][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 1], &[2, 0, 0, 0, 0], &[0; 6]] {
            assert_eq!(unframed(bad), None);
        }
    }
}
