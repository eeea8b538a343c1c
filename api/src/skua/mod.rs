//! Skua's own API, under `/api/skua/v1/` on the UI's port.
//!
//! - `GET cluster`: nodes and shards as this node knows them.
//! - `GET traces/{id}`: a trace as it came in, as OTLP protobuf (`TracesData`), unadjusted.
//!
//! Every answer about traces says in a header whether it lacks something (QRY-2).

mod status;
mod traces;

use axum::Router;
use axum::routing::get;
use model::{ClusterAdmin, TraceStore};

use crate::read_context::ReadContext;

/// The routes. Expects the tenant in each request's extensions.
pub fn router<S: TraceStore, A: ClusterAdmin>(context: ReadContext<S>, admin: A) -> Router {
    let status =
        Router::new().route("/api/skua/v1/cluster", get(status::show::<A>)).with_state(admin);
    let traces = Router::new()
        .route("/api/skua/v1/traces/{trace_id}", get(traces::raw::<S>))
        .with_state(context);
    status.merge(traces)
}
