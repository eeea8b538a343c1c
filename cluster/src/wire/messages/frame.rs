//! A frame of the answer to a read.

use bytes::Bytes;
use model::Text;
use model::query::AttributeScope;
use model::span::SpanKind;
use model::store::{FoundRows, Operation};

use super::aggregate::{AggregateMessage, EdgeMessage};
use super::completeness::{EndMessage, FailureMessage};
use super::number::Numbered as _;
use super::query::OrderKeyMessage;
use super::scalar::{from_text, to_usize};
use super::summary::{RevisionMessage, RowsMessage, SummaryMessage};
use crate::wire::WireError;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Hit,
    Trace,
    Spans,
    Columns,
    Rows,
    Aggregate,
    Services,
    Operations,
    Keys,
    Values,
    Edges,
    End,
    Failure,
    Piece,
    TraceIds,
    Found,
}

numbered!(FrameKind, "a frame of kind", {
    1 => Hit, 2 => Trace, 3 => Spans, 4 => Columns, 5 => Rows, 6 => Aggregate, 7 => Services,
    8 => Operations, 9 => Keys, 10 => Values, 11 => Edges, 12 => End, 13 => Failure, 14 => Piece,
    15 => TraceIds, 16 => Found,
});

impl FrameKind {
    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hit => "a hit",
            Self::Trace => "a trace",
            Self::Spans => "spans",
            Self::Columns => "columns",
            Self::Rows => "rows",
            Self::Aggregate => "figures",
            Self::Services => "services",
            Self::Operations => "operations",
            Self::Keys => "keys",
            Self::Values => "values",
            Self::Edges => "edges",
            Self::End => "an end",
            Self::Failure => "a failure",
            Self::Piece => "a piece",
            Self::TraceIds => "trace ids",
            Self::Found => "found rows",
        }
    }
}

/// A frame. The body of kind `k` is field `10 + k`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FrameMessage {
    #[prost(uint32, tag = "1")]
    pub(crate) shard: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) kind: u32,
    /// The shard's next frame goes on with this one's item.
    #[prost(bool, tag = "3")]
    pub(crate) more: bool,
    #[prost(message, optional, tag = "11")]
    pub(crate) hit: Option<HitMessage>,
    #[prost(message, optional, tag = "12")]
    pub(crate) trace: Option<FoundTraceMessage>,
    /// A batch.
    #[prost(bytes = "bytes", tag = "13")]
    pub(crate) spans: Bytes,
    #[prost(message, optional, tag = "14")]
    pub(crate) columns: Option<FoundColumnsMessage>,
    #[prost(message, optional, tag = "15")]
    pub(crate) rows: Option<RowsMessage>,
    #[prost(message, optional, tag = "16")]
    pub(crate) aggregate: Option<AggregateMessage>,
    #[prost(message, optional, tag = "17")]
    pub(crate) services: Option<NamesMessage>,
    #[prost(message, optional, tag = "18")]
    pub(crate) operations: Option<OperationsMessage>,
    #[prost(message, optional, tag = "19")]
    pub(crate) keys: Option<KeysMessage>,
    #[prost(message, optional, tag = "20")]
    pub(crate) values: Option<NamesMessage>,
    #[prost(message, optional, tag = "21")]
    pub(crate) edges: Option<EdgesMessage>,
    #[prost(message, optional, tag = "22")]
    pub(crate) end: Option<EndMessage>,
    #[prost(message, optional, tag = "23")]
    pub(crate) failure: Option<FailureMessage>,
    /// A stretch of a frame that is too large for one.
    #[prost(bytes = "bytes", tag = "24")]
    pub(crate) piece: Bytes,
    #[prost(message, optional, tag = "25")]
    pub(crate) trace_ids: Option<NamesMessage>,
    #[prost(message, optional, tag = "26")]
    pub(crate) found: Option<FoundMessage>,
}

impl FrameMessage {
    pub(crate) fn of(kind: FrameKind, more: bool) -> Self {
        Self { kind: kind.number(), more, ..Default::default() }
    }
}

/// A hit. If it has a trace, spans follow.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HitMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) key: Option<OrderKeyMessage>,
    #[prost(message, optional, tag = "2")]
    pub(crate) summary: Option<SummaryMessage>,
    #[prost(message, optional, tag = "3")]
    pub(crate) trace: Option<TraceMessage>,
}

/// The answer by id: a trace or none.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FoundTraceMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) trace: Option<TraceMessage>,
}

/// A trace whose spans follow.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TraceMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) trace_id: Bytes,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) truncated: Option<u64>,
}

/// The answer to a find: rows, or none if the trace is not known.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FoundMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) rows: Option<FoundRowsMessage>,
}

/// Rows of a trace.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FoundRowsMessage {
    /// How many the trace has.
    #[prost(uint64, tag = "1")]
    rows: u64,
    /// A bit a row, the lowest bit of the first byte first.
    #[prost(bytes = "bytes", tag = "2")]
    bits: Bytes,
}

impl From<&FoundRows> for FoundRowsMessage {
    fn from(found: &FoundRows) -> Self {
        Self { rows: found.rows() as u64, bits: Bytes::copy_from_slice(found.bits()) }
    }
}

pub(crate) fn to_found(message: &FoundRowsMessage) -> Result<FoundRows, WireError> {
    let found = FoundRows::from_bits(to_usize(message.rows), message.bits.to_vec());
    found.ok_or_else(|| WireError::invalid("found rows", "not a bit for each row"))
}

/// Columns that follow as rows, or none.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FoundColumnsMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) revision: Option<RevisionMessage>,
}

/// Texts.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NamesMessage {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) names: Vec<Bytes>,
}

/// Operations.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OperationsMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) operations: Vec<NamedOperationMessage>,
}

/// An operation.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NamedOperationMessage {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(sint32, tag = "2")]
    kind: i32,
}

impl From<&Operation> for NamedOperationMessage {
    fn from(operation: &Operation) -> Self {
        Self { name: from_text(&operation.name), kind: operation.kind.0 }
    }
}

impl From<NamedOperationMessage> for Operation {
    fn from(message: NamedOperationMessage) -> Self {
        Self { name: message.name.into(), kind: SpanKind(message.kind) }
    }
}

/// Keys.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeysMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) keys: Vec<KeyMessage>,
}

/// A key and where it stands.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeyMessage {
    #[prost(uint32, tag = "1")]
    scope: u32,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
}

pub(crate) fn from_key((scope, key): &(AttributeScope, Text)) -> KeyMessage {
    KeyMessage { scope: scope.number(), key: from_text(key) }
}

pub(crate) fn to_key(message: KeyMessage) -> Result<(AttributeScope, Text), WireError> {
    Ok((AttributeScope::from_number(message.scope)?, message.key.into()))
}

/// Edges.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EdgesMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) edges: Vec<EdgeMessage>,
}
