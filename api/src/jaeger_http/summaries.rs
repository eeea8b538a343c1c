//! api/v3's summaries of traces, which Jaeger's UI searches with.

use axum::extract::State;
use axum::response::Response;
use model::TraceStore;
use model::store::Hit;

use super::answer::json_of;
use super::error::V3;
use super::json_text::{push_comma, push_name, push_string, push_uint};
use super::pieces::Pieces;
use super::posted::Searched;
use super::search;
use super::search_params::SearchParams;
use crate::read_context::ReadContext;

/// `GET` and `POST /api/v3/trace-summaries`
pub(super) async fn search<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Searched(asked): Searched,
) -> Result<Response, V3> {
    let params = SearchParams::parse_v3(&asked.query)?;
    let read = asked.begin(&context)?;
    let found = search::summaries(&context, &read, &params, push_summary).await?;
    let mut body = Pieces::default();
    body.push(b"{\"summaries\":[");
    body.append(found.items);
    body.push(b"]}");
    Ok(json_of(body, false, &found.gaps))
}

/// Empty texts and zeros are left out; times are strings, as 64-bit numbers are in OTLP's JSON.
fn push_summary(out: &mut Vec<u8>, hit: &Hit) {
    let summary = &hit.summary;
    out.push(b'{');
    push_text(out, "traceId", summary.trace_id.to_string().as_bytes());
    push_text(out, "rootServiceName", summary.root_service.as_bytes());
    push_text(out, "rootOperationName", summary.root_operation.as_bytes());
    if summary.start.0 != 0 {
        push_text(out, "minStartTimeUnixNano", summary.start.0.to_string().as_bytes());
    }
    if summary.end.0 != 0 {
        push_text(out, "maxEndTimeUnixNano", summary.end.0.to_string().as_bytes());
    }
    push_count(out, "spanCount", summary.span_count);
    push_count(out, "errorSpanCount", summary.error_count);
    push_count(out, "orphanSpanCount", summary.orphan_count);
    if !summary.services.is_empty() {
        push_name(out, "services");
        out.push(b'[');
        for service in &summary.services {
            push_comma(out);
            out.push(b'{');
            push_text(out, "name", service.service.as_bytes());
            push_count(out, "spanCount", service.span_count);
            push_count(out, "errorSpanCount", service.error_count);
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn push_text(out: &mut Vec<u8>, name: &'static str, text: &[u8]) {
    if !text.is_empty() {
        push_name(out, name);
        push_string(out, text);
    }
}

fn push_count(out: &mut Vec<u8>, name: &'static str, count: u64) {
    if count != 0 {
        push_name(out, name);
        push_uint(out, count);
    }
}
