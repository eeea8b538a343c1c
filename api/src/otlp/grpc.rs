//! OTLP over gRPC: `opentelemetry.proto.collector.trace.v1.TraceService/Export`.
//!
//! The call is unary and its message is never decoded into a struct, so the gRPC framing (one
//! prefix of five bytes, status in the trailers) is spoken here directly, on the same HTTP/2
//! server as everything else. That keeps every byte of a request under
//! [`Admission`](crate::ingest::Admission) from the first frame on, before and after
//! decompression, which a codec behind a generic server would see only afterwards
//! (`ingest::unary`).

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use model::TraceStore;

use super::door::Door;
use super::response;
use crate::ingest::unary::{self, Unary};
use crate::ingest::{Format, Protocol, Receiver, WriteRequest, framing};
use crate::tenant::Tenancy;

/// The path of the one method.
pub const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

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
    let Door { receiver, tenancy } = &door;
    let taken = unary::write(receiver, tenancy, Protocol::OTLP_GRPC, request, |call| {
        let Unary { tenant, body, encoding, admitted } = call;
        let format = Format::Protobuf;
        receiver.receive(WriteRequest { tenant, body, encoding, format, admitted })
    });
    match taken.await {
        Ok(accepted) => framing::answer(&response::export_response(&accepted)),
        Err(answer) => answer,
    }
}
