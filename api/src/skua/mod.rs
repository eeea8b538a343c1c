//! Skua's own API, under `/api/skua/v1/` on the UI's port.
//!
//! - `GET cluster`: nodes and shards as this node knows them.
//! - `GET traces/{id}`: a trace as it came in, as OTLP protobuf (`TracesData`), unadjusted.
//! - `GET traces/{id}/columns`: its structure in typed arrays.
//! - `POST traces/{id}/find`: which of its spans pass a predicate.
//! - `GET`, `POST search`: the free query, a line of JSON a trace.
//! - `POST aggregate`: figures over spans.
//! - `GET suggest/services`, `operations`, `keys`, `values`: names to choose from.
//!
//! Every answer about traces says in a header or in its body whether it lacks something (QRY-2).
//! The forms are told in chapter 10 of the documentation.

mod aggregate;
mod changes;
mod columns;
mod compaction;
mod cursor;
mod find;
mod limits;
mod parameters;
mod problem;
mod query_json;
mod search;
mod status;
mod suggest;
mod traces;

use axum::routing::{get, post};
use axum::{Extension, Router};
use model::{ClusterAdmin, TraceStore};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use self::status::DigestRoom;
use crate::read_context::ReadContext;

/// The routes. Expects the tenant in each request's extensions.
pub fn router<S: TraceStore, A: ClusterAdmin>(context: ReadContext<S>, admin: A) -> Router {
    let compaction = get(compaction::show::<A>).post(compaction::begin::<A>);
    let status = Router::new()
        .route("/api/skua/v1/cluster", get(status::show::<A>))
        .layer(Extension(DigestRoom::default()))
        .route("/api/skua/v1/admin/compact", compaction)
        .route("/api/skua/v1/admin/remove-node", post(changes::remove_node::<A>))
        .route("/api/skua/v1/admin/replication-factor", post(changes::set_replication_factor::<A>))
        .route("/api/skua/v1/admin/add-shards", post(changes::add_shards::<A>))
        .route("/api/skua/v1/admin/drain", post(changes::drain::<A>))
        .with_state(admin);
    let columns = get(columns::show::<S>)
        // The columns of a large trace are megabytes: nobody should wait for their packing.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    let reads = Router::new()
        .route("/api/skua/v1/traces/{trace_id}", get(traces::raw::<S>))
        .route("/api/skua/v1/traces/{trace_id}/columns", columns)
        .route("/api/skua/v1/traces/{trace_id}/find", post(find::rows::<S>))
        .route("/api/skua/v1/search", get(search::find::<S>).post(search::find::<S>))
        .route("/api/skua/v1/aggregate", post(aggregate::figures::<S>))
        .route("/api/skua/v1/suggest/services", get(suggest::services::<S>))
        .route("/api/skua/v1/suggest/operations", get(suggest::operations::<S>))
        .route("/api/skua/v1/suggest/keys", get(suggest::keys::<S>))
        .route("/api/skua/v1/suggest/values", get(suggest::values::<S>))
        .with_state(context);
    status.merge(reads)
}
