//! Summaries of traces, and columns of one trace.

use bytes::Bytes;
use model::store::{Revision, ServiceSummary, TraceColumns, TraceSummary};
use model::{Duration, SpanId, Text, Timestamp};

use super::scalar::{from_text, from_trace_id, to_trace_id};
use crate::wire::WireError;
use crate::wire::parts::Parts;

/// A summary.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SummaryMessage {
    #[prost(bytes = "bytes", tag = "1")]
    trace_id: Bytes,
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    end: u64,
    #[prost(bytes = "bytes", tag = "4")]
    root_service: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    root_operation: Bytes,
    #[prost(uint64, tag = "6")]
    span_count: u64,
    #[prost(uint64, tag = "7")]
    error_count: u64,
    #[prost(uint64, tag = "8")]
    orphan_count: u64,
    #[prost(message, repeated, tag = "9")]
    services: Vec<ServiceMessage>,
}

/// A service's share.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ServiceMessage {
    #[prost(bytes = "bytes", tag = "1")]
    service: Bytes,
    #[prost(uint64, tag = "2")]
    span_count: u64,
    #[prost(uint64, tag = "3")]
    error_count: u64,
}

impl From<&TraceSummary> for SummaryMessage {
    fn from(summary: &TraceSummary) -> Self {
        let service = |service: &ServiceSummary| ServiceMessage {
            service: from_text(&service.service),
            span_count: service.span_count,
            error_count: service.error_count,
        };
        Self {
            trace_id: from_trace_id(summary.trace_id),
            start: summary.start.0,
            end: summary.end.0,
            root_service: from_text(&summary.root_service),
            root_operation: from_text(&summary.root_operation),
            span_count: summary.span_count,
            error_count: summary.error_count,
            orphan_count: summary.orphan_count,
            services: summary.services.iter().map(service).collect(),
        }
    }
}

pub(crate) fn to_summary(message: SummaryMessage) -> Result<TraceSummary, WireError> {
    let service = |service: ServiceMessage| ServiceSummary {
        service: service.service.into(),
        span_count: service.span_count,
        error_count: service.error_count,
    };
    Ok(TraceSummary {
        trace_id: to_trace_id(&message.trace_id)?,
        start: Timestamp(message.start),
        end: Timestamp(message.end),
        root_service: message.root_service.into(),
        root_operation: message.root_operation.into(),
        span_count: message.span_count,
        error_count: message.error_count,
        orphan_count: message.orphan_count,
        services: message.services.into_iter().map(service).collect(),
    })
}

/// A state of a trace.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RevisionMessage {
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(uint64, tag = "2")]
    applied: u64,
    #[prost(uint32, tag = "3")]
    parts: u32,
}

impl From<&Revision> for RevisionMessage {
    fn from(revision: &Revision) -> Self {
        Self { shard: revision.shard, applied: revision.applied, parts: revision.parts }
    }
}

impl From<RevisionMessage> for Revision {
    fn from(message: RevisionMessage) -> Self {
        Self { shard: message.shard, applied: message.applied, parts: message.parts }
    }
}

/// Some rows of a trace's columns: a value a row in each of seven lists; and some of its names.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RowsMessage {
    /// Eight bytes a row.
    #[prost(bytes = "vec", tag = "1")]
    span_ids: Vec<u8>,
    #[prost(uint32, repeated, tag = "2")]
    parents: Vec<u32>,
    #[prost(fixed64, repeated, tag = "3")]
    starts: Vec<u64>,
    #[prost(uint64, repeated, tag = "4")]
    durations: Vec<u64>,
    #[prost(uint32, repeated, tag = "5")]
    service: Vec<u32>,
    #[prost(uint32, repeated, tag = "6")]
    operation: Vec<u32>,
    /// One byte a row.
    #[prost(bytes = "vec", tag = "7")]
    flags: Vec<u8>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    services: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "9")]
    operations: Vec<Bytes>,
}

/// A row takes at most 8 + 5 + 8 + 10 + 5 + 5 + 1 bytes.
const ROW_BYTES_MAX: usize = 42;

/// Sends columns in parts.
pub(crate) fn send_rows(
    columns: &TraceColumns,
    mut parts: Parts<'_, RowsMessage>,
) -> Result<(), WireError> {
    check_columns(columns)?;
    for name in &columns.services {
        parts.room(name.len() + 8)?.services.push(from_text(name));
    }
    for name in &columns.operations {
        parts.room(name.len() + 8)?.operations.push(from_text(name));
    }
    let identity = columns.span_ids.iter().zip(&columns.parents);
    let times = columns.starts.iter().zip(&columns.durations);
    let names = columns.service.iter().zip(&columns.operation).zip(&columns.flags);
    for (((id, parent), (start, duration)), ((service, operation), flags)) in
        identity.zip(times).zip(names)
    {
        let part = parts.room(ROW_BYTES_MAX)?;
        part.span_ids.extend_from_slice(id.as_bytes());
        part.parents.push(*parent);
        part.starts.push(start.0);
        part.durations.push(duration.0);
        part.service.push(*service);
        part.operation.push(*operation);
        part.flags.push(*flags);
    }
    parts.finish()
}

/// Adds a part to what came before it. [`check_columns`] comes last.
pub(crate) fn join_rows(columns: &mut TraceColumns, message: RowsMessage) -> Result<(), WireError> {
    let (ids, rest) = message.span_ids.as_chunks::<{ SpanId::LENGTH }>();
    if !rest.is_empty() {
        return Err(WireError::invalid("columns", "half a span id"));
    }
    columns.span_ids.extend(ids.iter().copied().map(SpanId));
    columns.parents.extend(message.parents);
    columns.starts.extend(message.starts.into_iter().map(Timestamp));
    columns.durations.extend(message.durations.into_iter().map(Duration));
    columns.service.extend(message.service);
    columns.operation.extend(message.operation);
    columns.flags.extend(message.flags);
    columns.services.extend(message.services.into_iter().map(Text::from));
    columns.operations.extend(message.operations.into_iter().map(Text::from));
    Ok(())
}

/// Columns of one length, whose numbers are those of rows and names that exist.
pub(crate) fn check_columns(columns: &TraceColumns) -> Result<(), WireError> {
    let rows = columns.span_ids.len();
    let lengths = [
        columns.parents.len(),
        columns.starts.len(),
        columns.durations.len(),
        columns.service.len(),
        columns.operation.len(),
        columns.flags.len(),
    ];
    if lengths.iter().any(|length| *length != rows) {
        return Err(WireError::invalid("columns", "their lengths differ"));
    }
    let within =
        |numbers: &[u32], count: usize| numbers.iter().all(|number| (*number as usize) < count);
    if !within(&columns.parents, rows)
        || !within(&columns.service, columns.services.len())
        || !within(&columns.operation, columns.operations.len())
    {
        return Err(WireError::invalid("columns", "a row or a name that does not exist"));
    }
    Ok(())
}
