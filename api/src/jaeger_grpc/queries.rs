//! The calls that the query services and remote storage answer alike. What differs is handed in:
//! what a request means, and how a trace or an id is shown.

use std::fmt::Debug;

use axum::extract::Request;
use model::aggregate::DependencyEdge;
use model::store::{Hit, ServiceSummary as ModelService, TraceSummary as Summary};
use model::{Answer, Text, TimeRange, TraceId, TraceStore};
use prost::Message;
use tonic::Status;

use super::calls::Door;
use super::found::{self, Found, Ready, Rendering, Repairs, by_id};
use super::limits::SUMMARIES_MAX;
use super::messages::api_v2::{
    DependencyLink, GetDependenciesRequest, GetDependenciesResponse, GetOperationsRequest,
    GetServicesResponse, GetTraceRequest, Nothing, Operation,
};
use super::messages::api_v3::{
    FindTraceSummariesResponse, GetOperationsResponse, ServiceSummary, TraceSummary,
};
use super::messages::parameters::FindTracesRequest;
use super::messages::standard::Timestamp;
use super::question::{self, absence, refusal, text};
use crate::jaeger_http::search_params::SearchParams;

/// What a search's message means.
pub(super) type Meaning<Q> = fn(Option<Q>) -> Result<SearchParams, Status>;

/// One trace by id.
pub(super) async fn trace<S: TraceStore>(
    door: Door<S>,
    request: Request,
    read_id: fn(&[u8]) -> Result<TraceId, Status>,
    rendering: fn(Repairs) -> Rendering,
) -> Result<Ready, Status> {
    let asked = door.ask::<GetTraceRequest>(request).await?;
    let trace_id = read_id(&asked.message.trace_id)?;
    let read = door.context.begin_trace(&asked.extensions, false)?;
    let rendering = rendering(Repairs::new(&door.context, asked.message.raw_traces));
    let (messages, gaps) = by_id(&door.context, &read, trace_id, rendering).await?;
    let messages = messages.ok_or_else(|| absence(&gaps.store))?;
    Ok(Ready { messages, gaps })
}

/// A search for whole traces.
pub(super) async fn traces<S: TraceStore, Q: Message + Default + Debug>(
    door: Door<S>,
    request: Request,
    meaning: Meaning<Q>,
    rendering: fn(Repairs) -> Rendering,
) -> Result<Found, Status> {
    let asked = door.ask::<FindTracesRequest<Q>>(request).await?;
    let params = meaning(asked.message.query)?;
    let read = door.context.begin(&asked.extensions, false)?;
    let rendering = rendering(Repairs::new(&door.context, params.raw));
    Found::begin(&door.context, read, &params, rendering).await
}

/// A search for the summaries of traces, whose ids are written as `id` has them.
pub(super) async fn summaries<S: TraceStore, Q: Message + Default + Debug>(
    door: Door<S>,
    request: Request,
    meaning: Meaning<Q>,
    id: fn(TraceId) -> Vec<u8>,
) -> Result<Ready, Status> {
    let answer = hits(&door, request, meaning).await?;
    let batch = |hits: &[Hit]| {
        let summaries = hits.iter().map(|hit| summary(&hit.summary, id)).collect();
        FindTraceSummariesResponse { summaries }.encode_to_vec()
    };
    let messages = answer.value.chunks(SUMMARIES_MAX).map(batch).collect();
    Ok(Ready { messages, gaps: answer.completeness.into() })
}

/// What a search found, without the traces themselves.
pub(super) async fn hits<S: TraceStore, Q: Message + Default + Debug>(
    door: &Door<S>,
    request: Request,
    meaning: Meaning<Q>,
) -> Result<Answer<Vec<Hit>>, Status> {
    let asked = door.ask::<FindTracesRequest<Q>>(request).await?;
    let params = meaning(asked.message.query)?;
    let read = door.context.begin(&asked.extensions, false)?;
    let (value, completeness) = found::summaries(&door.context, &read, &params).await?;
    Ok(Answer { value, completeness })
}

fn summary(summary: &Summary, id: fn(TraceId) -> Vec<u8>) -> TraceSummary {
    TraceSummary {
        trace_id: id(summary.trace_id),
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

fn service(service: &ModelService) -> ServiceSummary {
    ServiceSummary {
        name: text(&service.service),
        span_count: count(service.span_count),
        error_span_count: count(service.error_count),
    }
}

/// A count as far as the contract's numbers go.
fn count(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The services.
pub(super) async fn services<S: TraceStore>(
    door: Door<S>,
    request: Request,
) -> Result<Answer<GetServicesResponse>, Status> {
    let asked = door.ask::<Nothing>(request).await?;
    let read = door.context.begin(&asked.extensions, false)?;
    let answer = door.context.store.services(read.scope.clone()).await.map_err(refusal)?;
    Ok(answer.map(|names| GetServicesResponse { services: names.iter().map(text).collect() }))
}

/// The operations of a service.
pub(super) async fn operations<S: TraceStore>(
    door: Door<S>,
    request: Request,
) -> Result<Answer<Vec<Operation>>, Status> {
    let asked = door.ask::<GetOperationsRequest>(request).await?;
    let GetOperationsRequest { service, span_kind } = asked.message;
    let read = door.context.begin(&asked.extensions, false)?;
    let service = (!service.is_empty()).then(|| Text::from(service.as_str()));
    let answer = door.context.store.operations(read.scope.clone(), service).await;
    Ok(question::of_kind(answer.map_err(refusal)?, &span_kind))
}

/// The same as api_v3 and remote storage say it.
pub(super) async fn get_operations<S: TraceStore>(
    door: Door<S>,
    request: Request,
) -> Result<Answer<GetOperationsResponse>, Status> {
    let answer = operations(door, request).await?;
    Ok(answer.map(|operations| GetOperationsResponse { operations }))
}

/// The calls between services in what makes a window of two times.
pub(super) async fn dependencies<S: TraceStore>(
    door: Door<S>,
    request: Request,
    window: fn(Option<Timestamp>, Option<Timestamp>) -> Result<TimeRange, Status>,
) -> Result<Answer<GetDependenciesResponse>, Status> {
    let asked = door.ask::<GetDependenciesRequest>(request).await?;
    let window = window(asked.message.start_time, asked.message.end_time)?;
    let read = door.context.begin(&asked.extensions, false)?;
    let answer = door.context.store.dependencies(read.scope.clone(), window).await;
    let link = |edge: &DependencyEdge| DependencyLink {
        parent: text(&edge.parent),
        child: text(&edge.child),
        call_count: edge.calls,
    };
    let response = |edges: Vec<DependencyEdge>| GetDependenciesResponse {
        dependencies: edges.iter().map(link).collect(),
    };
    Ok(answer.map_err(refusal)?.map(response))
}
