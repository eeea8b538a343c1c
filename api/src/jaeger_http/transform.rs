//! OTLP in JSON turned into Jaeger's JSON: how Jaeger's UI shows an uploaded file. Nothing is
//! stored, repaired or adjusted.

use std::collections::HashMap;

use axum::extract::{Request, State};
use axum::response::Response;
use model::{Span, TraceId, TraceStore};

use super::answer::{EnvelopeError, Gaps, envelope};
use super::collect::Collected;
use super::error::{Old, QueryError};
use super::json::push_trace;
use super::json_text::push_comma;
use super::router::Asked;
use super::translate::translate;
use crate::adjust::EditableTrace;
use crate::limits::{DECOMPRESSED_BYTES_MAX, UPLOAD_DEADLINE};
use crate::otlp::json::to_protobuf;
use crate::otlp::walk::{CheckError, Partitioning, Plan, Rejected, check, tell};
use crate::read_context::ReadContext;
use crate::task;

/// `POST /api/transform`
pub(super) async fn transform<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    request: Request,
) -> Result<Response, Old> {
    let (parts, body) = request.into_parts();
    let asked = Asked::from_parts(&parts.uri, parts.extensions);
    let bytes_max = DECOMPRESSED_BYTES_MAX;
    let question = context.room.question(body, bytes_max, UPLOAD_DEADLINE).await;
    let document = question.map_err(|error| QueryError::of_body(error, bytes_max))?;
    let turn = context.room.turn().await.map_err(QueryError::Store)?;
    // The turn and the room are those of the work, also when nobody waits for it any more.
    let work = move || {
        let transformed = transform_document(&document.bytes);
        drop((document, turn));
        transformed
    };
    let transformed = task::blocking("transform", work).await;
    let (data, errors) = transformed.unwrap_or(Err(QueryError::Internal))?;
    let bytes_max = context.limits.response_bytes_max;
    if data.len() > bytes_max {
        return Err(QueryError::AnswerTooLarge { bytes_max }.into());
    }
    Ok(envelope(&asked.query, &[&data], 0, errors, &Gaps::default()))
}

/// Traces in the order in which they appear. Spans that a receiver would reject are left out
/// and reported.
fn transform_document(document: &[u8]) -> Result<(Vec<u8>, Vec<EnvelopeError>), QueryError> {
    let unreadable = |reason: String| QueryError::Transform { reason };
    let message = to_protobuf(document).map_err(|error| unreadable(error.to_string()))?;
    let traces = by_trace_of(&message).map_err(|error| unreadable(error.to_string()))?;
    let (traces, rejected) = traces;
    let mut data = b"[".to_vec();
    for (trace_id, spans) in traces {
        push_comma(&mut data);
        push_trace(&mut data, &translate(EditableTrace::from_spans(trace_id, spans)));
    }
    data.push(b']');
    let mut errors = Vec::new();
    if rejected.count() > 0 {
        errors.push(EnvelopeError { message: rejected.to_string(), trace_id: None });
    }
    Ok((data, errors))
}

/// Traces, each with its spans.
pub(crate) type ByTrace = Vec<(TraceId, Vec<Span>)>;

/// The spans of a message by trace, in order of first appearance, and what of them a receiver
/// would reject.
pub(crate) fn by_trace_of(message: &[u8]) -> Result<(ByTrace, Rejected), CheckError> {
    let mut plan = Plan::default();
    let everything = Partitioning { of: |_| 0, count: 1 };
    check(message, &everything, &mut plan)?;
    let mut collected = Collected::default();
    tell(message, &plan, 0, &mut collected);
    Ok((by_trace(collected.spans), *plan.rejected()))
}

fn by_trace(spans: Vec<Span>) -> ByTrace {
    let mut traces = ByTrace::new();
    let mut places: HashMap<TraceId, usize> = HashMap::new();
    for span in spans {
        let place = *places.entry(span.trace_id).or_insert_with(|| {
            traces.push((span.trace_id, Vec::new()));
            traces.len() - 1
        });
        if let Some((_, spans)) = traces.get_mut(place) {
            spans.push(span);
        }
    }
    traces
}
