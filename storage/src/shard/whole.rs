//! The figures of one trace, from its parts.
//!
//! A row with a start and a span id that no other row of its trace has is a span of its own. Where
//! that holds of all rows of a long trace, columns give its figures, piece by piece; of a short
//! one, or one with rows that may be repeats or that columns do not decide, the spans are made.

use std::sync::Arc;

use model::aggregate::{Aggregate, AggregateQuery};
use model::batch::Index;
use model::budget::Budget;
use model::{Span, SpanId, Timestamp, TraceId, pace, query};

use super::columnar::Columnar;
use super::figures::marks_within;
use super::handle::Shard;
use super::held::Held;
use super::piece::Piece;
use super::reader::PieceReader;
use super::rows::RowSet;
use super::skeleton::{decides_figures, decides_span};
use crate::Error;
use crate::block::limits::PAGE_ROWS;

/// Which spans of a trace count, of those that a question asks for. Both say the same.
pub(super) trait Choice {
    /// The rows of a piece that count; nothing if all do.
    fn rows(&self, index: &Index) -> Option<RowSet>;

    /// Whether a span counts.
    fn takes(&self, span: &Span) -> bool;
}

/// All of them count.
pub(super) struct All;

impl Choice for All {
    fn rows(&self, _: &Index) -> Option<RowSet> {
        None
    }

    fn takes(&self, _: &Span) -> bool {
        true
    }
}

/// What tells spans of a trace apart, but for those that may be repeats.
type Key = (Timestamp, SpanId);

impl Shard {
    /// The figures of the distinct spans of a trace that the choice takes.
    pub(super) fn trace_figures(
        &self,
        query: &AggregateQuery,
        parts: &[Arc<Piece>],
        id: TraceId,
        choice: &dyn Choice,
        budget: &Budget,
    ) -> Result<Aggregate, Error> {
        if let Some(figures) = self.columnar_trace_figures(query, parts, id, choice, budget)? {
            return Ok(figures);
        }
        let mut spans = self.spans_for(query, parts, id, budget)?;
        spans.retain(|span| choice.takes(span));
        Ok(query::aggregate(query, [spans.as_slice()]))
    }

    /// The same from columns; nothing if the trace is short, or they do not decide.
    fn columnar_trace_figures(
        &self,
        query: &AggregateQuery,
        parts: &[Arc<Piece>],
        id: TraceId,
        choice: &dyn Choice,
        budget: &Budget,
    ) -> Result<Option<Aggregate>, Error> {
        if self.trace_rows(parts, id, budget)? <= self.page_rows() {
            return Ok(None);
        }
        if self.has_equal_keys(parts, id, budget)? {
            return Ok(None);
        }
        let mut figures = Aggregate::default();
        let mut held = Held::new(budget);
        for part in parts {
            let reader = PieceReader::new(self, Arc::clone(part), budget);
            let index = reader.index()?;
            let marks = marks_within(&reader, &index, query.window, &query.predicate)?;
            let Some(marks) = marks else { continue };
            let undecided = marks.undecided();
            let own = || index.traces.iter().filter(|trace| trace.id == id);
            if own().any(|trace| undecided.any_within(trace.rows())) {
                return Ok(None);
            }
            let Some(mut columnar) = Columnar::new(query, &reader, &index)? else {
                return Ok(None);
            };
            let mut rows = marks.must;
            if let Some(chosen) = choice.rows(&index) {
                rows.intersect(&chosen);
            }
            own().for_each(|trace| columnar.add_rows(trace, &rows));
            held.grow(columnar.finish(&mut figures))?;
        }
        figures.traces = u64::from(figures.spans > 0);
        Ok(Some(figures))
    }

    /// Rows of a full page: a trace with more is long.
    pub(super) fn page_rows(&self) -> usize {
        self.store.as_ref().map_or(PAGE_ROWS, |store| store.sizes.rows)
    }

    /// How many rows a trace has, those included that do not count.
    pub(super) fn trace_rows(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<usize, Error> {
        let mut rows = 0;
        for part in parts {
            let index = PieceReader::new(self, Arc::clone(part), budget).index()?;
            let own = index.traces.iter().filter(|trace| trace.id == id);
            rows += own.map(|trace| trace.rows().len()).sum::<usize>();
        }
        Ok(rows)
    }

    /// Whether two counted rows of a trace may be repeats of one span.
    fn has_equal_keys(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<bool, Error> {
        let mut keys: Vec<Key> = Vec::new();
        for part in parts {
            let index = PieceReader::new(self, Arc::clone(part), budget).index()?;
            let keys_before = keys.len();
            for trace in index.traces.iter().filter(|trace| trace.id == id) {
                let counted = trace.rows().filter(|row| part.counts(&index, *row));
                keys.extend(
                    counted.filter_map(|row| {
                        Some((*index.starts.get(row)?, *index.span_ids.get(row)?))
                    }),
                );
            }
            budget.spend(((keys.len() - keys_before) * size_of::<Key>()) as u64)?;
        }
        let keys = pace::sort_by_key(keys, |key| *key, budget)?;
        let mut has_equal = false;
        pace::for_each(keys.windows(2), budget, |pair| {
            has_equal |= matches!(pair, [left, right] if left == right);
        })?;
        Ok(has_equal)
    }

    /// The distinct spans of a trace, as far as the figures look at them.
    fn spans_for(
        &self,
        query: &AggregateQuery,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Vec<Span>, Error> {
        if decides_figures(&query.kind) && decides_span(&query.predicate) {
            self.skeletons(parts, id, budget)
        } else {
            self.distinct_spans(parts, id, budget)
        }
    }
}
