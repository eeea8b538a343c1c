//! `search`: the free query, answered with a line of JSON for each trace, and if that is asked for
//! with lines that tell how far it has come, as shards answer.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Method, header};
use model::store::{
    Detail, EarlyHit, Progress, SearchEnd, SearchItem, SearchRequest, SearchStream, ServiceSummary,
    TraceSummary,
};
use model::{ShardId, StoreError, TraceStore};
use serde_json::Value;

use super::cursor;
use super::limits::QUERY_BYTES_MAX;
use super::parameters::query_of;
use super::problem::Problem;
use super::query_json::{Place, Search, has_patterns, search};
use crate::error::ApiError;
use crate::ingest::BodyError;
use crate::jaeger_http::answer::Gaps;
use crate::jaeger_http::json_text::{push_comma, push_name, push_string, push_uint};
use crate::limits::READ_BODY_DEADLINE;
use crate::read_context::{Read, ReadContext, ReadRoom};
use crate::task;

/// Handles the request: the query is the body, or with `GET` the parameter `q`.
pub(super) async fn find<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    request: Request,
) -> Response {
    begin(&context, request).await.unwrap_or_else(Problem::into_response)
}

async fn begin<S: TraceStore>(
    context: &ReadContext<S>,
    request: Request,
) -> Result<Response, Problem> {
    let extensions = request.extensions().clone();
    let progress = wants_progress(&request)?;
    let document = if request.method() == Method::GET {
        parse(match query_of(request.uri()).get("q") {
            "" => b"{}",
            text => text.as_bytes(),
        })?
    } else {
        posted(&context.room, request).await?
    };
    let limit_max = context.limits.search_limit_max;
    let asked = compiled(document, move |document| search(document, limit_max)).await?;
    let Search { query, stale } = asked;
    let read = context.begin(&extensions, stale)?;
    let scope = read.scope.clone();
    let request = SearchRequest { scope, query, detail: Detail::Summary, progress };
    let mut items = context.store.search(request).await?;
    // A search that fails before anything was found has a status to say so.
    let first = items.next().await.transpose()?;
    let lines = Lines { items, first, has_ended: false, _read: read };
    let pieces = stream::unfold(lines, |mut lines| async {
        let line = lines.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), lines))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, ndjson);
    Ok(response)
}

/// Whether the parameter `progress` asks for it. Not a member of the query, which is the same
/// either way, and which a node that does not know of it would refuse.
fn wants_progress(request: &Request) -> Result<bool, Problem> {
    match query_of(request.uri()).get("progress") {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(Place::ROOT.member("progress").problem("neither true nor false")),
    }
}

/// What a document asks for. Regular expressions take milliseconds to compile, each, so they are
/// compiled off the runtime.
pub(super) async fn compiled<T: Send + 'static>(
    document: Value,
    read: impl FnOnce(&Value) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if !has_patterns(&document) {
        return read(&document);
    }
    let reading = task::blocking("query", move || read(&document)).await;
    reading.map_err(|task::Panicked| ApiError::Internal)?
}

/// The document in a request's body.
pub(super) async fn posted(room: &ReadRoom, request: Request) -> Result<Value, Problem> {
    let bytes_max = QUERY_BYTES_MAX;
    let question = room.question(request.into_body(), bytes_max, READ_BODY_DEADLINE).await;
    let question = question.map_err(|error| match error {
        ApiError::Body(BodyError::TooLarge { .. }) => Problem::QueryTooLarge { bytes_max },
        error => Problem::Api(error),
    })?;
    parse(&question.bytes)
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| Place::ROOT.problem(format!("not JSON: {error}")))
}

/// The lines of an answer, one after another.
struct Lines {
    items: SearchStream,
    first: Option<SearchItem>,
    has_ended: bool,
    /// Held until the last line: dropping it cancels the read.
    _read: Read,
}

impl Lines {
    async fn next(&mut self) -> Option<Vec<u8>> {
        if self.has_ended {
            return None;
        }
        let item = match self.first.take() {
            Some(item) => Ok(item),
            None => self.items.next().await?,
        };
        self.has_ended = !matches!(item, Ok(SearchItem::Hit(_) | SearchItem::Progress(_)));
        Some(line(item))
    }
}

fn line(item: Result<SearchItem, StoreError>) -> Vec<u8> {
    let mut out = Vec::new();
    match item {
        Ok(SearchItem::Progress(progress)) => push_progress(&mut out, &progress),
        Ok(SearchItem::Hit(hit)) => {
            out.extend_from_slice(b"{\"trace\":");
            push_summary(&mut out, &hit.summary);
            out.extend_from_slice(b"}\n");
        }
        Ok(SearchItem::End(end)) => {
            out.extend_from_slice(b"{\"end\":");
            push_end(&mut out, end);
            out.extend_from_slice(b"}\n");
        }
        Err(error) => out = Problem::from(error).to_json(),
    }
    out
}

