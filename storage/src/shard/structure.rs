//! The structure of a trace, straight from indexes into columns.
//!
//! Invariant: equals [`model::trace::columns`] over the distinct spans.

use std::sync::Arc;

use model::budget::Budget;
use model::pace;
use model::store::{Revision, TraceColumns};
use model::trace::{FLAG_ERROR, FLAG_EVENTS, FLAG_LINKS, FLAG_ORPHAN, kind_bits};
use model::{Text, TraceId};

use super::gathered::{Gathered, Row, RowKind};
use super::handle::Shard;
use super::piece::Piece;
use crate::Error;

impl Shard {
    /// The structure of a trace that lies in `parts`; nothing if they have no span of it.
    pub(super) fn structure(
        &self,
        parts: &[Arc<Piece>],
        id: TraceId,
        revision: Revision,
        budget: &Budget,
    ) -> Result<Option<TraceColumns>, Error> {
        let found = self.gather(parts, id, budget)?;
        if found.rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(columns(&found, revision, budget)?))
    }
}

fn columns(found: &Gathered, revision: Revision, budget: &Budget) -> Result<TraceColumns, Error> {
    let rows = || found.rows.iter();
    let kinds = || rows().filter_map(|row| found.kind_of(row));
    let parents = found.parents(budget)?;
    let own_or = |row: u32| parents.parent(row).unwrap_or(row);
    let services = renumbered(found.services.as_slice(), kinds().map(|it| it.service), budget)?;
    let operations =
        renumbered(found.operations.as_slice(), kinds().map(|it| it.operation), budget)?;
    let mut columns = TraceColumns {
        span_ids: pace::collect(rows().map(|row| row.span_id), budget)?,
        parents: pace::collect((0..u32::MAX).take(found.rows.len()).map(own_or), budget)?,
        starts: pace::collect(rows().map(|row| row.start), budget)?,
        durations: pace::collect(rows().map(duration), budget)?,
        service: services.0,
        operation: operations.0,
        flags: pace::collect(kinds().map(flags), budget)?,
        services: services.1,
        operations: operations.1,
        revision,
    };
    pace::for_each(parents.orphans(), budget, |orphan| {
        if let Some(flags) = columns.flags.get_mut(*orphan as usize) {
            *flags |= FLAG_ORPHAN;
        }
    })?;
    Ok(columns)
}

fn duration(row: &Row) -> model::Duration {
    row.end.since(row.start)
}

fn flags(of: &RowKind) -> u8 {
    let bit = |set: bool, flag: u8| if set { flag } else { 0 };
    kind_bits(of.kind)
        | bit(of.is_error, FLAG_ERROR)
        | bit(of.has_events, FLAG_EVENTS)
        | bit(of.has_links, FLAG_LINKS)
}

/// The numbers of rows and the names, both by first appearance in the rows: which piece came first
/// must not be seen.
fn renumbered(
    all: &[Text],
    rows: impl Iterator<Item = u32>,
    budget: &Budget,
) -> Result<(Vec<u32>, Vec<Text>), Error> {
    let mut numbers = vec![None; all.len()];
    let mut names = Vec::with_capacity(all.len());
    let renumber = |old: u32| {
        let place = numbers.get_mut(old as usize)?;
        if place.is_none() {
            *place = u32::try_from(names.len()).ok();
            names.extend(all.get(old as usize).cloned());
        }
        *place
    };
    let rows = pace::collect(rows.filter_map(renumber), budget)?;
    Ok((rows, names))
}
