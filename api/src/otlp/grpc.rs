//! OTLP over gRPC: `opentelemetry.proto.collector.trace.v1.TraceService/Export`.
//!
//! The call is unary and its message is never decoded into a struct, so the gRPC framing (one
//! prefix of five bytes, status in the trailers) is spoken here directly, on the same HTTP/2
//! server as everything else. That keeps every byte of a request under
//! [`Admission`](crate::ingest::Admission) from the first frame on, before and after
//! decompression, which a codec behind a generic server would see only afterwards.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use model::TraceStore;

use super::response;
use crate::error::ApiError;
use crate::ingest::{
    Accepted, Format, Protocol, Receiver, Refused, WriteRequest, body, framing, record,
};
use crate::limits;
use crate::tenant::Tenancy;

/// The path of the one method.
pub const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

struct Door<S: TraceStore> {
    receiver: Receiver<S>,
    tenancy: Tenancy,
}

impl<S: TraceStore> Clone for Door<S> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), tenancy: self.tenancy.clone() }
    }
}

/// The service's full name.
pub const SERVICE: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

/// The service, and UNIMPLEMENTED for every other method.
pub fn router<S: TraceStore>(receiver: Receiver<S>, tenancy: Tenancy) -> Router {
    method(receiver, tenancy).fallback(async || framing::unimplemented())
}

/// The service alone; the caller answers for every other path.
pub fn method<S: TraceStore>(receiver: Receiver<S>, tenancy: Tenancy) -> Router {
    Router::new().route(EXPORT_PATH, any(export::<S>)).with_state(Door { receiver, tenancy })
}

async fn export<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    if let Some(answer) = framing::not_grpc(request.headers()) {
        return answer;
    }
    let started = door.receiver.clock().monotonic();
    let mut body_bytes = 0;
    let deadline = framing::deadline_of(request.headers(), limits::WRITE_DEADLINE);
    let taken = tokio::time::timeout(deadline, take(&door, request, &mut body_bytes)).await;
    let result = taken.unwrap_or(Err(ApiError::Deadline.into()));
    let took = door.receiver.clock().monotonic().since(started);
    record(Protocol::OTLP_GRPC, &result, body_bytes, took);
    match result {
        Ok(accepted) => framing::answer(&response::export_response(&accepted)),
        Err(refused) => framing::refusal(&refused.error.to_status()),
    }
}

async fn take<S: TraceStore>(
    door: &Door<S>,
    request: Request,
    body_bytes: &mut usize,
) -> Result<Accepted, Refused> {
    let (head, body) = request.into_parts();
    let tenant = door.tenancy.tenant(&head.headers)?;
    let mut admitted = door.receiver.admission().enter()?;
    let bytes_max = limits::REQUEST_BYTES_MAX + framing::PREFIX_BYTES;
    let framed = body::read(body, bytes_max, framing::frame_bytes, &mut admitted).await?;
    *body_bytes = framed.len();
    let (body, encoding) = framing::unframe(&head.headers, &framed)?;
    let request = WriteRequest { tenant, body, encoding, format: Format::Protobuf, admitted };
    door.receiver.receive(request).await
}
