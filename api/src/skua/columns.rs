//! `GET traces/{id}/columns`: the structure of a trace in typed arrays, to the byte as
//! `docs/formats/columns-v1.md` says.
//!
//! The columns are written while they are sent, piece by piece, so that a trace of a million
//! spans stands in memory once.

use std::convert::Infallible;
use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::store::{TraceColumns, TraceRequest};
use model::{Text, Timestamp, TraceId, TraceStore};
use twox_hash::XxHash3_64;

use super::limits::{COLUMNS_SPANS_MAX, PIECE_BYTES};
use super::parameters::{flag, query_of};
use super::problem::Problem;
use crate::jaeger_http::COMPLETENESS_HEADER;
use crate::jaeger_http::answer::Gaps;
use crate::jaeger_http::json_text::{push_comma, push_name, push_string, push_uint};
use crate::read_context::ReadContext;

/// Handles the request.
pub(super) async fn show<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    Path(trace_id): Path<String>,
    request: Request,
) -> Response {
    read(&context, &trace_id, &request.into_parts().0).await.unwrap_or_else(Problem::into_response)
}

async fn read<S: TraceStore>(
    context: &ReadContext<S>,
    trace_id: &str,
    request: &Parts,
) -> Result<Response, Problem> {
    let trace_id = TraceId::from_hex(trace_id)
        .map_err(|error| Problem::parameter(format!("trace id: {error}")))?;
    let query = query_of(&request.uri);
    let read = context.begin(&request.extensions, flag(&query, "stale")?)?;
    let scope = read.scope.clone();
    let spans_max = COLUMNS_SPANS_MAX.saturating_add(1);
    let answer = context.store.trace_columns(TraceRequest { scope, trace_id, spans_max }).await?;
    let completeness = Gaps::from(answer.completeness).header();
    let Some(columns) = answer.value else {
        let mut response = Problem::NotFound.into_response();
        insert(response.headers_mut(), COMPLETENESS_HEADER, &completeness);
        return Ok(response);
    };
    if columns.span_ids.len() > COLUMNS_SPANS_MAX {
        return Err(Problem::TooManySpans { spans_max: COLUMNS_SPANS_MAX });
    }
    let revision = revision_text(&columns);
    let wanted = query.get("revision");
    if !wanted.is_empty() && wanted != revision {
        return Err(Problem::Moved { revision });
    }
    let mut response = if is_known(&request.headers, &revision) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        respond(trace_id, columns, &revision, &completeness)
    };
    let headers = response.headers_mut();
    insert(headers, header::ETAG, &format!("W/\"{revision}\""));
    insert(headers, COMPLETENESS_HEADER, &completeness);
    Ok(response)
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// The revision's text: which shard, and a fingerprint of what the columns say. A trace is a set of
/// spans, so it changed only if its rows did; writes to other traces, seals and merges leave the
/// text as it is, and every replica finds the same one.
fn revision_text(columns: &TraceColumns) -> String {
    let rows = columns.span_ids.len();
    let mut fingerprint = 0;
    let mut add = |bytes: &[u8]| {
        fingerprint = XxHash3_64::oneshot_with_seed(fingerprint, bytes);
    };
    for column in [Column::SpanId, Column::Start, Column::Duration, Column::Parent, Column::Flags] {
        for row in (0..rows).step_by(FINGERPRINT_ROWS) {
            let mut bytes = Vec::with_capacity(FINGERPRINT_ROWS * column.width());
            let end = rows.min(row + FINGERPRINT_ROWS);
            column.push(columns, Timestamp::default(), row..end, &mut bytes);
            add(&bytes);
        }
    }
    for (rows, names) in
        [(&columns.service, &columns.services), (&columns.operation, &columns.operations)]
    {
        // By first appearance in the rows: the order of a dictionary is the store's affair.
        let mut numbers: Vec<Option<u64>> = vec![None; names.len()];
        let mut next = 0_u64;
        for rows in rows.chunks(FINGERPRINT_ROWS) {
            let mut bytes = Vec::with_capacity(FINGERPRINT_ROWS * 8);
            for id in rows {
                let Some(number) = numbers.get_mut(*id as usize) else { continue };
                if number.is_none() {
                    add(names.get(*id as usize).map(Text::as_bytes).unwrap_or_default());
                    *number = Some(next);
                    next += 1;
                }
                bytes.extend_from_slice(&number.unwrap_or_default().to_le_bytes());
            }
            add(&bytes);
        }
    }
    format!("{}-{fingerprint:016x}", columns.revision.shard)
}

/// Whether the client says that it has this revision.
fn is_known(headers: &HeaderMap, revision: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter();
    tags.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        let bare = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || bare == revision
    })
}

