//! Answers that succeed: the old API's envelope, api/v3's bodies, and what both say about their
//! completeness (QRY-2).

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use model::store::Completeness;
use model::{ShardId, StoreError};

use super::json_text::{push_comma, push_string, push_uint};
use super::pieces::Pieces;
use super::query_string::QueryString;

/// Says whether an answer lacks something.
pub const COMPLETENESS_HEADER: HeaderName = HeaderName::from_static("skua-completeness");

/// What an answer lacks, shards and more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Gaps {
    /// What the store said.
    pub(crate) store: Completeness,
    /// More traces match than one search may return, and more were asked for.
    pub(crate) limit: Option<u32>,
    /// The answer was cut off at this many bytes.
    pub(crate) bytes_max: Option<usize>,
    /// How many spans the largest trace has of which only the first are shown.
    pub(crate) truncated: Option<u64>,
}

impl From<Completeness> for Gaps {
    fn from(store: Completeness) -> Self {
        Self { store, ..Self::default() }
    }
}

/// A shard without a leader has one again within about a second.
const RETRY_AFTER_MS: u64 = 1_000;

impl Gaps {
    /// `complete`, or `partial` and what is missing.
    pub(crate) fn header(&self) -> String {
        let mut parts = Vec::new();
        if !self.store.missing.is_empty() {
            parts.push(format!("missing={}", numbers(self.store.missing.iter())));
        }
        if !self.store.stale.is_empty() {
            parts.push(format!("stale={}", numbers(self.store.stale.iter())));
        }
        if self.store.exhausted.is_some() {
            parts.push("exhausted".to_owned());
        }
        if let Some(limit) = self.limit {
            parts.push(format!("limit={limit}"));
        }
        if let Some(bytes_max) = self.bytes_max {
            parts.push(format!("bytes={bytes_max}"));
        }
        if let Some(spans) = self.truncated {
            parts.push(format!("truncated={spans}"));
        }
        if parts.is_empty() {
            "complete".to_owned()
        } else {
            format!("partial; {}", parts.join("; "))
        }
    }

    /// What to say of a trace that was not found where a shard that may hold it did not answer: it
    /// is there, perhaps (QRY-2).
    pub(crate) fn unavailable(&self) -> StoreError {
        let what = self.clauses().join("; ");
        StoreError::Unavailable { what, retry_after_ms: RETRY_AFTER_MS }
    }

    /// The gaps in words, one clause each.
    pub(crate) fn clauses(&self) -> Vec<String> {
        let mut clauses = Vec::new();
        if !self.store.missing.is_empty() {
            let shards = numbers(self.store.missing.iter());
            clauses.push(format!("shards {shards} did not answer"));
        }
        if !self.store.stale.is_empty() {
            let shards = numbers(self.store.stale.iter());
            clauses.push(format!("shards {shards} may lack the latest spans"));
        }
        if let Some(exhausted) = self.store.exhausted {
            clauses.push(exhausted.to_string());
        }
        if let Some(limit) = self.limit {
            clauses.push(format!("one search returns at most {limit} traces"));
        }
        if let Some(bytes_max) = self.bytes_max {
            clauses.push(format!("the answer was cut off at {bytes_max} bytes"));
        }
        if let Some(spans) = self.truncated {
            clauses.push(format!("a trace of {spans} spans is shown without its latest ones"));
        }
        clauses
    }

    /// Entries for the old API's `errors`, about one trace or about the whole answer.
    pub(crate) fn errors(&self, trace_id: Option<&str>) -> Vec<EnvelopeError> {
        let clauses = self.clauses().into_iter();
        clauses
            .map(|clause| EnvelopeError {
                message: format!("partial result: {clause}"),
                trace_id: trace_id.map(ToOwned::to_owned),
            })
            .collect()
    }
}

fn numbers<'a>(shards: impl Iterator<Item = &'a ShardId>) -> String {
    shards.map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// An entry of the old API's `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvelopeError {
    /// What is wrong.
    pub(crate) message: String,
    /// With which trace, as Jaeger prints ids.
    pub(crate) trace_id: Option<String>,
}

/// The old API's envelope around `data`: JSON already, in pieces.
pub(crate) fn envelope(
    query: &QueryString,
    data: &[&[u8]],
    total: usize,
    errors: Vec<EnvelopeError>,
    gaps: &Gaps,
) -> Response {
    let mut pieces = Pieces::default();
    data.iter().for_each(|piece| pieces.push(piece));
    envelope_of(query, pieces, total, errors, gaps)
}

/// The same around a list of traces: JSON already, with commas.
pub(crate) fn envelope_of_list(
    query: &QueryString,
    items: Pieces,
    errors: Vec<EnvelopeError>,
    gaps: &Gaps,
) -> Response {
    let mut list = Pieces::default();
    list.push(b"[");
    list.append(items);
    list.push(b"]");
    envelope_of(query, list, 0, errors, gaps)
}

fn envelope_of(
    query: &QueryString,
    data: Pieces,
    total: usize,
    mut errors: Vec<EnvelopeError>,
    gaps: &Gaps,
) -> Response {
    errors.extend(gaps.errors(None));
    let mut body = Pieces::default();
    body.push(b"{\"data\":");
    body.append(data);
    let mut end = b",\"total\":".to_vec();
    push_uint(&mut end, total as u64);
    end.extend_from_slice(b",\"limit\":0,\"offset\":0,\"errors\":");
    push_errors(&mut end, &errors);
    end.push(b'}');
    body.push(&end);
    let pretty = !matches!(query.get("prettyPrint"), "" | "false");
    json_of(body, pretty, gaps)
}

/// No errors are `null`, not an empty list.
fn push_errors(out: &mut Vec<u8>, errors: &[EnvelopeError]) {
    if errors.is_empty() {
        out.extend_from_slice(b"null");
        return;
    }
    out.push(b'[');
    for error in errors {
        push_comma(out);
        out.extend_from_slice(b"{\"msg\":");
        push_string(out, error.message.as_bytes());
        if let Some(trace_id) = &error.trace_id {
            out.extend_from_slice(b",\"traceID\":");
            push_string(out, trace_id.as_bytes());
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// A JSON answer.
pub(crate) fn json(body: Vec<u8>, gaps: &Gaps) -> Response {
    with_headers(Response::new(Body::from(body)), gaps)
}

/// The same of pieces, laid out for people if they want it.
pub(crate) fn json_of(body: Pieces, pretty: bool, gaps: &Gaps) -> Response {
    with_headers(body.into_response(pretty), gaps)
}

fn with_headers(mut response: Response, gaps: &Gaps) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::try_from(gaps.header()) {
        headers.insert(COMPLETENESS_HEADER, value);
    }
    response
}
