//! Queries for traces, questions for figures, and cursors.

use bytes::Bytes;
use model::Duration;
use model::aggregate::{AggregateKind, AggregateQuery, GroupBy};
use model::query::{AttributeScope, Cursor, Field, Order, OrderKey, TraceQuery};
use model::store::Detail;

use super::number::Numbered as _;
use super::predicate::{
    Seen, SpanPredicateMessage, TracePredicateMessage, from_span_predicate, from_trace_predicate,
    to_span_predicate, to_trace_predicate,
};
use super::scalar::{
    AppliedMessage, WindowMessage, from_applied, from_text, from_trace_id, required, to_applied,
    to_trace_id, to_usize,
};
use super::value_test::{FieldMessage, from_field, to_field};
use crate::wire::WireError;

numbered!(Order, "an order", {
    1 => Newest, 2 => Oldest, 3 => Longest, 4 => Shortest, 5 => MostSpans, 6 => MostErrors,
});

/// A query for traces.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TraceQueryMessage {
    #[prost(message, optional, tag = "1")]
    window: Option<WindowMessage>,
    #[prost(message, optional, tag = "2")]
    predicate: Option<TracePredicateMessage>,
    #[prost(uint32, tag = "3")]
    order: u32,
    #[prost(uint32, tag = "4")]
    limit: u32,
    #[prost(message, optional, tag = "5")]
    cursor: Option<CursorMessage>,
}

pub(crate) fn from_trace_query(query: &TraceQuery) -> Result<TraceQueryMessage, WireError> {
    Ok(TraceQueryMessage {
        window: Some(query.window.into()),
        predicate: Some(from_trace_predicate(&query.predicate, 0, &mut Seen::default())?),
        order: query.order.number(),
        limit: query.limit,
        cursor: query.cursor.as_ref().map(from_cursor).transpose()?,
    })
}

pub(crate) fn to_trace_query(message: TraceQueryMessage) -> Result<TraceQuery, WireError> {
    let predicate = required("the predicate of a query", message.predicate)?;
    Ok(TraceQuery {
        window: required("the window of a query", message.window)?.into(),
        predicate: to_trace_predicate(predicate, 0, &mut Seen::default())?,
        order: Order::from_number(message.order)?,
        limit: message.limit,
        cursor: message.cursor.map(to_cursor).transpose()?,
    })
}

/// A place in an order.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OrderKeyMessage {
    #[prost(fixed64, tag = "1")]
    rank: u64,
    #[prost(bytes = "bytes", tag = "2")]
    trace_id: Bytes,
}

impl From<OrderKey> for OrderKeyMessage {
    fn from(key: OrderKey) -> Self {
        Self { rank: key.rank, trace_id: from_trace_id(key.trace_id) }
    }
}

pub(crate) fn to_order_key(message: &OrderKeyMessage) -> Result<OrderKey, WireError> {
    Ok(OrderKey { rank: message.rank, trace_id: to_trace_id(&message.trace_id)? })
}

/// Where an answer ended.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CursorMessage {
    #[prost(message, optional, tag = "1")]
    last: Option<OrderKeyMessage>,
    #[prost(message, repeated, tag = "2")]
    applied: Vec<AppliedMessage>,
}

pub(crate) fn from_cursor(cursor: &Cursor) -> Result<CursorMessage, WireError> {
    Ok(CursorMessage { last: Some(cursor.last.into()), applied: from_applied(&cursor.applied)? })
}

pub(crate) fn to_cursor(message: CursorMessage) -> Result<Cursor, WireError> {
    Ok(Cursor {
        last: to_order_key(&required("the place of a cursor", message.last)?)?,
        applied: to_applied(&message.applied)?,
    })
}

#[derive(Clone, Copy)]
enum DetailKind {
    Summary,
    Trace,
}

numbered!(DetailKind, "a detail of hits", { 1 => Summary, 2 => Trace });

/// What a hit carries.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DetailMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint64, tag = "2")]
    spans_max: u64,
}

impl From<Detail> for DetailMessage {
    fn from(detail: Detail) -> Self {
        match detail {
            Detail::Summary => Self { kind: DetailKind::Summary.number(), spans_max: 0 },
            Detail::Trace { spans_max } => {
                Self { kind: DetailKind::Trace.number(), spans_max: spans_max as u64 }
            }
        }
    }
}

