//! Unary gRPC calls as raw bytes: the frame around the message, the client's deadline, and
//! answers with their trailers.
//!
//! The messages are never decoded into structs, so a service is a handler on the same HTTP/2
//! server as everything else, and every byte of a request is charged before it is kept.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tonic::Status;

use super::{BodyError, Encoding};

/// Compression flag and length in front of a message.
pub(crate) const PREFIX_BYTES: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

/// The answer to a method that is not served.
pub fn unimplemented() -> Response {
    refusal(&Status::unimplemented("unknown service or method"))
}

/// The answer to a request that is not gRPC, if it is not.
pub(crate) fn not_grpc(headers: &HeaderMap) -> Option<Response> {
    let content_type = headers.get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return None;
    }
    let mut response = Response::new(Body::from("this port speaks gRPC\n"));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(response)
}

/// Bytes of the whole frame, from its prefix.
pub(crate) fn frame_bytes(framed: &[u8]) -> Option<usize> {
    let (_, length) = framed.first_chunk::<PREFIX_BYTES>()?.split_first_chunk::<1>()?;
    let length: [u8; 4] = length.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()?.checked_add(PREFIX_BYTES)
}

/// The one message of a unary call and how it is compressed.
pub(crate) fn unframe(headers: &HeaderMap, framed: &Bytes) -> Result<(Bytes, Encoding), BodyError> {
    let encoding = match headers.get("grpc-encoding") {
        Some(name) => Encoding::from_name(name.as_bytes())?,
        None => Encoding::Identity,
    };
    let is_compressed = match (frame_bytes(framed), framed.first()) {
        (Some(bytes), Some(flag @ (0 | 1))) if bytes == framed.len() => *flag == 1,
        _ => return Err(BodyError::Frame),
    };
    let message = framed.slice(PREFIX_BYTES..);
    match (is_compressed, encoding) {
        (false, _) => Ok((message, Encoding::Identity)),
        (true, Encoding::Identity) => Err(BodyError::Frame),
        (true, encoding) => Ok((message, encoding)),
    }
}

/// How long the client waits, at most `longest`.
pub(crate) fn deadline_of(headers: &HeaderMap, longest: Duration) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| parse_timeout(value.to_str().ok()?));
    asked.unwrap_or(longest).min(longest)
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

/// Success with a message.
pub(crate) fn answer(message: &[u8]) -> Response {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame(message)).with_trailers(async { Some(Ok(trailers)) });
    streaming(Body::new(body))
}

/// A message in its frame, not compressed.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(0);
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

/// A response whose body is frames and then trailers.
pub(crate) fn streaming(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response.headers_mut().insert("grpc-accept-encoding", ACCEPT_ENCODING);
    response
}

/// A response of trailers only.
pub(crate) fn refusal(status: &Status) -> Response {
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
        let mut gzip = HeaderMap::new();
        gzip.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        let plain = HeaderMap::new();
        let of = |headers: &HeaderMap, bytes: &'static [u8]| {
            unframe(headers, &Bytes::from_static(bytes)).ok()
        };
        assert_eq!(of(&plain, &[0; 5]), Some((Bytes::new(), Encoding::Identity)));
        let seven = Bytes::from_static(&[7]);
        assert_eq!(of(&gzip, &[1, 0, 0, 0, 1, 7]), Some((seven.clone(), Encoding::Gzip)));
        assert_eq!(of(&gzip, &[0, 0, 0, 0, 1, 7]), Some((seven, Encoding::Identity)));
        assert_eq!(of(&plain, &[1, 0, 0, 0, 1, 7]), None);
        for bad in [&[][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 1], &[2, 0, 0, 0, 0], &[0; 6]] {
            assert_eq!(of(&plain, bad), None);
        }
        let mut waits = HeaderMap::new();
        waits.insert("grpc-timeout", HeaderValue::from_static("20m"));
        let longest = Duration::from_secs(1);
        assert_eq!(deadline_of(&waits, longest), Duration::from_millis(20));
        waits.insert("grpc-timeout", HeaderValue::from_static("123456789S"));
        assert_eq!(deadline_of(&waits, longest), longest);
    }
}
