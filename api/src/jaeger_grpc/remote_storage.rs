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
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use model::store::Hit;
use model::{Answer, Tenant, TraceId, TraceStore};
use tonic::Status;

use super::calls::{Asked, Door, ask, many, one, only_grpc};
use super::found::{ByIds, Ready, Rendering};
use super::limits::TRACE_IDS_MAX;
use super::messages::api_v2::Nothing;
use super::messages::storage_v2::{
    FindTraceIdsResponse, FoundTraceId, GetCapabilitiesResponse, GetTracesRequest,
    SearchCapabilities,
};
use super::queries::{dependencies, get_operations, hits, services, summaries, traces};
use super::question;
use crate::error::{ApiError, retry_after_seconds};
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
    let find_traces = many(|door: Door<S>, request| {
        traces(door, request, question::of_storage, |_| Rendering::Stored)
    });
    let id = |id: TraceId| id.as_bytes().to_vec();
    let find_summaries =
        many(move |door: Door<S>, request| summaries(door, request, question::of_storage, id));
    let get_dependencies =
        one(|door: Door<S>, request| dependencies(door, request, question::ordered_window));
    Router::new()
        .route("/jaeger.storage.v2.TraceReader/GetTraces", many(get_traces::<S>))
        .route("/jaeger.storage.v2.TraceReader/GetServices", one(services::<S>))
        .route("/jaeger.storage.v2.TraceReader/GetOperations", one(get_operations::<S>))
        .route("/jaeger.storage.v2.TraceReader/FindTraces", find_traces)
        .route("/jaeger.storage.v2.TraceReader/FindTraceIDs", one(find_trace_ids::<S>))
        .route("/jaeger.storage.v2.TraceReader/FindTraceSummaries", find_summaries)
        .route("/jaeger.storage.v2.DependencyReader/GetDependencies", get_dependencies)
        .route("/jaeger.storage.v2.Capabilities/GetCapabilities", one(get_capabilities::<S>))
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

async fn purge<S: TraceStore>(
    State(store): State<S>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    if is_of_a_page(&headers) {
        return (StatusCode::FORBIDDEN, "pages in browsers may not purge\n").into_response();
    }
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
            let answer = error.answer();
            let mut response = (answer.status, format!("{error}\n")).into_response();
            if let Some(delay) = answer.retry_after {
                let seconds = HeaderValue::from(retry_after_seconds(delay));
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            response
        }
    }
}

/// Whether a page in a browser sent this: a form of any origin can post, and says where it is from.
/// Nothing of Skua's pages purges.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        || headers.get("sec-fetch-site").is_some_and(|site| site != "none")
}

async fn purge_refused() -> Response {
    (StatusCode::FORBIDDEN, "purging is off; --allow-purge turns it on\n").into_response()
}

/// Unknown ids are passed over.
async fn get_traces<S: TraceStore>(door: Door<S>, request: Request) -> Result<ByIds<S>, Status> {
    // Each trace takes a place of its own as it is read.
    let asked = ask::<GetTracesRequest>(&door.admission, request).await?;
    let Asked { message, extensions, .. } = asked;
    if message.query.len() > TRACE_IDS_MAX {
        let what = format!("at most {TRACE_IDS_MAX} traces can be asked for at once");
        return Err(Status::invalid_argument(what));
    }
    let ids = message.query.iter().map(|params| question::trace_id(&params.trace_id));
    let trace_ids = ids.collect::<Result<_, _>>()?;
    let read = door.context.begin(&extensions, false)?;
    let ready = Ready { messages: VecDeque::new(), gaps: Gaps::default() };
    Ok(ByIds { context: door.context, read, trace_ids, ready })
}

async fn find_trace_ids<S: TraceStore>(
    door: Door<S>,
    request: Request,
) -> Result<Answer<FindTraceIdsResponse>, Status> {
    let id = |hit: &Hit| FoundTraceId {
        trace_id: hit.summary.trace_id.as_bytes().to_vec(),
        start: Some(hit.summary.start.into()),
        end: Some(hit.summary.end.into()),
    };
    let answer = hits(&door, request, question::of_storage).await?;
    Ok(answer.map(|hits| FindTraceIdsResponse { trace_ids: hits.iter().map(id).collect() }))
}

/// A search may leave the service out, and all that it asks holds of one span.
async fn get_capabilities<S: TraceStore>(
    door: Door<S>,
    request: Request,
) -> Result<Answer<GetCapabilitiesResponse>, Status> {
    ask::<Nothing>(&door.admission, request).await?;
    let search = SearchCapabilities {
        without_service_name: true,
        same_span_conjunction: true,
        filter: None,
    };
    Ok(Answer::complete(GetCapabilitiesResponse { search: Some(search) }))
}
