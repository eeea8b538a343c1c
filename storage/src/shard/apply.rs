//! Applies entries: the one place where a shard's contents change.
//!
//! Invariant: what an entry does depends on the entries before it and on nothing else: no clock,
//! no chance, no order of a hash, no setting of this node. A refusal is a result like any other
//! and the same on all replicas; an error is this replica's own and stops it.

use std::sync::Arc;

use bytes::Bytes;
use model::batch::{Batch, BatchError, Index};
use model::{Tenant, Timestamp};

use super::handle::{Shard, State};
use super::head::{HeadBatch, TenantHead};
use super::limits::TENANTS_MAX;
use super::window::request_parts;
use crate::Error;
use crate::entry::{self, BatchSlice, Body};
use crate::log::LogIndex;

/// What applying an entry did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// For each batch of a data entry, in order. Empty for other entries, and if the index had been
    /// applied before.
    pub batches: Vec<BatchOutcome>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchOutcome {
    /// It is in the head.
    Added {
        /// Spans in it.
        spans: u32,
        /// Of these, spans of requests that had been applied before.
        repeats: u32,
    },
    /// Its id was known: the batch is in the head already, or was.
    Known,
    /// It makes no sense, on any replica.
    Refused(Refusal),
}

/// Why a batch was refused by the state machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are no batch.
    #[error("the batch cannot be read")]
    Batch(#[from] BatchError),
    /// There are as many tenants as a shard may have.
    #[error("the shard has {tenants_max} tenants already")]
    Tenants {
        /// The bound.
        tenants_max: usize,
    },
}

impl Shard {
    /// Applies the entry at `index`. Indexes must ascend; one that was applied before changes
    /// nothing. An error leaves the shard as it was before the entry.
    pub fn apply(&self, index: LogIndex, entry: &Bytes) -> Result<Applied, Error> {
        let mut state = self.state();
        if state.applied >= Some(index) {
            return Ok(Applied::default());
        }
        let entry = entry::decode(entry).map_err(|source| Error::Entry {
            group: self.group(),
            index,
            source,
        })?;
        // Log time never goes back, whatever a leader's clock did.
        state.stamp = state.stamp.max(entry.stamp);
        let mut applied = Applied::default();
        match entry.body {
            Body::Data(batches) => {
                for batch in &batches {
                    applied.batches.push(self.apply_batch(&mut state, index, batch));
                }
            }
            Body::Purge(tenant) => {
                // Taken out under the lock, freed behind it.
                let removed = self.tenants_mut().remove(&tenant);
                drop(removed);
            }
        }
        self.set_applied(&mut state, index);
        Ok(applied)
    }

    /// Passes over an index whose record is not the shard's.
    pub fn pass(&self, index: LogIndex) {
        let mut state = self.state();
        if state.applied < Some(index) {
            self.set_applied(&mut state, index);
        }
    }

    fn apply_batch(&self, state: &mut State, index: LogIndex, slice: &BatchSlice) -> BatchOutcome {
        let outcome = self.try_apply_batch(state, index, slice);
        match &outcome {
            Ok(BatchOutcome::Added { repeats, .. }) => state.spans_repeated += u64::from(*repeats),
            Ok(BatchOutcome::Known) => state.batches_known += 1,
            Ok(BatchOutcome::Refused(_)) | Err(_) => state.batches_refused += 1,
        }
        outcome.unwrap_or_else(BatchOutcome::Refused)
    }

    fn try_apply_batch(
        &self,
        state: &mut State,
        index: LogIndex,
        slice: &BatchSlice,
    ) -> Result<BatchOutcome, Refusal> {
        let batch = Batch::open(slice.bytes.clone())?;
        let rows = batch.index()?;
        if state.batch_ids.contains(batch.header().id) {
            return Ok(BatchOutcome::Known);
        }
        let head = self.head_of(state, &batch.header().tenant)?;
        // Only now, so that a batch that was refused may come again when there is room for it.
        state.batch_ids.insert(batch.header().id);
        let head_batch = HeadBatch {
            number: state.next_batch,
            index,
            offset: slice.offset,
            length: u32::try_from(slice.bytes.len()).unwrap_or(u32::MAX),
            stamp: state.stamp,
            header: batch.header().clone(),
            repeats: mark_repeats(state, state.stamp, head.number, &rows),
        };
        state.next_batch += 1;
        let counted = head_batch.counted_rows(&rows);
        let spans = batch.header().span_count;
        let repeats = spans.saturating_sub(u32::try_from(counted.count()).unwrap_or(spans));
        if !counted.is_empty() {
            head.push(head_batch, &rows, &counted);
        }
        Ok(BatchOutcome::Added { spans, repeats })
    }

    fn head_of(&self, state: &mut State, tenant: &Tenant) -> Result<Arc<TenantHead>, Refusal> {
        if let Some(head) = self.tenant(tenant) {
            return Ok(head);
        }
        let mut tenants = self.tenants_mut();
        if tenants.len() >= TENANTS_MAX {
            return Err(Refusal::Tenants { tenants_max: TENANTS_MAX });
        }
        let head = Arc::new(TenantHead::new(state.next_tenant));
        state.next_tenant = state.next_tenant.wrapping_add(1);
        tenants.insert(tenant.clone(), Arc::clone(&head));
        Ok(head)
    }
}

/// The requests of a batch that came before, ascending.
fn mark_repeats(state: &mut State, now: Timestamp, tenant: u32, index: &Index) -> Box<[u32]> {
    state.digests.forget_before(now);
    let parts = (0..).zip(request_parts(tenant, index));
    let repeats = parts.filter_map(|(request, part)| {
        let is_new = state.digests.insert(now, part);
        (!is_new).then_some(request)
    });
    repeats.collect()
}
