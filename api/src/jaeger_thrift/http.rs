//! Thrift over HTTP, port 14268: `POST /api/traces` with a bare `jaeger.Batch` in the binary
//! protocol. Statuses and texts are Jaeger's.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::TraceStore;

use super::batch;
use super::binary::Binary;
use super::door::{Door, Failure, Foreign};
use crate::error::{ApiError, retry_after_seconds};
use crate::ingest::{Accepted, BodyError, Encoding, Protocol, Receiver, body, record};
use crate::limits;
use crate::tenant::Tenancy;

const PROTOCOL: Protocol =
    Protocol { name: "jaeger_thrift_http", receiver: "jaeger", transport: "collector_http" };

/// The path. What else is on this port (`/api/sampling`) is merged with it, and
/// [`not_found`] is for the rest.
pub fn router<S: TraceStore>(receiver: Receiver<S>, tenancy: Tenancy) -> Router {
    Router::new().route("/api/traces", post(submit::<S>)).with_state(Door::new(receiver, tenancy))
}

/// The answer for every other path.
pub fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

async fn submit<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let started = door.receiver.clock().monotonic();
    let mut body_bytes = 0;
    let taking = take(&door, request, &mut body_bytes);
    let taken = tokio::time::timeout(limits::WRITE_DEADLINE, taking).await;
    let result = taken.unwrap_or_else(|_| Err(ApiError::Deadline.into()));
    let answer = match &result {
        Ok(_) => status_only(StatusCode::ACCEPTED),
        Err(failure) => refusal(failure),
    };
    let took = door.receiver.clock().monotonic().since(started);
    record(PROTOCOL, &result.map_err(Failure::into_refused), body_bytes, took);
    answer
}

async fn take<S: TraceStore>(
    door: &Door<S>,
    request: Request,
    body_bytes: &mut usize,
) -> Result<Accepted, Failure> {
    let (head, body) = request.into_parts();
    let tenant = door.tenancy.tenant(&head.headers)?;
    let encoding = encoding_of(&head.headers)?;
    let mut admitted = door.receiver.admission().enter()?;
    let body = match body::read(body, limits::REQUEST_BYTES_MAX, |_| None, &mut admitted).await {
        Ok(body) => body,
        Err(BodyError::Overload(overload)) => return Err(overload.into()),
        Err(error) => return Err(Failure::Unread(error)),
    };
    *body_bytes = body.len();
    check_content_type(&head.headers)?;
    let foreign = Foreign { tenant, body, encoding, admitted };
    door.take(foreign, |bytes, arena| batch::translate::<Binary<'_>>(bytes, arena)).await
}

/// How the body is compressed.
fn encoding_of(headers: &HeaderMap) -> Result<Encoding, Failure> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => Ok(Encoding::Identity),
        Some(name) => Encoding::from_name(name).map_err(|error| Failure::Malformed(error.into())),
    }
}

/// Refuses a content type in Jaeger's words.
fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let unparsed = |why: &str| Failure::Header(format!("Cannot parse content type: mime: {why}"));
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let essence = value.map(|value| value.split_once(';').map_or(value, |(type_, _)| type_).trim());
    match essence {
        None | Some("") => Err(unparsed("no media type")),
        Some(essence) if !is_media_type(essence) => Err(unparsed("expected token after slash")),
        Some(essence) => {
            let essence = essence.to_ascii_lowercase();
            match essence.as_str() {
                "application/x-thrift" | "application/vnd.apache.thrift.binary" => Ok(()),
                other => Err(Failure::Header(format!("Unsupported content type: {other}"))),
            }
        }
    }
}

/// Whether text is a token, or two with a slash between.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|it| it.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&it))
    };
    text.split('/').count() <= 2 && text.split('/').all(is_token)
}

fn refusal(failure: &Failure) -> Response {
    match failure {
        Failure::Unread(error) => {
            let what = format!("Unable to process request body: {error}");
            text(StatusCode::INTERNAL_SERVER_ERROR, &escaped(&what))
        }
        Failure::Header(what) => text(StatusCode::BAD_REQUEST, &escaped(what)),
        Failure::Malformed(error) => {
            let what = format!("Unable to process request body: {error}");
            text(StatusCode::BAD_REQUEST, &escaped(&what))
        }
        Failure::Refused(refused) => match &refused.error {
            ApiError::Tenant(error) => text(StatusCode::UNAUTHORIZED, &error.to_string()),
            error => {
                let what = format!("Cannot submit Jaeger batch: {error}");
                let mut response = text(StatusCode::INTERNAL_SERVER_ERROR, &what);
                if let Some(delay) = error.answer().retry_after {
                    let seconds = HeaderValue::from(retry_after_seconds(delay));
                    response.headers_mut().insert(header::RETRY_AFTER, seconds);
                }
                response
            }
        },
    }
}

/// Text for a page, as Go escapes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

/// A line of text as Go's HTTP server answers errors.
pub(crate) fn text(status: StatusCode, line: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{line}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A status and nothing else.
pub(crate) fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
