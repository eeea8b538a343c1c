//! Raw traces: what came in, as OTLP, with no repair and no adjuster between.

use std::collections::BTreeSet;
use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{Extensions, HeaderValue, header};
use model::budget::Budget;
use model::pace::{Pace, WhileAwaited};
use model::store::{Completeness, Trace, TraceRequest};
use model::{ShardId, StoreError, TraceId, TraceStore};
use serde::Deserialize;

use super::problem::Problem;
use crate::error::ApiError;
use crate::jaeger_http::COMPLETENESS_HEADER;
use crate::jaeger_http::answer::Gaps;
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
        Err(problem) => problem.into_response(),
    }
}

async fn read<S: TraceStore>(
    context: &ReadContext<S>,
    trace_id: &str,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
    extensions: &Extensions,
) -> Result<Response, Problem> {
    let trace_id = TraceId::from_hex(trace_id)
        .map_err(|error| Problem::parameter(format!("trace id: {error}")))?;
    let Query(parameters) = parameters.map_err(|error| Problem::parameter(error.body_text()))?;
    let read = context.begin_trace(extensions, parameters.stale)?;
    let scope = read.scope.clone();
    let spans_max = limits::RAW_TRACE_SPANS_MAX;
    let answer = context.store.trace(TraceRequest { scope, trace_id, spans_max }).await?;
    let Some(trace) = answer.value else {
        return Ok(absent(answer.completeness));
    };
    let truncated = trace.truncated;
    let bytes_max = context.limits.response_bytes_max;
    let pieces = encoded(trace, read.scope.budget.clone(), bytes_max).await?;
    Ok(respond(&answer.completeness, truncated, pieces))
}

/// A trace that was not found is not there only if every shard that may hold it answered.
fn absent(completeness: Completeness) -> Response {
    let said = completeness_text(&completeness, None);
    let problem = if completeness.is_complete() {
        Problem::NotFound
    } else {
        Gaps::from(completeness).unavailable().into()
    };
    let mut response = problem.into_response();
    if let Ok(value) = HeaderValue::try_from(said) {
        response.headers_mut().insert(COMPLETENESS_HEADER, value);
    }
    response
}

/// A large trace takes long to write, so it is written off the runtime, in pieces, as long as the
/// caller is there. Messages of this format that follow each other are one message.
async fn encoded(trace: Trace, budget: Budget, bytes_max: usize) -> Result<Vec<Bytes>, Problem> {
    let pace = WhileAwaited(budget);
    let written = task::blocking("encode trace", move || {
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        for spans in trace.spans.chunks(limits::RAW_PIECE_SPANS) {
            pace.go_on().map_err(StoreError::Exhausted)?;
            let piece = Bytes::from(encode::traces_data(spans));
            bytes += piece.len();
            if bytes > bytes_max {
                return Err(Problem::AnswerTooLarge { bytes_max });
            }
            pieces.push(piece);
        }
        Ok(pieces)
    });
    written.await.map_err(|task::Panicked| ApiError::Internal)?
}

fn respond(completeness: &Completeness, truncated: Option<u64>, pieces: Vec<Bytes>) -> Response {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
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
