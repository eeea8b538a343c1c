//! The question to a node about its shards.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::query::AttributeScope;
use model::{ShardId, SpanId, TraceId};
use storage::log::LogIndex;

use super::number::Numbered as _;
use super::predicate::{Seen, SpanPredicateMessage, from_span_predicate, to_span_predicate};
use super::query::{
    AggregateQueryMessage, DetailMessage, TraceQueryMessage, from_aggregate_query,
    from_trace_query, to_aggregate_query, to_detail, to_trace_query,
};
use super::scalar::{
    WindowMessage, check_shards, from_tenant, from_text, from_trace_id, required, to_tenant,
    to_trace_id, to_usize, wrong_length,
};
use crate::wire::limits::{KNOWN_IDS_MAX, WITHOUT_IDS_MAX};
use crate::wire::{AskedShard, ReadOperation, ReadRequest, RingEpoch, WireError};

/// A question.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadRequestMessage {
    #[prost(bytes = "bytes", tag = "1")]
    tenant: Bytes,
    #[prost(uint64, tag = "2")]
    deadline_left_ms: u64,
    #[prost(uint64, tag = "3")]
    bytes_max: u64,
    #[prost(uint32, tag = "4")]
    ring_epoch: u32,
    #[prost(message, repeated, tag = "5")]
    shards: Vec<AskedShardMessage>,
    #[prost(message, optional, tag = "6")]
    operation: Option<OperationMessage>,
}

/// A shard that is asked.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AskedShardMessage {
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(uint64, optional, tag = "2")]
    applied_min: Option<u64>,
}

#[derive(Clone, Copy)]
enum OperationKind {
    Trace,
    TraceColumns,
    Search,
    Aggregate,
    Services,
    Operations,
    Keys,
    Values,
    Dependencies,
    Spans,
    Elsewhere,
    Known,
    ElsewhereBehind,
    SearchWithout,
    AggregateWithout,
    DependenciesWithout,
    Find,
}

numbered!(OperationKind, "operation", {
    1 => Trace, 2 => TraceColumns, 3 => Search, 4 => Aggregate, 5 => Services, 6 => Operations,
    7 => Keys, 8 => Values, 9 => Dependencies, 10 => Spans, 11 => Elsewhere, 12 => Known,
    13 => ElsewhereBehind, 14 => SearchWithout, 15 => AggregateWithout,
    16 => DependenciesWithout, 17 => Find,
});

/// What is asked, with the fields that some kind needs.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OperationMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(bytes = "bytes", tag = "2")]
    trace_id: Bytes,
    #[prost(uint64, tag = "3")]
    spans_max: u64,
    #[prost(message, optional, tag = "4")]
    query: Option<TraceQueryMessage>,
    #[prost(message, optional, tag = "5")]
    detail: Option<DetailMessage>,
    #[prost(message, optional, tag = "6")]
    aggregate: Option<AggregateQueryMessage>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    service: Option<Bytes>,
    #[prost(uint32, tag = "8")]
    scope: u32,
    #[prost(bytes = "bytes", tag = "9")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    prefix: Bytes,
    #[prost(message, optional, tag = "11")]
    window: Option<WindowMessage>,
    /// One after another.
    #[prost(bytes = "bytes", tag = "12")]
    span_ids: Bytes,
    #[prost(uint32, tag = "13")]
    shard_count: u32,
    /// One after another.
    #[prost(bytes = "bytes", tag = "14")]
    trace_ids: Bytes,
    #[prost(bool, tag = "15")]
    together: bool,
    #[prost(message, optional, tag = "16")]
    predicate: Option<SpanPredicateMessage>,
}

pub(crate) fn from_read_request(request: &ReadRequest) -> Result<ReadRequestMessage, WireError> {
    check_shards("shards of a read", request.shards.len())?;
    let asked = |asked: &AskedShard| AskedShardMessage {
        shard: asked.shard.0,
        applied_min: asked.applied_min.map(|index| index.0),
    };
    Ok(ReadRequestMessage {
        tenant: from_tenant(&request.tenant),
        deadline_left_ms: request.deadline_left_ms,
        bytes_max: request.bytes_max,
        ring_epoch: request.ring_epoch.0,
        shards: request.shards.iter().map(asked).collect(),
        operation: Some(from_operation(&request.operation)?),
    })
}

