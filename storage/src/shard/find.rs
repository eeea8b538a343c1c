//! The spans of one trace that pass a predicate, by their rows in its columns.
//!
//! Invariant: equals [`model::trace::find`] over the distinct spans. Columns decide wherever they
//! can, once a distinct value; only rows that they leave open are materialised.

use std::sync::Arc;

use model::batch::Index;
use model::budget::Budget;
use model::query::{SpanPredicate, span_matches};
use model::store::FoundRows;
use model::{Tenant, TraceId, pace};

use super::distinct::{RowKey, row_keys_of};
use super::handle::Shard;
use super::prefilter::Prefilter;
use super::reader::PieceReader;
use super::rows::RowSet;
use crate::Error;

impl Shard {
    /// Which rows of a trace's columns pass the predicate; nothing if no span of it is known.
    pub fn find_rows(
        &self,
        tenant: &Tenant,
        id: TraceId,
        predicate: &SpanPredicate,
        budget: &Budget,
    ) -> Result<Option<FoundRows>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(None) };
        let parts = snapshot.parts(id, budget)?;
        let mut keys = Vec::new();
        let mut passing = Vec::with_capacity(parts.len());
        for (part, piece) in (0..).zip(&parts) {
            let reader = PieceReader::new(self, Arc::clone(piece), budget);
            let index = reader.index()?;
            let before = keys.len();
            row_keys_of(part, piece, &index, id, &mut keys);
            let own = keys.get(before..).unwrap_or_default();
            budget.spend(size_of_val(own) as u64)?;
            passing.push(passing_rows(&reader, &index, own, predicate)?);
        }
        let keys = self.distinct_rows(&parts, keys, budget)?;
        if keys.is_empty() {
            return Ok(None);
        }
        let mut found = FoundRows::none(keys.len());
        pace::for_each(keys.iter().enumerate(), budget, |(place, key)| {
            let rows = passing.get(key.part as usize);
            if rows.is_some_and(|rows: &RowSet| rows.contains(key.row as usize)) {
                found.insert(place);
            }
        })?;
        Ok(Some(found))
    }
}

/// Which of these rows of a piece pass. Others may be among them.
fn passing_rows(
    reader: &PieceReader<'_>,
    index: &Index,
    keys: &[RowKey],
    predicate: &SpanPredicate,
) -> Result<RowSet, Error> {
    let mut rows = RowSet::empty(index.row_classes.len());
    keys.iter().for_each(|key| rows.insert(key.row as usize));
    let mut marks = Prefilter::new(reader, index).marks(predicate, &rows)?;
    marks.restrict(&rows);
    let open = marks.undecided();
    let open_rows = || keys.iter().map(|key| key.row as usize).filter(|row| open.contains(*row));
    if let (Some(first), Some(last)) = (open_rows().min(), open_rows().max()) {
        // In one go, with what lies between: the columns are walked from their beginning.
        reader.each_span(index, first..last + 1, &mut |row, span| {
            if open.contains(row) && span_matches(predicate, &span) {
                marks.must.insert(row);
            }
        })?;
    }
    Ok(marks.must)
}
