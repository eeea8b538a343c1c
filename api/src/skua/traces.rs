//! Raw traces: what came in, as OTLP, with no repair and no adjuster between.

use std::collections::BTreeSet;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderValue, StatusCode, header};
use model::store::{Completeness, Trace, TraceRequest};
use model::{ShardId, TraceId, TraceStore};
use serde::Deserialize;

use crate::error::ApiError;
use crate::jaeger_http::COMPLETENESS_HEADER;
use crate::otlp::encode;
use crate::read_context::ReadContext;
use crate::{limits, task};

#[derive(Deserialize)]
pub(super) struct Parameters {
    /// Answer without waiting for the latest writes.
    #[serde(default)]
    stale: bool,
}

pub(super) async fn raw<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(trace_id): Path<String>,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
    extensions: Extensions,
) -> Response {
    match read(&context, &trace_id, parameters, &extensions).await {
        Ok(response) => response,
        Err(error) => (error.answer().status, format!("{error}\n")).into_response(),
    }
}

async fn read<S: TraceStore>(
    context: &ReadContext<S>,
    trace_id: &str,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
    extensions: &Extensions,
) -> Result<Response, ApiError> {
    let trace_id = TraceId::from_hex(trace_id)
        .map_err(|error| ApiError::Parameter { what: format!("trace id: {error}") })?;
    let Query(parameters) =
        parameters.map_err(|error| ApiError::Parameter { what: error.body_text() })?;
    // Without a tenant the wiring is at fault.
    let read = context.begin(extensions, parameters.stale).map_err(|_| ApiError::Internal)?;
    let scope = read.scope.clone();
    let spans_max = limits::RAW_TRACE_SPANS_MAX;
    let answer = context.store.trace(TraceRequest { scope, trace_id, spans_max }).await?;
    let Some(trace) = answer.value else {
        return Ok(respond(StatusCode::NOT_FOUND, &answer.completeness, None, Vec::new()));
    };
    let truncated = trace.truncated;
    let body = encoded(trace).await?;
    Ok(respond(StatusCode::OK, &answer.completeness, truncated, body))
}

/// A large trace takes milliseconds to write, so it is written off the runtime.
async fn encoded(trace: Trace) -> Result<Vec<u8>, ApiError> {
    let written = task::blocking("encode trace", move || encode::traces_data(&trace.spans)).await;
    written.map_err(|task::Panicked| ApiError::Internal)
}

fn respond(
    status: StatusCode,
    completeness: &Completeness,
    truncated: Option<u64>,
    body: Vec<u8>,
) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("application/x-protobuf");
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Ok(value) = HeaderValue::try_from(completeness_text(completeness, truncated)) {
        headers.insert(COMPLETENESS_HEADER, value);
    }
    response
}

/// `complete`, or `partial` and why.
fn completeness_text(completeness: &Completeness, truncated: Option<u64>) -> String {
    if completeness.is_complete() && truncated.is_none() {
        return "complete".to_owned();
    }
    let mut parts = vec!["partial".to_owned()];
    let numbers = |shards: &BTreeSet<ShardId>| {
        shards.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    if !completeness.missing.is_empty() {
        parts.push(format!("missing={}", numbers(&completeness.missing)));
    }
    if !completeness.stale.is_empty() {
        parts.push(format!("stale={}", numbers(&completeness.stale)));
    }
    if completeness.exhausted.is_some() {
        parts.push("exhausted".to_owned());
    }
    if let Some(spans) = truncated {
        parts.push(format!("truncated={spans}"));
    }
    parts.join("; ")
}