pub(crate) fn to_read_request(message: ReadRequestMessage) -> Result<ReadRequest, WireError> {
    check_shards("shards of a read", message.shards.len())?;
    let asked = |asked: AskedShardMessage| AskedShard {
        shard: ShardId(asked.shard),
        applied_min: asked.applied_min.map(LogIndex),
    };
    Ok(ReadRequest {
        tenant: to_tenant(&message.tenant)?,
        deadline_left_ms: message.deadline_left_ms,
        bytes_max: message.bytes_max,
        ring_epoch: RingEpoch(message.ring_epoch),
        shards: message.shards.into_iter().map(asked).collect(),
        operation: to_operation(required("the operation of a read", message.operation)?)?,
    })
}

fn from_operation(operation: &ReadOperation) -> Result<OperationMessage, WireError> {
    let of = |kind: OperationKind| OperationMessage { kind: kind.number(), ..Default::default() };
    Ok(match operation {
        ReadOperation::Trace { trace_id, spans_max } => OperationMessage {
            trace_id: from_trace_id(*trace_id),
            spans_max: *spans_max as u64,
            ..of(OperationKind::Trace)
        },
        ReadOperation::TraceColumns { trace_id } => OperationMessage {
            trace_id: from_trace_id(*trace_id),
            ..of(OperationKind::TraceColumns)
        },
        ReadOperation::Find { trace_id, predicate } => OperationMessage {
            trace_id: from_trace_id(*trace_id),
            predicate: Some(from_span_predicate(predicate, 0, &mut Seen::default())?),
            ..of(OperationKind::Find)
        },
        ReadOperation::Spans { trace_id, span_ids } => OperationMessage {
            trace_id: from_trace_id(*trace_id),
            span_ids: span_ids.iter().flat_map(|id| *id.as_bytes()).collect(),
            ..of(OperationKind::Spans)
        },
        ReadOperation::Search { query, detail, together, without } => OperationMessage {
            query: Some(from_trace_query(query)?),
            detail: Some((*detail).into()),
            together: *together,
            trace_ids: from_without(without)?,
            ..of(if without.is_empty() {
                OperationKind::Search
            } else {
                OperationKind::SearchWithout
            })
        },
        ReadOperation::Aggregate { query, without } => OperationMessage {
            aggregate: Some(from_aggregate_query(query)?),
            trace_ids: from_without(without)?,
            ..of(if without.is_empty() {
                OperationKind::Aggregate
            } else {
                OperationKind::AggregateWithout
            })
        },
        ReadOperation::Services => of(OperationKind::Services),
        ReadOperation::Operations { service } => OperationMessage {
            service: service.as_ref().map(from_text),
            ..of(OperationKind::Operations)
        },
        ReadOperation::Keys { prefix } => {
            OperationMessage { prefix: from_text(prefix), ..of(OperationKind::Keys) }
        }
        ReadOperation::Values { scope, key, prefix } => OperationMessage {
            scope: scope.number(),
            key: from_text(key),
            prefix: from_text(prefix),
            ..of(OperationKind::Values)
        },
        ReadOperation::Dependencies { window, without } => OperationMessage {
            window: Some((*window).into()),
            trace_ids: from_without(without)?,
            ..of(if without.is_empty() {
                OperationKind::Dependencies
            } else {
                OperationKind::DependenciesWithout
            })
        },
        ReadOperation::Elsewhere { window, shard_count, after } => OperationMessage {
            window: Some((*window).into()),
            shard_count: *shard_count,
            trace_id: after.map(from_trace_id).unwrap_or_default(),
            ..of(match after {
                None => OperationKind::Elsewhere,
                Some(_) => OperationKind::ElsewhereBehind,
            })
        },
        ReadOperation::Known { trace_ids } => OperationMessage {
            trace_ids: from_trace_ids(trace_ids, KNOWN_IDS_MAX)?,
            ..of(OperationKind::Known)
        },
    })
}

