//! `jaeger.api_v2.CollectorService/PostSpans`, port 14250.
//!
//! The answer has no field for spans that were rejected, so a request of which some were kept
//! succeeds; the others are counted.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use model::TraceStore;

use super::batch;
use crate::error::ApiError;
use crate::ingest::{Accepted, Protocol, Receiver, Refused, body, framing, record};
use crate::jaeger_thrift::door::{Door, Failure, Foreign};
use crate::limits;
use crate::tenant::Tenancy;

/// The path of the one method.
pub const POST_SPANS_PATH: &str = "/jaeger.api_v2.CollectorService/PostSpans";

const PROTOCOL: Protocol = Protocol { name: "jaeger_grpc", receiver: "jaeger", transport: "grpc" };

/// The service. What else is on this port is merged with it; the caller answers for the rest.
pub fn router<S: TraceStore>(receiver: Receiver<S>, tenancy: Tenancy) -> Router {
    Router::new()
        .route(POST_SPANS_PATH, any(post_spans::<S>))
        .with_state(Door::new(receiver, tenancy))
}

async fn post_spans<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    if let Some(answer) = framing::not_grpc(request.headers()) {
        return answer;
    }
    let started = door.receiver.clock().monotonic();
    let mut body_bytes = 0;
    let deadline = framing::deadline_of(request.headers(), limits::WRITE_DEADLINE);
    let taken = tokio::time::timeout(deadline, take(&door, request, &mut body_bytes)).await;
    let result: Result<Accepted, Refused> =
        taken.unwrap_or_else(|_| Err(ApiError::Deadline.into())).map_err(Failure::into_refused);
    let took = door.receiver.clock().monotonic().since(started);
    record(PROTOCOL, &result, body_bytes, took);
    match result {
        Ok(_) => framing::answer(&[]),
        Err(refused) => framing::refusal(&refused.error.to_status()),
    }
}

async fn take<S: TraceStore>(
    door: &Door<S>,
    request: Request,
    body_bytes: &mut usize,
) -> Result<Accepted, Failure> {
    let (head, body) = request.into_parts();
    let tenant = door.tenancy.tenant(&head.headers)?;
    let mut admitted = door.receiver.admission().enter()?;
    let bytes_max = limits::REQUEST_BYTES_MAX + framing::PREFIX_BYTES;
    let framed = body::read(body, bytes_max, framing::frame_bytes, &mut admitted).await?;
    *body_bytes = framed.len();
    let (body, encoding) = framing::unframe(&head.headers, &framed)?;
    door.take(Foreign { tenant, body, encoding, admitted }, batch::translate).await
}
