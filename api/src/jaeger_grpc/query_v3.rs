//! `jaeger.api_v3.QueryService`: traces as OTLP.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::any;
use model::TraceStore;
use model::aggregate::DependencyEdge;
use model::store::{ServiceSummary as ModelService, TraceSummary as Summary};
use prost::Message as _;
use tonic::Status;

use super::calls::{Asked, ask, only_grpc, streamed, unary};
use super::found::{self, Found, Ready, Rendering, by_id};
use super::limits::SUMMARIES_MAX;
use super::messages::api_v3::{
    DependenciesResponse, Dependency, FindTraceSummariesResponse, FindTracesRequest,
    GetOperationsResponse, GetTraceRequest, ServiceSummary, TraceSummary,
};
use super::query_v2::{Door, dependencies, operations, repairs, services};
use super::question::{self, absence, text};
use crate::jaeger_http::trace_id;
use crate::read_context::ReadContext;

/// The service's full name.
pub const SERVICE: &str = "jaeger.api_v3.QueryService";

/// The service's methods. Expects the tenant in each request's extensions; the caller answers
/// for every other path.
pub fn router<S: TraceStore>(context: ReadContext<S>) -> Router {
    Router::new()
        .route("/jaeger.api_v3.QueryService/GetTrace", any(get_trace::<S>))
        .route("/jaeger.api_v3.QueryService/FindTraces", any(find_traces::<S>))
        .route("/jaeger.api_v3.QueryService/FindTraceSummaries", any(find_summaries::<S>))
        .route("/jaeger.api_v3.QueryService/GetServices", any(get_services::<S>))
        .route("/jaeger.api_v3.QueryService/GetOperations", any(get_operations::<S>))
        .route("/jaeger.api_v3.QueryService/GetDependencies", any(get_dependencies::<S>))
        .layer(from_fn(only_grpc))
        .with_state(Door::new(context))
}

async fn get_trace<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    streamed(trace(&door, request).await)
}

async fn trace<S: TraceStore>(door: &Door<S>, request: Request) -> Result<Ready, Status> {
    let Asked { message, extensions } = ask::<GetTraceRequest>(&door.admission, request).await?;
    let trace_id = trace_id::parse(&message.trace_id)
        .map_err(|error| Status::invalid_argument(format!("malformed trace ID: {error}")))?;
    let read = door.context.begin(&extensions, false)?;
    let rendering = Rendering::Otlp(repairs(&door.context, message.raw_traces));
    let (messages, gaps) = by_id(&door.context, &read, trace_id, rendering).await?;
    let messages = messages.ok_or_else(|| absence(&gaps.store))?;
    Ok(Ready { messages, gaps })
}

async fn find_traces<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    streamed(traces(&door, request).await)
}

async fn traces<S: TraceStore>(door: &Door<S>, request: Request) -> Result<Found, Status> {
    let Asked { message, extensions } = ask::<FindTracesRequest>(&door.admission, request).await?;
    let params = question::of_v3(message.query)?;
    let read = door.context.begin(&extensions, false)?;
    let rendering = Rendering::Otlp(repairs(&door.context, params.raw));
    Found::begin(&door.context, read, &params, rendering).await
}

async fn find_summaries<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    streamed(summaries(&door, request).await)
}

async fn summaries<S: TraceStore>(door: &Door<S>, request: Request) -> Result<Ready, Status> {
    let Asked { message, extensions } = ask::<FindTracesRequest>(&door.admission, request).await?;
    let params = question::of_v3(message.query)?;
    let read = door.context.begin(&extensions, false)?;
    let (hits, completeness) = found::summaries(&door.context, &read, &params).await?;
    let batch = |hits: &[model::store::Hit]| {
        let summaries = hits.iter().map(|hit| summary(&hit.summary)).collect();
        FindTraceSummariesResponse { summaries }.encode_to_vec()
    };
    let messages = hits.chunks(SUMMARIES_MAX).map(batch).collect();
    Ok(Ready { messages, gaps: completeness.into() })
}

fn summary(summary: &Summary) -> TraceSummary {
    TraceSummary {
        trace_id: summary.trace_id.to_string(),
        root_service_name: text(&summary.root_service),
        root_operation_name: text(&summary.root_operation),
        min_start_time_unix_nano: summary.start.0,
        max_end_time_unix_nano: summary.end.0,
        span_count: count(summary.span_count),
        error_span_count: count(summary.error_count),
        orphan_span_count: count(summary.orphan_count),
        services: summary.services.iter().map(service).collect(),
    }
}

/// A service's share of a trace.
pub(super) fn service(service: &ModelService) -> ServiceSummary {
    ServiceSummary {
        name: text(&service.service),
        span_count: count(service.span_count),
        error_span_count: count(service.error_count),
    }
}

/// A count as far as the contract's numbers go.
pub(super) fn count(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

async fn get_services<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    unary(services(&door, request).await)
}

async fn get_operations<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let response = |operations| GetOperationsResponse { operations };
    unary(operations(&door, request).await.map(|answer| answer.map(response)))
}

async fn get_dependencies<S: TraceStore>(
    State(door): State<Door<S>>,
    request: Request,
) -> Response {
    let dependency = |edge: &DependencyEdge| Dependency {
        parent: text(&edge.parent),
        child: text(&edge.child),
        call_count: edge.calls,
    };
    let response = |edges: Vec<DependencyEdge>| DependenciesResponse {
        dependencies: edges.iter().map(dependency).collect(),
    };
    let answer = dependencies(&door, request, question::ordered_window).await;
    unary(answer.map(|answer| answer.map(response)))
}
