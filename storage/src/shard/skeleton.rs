//! Skeletons: spans as far as a batch's index gives them.
//!
//! A skeleton has the span's own resource, scope, name, kind, ids, times and status code, and lacks
//! attributes, events, links and the rarer fields. The reference evaluator says the same of it as
//! of the whole span, as long as it is asked for nothing that a skeleton lacks: that is what the
//! functions here decide. They list what a skeleton has, so that a new field has to be decided.

use std::sync::Arc;

use model::aggregate::AggregateKind;
use model::batch::{Index, Parent};
use model::budget::Budget;
use model::query::{AttributeScope, Field, JaegerTag, SpanPredicate, Statistic, TracePredicate};
use model::span::{ParentId, Status};
use model::{Span, Text, TraceId, pace};

use super::handle::Shard;
use super::piece::Piece;
use crate::Error;

/// Bytes that a budget is charged for a skeleton.
const SKELETON_BYTES: u64 = size_of::<Span>() as u64;

impl Shard {
    /// The distinct spans of a trace in its order, as skeletons; materialised where only that tells
    /// whether spans with the same start and id are repeats.
    pub(super) fn skeletons(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Vec<Span>, Error> {
        let keys = self.row_keys(parts, id, budget)?;
        let keys = self.distinct_rows(parts, keys, budget)?;
        budget.spend(keys.len() as u64 * SKELETON_BYTES)?;
        let mut spans: Vec<Option<Span>> = Vec::new();
        spans.resize_with(keys.len(), || None);
        self.visit_rows(parts, &keys, budget, &mut |index, rows| {
            for (place, row) in rows {
                if let Some(own) = spans.get_mut(place) {
                    *own = skeleton(index, id, row);
                }
            }
        })?;
        let mut whole = Vec::with_capacity(spans.len());
        pace::for_each(spans, budget, |span| whole.extend(span))?;
        Ok(whole)
    }
}

fn skeleton(index: &Index, trace_id: TraceId, row: usize) -> Option<Span> {
    let class = index.class(row)?;
    Some(Span {
        resource: Arc::clone(index.resources.get(class.resource as usize)?),
        scope: Arc::clone(index.scopes.get(class.scope as usize)?),
        trace_id,
        span_id: *index.span_ids.get(row)?,
        parent: match index.parents.get(row)? {
            Parent::None => ParentId::None,
            Parent::Row(parent) => ParentId::Id(*index.span_ids.get(*parent as usize)?),
            Parent::Far(id) => ParentId::Id(*id),
            // What it was is no id, whatever it was.
            Parent::Odd => ParentId::Odd(Text::from_static("?")),
        },
        trace_state: Text::EMPTY,
        flags: class.flags,
        name: index.strings.get(class.name as usize)?.clone(),
        kind: class.kind,
        start: *index.starts.get(row)?,
        end: *index.ends.get(row)?,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
        status: class.status.map(|code| Status { code, ..Status::default() }),
        unknown: Text::EMPTY,
    })
}

/// Whether skeletons are enough for the predicate.
pub(super) fn decides_trace(predicate: &TracePredicate) -> bool {
    match predicate {
        TracePredicate::All(parts) | TracePredicate::Any(parts) => parts.iter().all(decides_trace),
        TracePredicate::Not(inner) => decides_trace(inner),
        TracePredicate::HasSpan(of) => decides_span(of),
        TracePredicate::Structure { left, right, .. } => decides_span(left) && decides_span(right),
        TracePredicate::Aggregate { of, statistic, .. } => {
            decides_span(of) && decides_statistic(statistic)
        }
        TracePredicate::True
        | TracePredicate::Duration(_)
        | TracePredicate::SpanCount(_)
        | TracePredicate::ErrorCount(_)
        | TracePredicate::RootService(_)
        | TracePredicate::RootOperation(_) => true,
    }
}

/// Whether skeletons are enough for the predicate.
pub(super) fn decides_span(predicate: &SpanPredicate) -> bool {
    match predicate {
        SpanPredicate::True => true,
        SpanPredicate::All(parts) | SpanPredicate::Any(parts) => parts.iter().all(decides_span),
        SpanPredicate::Not(inner) => decides_span(inner),
        SpanPredicate::Field(field, _) => has_field(field),
        SpanPredicate::JaegerTag { key, value } => {
            !matches!(JaegerTag::new(key, value), JaegerTag::Anywhere { .. })
        }
        SpanPredicate::Mentions(_) => false,
    }
}

/// Whether skeletons are enough for the figures.
pub(super) fn decides_figures(kind: &AggregateKind) -> bool {
    match kind {
        AggregateKind::Totals | AggregateKind::Heatmap { .. } | AggregateKind::Red { .. } => true,
        AggregateKind::TopValues { field, .. } => has_field(field),
    }
}

fn decides_statistic(statistic: &Statistic) -> bool {
    match statistic {
        Statistic::Count => true,
        Statistic::Sum(field)
        | Statistic::Min(field)
        | Statistic::Max(field)
        | Statistic::Mean(field) => has_field(field),
    }
}

fn has_field(field: &Field) -> bool {
    match field {
        Field::Service
        | Field::Operation
        | Field::Kind
        | Field::Status
        | Field::Duration
        | Field::Start
        | Field::End
        | Field::TraceId
        | Field::SpanId
        | Field::ParentId
        | Field::ScopeName
        | Field::ScopeVersion => true,
        Field::Attribute(scope, _) => has_attributes(*scope),
        Field::StatusMessage
        | Field::TraceState
        | Field::EventName
        | Field::EventTimeSinceStart
        | Field::LinkTraceId
        | Field::LinkSpanId => false,
    }
}

fn has_attributes(scope: AttributeScope) -> bool {
    matches!(scope, AttributeScope::Resource | AttributeScope::Scope)
}
