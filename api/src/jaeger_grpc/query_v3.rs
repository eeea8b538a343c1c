//! `jaeger.api_v3.QueryService`: traces as OTLP.

use axum::Router;
use axum::middleware::from_fn;
use model::{TraceId, TraceStore};

use super::calls::{Door, many, one, only_grpc};
use super::found::Rendering;
use super::queries::{dependencies, get_operations, services, summaries, trace, traces};
use super::question;
use crate::read_context::ReadContext;

/// The service's full name.
pub const SERVICE: &str = "jaeger.api_v3.QueryService";

/// The service's methods. Expects the tenant in each request's extensions; the caller answers
/// for every other path.
pub fn router<S: TraceStore>(context: ReadContext<S>) -> Router {
    let get_trace = many(|door: Door<S>, request| {
        trace(door, request, question::trace_id_digits, Rendering::Otlp)
    });
    let find_traces =
        many(|door: Door<S>, request| traces(door, request, question::of_v3, Rendering::Otlp));
    let digits = |id: TraceId| id.to_string().into_bytes();
    let find_summaries =
        many(move |door: Door<S>, request| summaries(door, request, question::of_v3, digits));
    let get_dependencies =
        one(|door: Door<S>, request| dependencies(door, request, question::ordered_window));
    Router::new()
        .route("/jaeger.api_v3.QueryService/GetTrace", get_trace)
        .route("/jaeger.api_v3.QueryService/FindTraces", find_traces)
        .route("/jaeger.api_v3.QueryService/FindTraceSummaries", find_summaries)
        .route("/jaeger.api_v3.QueryService/GetServices", one(services::<S>))
        .route("/jaeger.api_v3.QueryService/GetOperations", one(get_operations::<S>))
        .route("/jaeger.api_v3.QueryService/GetDependencies", get_dependencies)
        .layer(from_fn(only_grpc))
        .with_state(Door::new(context))
}
