//! Traces as owned spans: the whole of one that is small, the first spans of one that is too large
//! to be given whole.
//!
//! The rows are put in order by what indexes say ([`super::distinct`]), and only those that are
//! given are read, piece by piece; each span goes to its place at once, so that none is moved
//! again.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::batch::TraceRows;
use model::budget::Budget;
use model::pace::STRETCH_ROWS;
use model::store::Trace;
use model::trace::{assemble_within, distinct_within};
use model::{Span, SpanId, Tenant, TraceId, pace};

use super::distinct::RowKey;
use super::handle::Shard;
use super::piece::Piece;
use super::reader::PieceReader;
use crate::Error;

impl Shard {
    /// The trace of these batches, cut off after `spans_max` spans; nothing if it has none.
    pub(super) fn assemble_trace(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        spans_max: usize,
        budget: &Budget,
    ) -> Result<Option<Trace>, Error> {
        let keys = self.row_keys(parts, id, budget)?;
        if keys.len() <= spans_max.min(STRETCH_ROWS) {
            let spans = self.trace_spans(parts, id, budget)?;
            return Ok(assemble_within(id, spans, spans_max, budget)?);
        }
        let mut keys = self.distinct_rows(parts, keys, budget)?;
        let distinct_count = keys.len();
        keys.truncate(spans_max);
        let spans = self.spans_of(parts, &keys, budget)?;
        let truncated = (distinct_count > spans_max).then_some(distinct_count as u64);
        Ok(Some(Trace { trace_id: id, spans, truncated }))
    }

    /// The distinct spans of a trace in its order, all of them.
    pub(super) fn distinct_spans(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Vec<Span>, Error> {
        let keys = self.row_keys(parts, id, budget)?;
        if keys.len() <= STRETCH_ROWS {
            return Ok(distinct_within(self.trace_spans(parts, id, budget)?, budget)?);
        }
        let keys = self.distinct_rows(parts, keys, budget)?;
        self.spans_of(parts, &keys, budget)
    }

    /// The spans of these rows, in their order.
    fn spans_of(
        &self,
        parts: &[Arc<Piece>],
        keys: &[RowKey],
        budget: &Budget,
    ) -> Result<Vec<Span>, Error> {
        let mut spans: Vec<Option<Span>> = Vec::new();
        spans.resize_with(keys.len(), || None);
        self.visit(parts, keys, budget, &mut |place, span| {
            if let Some(own) = spans.get_mut(place) {
                *own = Some(span);
            }
        })?;
        let mut whole = Vec::with_capacity(spans.len());
        pace::for_each(spans, budget, |span| whole.extend(span))?;
        Ok(whole)
    }

    /// All spans of a trace that have one of these ids; nothing if there are none. Indexes say
    /// where they lie, so that no other span of a large trace is read.
    pub fn spans_by_id(
        &self,
        tenant: &Tenant,
        id: TraceId,
        span_ids: &BTreeSet<SpanId>,
        budget: &Budget,
    ) -> Result<Option<Trace>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(None) };
        let mut spans = Vec::new();
        for batch in snapshot.parts(id, budget)? {
            let reader = PieceReader::new(self, batch, budget);
            let index = reader.index()?;
            let is_wanted =
                |row: &usize| index.span_ids.get(*row).is_some_and(|own| span_ids.contains(own));
            let traces = index.traces.iter().filter(|trace| trace.id == id);
            for row in traces.flat_map(TraceRows::rows).filter(is_wanted) {
                reader.spans(&index, row..row + 1, &mut spans)?;
            }
        }
        Ok(assemble_within(id, spans, usize::MAX, budget)?)
    }
}
