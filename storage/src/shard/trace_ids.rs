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
use super::limits::TRACE_IDS_MAX;
use super::reader::PieceReader;
use crate::Error;

impl Shard {
    /// Traces with a span that starts within the window, as far as they are wanted. More than
    /// [`TRACE_IDS_MAX`] are not told, and then the answer says that it is a sample; with a spent
    /// budget, those seen so far.
    pub fn trace_ids(
        &self,
        tenant: &Tenant,
        window: TimeRange,
        is_wanted: &dyn Fn(TraceId) -> bool,
        budget: &Budget,
    ) -> Result<Answer<BTreeSet<TraceId>>, Error> {
        let mut answer = self.answer(BTreeSet::new());
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(answer) };
        let passed = BTreeSet::new();
        let asked = Asked { window, predicate: &SpanPredicate::True, passed: &passed };
        let mut is_sampled = false;
        let read = self.for_each_piece(&snapshot, &asked, budget, &mut |piece| {
            let index = PieceReader::new(self, Arc::clone(&piece), budget).index()?;
            let rows = piece.counted_rows_within(&index, window);
            for trace in index.traces.iter().filter(|trace| rows.any_within(trace.rows())) {
                if !is_wanted(trace.id) || answer.value.contains(&trace.id) {
                    continue;
                }
                if answer.value.len() >= TRACE_IDS_MAX {
                    is_sampled = true;
                    break;
                }
                answer.value.insert(trace.id);
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
