//! OTLP over HTTP: `POST /v1/traces`, protobuf or JSON, answered in kind.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use model::TraceStore;

use super::door::Door;
use super::response;
use crate::error::{ApiError, retry_after_seconds};
use crate::ingest::{
    Accepted, Encoding, Format, Protocol, Receiver, Refused, WriteRequest, body, record,
};
use crate::limits;
use crate::tenant::Tenancy;

/// The path, and 404 for every other one.
pub fn router<S: TraceStore>(receiver: Receiver<S>, tenancy: Tenancy) -> Router {
    Router::new()
        .route("/v1/traces", any(export::<S>))
        .fallback(async || plain(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()))
        .with_state(Door { receiver, tenancy })
}

async fn export<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let format = match format_of(request.headers()) {
        _ if request.method() != Method::POST => Err(ApiError::Method { expected: "POST" }),
        Some(format) => Ok(format),
        None => Err(ApiError::ContentType { expected: "application/x-protobuf, application/json" }),
    };
    let format = match format {
        Ok(format) => format,
        Err(error) => {
            let response = unspoken_refusal(&error);
            record(Protocol::OTLP_HTTP_UNKNOWN, &Err(error.into()), 0, model::Duration(0));
            return response;
        }
    };
    let started = door.receiver.clock().monotonic();
    let mut body_bytes = 0;
    let taking = take(&door, request, format, &mut body_bytes);
    let taken = tokio::time::timeout(limits::WRITE_DEADLINE, taking).await;
    let result = taken.unwrap_or(Err(ApiError::Deadline.into()));
    let took = door.receiver.clock().monotonic().since(started);
    let protocol = match format {
        Format::Protobuf => Protocol::OTLP_HTTP_PROTOBUF,
        Format::Json => Protocol::OTLP_HTTP_JSON,
    };
    record(protocol, &result, body_bytes, took);
    match result {
        Ok(accepted) => success(&accepted, format),
        Err(refused) => refusal(&refused.error, format),
    }
}

/// The format that the content type names; parameters behind it do not matter.
fn format_of(headers: &HeaderMap) -> Option<Format> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence).trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Format::Protobuf),
        "application/json" => Some(Format::Json),
        _ => None,
    }
}

async fn take<S: TraceStore>(
    door: &Door<S>,
    request: Request,
    format: Format,
    body_bytes: &mut usize,
) -> Result<Accepted, Refused> {
    let (head, body) = request.into_parts();
    let tenant = door.tenancy.tenant(&head.headers)?;
    let encoding = match head.headers.get(header::CONTENT_ENCODING) {
        Some(name) => Encoding::from_name(name.as_bytes())?,
        None => Encoding::Identity,
    };
    let mut admitted = door.receiver.admission().enter()?;
    let body = body::read(body, limits::REQUEST_BYTES_MAX, |_| None, &mut admitted).await?;
    *body_bytes = body.len();
    let request = WriteRequest { tenant, body, encoding, format, admitted };
    door.receiver.receive(request).await
}

fn success(accepted: &Accepted, format: Format) -> Response {
    let body = match format {
        Format::Protobuf => Body::from(response::export_response(accepted)),
        Format::Json => Body::from(response::export_response_json(accepted)),
    };
    typed(StatusCode::OK, body, format)
}

fn refusal(error: &ApiError, format: Format) -> Response {
    let answer = error.answer();
    let (code, message) = (answer.code as i32, error.to_string());
    let body = match format {
        Format::Protobuf => Body::from(response::rpc_status(code, &message, answer.retry_after)),
        Format::Json => Body::from(response::rpc_status_json(code, &message)),
    };
    let mut response = typed(answer.status, body, format);
    if let Some(delay) = answer.retry_after {
        let seconds = HeaderValue::from(retry_after_seconds(delay));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn typed(status: StatusCode, body: Body, format: Format) -> Response {
    let content_type = match format {
        Format::Protobuf => "application/x-protobuf",
        Format::Json => "application/json",
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A refusal to a client whose format is not known.
fn unspoken_refusal(error: &ApiError) -> Response {
    let mut response = plain(error.answer().status, format!("{error}\n"));
    if let ApiError::Method { expected } = error {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(expected));
    }
    response
}

fn plain(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
