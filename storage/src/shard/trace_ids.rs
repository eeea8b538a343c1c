//! Which traces there are: what a coordinator needs to find those that lie in two shards.
//!
//! When shards are added, new spans of some traces go to other shards than their old ones did
//! (PLC-1). Which traces that befell nobody has written down; it is the traces that an old shard
//! has of about that time, as far as a new shard has them too.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::budget::Budget;
use model::query::SpanPredicate;
use model::store::Answer;
use model::{Tenant, TimeRange, TraceId};

use super::figures::{Asked, stopped};
use super::handle::Shard;
use super::reader::PieceReader;
use crate::Error;

/// Which traces are asked for.
pub struct WantedTraces<'a> {
    /// A span of them starts within.
    pub window: TimeRange,
    /// Those behind this one; all if there is none.
    pub after: Option<TraceId>,
    /// At most so many, the first of them by id.
    pub count_max: usize,
    /// Whether one of them is wanted.
    pub is_wanted: &'a dyn Fn(TraceId) -> bool,
}

impl std::fmt::Debug for WantedTraces<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WantedTraces").field("after", &self.after).finish_non_exhaustive()
    }
}

impl Shard {
    /// The first of the wanted traces. If there are more behind them, the answer says that it is a
    /// sample; with a spent budget, they are some of those seen so far.
    pub fn trace_ids(
        &self,
        tenant: &Tenant,
        wanted: &WantedTraces<'_>,
        budget: &Budget,
    ) -> Result<Answer<BTreeSet<TraceId>>, Error> {
        let WantedTraces { window, after, count_max, is_wanted } = *wanted;
        let mut answer = self.answer(BTreeSet::new());
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(answer) };
        let passed = BTreeSet::new();
        let asked = Asked { window, predicate: &SpanPredicate::True, passed: &passed };
        let first = &mut answer.value;
        let mut is_sampled = false;
        let read = self.for_each_piece(&snapshot, &asked, budget, &mut |piece| {
            let index = PieceReader::new(self, Arc::clone(&piece), budget).index()?;
            let rows = piece.counted_rows_within(&index, window);
            for trace in index.traces.iter().filter(|trace| rows.any_within(trace.rows())) {
                let id = trace.id;
                let is_behind = after.is_none_or(|after| id > after);
                if !is_behind || first.contains(&id) || !is_wanted(id) {
                    continue;
                }
                if first.len() >= count_max {
                    is_sampled = true;
                    if first.last().is_none_or(|last| *last < id) {
                        continue;
                    }
                    first.pop_last();
                }
                first.insert(id);
            }
            Ok(())
        });
        stopped(read, &mut answer.completeness)?;
        answer.completeness.sampled |= is_sampled;
        Ok(answer)
    }

    /// Those of these traces of which the shard has a span; with a spent budget, as far as was
    /// looked.
    pub fn known_traces(
        &self,
        tenant: &Tenant,
        trace_ids: &BTreeSet<TraceId>,
        budget: &Budget,
    ) -> Result<Answer<BTreeSet<TraceId>>, Error> {
        let mut answer = self.answer(BTreeSet::new());
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(answer) };
        let mut look = || {
            for id in trace_ids {
                // Tables are read from the disk, and whoever asks may leave.
                budget.spend(0)?;
                if !snapshot.parts(*id, budget)?.is_empty() {
                    answer.value.insert(*id);
                }
            }
            Ok(())
        };
        let read = look();
        stopped(read, &mut answer.completeness)?;
        Ok(answer)
    }
}