/// Several lines: what the shard that answered last adds, then how many have answered.
fn push_progress(out: &mut Vec<u8>, progress: &Progress) {
    let Progress { asked, answered, missing, spans_scanned, early } = progress;
    for EarlyHit { place, hit } in early {
        out.extend_from_slice(b"{\"early\":{");
        push_count(out, "place", u64::from(*place));
        push_name(out, "trace");
        push_summary(out, &hit.summary);
        out.extend_from_slice(b"}}\n");
    }
    out.extend_from_slice(b"{\"progress\":{");
    push_count(out, "shards", u64::from(*asked));
    push_count(out, "answered", u64::from(*answered));
    push_shards(out, "missing", missing.iter());
    push_count(out, "spans_scanned", *spans_scanned);
    out.extend_from_slice(b"}}\n");
}

fn push_summary(out: &mut Vec<u8>, summary: &TraceSummary) {
    out.push(b'{');
    push_text(out, "trace_id", summary.trace_id.to_string().as_bytes());
    push_text(out, "start_time_unix_nano", summary.start.0.to_string().as_bytes());
    push_text(out, "end_time_unix_nano", summary.end.0.to_string().as_bytes());
    push_text(out, "root_service", summary.root_service.as_bytes());
    push_text(out, "root_operation", summary.root_operation.as_bytes());
    push_count(out, "span_count", summary.span_count);
    push_count(out, "error_count", summary.error_count);
    push_count(out, "orphan_count", summary.orphan_count);
    push_name(out, "services");
    out.push(b'[');
    for service in &summary.services {
        push_comma(out);
        push_service(out, service);
    }
    out.extend_from_slice(b"]}");
}

fn push_service(out: &mut Vec<u8>, service: &ServiceSummary) {
    out.push(b'{');
    push_text(out, "name", service.service.as_bytes());
    push_count(out, "span_count", service.span_count);
    push_count(out, "error_count", service.error_count);
    out.push(b'}');
}

fn push_end(out: &mut Vec<u8>, end: SearchEnd) {
    let SearchEnd { completeness, cursor, moved, spans_scanned } = end;
    out.push(b'{');
    push_shards(out, "missing", completeness.missing.iter());
    push_shards(out, "stale", completeness.stale.iter());
    push_name(out, "exhausted");
    match &completeness.exhausted {
        Some(exhausted) => push_string(out, exhausted.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    push_name(out, "cursor");
    match &cursor {
        Some(cursor) => push_string(out, cursor::print(cursor).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    push_shards(out, "moved", moved.iter());
    push_count(out, "spans_scanned", spans_scanned);
    push_text(out, "completeness", Gaps::from(completeness).header().as_bytes());
    out.push(b'}');
}

fn push_shards<'a>(
    out: &mut Vec<u8>,
    name: &'static str,
    shards: impl Iterator<Item = &'a ShardId>,
) {
    push_name(out, name);
    out.push(b'[');
    for shard in shards {
        push_comma(out);
        push_uint(out, shard.0.into());
    }
    out.push(b']');
}

fn push_text(out: &mut Vec<u8>, name: &'static str, text: &[u8]) {
    push_name(out, name);
    push_string(out, text);
}

fn push_count(out: &mut Vec<u8>, name: &'static str, count: u64) {
    push_name(out, name);
    push_uint(out, count);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::query::OrderKey;
    use model::store::Hit;
    use model::{Text, Timestamp, TraceId};

    use super::*;

    #[test]
    fn progress_is_told_in_lines_of_its_own() {
        let trace_id = TraceId([7; 16]);
        let summary = TraceSummary {
            trace_id,
            start: Timestamp(1),
            end: Timestamp(2),
            root_service: Text::from_static("shop"),
            root_operation: Text::from_static("pay"),
            span_count: 3,
            error_count: 0,
            orphan_count: 0,
            services: Vec::new(),
        };
        let hit = Hit { key: OrderKey { rank: 1, trace_id }, summary, trace: None };
        let progress = Progress {
            asked: 6,
            answered: 2,
            missing: BTreeSet::from([ShardId(4)]),
            spans_scanned: 900,
            early: vec![EarlyHit { place: 5, hit }],
        };
        let text = String::from_utf8(line(Ok(SearchItem::Progress(progress)))).unwrap_or_default();
        let (early, progress) = text.split_once('\n').unwrap_or_default();
        let id = "07".repeat(16);
        let trace = format!("{{\"early\":{{\"place\":5,\"trace\":{{\"trace_id\":\"{id}\"");
        assert!(early.starts_with(&trace) && early.ends_with("}}"), "{early}");
        let expected =
            r#"{"progress":{"shards":6,"answered":2,"missing":[4],"spans_scanned":900}}"#;
        assert_eq!(progress.trim_end(), expected);
    }
}