fn to_operation(message: OperationMessage) -> Result<ReadOperation, WireError> {
    Ok(match OperationKind::from_number(message.kind)? {
        OperationKind::Trace => ReadOperation::Trace {
            trace_id: to_trace_id(&message.trace_id)?,
            spans_max: to_usize(message.spans_max),
        },
        OperationKind::TraceColumns => {
            ReadOperation::TraceColumns { trace_id: to_trace_id(&message.trace_id)? }
        }
        OperationKind::Find => ReadOperation::Find {
            trace_id: to_trace_id(&message.trace_id)?,
            predicate: to_span_predicate(
                required("the predicate of a find", message.predicate)?,
                0,
                &mut Seen::default(),
            )?,
        },
        OperationKind::Spans => ReadOperation::Spans {
            trace_id: to_trace_id(&message.trace_id)?,
            span_ids: to_span_ids(&message.span_ids)?,
        },
        kind @ (OperationKind::Search | OperationKind::SearchWithout) => ReadOperation::Search {
            query: to_trace_query(required("the query of a search", message.query)?)?,
            detail: to_detail(&required("the detail of a search", message.detail)?)?,
            together: message.together,
            without: match kind {
                OperationKind::SearchWithout => to_without(&message.trace_ids)?,
                _ => BTreeSet::new(),
            },
        },
        kind @ (OperationKind::Aggregate | OperationKind::AggregateWithout) => {
            ReadOperation::Aggregate {
                query: to_aggregate_query(required("the query for figures", message.aggregate)?)?,
                without: match kind {
                    OperationKind::AggregateWithout => to_without(&message.trace_ids)?,
                    _ => BTreeSet::new(),
                },
            }
        }
        OperationKind::Services => ReadOperation::Services,
        OperationKind::Operations => {
            ReadOperation::Operations { service: message.service.map(Into::into) }
        }
        OperationKind::Keys => ReadOperation::Keys { prefix: message.prefix.into() },
        OperationKind::Values => ReadOperation::Values {
            scope: AttributeScope::from_number(message.scope)?,
            key: message.key.into(),
            prefix: message.prefix.into(),
        },
        kind @ (OperationKind::Dependencies | OperationKind::DependenciesWithout) => {
            ReadOperation::Dependencies {
                window: required("the window of dependencies", message.window)?.into(),
                without: match kind {
                    OperationKind::DependenciesWithout => to_without(&message.trace_ids)?,
                    _ => BTreeSet::new(),
                },
            }
        }
        kind @ (OperationKind::Elsewhere | OperationKind::ElsewhereBehind) => {
            ReadOperation::Elsewhere {
                window: required("the window of traces elsewhere", message.window)?.into(),
                shard_count: to_shard_count(message.shard_count)?,
                after: match kind {
                    OperationKind::ElsewhereBehind => Some(to_trace_id(&message.trace_id)?),
                    _ => None,
                },
            }
        }
        OperationKind::Known => {
            ReadOperation::Known { trace_ids: to_trace_ids(&message.trace_ids, KNOWN_IDS_MAX)? }
        }
    })
}

fn from_without(without: &BTreeSet<TraceId>) -> Result<Bytes, WireError> {
    from_trace_ids(without, WITHOUT_IDS_MAX)
}

fn to_without(bytes: &[u8]) -> Result<BTreeSet<TraceId>, WireError> {
    to_trace_ids(bytes, WITHOUT_IDS_MAX)
}

fn from_trace_ids(trace_ids: &BTreeSet<TraceId>, max: usize) -> Result<Bytes, WireError> {
    check_ids(trace_ids.len(), max)?;
    Ok(trace_ids.iter().flat_map(|id| *id.as_bytes()).collect())
}

fn to_trace_ids(bytes: &[u8], max: usize) -> Result<BTreeSet<TraceId>, WireError> {
    check_ids(bytes.len() / TraceId::LENGTH, max)?;
    bytes.chunks(TraceId::LENGTH).map(to_trace_id).collect()
}

fn check_ids(count: usize, max: usize) -> Result<(), WireError> {
    if count > max {
        return Err(WireError::TooMany { what: "trace ids of a read", count_max: max as u64 });
    }
    Ok(())
}

/// A ring is made of so many shards' points, so that the number has a bound.
fn to_shard_count(count: u32) -> Result<u32, WireError> {
    check_shards("shards of a ring", count as usize)?;
    Ok(count)
}

fn to_span_ids(bytes: &[u8]) -> Result<BTreeSet<SpanId>, WireError> {
    let id = |id: &[u8]| SpanId::from_slice(id).ok_or_else(|| wrong_length("span ids", bytes));
    bytes.chunks(SpanId::LENGTH).map(id).collect()
}
