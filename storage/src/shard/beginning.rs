//! The first spans of a trace that is too large to be given whole.
//!
//! A trace of a million spans is normal; a million owned spans at once are not. So the rows are
//! put in order by what indexes say, and only the first of them are read. Rows with the same start
//! and id may be exact repeats: these are told apart by the fingerprints of their spans, read one
//! batch at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::batch::TraceRows;
use model::budget::Budget;
use model::canonical::fingerprint;
use model::store::Trace;
use model::trace::assemble;
use model::{Span, SpanId, Tenant, Timestamp, TraceId};

use super::handle::Shard;
use super::piece::Piece;
use super::reader::PieceReader;
use crate::Error;

/// A row of a trace, by its place in the trace's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    start: Timestamp,
    span_id: SpanId,
    /// Which of the trace's batches, in the order of the log.
    part: u32,
    row: u32,
}

impl RowKey {
    fn is_twin_of(&self, other: &Self) -> bool {
        (self.start, self.span_id) == (other.start, other.span_id)
    }
}

impl Shard {
    /// The trace of these batches, cut off after `spans_max` spans; nothing if it has none.
    pub(super) fn assemble_trace(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        spans_max: usize,
        budget: &Budget,
    ) -> Result<Option<Trace>, Error> {
        let mut rows = self.row_keys(parts, id, budget)?;
        if rows.len() <= spans_max {
            return Ok(assemble(id, self.trace_spans(parts, id, budget)?, spans_max));
        }
        rows.sort_unstable();
        self.settle_twins(parts, &mut rows, budget)?;
        let distinct_count = rows.len();
        rows.truncate(spans_max);
        let mut spans = Vec::with_capacity(rows.len());
        self.visit(parts, &rows, budget, &mut |_, span| spans.push(span))?;
        // Batch by batch is not the trace's order; there are no repeats left to find.
        let trace = assemble(id, spans, spans_max);
        let truncated = (distinct_count > spans_max).then_some(distinct_count as u64);
        Ok(trace.map(|trace| Trace { truncated, ..trace }))
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
        for batch in snapshot.parts(id)? {
            let reader = PieceReader::new(self, batch, budget);
            let index = reader.index()?;
            let is_wanted =
                |row: &usize| index.span_ids.get(*row).is_some_and(|own| span_ids.contains(own));
            let traces = index.traces.iter().filter(|trace| trace.id == id);
            for row in traces.flat_map(TraceRows::rows).filter(is_wanted) {
                reader.spans(&index, row..row + 1, &mut spans)?;
            }
        }
        Ok(assemble(id, spans, usize::MAX))
    }

    /// Every row of the trace that is no marked repeat.
    fn row_keys(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Vec<RowKey>, Error> {
        let mut keys = Vec::new();
        for (part, batch) in (0..).zip(parts) {
            let index = PieceReader::new(self, Arc::clone(batch), budget).index()?;
            let traces = index.traces.iter().filter(|trace| trace.id == id);
            for row in traces.flat_map(TraceRows::rows).filter(|row| batch.counts(&index, *row)) {
                if let (Some(start), Some(span_id)) =
                    (index.starts.get(row), index.span_ids.get(row))
                {
                    let row = u32::try_from(row).unwrap_or(u32::MAX);
                    keys.push(RowKey { start: *start, span_id: *span_id, part, row });
                }
            }
        }
        Ok(keys)
    }

    /// Puts sorted rows with the same start and id into the order of their fingerprints, and takes
    /// out those whose span equals that of another.
    fn settle_twins(
        &self,
        parts: &[Arc<Piece>],
        rows: &mut Vec<RowKey>,
        budget: &Budget,
    ) -> Result<(), Error> {
        let runs = rows.chunk_by(RowKey::is_twin_of).filter(|run| run.len() > 1);
        let twins: Vec<RowKey> = runs.flatten().copied().collect();
        if twins.is_empty() {
            return Ok(());
        }
        let mut fingerprints = BTreeMap::new();
        self.visit(parts, &twins, budget, &mut |row, span| {
            fingerprints.insert(row, fingerprint(&span));
        })?;
        let print = |row: &RowKey| fingerprints.get(row).copied();
        rows.sort_by_key(|row| (row.start, row.span_id, print(row)));
        rows.dedup_by(|row, kept| row.is_twin_of(kept) && print(row) == print(kept));
        Ok(())
    }

    /// Reads the spans of rows, one batch at a time.
    fn visit(
        &self,
        parts: &[Arc<Piece>],
        rows: &[RowKey],
        budget: &Budget,
        visit: &mut dyn FnMut(RowKey, Span),
    ) -> Result<(), Error> {
        let mut by_part: BTreeMap<u32, Vec<RowKey>> = BTreeMap::new();
        for row in rows {
            by_part.entry(row.part).or_default().push(*row);
        }
        for (part, mut rows) in by_part {
            let Some(batch) = parts.get(part as usize) else { continue };
            rows.sort_unstable_by_key(|row| row.row);
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
            let stretch = first.row as usize..last.row as usize + 1;
            let reader = PieceReader::new(self, Arc::clone(batch), budget);
            let index = reader.index()?;
            let mut spans = Vec::new();
            reader.spans(&index, stretch.clone(), &mut spans)?;
            let read = stretch.filter(|row| batch.counts(&index, *row)).zip(spans);
            let mut wanted = rows.iter().peekable();
            for (row, span) in read {
                if let Some(key) = wanted.next_if(|key| key.row as usize == row) {
                    visit(*key, span);
                }
            }
        }
        Ok(())
    }
}