fn respond(
    trace_id: TraceId,
    columns: TraceColumns,
    revision: &str,
    completeness: &str,
) -> Response {
    let line = line(trace_id, &columns, revision, completeness);
    let length = line.len() + column_bytes(columns.span_ids.len());
    let pieces = Pieces::new(line, columns);
    let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("application/vnd.skua.columns");
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// A column, in the order in which they are sent: the widest first, so that each begins at a
/// multiple of its width.
#[derive(Debug, Clone, Copy)]
enum Column {
    SpanId,
    Start,
    Duration,
    Parent,
    Service,
    Operation,
    Flags,
}

const COLUMNS: [Column; 7] = [
    Column::SpanId,
    Column::Start,
    Column::Duration,
    Column::Parent,
    Column::Service,
    Column::Operation,
    Column::Flags,
];

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::SpanId => "span_id",
            Self::Start => "start",
            Self::Duration => "duration",
            Self::Parent => "parent",
            Self::Service => "service",
            Self::Operation => "operation",
            Self::Flags => "flags",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::SpanId => "bytes8",
            Self::Start | Self::Duration => "u64",
            Self::Parent | Self::Service | Self::Operation => "u32",
            Self::Flags => "u8",
        }
    }

    fn width(self) -> usize {
        match self {
            Self::SpanId | Self::Start | Self::Duration => 8,
            Self::Parent | Self::Service | Self::Operation => 4,
            Self::Flags => 1,
        }
    }

    /// Appends some rows of the column.
    fn push(self, columns: &TraceColumns, base: Timestamp, rows: Range<usize>, out: &mut Vec<u8>) {
        fn rows_of<T>(column: &[T], rows: Range<usize>) -> &[T] {
            column.get(rows).unwrap_or_default()
        }
        let push_u32 = |numbers: &[u32], out: &mut Vec<u8>| {
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        };
        match self {
            Self::SpanId => {
                let ids = rows_of(&columns.span_ids, rows).iter();
                ids.for_each(|id| out.extend_from_slice(id.as_bytes()));
            }
            Self::Start => {
                for start in rows_of(&columns.starts, rows) {
                    out.extend_from_slice(&start.since(base).0.to_le_bytes());
                }
            }
            Self::Duration => {
                for duration in rows_of(&columns.durations, rows) {
                    out.extend_from_slice(&duration.0.to_le_bytes());
                }
            }
            Self::Parent => push_u32(rows_of(&columns.parents, rows), out),
            Self::Service => push_u32(rows_of(&columns.service, rows), out),
            Self::Operation => push_u32(rows_of(&columns.operation, rows), out),
            Self::Flags => out.extend_from_slice(rows_of(&columns.flags, rows)),
        }
    }
}

fn column_bytes(rows: usize) -> usize {
    COLUMNS.iter().map(|column| column.width() * rows).sum()
}

fn earliest(columns: &TraceColumns) -> Timestamp {
    columns.starts.iter().min().copied().unwrap_or_default()
}

/// Rows that are hashed at once.
const FINGERPRINT_ROWS: usize = 4_096;

/// Multiple that the line's length is filled up to.
const ALIGNMENT: usize = 8;

/// The line of JSON, filled up with spaces.
fn line(trace_id: TraceId, columns: &TraceColumns, revision: &str, completeness: &str) -> Vec<u8> {
    let rows = columns.span_ids.len();
    let mut out = b"{\"format\":\"skua-columns\",\"version\":1".to_vec();
    for (name, text) in [
        ("trace_id", trace_id.to_string().as_str()),
        ("revision", revision),
        ("completeness", completeness),
    ] {
        push_name(&mut out, name);
        push_string(&mut out, text.as_bytes());
    }
    push_name(&mut out, "spans");
    push_uint(&mut out, rows as u64);
    push_name(&mut out, "start_time_unix_nano");
    push_string(&mut out, earliest(columns).0.to_string().as_bytes());
    push_names(&mut out, "services", &columns.services);
    push_names(&mut out, "operations", &columns.operations);
    push_name(&mut out, "columns");
    out.push(b'[');
    let mut offset = 0;
    for column in COLUMNS {
        let bytes = column.width() * rows;
        push_comma(&mut out);
        out.push(b'{');
        push_name(&mut out, "name");
        push_string(&mut out, column.name().as_bytes());
        push_name(&mut out, "type");
        push_string(&mut out, column.type_name().as_bytes());
        push_name(&mut out, "offset");
        push_uint(&mut out, offset);
        push_name(&mut out, "bytes");
        push_uint(&mut out, bytes as u64);
        out.push(b'}');
        offset += bytes as u64;
    }
    out.push(b']');
    push_name(&mut out, "column_bytes");
    push_uint(&mut out, offset);
    out.push(b'}');
    while !(out.len() + 1).is_multiple_of(ALIGNMENT) {
        out.push(b' ');
    }
    out.push(b'\n');
    out
}

fn push_names(out: &mut Vec<u8>, name: &'static str, names: &[Text]) {
    push_name(out, name);
    out.push(b'[');
    for name in names {
        push_comma(out);
        push_string(out, name.as_bytes());
    }
    out.push(b']');
}

/// The body in pieces.
struct Pieces {
    line: Option<Vec<u8>>,
    columns: TraceColumns,
    base: Timestamp,
    /// The column under way, and its first row that was not sent.
    column: usize,
    row: usize,
}

impl Pieces {
    fn new(line: Vec<u8>, columns: TraceColumns) -> Self {
        let base = earliest(&columns);
        Self { line: Some(line), columns, base, column: 0, row: 0 }
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(line) = self.line.take() {
            return Some(Ok(line.into()));
        }
        let rows = self.columns.span_ids.len();
        let mut piece = Vec::with_capacity(PIECE_BYTES + ALIGNMENT);
        while piece.len() < PIECE_BYTES {
            let Some(column) = COLUMNS.get(self.column) else { break };
            let room = (PIECE_BYTES - piece.len()).div_ceil(column.width());
            let end = rows.min(self.row + room);
            column.push(&self.columns, self.base, self.row..end, &mut piece);
            self.row = end;
            if end == rows {
                (self.column, self.row) = (self.column + 1, 0);
            }
        }
        (!piece.is_empty()).then(|| Ok(piece.into()))
    }
}
