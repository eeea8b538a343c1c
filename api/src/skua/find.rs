//! `POST traces/{id}/find`: which spans of a trace pass a predicate, by their rows in its columns.
//!
//! For traces whose attributes a client does not read as a whole: a bit a row, however many spans
//! and however long their attributes.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use model::query::SpanPredicate;
use model::store::{FindRequest, FoundRows};
use model::{TraceId, TraceStore};
use serde_json::Value;

use super::problem::Problem;
use super::query_json::{Place, Terms, flag, known, object, required, span_predicate};
use super::search::{compiled, posted};
use crate::jaeger_http::COMPLETENESS_HEADER;
use crate::jaeger_http::answer::Gaps;
use crate::jaeger_http::json_text::{push_name, push_string, push_uint};
use crate::read_context::ReadContext;

/// Handles the request.
pub(super) async fn rows<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(trace_id): Path<String>,
    request: Request,
) -> Response {
    answer(&context, &trace_id, request).await.unwrap_or_else(Problem::into_response)
}

async fn answer<S: TraceStore>(
    context: &ReadContext<S>,
    trace_id: &str,
    request: Request,
) -> Result<Response, Problem> {
    let trace_id = TraceId::from_hex(trace_id)
        .map_err(|error| Problem::parameter(format!("trace id: {error}")))?;
    let extensions = request.extensions().clone();
    let document = posted(&context.room, request).await?;
    let Question { predicate, stale } = compiled(document, question).await?;
    let read = context.begin(&extensions, stale)?;
    let request = FindRequest { scope: read.scope.clone(), trace_id, predicate };
    let answer = context.store.find(request).await?;
    let completeness = Gaps::from(answer.completeness).header();
    let mut response = match answer.value {
        Some(found) => render(trace_id, &found, &completeness).into_response(),
        None => Problem::NotFound.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::try_from(completeness) {
        headers.insert(COMPLETENESS_HEADER, value);
    }
    Ok(response)
}

/// A question for spans of a trace.
#[derive(Debug, Clone)]
struct Question {
    predicate: SpanPredicate,
    stale: bool,
}

fn question(document: &Value) -> Result<Question, Problem> {
    let root = Place::ROOT;
    let members = object(document, &root)?;
    known(members, &root, &["where", "stale"])?;
    let value = required(members, &root, "where")?;
    let predicate = span_predicate(value, &root.member("where"), &Terms::of(document), 0)?;
    Ok(Question { predicate, stale: flag(members, &root, "stale")? })
}

fn render(trace_id: TraceId, found: &FoundRows, completeness: &str) -> Vec<u8> {
    let mut out = b"{".to_vec();
    push_name(&mut out, "trace_id");
    push_string(&mut out, trace_id.to_string().as_bytes());
    push_name(&mut out, "completeness");
    push_string(&mut out, completeness.as_bytes());
    push_name(&mut out, "spans");
    push_uint(&mut out, found.rows() as u64);
    push_name(&mut out, "found");
    push_uint(&mut out, found.count() as u64);
    push_name(&mut out, "rows");
    push_string(&mut out, STANDARD.encode(found.bits()).as_bytes());
    out.extend_from_slice(b"}\n");
    out
}
