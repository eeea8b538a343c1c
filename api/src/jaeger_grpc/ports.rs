//! Which services answer on which port.
//!
//! Every port has health and reflection, which need no tenant; everything that is not a method
//! of a port is refused as gRPC refuses it.

use axum::Router;
use axum::middleware::from_fn_with_state;
use model::TraceStore;

use super::calls::determine;
use super::health::Serving;
use super::{health, query_v2, query_v3, reflection};
use crate::ingest::{Receiver, framing};
use crate::otlp;
use crate::read_context::ReadContext;
use crate::sampling::Sampling;
use crate::tenant::Tenancy;

/// The query services (16685).
pub fn query<S: TraceStore>(context: ReadContext<S>, tenancy: Tenancy, serving: Serving) -> Router {
    let calls = query_v2::router(context.clone()).merge(query_v3::router(context));
    port(calls, Some(tenancy), &[query_v2::SERVICE, query_v3::SERVICE], serving)
}

/// Remote storage (17271), with OTLP for what is to be stored, and with the address for purging
/// if that is allowed.
pub fn remote_storage<S: TraceStore>(
    context: ReadContext<S>,
    receiver: Receiver<S>,
    tenancy: Tenancy,
    allow_purge: bool,
    serving: Serving,
) -> Router {
    let store = context.store.clone();
    let reads = super::remote_storage::router(context)
        .layer(from_fn_with_state(tenancy.clone(), determine));
    let calls = reads
        .merge(otlp::grpc::method(receiver, tenancy.clone()))
        .merge(super::remote_storage::purge_router(store, tenancy, allow_purge));
    let [traces, dependencies, capabilities] = super::remote_storage::SERVICES;
    port(calls, None, &[traces, dependencies, capabilities, otlp::grpc::SERVICE], serving)
}

/// The sampling manager (5779). Strategies are no tenant's.
pub fn sampling(sampling: Sampling, serving: Serving) -> Router {
    port(super::sampling::router(sampling), None, &[super::sampling::SERVICE], serving)
}

/// The calls of a port, and what every port has besides.
fn port(
    calls: Router,
    tenancy: Option<Tenancy>,
    services: &[&'static str],
    serving: Serving,
) -> Router {
    let calls = match tenancy {
        Some(tenancy) => calls.layer(from_fn_with_state(tenancy, determine)),
        None => calls,
    };
    let described: Vec<&'static str> = services.iter().copied().chain([health::SERVICE]).collect();
    calls
        .merge(health::router(services, serving))
        .merge(reflection::router(&described))
        .fallback(async || framing::unimplemented())
}
