//! `jaeger.api_v2.QueryService`, as Jaeger's own query service answers.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn;
use model::{Answer, TraceStore};
use tonic::Status;

use super::calls::{Door, many, one, only_grpc};
use super::found::Rendering;
use super::messages::api_v2::{GetOperationsResponse, GetTraceRequest, Nothing, Operation};
use super::queries::{dependencies, operations, services, trace, traces};
use super::question::{self, refusal};
use crate::read_context::ReadContext;

/// The service's full name.
pub const SERVICE: &str = "jaeger.api_v2.QueryService";

/// The service's methods. Expects the tenant in each request's extensions; the caller answers
/// for every other path.
pub fn router<S: TraceStore>(context: ReadContext<S>) -> Router {
    let get_trace =
        many(|door: Door<S>, request| trace(door, request, question::trace_id, Rendering::ApiV2));
    let find_traces =
        many(|door: Door<S>, request| traces(door, request, question::of_v2, Rendering::ApiV2));
    let get_dependencies =
        one(|door: Door<S>, request| dependencies(door, request, question::dependencies_window));
    Router::new()
        .route("/jaeger.api_v2.QueryService/GetTrace", get_trace)
        .route("/jaeger.api_v2.QueryService/ArchiveTrace", one(archive_trace::<S>))
        .route("/jaeger.api_v2.QueryService/FindTraces", find_traces)
        .route("/jaeger.api_v2.QueryService/GetServices", one(services::<S>))
        .route("/jaeger.api_v2.QueryService/GetOperations", one(get_operations::<S>))
        .route("/jaeger.api_v2.QueryService/GetDependencies", get_dependencies)
        .layer(from_fn(only_grpc))
        .with_state(Door::new(context))
}

async fn archive_trace<S: TraceStore>(
    door: Door<S>,
    request: Request,
) -> Result<Answer<Nothing>, Status> {
    let asked = door.ask::<GetTraceRequest>(request).await?;
    let trace_id = question::trace_id(&asked.message.trace_id)?;
    let read = door.context.begin(&asked.extensions, false)?;
    let tenant = read.scope.tenant.clone();
    if !door.context.store.archive(tenant, trace_id).await.map_err(refusal)? {
        return Err(Status::not_found("trace not found"));
    }
    Ok(Answer::complete(Nothing {}))
}

/// The operations of a service, and their names apart for old clients.
async fn get_operations<S: TraceStore>(
    door: Door<S>,
    request: Request,
) -> Result<Answer<GetOperationsResponse>, Status> {
    let response = |operations: Vec<Operation>| {
        let names: BTreeSet<String> =
            operations.iter().map(|operation| operation.name.clone()).collect();
        GetOperationsResponse { operation_names: names.into_iter().collect(), operations }
    };
    Ok(operations(door, request).await?.map(response))
}
