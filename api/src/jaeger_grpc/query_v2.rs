//! `jaeger.api_v2.QueryService`, as Jaeger's own query service answers.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::any;
use model::aggregate::DependencyEdge;
use model::{Answer, Text, TimeRange, TraceStore};
use tonic::Status;

use super::calls::{Asked, admission, ask, only_grpc, streamed, unary};
use super::found::{Found, Ready, Rendering, Repairs, by_id};
use super::messages::api_v2::{
    ArchiveTraceRequest, DependencyLink, FindTracesRequest, GetDependenciesRequest,
    GetDependenciesResponse, GetOperationsRequest, GetOperationsResponse, GetServicesResponse,
    GetTraceRequest, Nothing, Operation,
};
use super::messages::standard::Timestamp;
use super::question::{self, absence, refusal, text};
use crate::ingest::Admission;
use crate::read_context::ReadContext;

/// The service's full name.
pub const SERVICE: &str = "jaeger.api_v2.QueryService";

/// What the calls of the query services share.
#[derive(Debug, Clone)]
pub(super) struct Door<S: TraceStore> {
    /// Where answers come from.
    pub(super) context: ReadContext<S>,
    /// Room for requests.
    pub(super) admission: Admission,
}

impl<S: TraceStore> Door<S> {
    /// A door of its own room.
    pub(super) fn new(context: ReadContext<S>) -> Self {
        Self { context, admission: admission() }
    }
}

/// The service's methods. Expects the tenant in each request's extensions; the caller answers
/// for every other path.
pub fn router<S: TraceStore>(context: ReadContext<S>) -> Router {
    Router::new()
        .route("/jaeger.api_v2.QueryService/GetTrace", any(get_trace::<S>))
        .route("/jaeger.api_v2.QueryService/ArchiveTrace", any(archive_trace::<S>))
        .route("/jaeger.api_v2.QueryService/FindTraces", any(find_traces::<S>))
        .route("/jaeger.api_v2.QueryService/GetServices", any(get_services::<S>))
        .route("/jaeger.api_v2.QueryService/GetOperations", any(get_operations::<S>))
        .route("/jaeger.api_v2.QueryService/GetDependencies", any(get_dependencies::<S>))
        .layer(from_fn(only_grpc))
        .with_state(Door::new(context))
}

async fn get_trace<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    streamed(trace(&door, request).await)
}

async fn trace<S: TraceStore>(door: &Door<S>, request: Request) -> Result<Ready, Status> {
    let Asked { message, extensions } = ask::<GetTraceRequest>(&door.admission, request).await?;
    let trace_id = question::trace_id(&message.trace_id)?;
    let read = door.context.begin(&extensions, false)?;
    let rendering = Rendering::ApiV2(repairs(&door.context, message.raw_traces));
    let (messages, gaps) = by_id(&door.context, &read, trace_id, rendering).await?;
    let messages = messages.ok_or_else(|| absence(&gaps.store))?;
    Ok(Ready { messages, gaps })
}

async fn archive_trace<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    unary(archive(&door, request).await)
}

async fn archive<S: TraceStore>(
    door: &Door<S>,
    request: Request,
) -> Result<Answer<Nothing>, Status> {
    let asked = ask::<ArchiveTraceRequest>(&door.admission, request).await?;
    let trace_id = question::trace_id(&asked.message.trace_id)?;
    let read = door.context.begin(&asked.extensions, false)?;
    let tenant = read.scope.tenant.clone();
    if !door.context.store.archive(tenant, trace_id).await.map_err(refusal)? {
        return Err(Status::not_found("trace not found"));
    }
    Ok(Answer::complete(Nothing {}))
}

async fn find_traces<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    streamed(traces(&door, request).await)
}

async fn traces<S: TraceStore>(door: &Door<S>, request: Request) -> Result<Found, Status> {
    let Asked { message, extensions } = ask::<FindTracesRequest>(&door.admission, request).await?;
    let params = question::of_v2(message.query)?;
    let read = door.context.begin(&extensions, false)?;
    let rendering = Rendering::ApiV2(repairs(&door.context, params.raw));
    Found::begin(&door.context, read, &params, rendering).await
}

/// What is repaired, as this node is set up.
pub(super) fn repairs<S: TraceStore>(context: &ReadContext<S>, raw: bool) -> Repairs {
    Repairs { raw, clock_skew_max: context.limits.clock_skew_max }
}

async fn get_services<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    unary(services(&door, request).await)
}

/// The services; the same in all versions of the API.
pub(super) async fn services<S: TraceStore>(
    door: &Door<S>,
    request: Request,
) -> Result<Answer<GetServicesResponse>, Status> {
    let asked = ask::<Nothing>(&door.admission, request).await?;
    let read = door.context.begin(&asked.extensions, false)?;
    let answer = door.context.store.services(read.scope.clone()).await.map_err(refusal)?;
    Ok(answer.map(|names| GetServicesResponse { services: names.iter().map(text).collect() }))
}

async fn get_operations<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let response = |operations: Vec<Operation>| {
        let names: BTreeSet<String> =
            operations.iter().map(|operation| operation.name.clone()).collect();
        GetOperationsResponse { operation_names: names.into_iter().collect(), operations }
    };
    unary(operations(&door, request).await.map(|answer| answer.map(response)))
}

/// The operations of a service; the same in all versions of the API.
pub(super) async fn operations<S: TraceStore>(
    door: &Door<S>,
    request: Request,
) -> Result<Answer<Vec<Operation>>, Status> {
    let asked = ask::<GetOperationsRequest>(&door.admission, request).await?;
    let GetOperationsRequest { service, span_kind } = asked.message;
    let read = door.context.begin(&asked.extensions, false)?;
    let service = (!service.is_empty()).then(|| Text::from(service.as_str()));
    let answer = door.context.store.operations(read.scope.clone(), service).await;
    Ok(question::of_kind(answer.map_err(refusal)?, &span_kind))
}

async fn get_dependencies<S: TraceStore>(
    State(door): State<Door<S>>,
    request: Request,
) -> Response {
    let link = |edge: &DependencyEdge| DependencyLink {
        parent: text(&edge.parent),
        child: text(&edge.child),
        call_count: edge.calls,
        source: String::new(),
    };
    let response = |edges: Vec<DependencyEdge>| GetDependenciesResponse {
        dependencies: edges.iter().map(link).collect(),
    };
    let answer = dependencies(&door, request, question::dependencies_window).await;
    unary(answer.map(|answer| answer.map(response)))
}

/// The calls between services; the same in all versions of the API but for what makes a window.
pub(super) async fn dependencies<S: TraceStore>(
    door: &Door<S>,
    request: Request,
    window: fn(Option<Timestamp>, Option<Timestamp>) -> Result<TimeRange, Status>,
) -> Result<Answer<Vec<DependencyEdge>>, Status> {
    let asked = ask::<GetDependenciesRequest>(&door.admission, request).await?;
    let window = window(asked.message.start_time, asked.message.end_time)?;
    let read = door.context.begin(&asked.extensions, false)?;
    door.context.store.dependencies(read.scope.clone(), window).await.map_err(refusal)
}
