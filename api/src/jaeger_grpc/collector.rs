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
use crate::ingest::unary::{self, Unary};
use crate::ingest::{Protocol, Receiver, framing};
use crate::jaeger_thrift::door::{Door, Failure, Foreign};
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
    let door = &door;
    let taken = unary::write(&door.receiver, &door.tenancy, PROTOCOL, request, |call| async move {
        let Unary { tenant, body, encoding, admitted } = call;
        let taken = door.take(Foreign { tenant, body, encoding, admitted }, batch::translate);
        taken.await.map_err(Failure::into_refused)
    });
    match taken.await {
        Ok(_) => framing::answer(&[]),
        Err(answer) => answer,
    }
}
