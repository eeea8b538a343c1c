//! The outline of a trace: what indexes alone say of its rows.
//!
//! Enough for its summary, its structure and its calls, without values and without owned spans.
//! Invariant: an outline has a row for each distinct span. Rows that may be exact repeats have the
//! same start and span id; only for traces with such rows are spans materialised to tell.

use std::sync::Arc;

use model::batch::{Index, Parent, TraceRows};
use model::budget::Budget;
use model::effective::{self, operation_of_name};
use model::span::{SpanKind, StatusCode};
use model::store::TraceSummary;
use model::summary::{SpanFacts, SummaryBuilder};
use model::tree::{ParentLink, Tree, TreeRow};
use model::{Span, SpanId, Text, Timestamp, TraceId, trace};

use super::handle::Shard;
use super::piece::Piece;
use super::reader::PieceReader;
use crate::Error;

/// What is known of a span without its values.
#[derive(Debug, Clone)]
pub(super) struct OutlineRow {
    pub(super) span_id: SpanId,
    pub(super) parent: ParentLink,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) kind: SpanKind,
    pub(super) status: StatusCode,
    pub(super) is_error: bool,
    pub(super) service: Text,
    pub(super) operation: Text,
}

/// The distinct spans of a trace, in its order.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) trace_id: TraceId,
    pub(super) rows: Vec<OutlineRow>,
}

impl Shard {
    /// All spans of a trace that are no marked repeats, in order of arrival.
    pub(super) fn trace_spans(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Vec<Span>, Error> {
        let mut spans = Vec::new();
        for batch in parts {
            PieceReader::new(self, Arc::clone(batch), budget).trace_spans(id, &mut spans)?;
        }
        Ok(spans)
    }

    /// The outline of a trace.
    pub(super) fn outline(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Outline, Error> {
        let mut rows = Vec::new();
        for batch in parts {
            let reader = PieceReader::new(self, Arc::clone(batch), budget);
            let index = reader.index()?;
            let rows_before = rows.len();
            add_rows(reader.piece(), &index, id, &mut rows);
            let added = rows.len() - rows_before;
            budget.spend((added * size_of::<OutlineRow>()) as u64)?;
        }
        rows.sort_by_key(|row| (row.start, row.span_id));
        let key = |row: &OutlineRow| (row.start, row.span_id);
        let has_twins = rows.windows(2).any(|pair| match pair {
            [left, right] => key(left) == key(right),
            _ => false,
        });
        if has_twins {
            let spans = trace::distinct(self.trace_spans(parts, id, budget)?);
            rows = spans.iter().map(OutlineRow::from).collect();
        }
        Ok(Outline { trace_id: id, rows })
    }
}

impl Outline {
    /// Who is whose parent.
    pub(super) fn tree(&self) -> Tree {
        let row = |row: &OutlineRow| TreeRow {
            span_id: row.span_id,
            parent: row.parent,
            start: row.start,
        };
        Tree::new(&self.rows.iter().map(row).collect::<Vec<_>>())
    }

    /// The trace's summary.
    pub(super) fn summary(&self) -> TraceSummary {
        let mut builder = SummaryBuilder::default();
        for row in &self.rows {
            builder.add(&SpanFacts {
                span_id: row.span_id,
                start: row.start,
                end: row.end,
                is_root: row.parent == ParentLink::Root,
                is_error: row.is_error,
                service: &row.service,
                operation: &row.operation,
            });
        }
        builder.finish(self.trace_id, self.tree().orphans().len() as u64)
    }
}

impl From<&Span> for OutlineRow {
    fn from(span: &Span) -> Self {
        Self {
            span_id: span.span_id,
            parent: (&span.parent).into(),
            start: span.start,
            end: span.end,
            kind: span.kind,
            status: span.status.as_ref().map_or(StatusCode::UNSET, |status| status.code),
            is_error: span.is_error(),
            service: effective::span_service(span),
            operation: effective::span_operation(span),
        }
    }
}

fn add_rows(batch: &Piece, index: &Index, id: TraceId, out: &mut Vec<OutlineRow>) {
    let traces = index.traces.iter().filter(|trace| trace.id == id);
    for row in traces.flat_map(TraceRows::rows).filter(|row| batch.counts(index, *row)) {
        out.extend(outline_row(index, row));
    }
}

fn outline_row(index: &Index, row: usize) -> Option<OutlineRow> {
    let class = index.class(row)?;
    Some(OutlineRow {
        span_id: *index.span_ids.get(row)?,
        parent: parent_link(index, row)?,
        start: *index.starts.get(row)?,
        end: *index.ends.get(row)?,
        kind: class.kind,
        status: class.status.unwrap_or(StatusCode::UNSET),
        is_error: class.is_error(),
        service: index.services.get(class.resource as usize)?.clone(),
        operation: operation_of_name(index.strings.get(class.name as usize)?.as_bytes()),
    })
}

/// What a row says of its parent.
pub(crate) fn parent_link(index: &Index, row: usize) -> Option<ParentLink> {
    let link = |id: SpanId| if id.is_zero() { ParentLink::Root } else { ParentLink::Span(id) };
    Some(match *index.parents.get(row)? {
        Parent::None => ParentLink::Root,
        Parent::Row(parent) => link(*index.span_ids.get(parent as usize)?),
        Parent::Far(id) => link(id),
        Parent::Odd => ParentLink::Odd,
    })
}