pub(crate) fn to_detail(message: &DetailMessage) -> Result<Detail, WireError> {
    Ok(match DetailKind::from_number(message.kind)? {
        DetailKind::Summary => Detail::Summary,
        DetailKind::Trace => Detail::Trace { spans_max: to_usize(message.spans_max) },
    })
}

#[derive(Clone, Copy)]
enum FiguresKind {
    Totals,
    Heatmap,
    TopValues,
    Red,
    TopOfField,
}

numbered!(FiguresKind, "figures of kind", {
    1 => Totals, 2 => Heatmap, 3 => TopValues, 4 => Red,
    5 => TopOfField,
});

numbered!(GroupBy, "a grouping", { 1 => Service, 2 => Operation });

/// A question for figures.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AggregateQueryMessage {
    #[prost(message, optional, tag = "1")]
    window: Option<WindowMessage>,
    #[prost(message, optional, tag = "2")]
    predicate: Option<SpanPredicateMessage>,
    #[prost(uint32, tag = "3")]
    kind: u32,
    #[prost(uint64, tag = "4")]
    step: u64,
    #[prost(uint32, tag = "5")]
    group_by: u32,
    #[prost(uint32, tag = "6")]
    scope: u32,
    #[prost(bytes = "bytes", tag = "7")]
    key: Bytes,
    #[prost(uint32, tag = "8")]
    limit: u32,
    #[prost(message, optional, tag = "9")]
    field: Option<FieldMessage>,
}

pub(crate) fn from_aggregate_query(
    query: &AggregateQuery,
) -> Result<AggregateQueryMessage, WireError> {
    let message = AggregateQueryMessage {
        window: Some(query.window.into()),
        predicate: Some(from_span_predicate(&query.predicate, 0, &mut Seen::default())?),
        ..Default::default()
    };
    Ok(match &query.kind {
        AggregateKind::Totals => {
            AggregateQueryMessage { kind: FiguresKind::Totals.number(), ..message }
        }
        AggregateKind::Heatmap { step } => {
            AggregateQueryMessage { kind: FiguresKind::Heatmap.number(), step: step.0, ..message }
        }
        // As nodes know it that count attributes only.
        AggregateKind::TopValues { field: Field::Attribute(scope, key), limit } => {
            AggregateQueryMessage {
                kind: FiguresKind::TopValues.number(),
                scope: scope.number(),
                key: from_text(key),
                limit: *limit,
                ..message
            }
        }
        AggregateKind::TopValues { field, limit } => AggregateQueryMessage {
            kind: FiguresKind::TopOfField.number(),
            field: Some(from_field(field)),
            limit: *limit,
            ..message
        },
        AggregateKind::Red { step, group_by } => AggregateQueryMessage {
            kind: FiguresKind::Red.number(),
            step: step.0,
            group_by: group_by.number(),
            ..message
        },
    })
}

pub(crate) fn to_aggregate_query(
    message: AggregateQueryMessage,
) -> Result<AggregateQuery, WireError> {
    let step = Duration(message.step);
    let kind = match FiguresKind::from_number(message.kind)? {
        FiguresKind::Totals => AggregateKind::Totals,
        FiguresKind::Heatmap => AggregateKind::Heatmap { step },
        FiguresKind::TopValues => AggregateKind::TopValues {
            field: Field::Attribute(
                AttributeScope::from_number(message.scope)?,
                message.key.into(),
            ),
            limit: message.limit,
        },
        FiguresKind::TopOfField => AggregateKind::TopValues {
            field: to_field(required("the field of figures", message.field)?)?,
            limit: message.limit,
        },
        FiguresKind::Red => {
            AggregateKind::Red { step, group_by: GroupBy::from_number(message.group_by)? }
        }
    };
    let predicate = required("the predicate of a query", message.predicate)?;
    Ok(AggregateQuery {
        window: required("the window of a query", message.window)?.into(),
        predicate: to_span_predicate(predicate, 0, &mut Seen::default())?,
        kind,
    })
}
