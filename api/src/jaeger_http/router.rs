//! Which path is answered by whom.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use axum::routing::{any, get, post};
use http::{Extensions, StatusCode};
use model::TraceStore;

use super::error::QueryError;
use super::error::plain_text;
use super::query_string::QueryString;
use super::search_params::old_bool;
use super::{catalog, deep_dependencies, dependencies, metrics, summaries, traces, transform, v3};
use crate::read_context::{Read, ReadContext};

/// The routes of both APIs. Expects the tenant in each request's extensions. Every other path
/// under `/api` is answered as Go's server does; paths that other routers name win over that.
pub fn router<S: TraceStore>(context: ReadContext<S>) -> Router {
    Router::new()
        .route("/api/services", get(catalog::services::<S>))
        .route("/api/services/{service}/operations", get(catalog::operations_of_service::<S>))
        .route("/api/operations", get(catalog::operations::<S>))
        .route("/api/traces", get(traces::search::<S>))
        .route("/api/traces/{trace_id}", get(traces::by_id::<S>))
        .route("/api/skua/v1/traces/{trace_id}/spans", get(traces::some_spans::<S>))
        .route("/api/archive/{trace_id}", post(traces::archive::<S>))
        .route("/api/transform", post(transform::transform::<S>))
        .route("/api/dependencies", get(dependencies::dependencies::<S>))
        .route("/api/metrics/latencies", get(metrics::latencies::<S>))
        .route("/api/metrics/calls", get(metrics::calls::<S>))
        .route("/api/metrics/errors", get(metrics::errors::<S>))
        .route("/api/metrics/minstep", get(metrics::minimal_step))
        .route("/api/v3/services", get(v3::services::<S>))
        .route("/api/v3/operations", get(v3::operations::<S>))
        .route("/api/deep-dependencies", get(deep_dependencies::graph::<S>))
        .route("/analytics/v1/dependencies", get(deep_dependencies::graph::<S>))
        .route("/api/v3/dependencies", get(dependencies::v3::<S>))
        .route("/api/v3/traces", get(v3::search::<S>).post(v3::search::<S>))
        .route("/api/v3/traces/{trace_id}", get(v3::by_id::<S>))
        .route("/api/v3/trace-summaries", get(summaries::search::<S>).post(summaries::search::<S>))
        .route("/api/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(context)
}

async fn not_found() -> Response {
    plain_text(StatusCode::NOT_FOUND, b"404 page not found".to_vec())
}

async fn method_not_allowed() -> Response {
    plain_text(StatusCode::METHOD_NOT_ALLOWED, b"Method Not Allowed".to_vec())
}

/// What every handler takes from a request: its parameters and its extensions.
#[derive(Debug)]
pub(super) struct Asked {
    /// The decoded parameters.
    pub(super) query: QueryString,
    extensions: Extensions,
}

impl<T: Send + Sync> FromRequest<T> for Asked {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &T) -> Result<Self, Infallible> {
        Ok(Self::new(request))
    }
}

impl Asked {
    /// Takes the request apart; the body is left behind.
    pub(super) fn new(request: Request) -> Self {
        let (parts, _body): (_, Body) = request.into_parts();
        Self::from_parts(&parts.uri, parts.extensions)
    }

    /// The same from parts.
    pub(super) fn from_parts(uri: &http::Uri, extensions: Extensions) -> Self {
        Self { query: QueryString::parse(uri.query()), extensions }
    }

    /// The same for one trace by its id.
    pub(super) fn begin_trace<S: TraceStore>(
        &self,
        context: &ReadContext<S>,
    ) -> Result<Read, QueryError> {
        let stale = old_bool(&self.query, "stale")?;
        Ok(context.begin_trace(&self.extensions, stale)?)
    }

    /// Begins the read. `stale=true` is Skua's own parameter: answer without waiting for the
    /// latest writes.
    pub(super) fn begin<S: TraceStore>(
        &self,
        context: &ReadContext<S>,
    ) -> Result<Read, QueryError> {
        let stale = old_bool(&self.query, "stale")?;
        Ok(context.begin(&self.extensions, stale)?)
    }
}
