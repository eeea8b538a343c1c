//! The outline of a trace: what indexes alone say of its rows, and of who called whom.
//!
//! Enough for its summary and its calls, without values and without owned spans. Invariant: an
//! outline has a row for each distinct span.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::aggregate::Counts;
use model::batch::{Index, Parent};
use model::budget::Budget;
use model::pace;
use model::store::TraceSummary;
use model::summary::{SpanFacts, SummaryBuilder};
use model::tree::ParentLink;
use model::{Span, SpanId, Text, Timestamp, TraceId};

use super::gathered::{Gathered, Row};
use super::handle::Shard;
use super::piece::Piece;
use super::reader::PieceReader;
use crate::Error;

/// The distinct rows of a trace, in its order.
#[derive(Debug)]
pub(super) struct Outline {
    trace_id: TraceId,
    pub(super) found: Gathered,
}

/// A call, with the numbers of the services.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) start: Timestamp,
    pub(super) parent: u32,
    pub(super) child: u32,
    pub(super) is_error: bool,
}

/// Calls by the numbers of the services between which they are.
#[derive(Debug, Default)]
pub(super) struct NumberedEdges(pub(super) BTreeMap<(u32, u32), Counts>);

impl NumberedEdges {
    pub(super) fn add(&mut self, call: &Call) {
        let counts = Counts { spans: 1, errors: u64::from(call.is_error) };
        self.0.entry((call.parent, call.child)).or_default().add(counts);
    }
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
        Ok(Outline { trace_id: id, found: self.gather(parts, id, budget)? })
    }
}

impl Outline {
    /// The services, by their numbers.
    pub(super) fn services(&self) -> &[Text] {
        self.found.services.as_slice()
    }

    /// Tells the calls between the spans, by child, with the numbers of [`Self::services`].
    pub(super) fn calls(&self, budget: &Budget, mut tell: impl FnMut(Call)) -> Result<(), Error> {
        let rows = self.found.rows.as_slice();
        let parents = self.found.parents(budget)?;
        let kind = |row: &Row| self.found.kind_of(row);
        pace::for_each((0..u32::MAX).zip(rows), budget, |(number, child)| {
            let parent = parents.parent(number).and_then(|parent| rows.get(parent as usize));
            if let (Some(parent), Some(of_child)) = (parent.and_then(kind), kind(child)) {
                tell(Call {
                    start: child.start,
                    parent: parent.service,
                    child: of_child.service,
                    is_error: of_child.is_error,
                });
            }
        })?;
        Ok(())
    }

    /// The trace's summary.
    pub(super) fn summary(&self, budget: &Budget) -> Result<TraceSummary, Error> {
        let mut builder = SummaryBuilder::default();
        let (services, operations) = (self.services(), self.found.operations.as_slice());
        pace::for_each(&self.found.rows, budget, |row| {
            let Some(kind) = self.found.kind_of(row) else { return };
            let service = services.get(kind.service as usize);
            let operation = operations.get(kind.operation as usize);
            let (Some(service), Some(operation)) = (service, operation) else { return };
            builder.add(&SpanFacts {
                span_id: row.span_id,
                start: row.start,
                end: row.end,
                is_root: row.parent == ParentLink::Root,
                is_error: kind.is_error,
                service,
                operation,
            });
        })?;
        let orphans = self.found.parents(budget)?.orphans().len() as u64;
        Ok(builder.finish(self.trace_id, orphans))
    }
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
