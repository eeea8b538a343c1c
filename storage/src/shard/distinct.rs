//! The distinct rows of a trace, in its order, by what indexes say.
//!
//! A trace of a million spans is normal; a million owned spans at once are not. So rows are put in
//! order by start and id. Rows with the same start and id may be exact repeats: these are told
//! apart by the fingerprints of their spans, which are read one piece at a time and let go.

use std::sync::Arc;

use model::batch::{Index, TraceRows};
use model::budget::Budget;
use model::canonical::fingerprint;
use model::{Span, SpanId, Timestamp, TraceId, pace};

use super::handle::Shard;
use super::piece::Piece;
use super::reader::PieceReader;
use crate::Error;

/// A row of a trace, by its place in the trace's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    start: Timestamp,
    span_id: SpanId,
    /// Which of the trace's pieces.
    pub(super) part: u32,
    pub(super) row: u32,
}

impl RowKey {
    fn is_twin_of(&self, other: &Self) -> bool {
        (self.start, self.span_id) == (other.start, other.span_id)
    }
}

/// A row that may repeat another one.
#[derive(Debug, Clone, Copy)]
struct Twin {
    key: RowKey,
    print: u128,
}

impl Twin {
    /// Only by what does not depend on where it lies.
    fn order(&self) -> (Timestamp, SpanId, u128) {
        (self.key.start, self.key.span_id, self.print)
    }
}

/// A row that is to be read, and its place among those asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    part: u32,
    row: u32,
    place: u32,
}

impl Shard {
    /// Every row of the trace that is no marked repeat, in order of arrival.
    pub(super) fn row_keys(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        budget: &Budget,
    ) -> Result<Vec<RowKey>, Error> {
        let mut keys = Vec::new();
        for (part, piece) in (0..).zip(parts) {
            let index = PieceReader::new(self, Arc::clone(piece), budget).index()?;
            let keys_before = keys.len();
            row_keys_of(part, piece, &index, id, &mut keys);
            budget.spend(((keys.len() - keys_before) * size_of::<RowKey>()) as u64)?;
        }
        Ok(keys)
    }

    /// These rows in the order of their trace, each distinct span once.
    pub(super) fn distinct_rows(
        &self,
        parts: &[Arc<Piece>],
        keys: Vec<RowKey>,
        budget: &Budget,
    ) -> Result<Vec<RowKey>, Error> {
        let keys = pace::sort_by_key(keys, |key| *key, budget)?;
        let mut twins = Vec::new();
        pace::for_each(keys.chunk_by(RowKey::is_twin_of), budget, |run| {
            if run.len() > 1 {
                twins.extend_from_slice(run);
            }
        })?;
        if twins.is_empty() {
            return Ok(keys);
        }
        // Their prints too, and the rows that are left.
        let twin_bytes = size_of::<RowKey>() + size_of::<u128>() + size_of::<Twin>();
        budget.spend((twins.len() * twin_bytes + keys.len() * size_of::<RowKey>()) as u64)?;
        let mut prints = vec![0; twins.len()];
        self.visit(parts, &twins, budget, &mut |place, span| {
            if let Some(print) = prints.get_mut(place) {
                *print = fingerprint(&span);
            }
        })?;
        let twins = twins.into_iter().zip(prints).map(|(key, print)| Twin { key, print });
        let twins = pace::sort_by_key(pace::collect(twins, budget)?, Twin::order, budget)?;
        let mut twins = twins.as_slice();
        let mut settled: Vec<RowKey> = Vec::with_capacity(keys.len());
        pace::for_each(keys.chunk_by(RowKey::is_twin_of), budget, |run| {
            if run.len() < 2 {
                settled.extend_from_slice(run);
                return;
            }
            let (own, rest) = twins.split_at(run.len().min(twins.len()));
            let of_one_span = own.chunk_by(|left, right| left.print == right.print);
            settled.extend(of_one_span.filter_map(|same| same.first()).map(|twin| twin.key));
            twins = rest;
        })?;
        Ok(settled)
    }

    /// Tells the spans of rows with their places among these, one piece after the other.
    pub(super) fn visit(
        &self,
        parts: &[Arc<Piece>],
        rows: &[RowKey],
        budget: &Budget,
        tell: &mut dyn FnMut(usize, Span),
    ) -> Result<(), Error> {
        for_each_part(parts, rows, budget, &mut |piece, wanted| {
            let reader = PieceReader::new(self, Arc::clone(piece), budget);
            let index = reader.index()?;
            let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(()) };
            let stretch = first.row as usize..last.row as usize + 1;
            let mut wanted = wanted.iter().peekable();
            // In one go, with what lies between: the columns are walked from their beginning.
            reader.each_span(&index, stretch, &mut |row, span| {
                if let Some(wanted) = wanted.next_if(|wanted| wanted.row as usize == row) {
                    tell(wanted.place as usize, span);
                }
            })
        })
    }

    /// Tells rows with their places among these, one piece after the other, by what its index says.
    pub(super) fn visit_rows(
        &self,
        parts: &[Arc<Piece>],
        rows: &[RowKey],
        budget: &Budget,
        tell: &mut OnRows<'_>,
    ) -> Result<(), Error> {
        for_each_part(parts, rows, budget, &mut |piece, wanted| {
            let index = PieceReader::new(self, Arc::clone(piece), budget).index()?;
            let mut rows = wanted.iter().map(|it| (it.place as usize, it.row as usize));
            tell(&index, &mut rows);
            Ok(())
        })
    }
}

/// Appends the rows of a trace in one piece that are no marked repeats, ascending.
pub(super) fn row_keys_of(
    part: u32,
    piece: &Piece,
    index: &Index,
    id: TraceId,
    keys: &mut Vec<RowKey>,
) {
    let traces = index.traces.iter().filter(|trace| trace.id == id);
    for row in traces.flat_map(TraceRows::rows).filter(|row| piece.counts(index, *row)) {
        if let (Some(start), Some(span_id)) = (index.starts.get(row), index.span_ids.get(row)) {
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            keys.push(RowKey { start: *start, span_id: *span_id, part, row });
        }
    }
}

/// Is told an index, and places and rows in it.
pub(super) type OnRows<'a> = dyn FnMut(&Index, &mut dyn Iterator<Item = (usize, usize)>) + 'a;

/// Is told a piece and what is wanted of it, by rows.
type OnPart<'a> = dyn FnMut(&Arc<Piece>, &[Wanted]) -> Result<(), Error> + 'a;

fn for_each_part(
    parts: &[Arc<Piece>],
    rows: &[RowKey],
    budget: &Budget,
    tell: &mut OnPart<'_>,
) -> Result<(), Error> {
    let wanted = (0..).zip(rows).map(|(place, key)| Wanted { part: key.part, row: key.row, place });
    let wanted = pace::collect(wanted, budget)?;
    let wanted = pace::sort_by_key(wanted, |it| (it.part, it.row), budget)?;
    for of_part in wanted.chunk_by(|left, right| left.part == right.part) {
        let part = of_part.first().and_then(|first| parts.get(first.part as usize));
        if let Some(piece) = part {
            tell(piece, of_part)?;
        }
    }
    Ok(())
}
