//! `jaeger.storage.v2` (17271): a real Jaeger keeps its traces here.
//!
//! What comes back is what came in: Jaeger has its own sanitizer before it writes and its own
//! adjusters before it shows. Spans arrive on the same port as OTLP. With purging allowed,
//! `POST /purge` removes everything and answers when every shard has applied it: Jaeger's own
//! tests of a store ask for that.

use std::collections::VecDeque;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use http::{Extensions, StatusCode};
use model::aggregate::DependencyEdge;
use model::store::{Hit, TraceSummary as Summary};
use model::{Answer, Tenant, TraceStore};
use prost::Message as _;
use tonic::Status;

use super::calls::{Asked, ask, only_grpc, streamed, unary};
use super::found::{self, ByIds, Found, Ready, Rendering};
use super::limits::{SUMMARIES_MAX, TRACE_IDS_MAX};
use super::messages::api_v2::{DependencyLink, GetDependenciesResponse, Nothing};
use super::messages::api_v3::GetOperationsResponse;
use super::messages::storage_v2::{
    FindTraceIdsResponse, FindTraceSummariesResponse, FindTracesRequest, FoundTraceId,
    GetCapabilitiesResponse, GetTracesRequest, SearchCapabilities, TraceSummary,
};
use super::query_v2::{Door, dependencies, operations, services};
use super::query_v3::{count, service};
use super::question::{self, text};
use crate::error::ApiError;
use crate::jaeger_http::answer::Gaps;
use crate::read_context::ReadContext;
use crate::tenant::{Tenancy, determine};

/// The services' full names.
pub const SERVICES: [&str; 3] = [
    "jaeger.storage.v2.TraceReader",
    "jaeger.storage.v2.DependencyReader",
    "jaeger.storage.v2.Capabilities",
];

/// The services' methods. Expects the tenant in each request's extensions; the caller answers
/// for every other path.
pub fn router<S: TraceStore>(context: ReadContext<S>) -> Router {
    Router::new()
        .route("/jaeger.storage.v2.TraceReader/GetTraces", any(get_traces::<S>))
        .route("/jaeger.storage.v2.TraceReader/GetServices", any(get_services::<S>))
        .route("/jaeger.storage.v2.TraceReader/GetOperations", any(get_operations::<S>))
        .route("/jaeger.storage.v2.TraceReader/FindTraces", any(find_traces::<S>))
        .route("/jaeger.storage.v2.TraceReader/FindTraceIDs", any(find_trace_ids::<S>))
        .route("/jaeger.storage.v2.TraceReader/FindTraceSummaries", any(find_summaries::<S>))
        .route("/jaeger.storage.v2.DependencyReader/GetDependencies", any(get_dependencies::<S>))
        .route("/jaeger.storage.v2.Capabilities/GetCapabilities", any(get_capabilities::<S>))
        .layer(from_fn(only_grpc))
        .with_state(Door::new(context))
}

/// The address that removes everything of a tenant, over plain HTTP; where that is not allowed
/// it says so, for what gRPC answers to strangers looks like success to them.
pub fn purge_router<S: TraceStore>(store: S, tenancy: Tenancy, is_allowed: bool) -> Router {
    let method = if is_allowed { post(purge::<S>) } else { any(purge_refused) };
    Router::new()
        .route("/purge", method)
        .layer(from_fn_with_state(tenancy, determine))
        .with_state(store)
}

async fn purge<S: TraceStore>(State(store): State<S>, extensions: Extensions) -> Response {
    let Some(tenant) = extensions.get::<Tenant>().cloned() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response();
    };
    match store.purge(tenant.clone()).await {
        Ok(()) => {
            tracing::warn!(?tenant, "purged");
            (StatusCode::OK, "purged\n").into_response()
        }
        Err(error) => {
            let error = ApiError::from(error);
            (error.answer().status, format!("{error}\n")).into_response()
        }
    }
}

async fn purge_refused() -> Response {
    (StatusCode::FORBIDDEN, "purging is off; --allow-purge turns it on\n").into_response()
}

async fn get_traces<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    streamed(by_ids(&door, request).await)
}

/// Unknown ids are passed over.
async fn by_ids<S: TraceStore>(door: &Door<S>, request: Request) -> Result<ByIds<S>, Status> {
    let Asked { message, extensions } = ask::<GetTracesRequest>(&door.admission, request).await?;
    if message.query.len() > TRACE_IDS_MAX {
        let what = format!("at most {TRACE_IDS_MAX} traces can be asked for at once");
        return Err(Status::invalid_argument(what));
    }
    let ids = message.query.iter().map(|params| question::trace_id(&params.trace_id));
    let trace_ids = ids.collect::<Result<_, _>>()?;
    let read = door.context.begin(&extensions, false)?;
    let ready = Ready { messages: VecDeque::new(), gaps: Gaps::default() };
    Ok(ByIds { context: door.context.clone(), read, trace_ids, ready })
}

async fn get_services<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    unary(services(&door, request).await)
}

async fn get_operations<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let response = |operations| GetOperationsResponse { operations };
    unary(operations(&door, request).await.map(|answer| answer.map(response)))
}

async fn find_traces<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    streamed(traces(&door, request).await)
}

async fn traces<S: TraceStore>(door: &Door<S>, request: Request) -> Result<Found, Status> {
    let Asked { message, extensions } = ask::<FindTracesRequest>(&door.admission, request).await?;
    let params = question::of_storage(message.query)?;
    let read = door.context.begin(&extensions, false)?;
    Found::begin(&door.context, read, &params, Rendering::Stored).await
}

async fn find_trace_ids<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let id = |hit: &Hit| FoundTraceId {
        trace_id: hit.summary.trace_id.as_bytes().to_vec(),
        start: Some(hit.summary.start.into()),
        end: Some(hit.summary.end.into()),
    };
    let response =
        |hits: Vec<Hit>| FindTraceIdsResponse { trace_ids: hits.iter().map(id).collect() };
    unary(hits(&door, request).await.map(|answer| answer.map(response)))
}

async fn find_summaries<S: TraceStore>(State(door): State<Door<S>>, request: Request) -> Response {
    let batch = |hits: &[Hit]| {
        let summaries = hits.iter().map(|hit| summary(&hit.summary)).collect();
        FindTraceSummariesResponse { summaries }.encode_to_vec()
    };
    let ready = |answer: Answer<Vec<Hit>>| Ready {
        messages: answer.value.chunks(SUMMARIES_MAX).map(batch).collect(),
        gaps: answer.completeness.into(),
    };
    streamed(hits(&door, request).await.map(ready))
}

async fn hits<S: TraceStore>(door: &Door<S>, request: Request) -> Result<Answer<Vec<Hit>>, Status> {
    let Asked { message, extensions } = ask::<FindTracesRequest>(&door.admission, request).await?;
    let params = question::of_storage(message.query)?;
    let read = door.context.begin(&extensions, false)?;
    let (value, completeness) = found::summaries(&door.context, &read, &params).await?;
    Ok(Answer { value, completeness })
}

fn summary(summary: &Summary) -> TraceSummary {
    TraceSummary {
        trace_id: summary.trace_id.as_bytes().to_vec(),
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
    let answer = dependencies(&door, request, question::ordered_window).await;
    unary(answer.map(|answer| answer.map(response)))
}

/// A search may leave the service out, and all that it asks holds of one span.
async fn get_capabilities<S: TraceStore>(
    State(door): State<Door<S>>,
    request: Request,
) -> Response {
    let search = SearchCapabilities {
        without_service_name: true,
        same_span_conjunction: true,
        filter: None,
    };
    let response = GetCapabilitiesResponse { search: Some(search) };
    let asked = ask::<Nothing>(&door.admission, request).await;
    unary(asked.map(|_| Answer::complete(response)))
}
