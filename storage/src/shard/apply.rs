//! Applies entries: the one place where a shard's contents change.
//!
//! Invariant: what an entry does depends on the entries before it and on nothing else: no clock,
//! no chance, no order of a hash, no setting of this node. A refusal is a result like any other
//! and the same on all replicas; an error is this replica's own and stops it.

use std::hash::Hasher;
use std::sync::Arc;

use bytes::Bytes;
use model::Tenant;
use model::batch::{Batch, BatchError, Index};

use super::handle::{Shard, State};
use super::hash::FixedHasher;
use super::head::TenantHead;
use super::limits::TENANTS_MAX;
use super::manifest::TenantState;
use super::piece::{Piece, Place};
use super::retention::bucket_of;
use super::window::request_parts;
use crate::Error;
use crate::entry::{self, BatchSlice, Body};
use crate::log::LogIndex;
use crate::mutant::{self, Mutant};

/// What applying an entry did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// For each batch of a data entry, in order. Empty for other entries, and if the index had been
    /// applied before.
    pub batches: Vec<BatchOutcome>,
    /// Where a mark was applied, if the entry was one.
    pub mark: Option<LogIndex>,
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
    /// It was routed by a ring epoch that is fenced off: it is not in the shard and will not be,
    /// and its spans belong where `epoch` leads them.
    Fenced {
        /// The epoch of the last fence.
        epoch: u32,
    },
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
                    let outcome = self.apply_batch(&mut state, index, entry.ring_epoch, batch);
                    applied.batches.push(outcome);
                }
            }
            Body::Fence => state.fenced = state.fenced.max(entry.ring_epoch),
            Body::Purge(tenant) => self.apply_purge(&mut state, index, &tenant),
            Body::Drop { class, bucket } => self.apply_drop(&mut state, class, bucket),
            Body::Mark => {
                let known = state.tenants.iter().filter(|(_, known)| known.has_data);
                self.freeze(index, known.map(|(tenant, _)| tenant.clone()).collect());
                applied.mark = Some(index);
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

    /// Takes a tenant's data away: out of the head at once, out of the blocks by a mark that hides
    /// it until merges leave it out.
    fn apply_purge(&self, state: &mut State, index: LogIndex, tenant: &Tenant) {
        let Some(known) = state.tenants.get_mut(tenant) else { return };
        let last_bucket = bucket_of(state.stamp);
        *known = TenantState { has_data: false, purged_at: index.0, last_bucket };
        let mut removed = Vec::new();
        let mut contents = self.contents_mut();
        for generation in &contents.generations {
            removed.extend(generation.tenants_mut().remove(tenant));
        }
        Arc::make_mut(&mut contents.purged).insert(tenant.clone(), index.0);
        // Freed behind the lock.
        drop(contents);
        drop(removed);
    }

    fn apply_batch(
        &self,
        state: &mut State,
        index: LogIndex,
        ring_epoch: u32,
        slice: &BatchSlice,
    ) -> BatchOutcome {
        let outcome = self.try_apply_batch(state, index, ring_epoch, slice);
        match &outcome {
            Ok(BatchOutcome::Added { spans, repeats }) => {
                state.spans_repeated += u64::from(*repeats);
                self.pressure.note(u64::from(*spans));
            }
            Ok(BatchOutcome::Known) => state.batches_known += 1,
            Ok(BatchOutcome::Fenced { .. } | BatchOutcome::Refused(_)) | Err(_) => {
                state.batches_refused += 1;
            }
        }
        outcome.unwrap_or_else(BatchOutcome::Refused)
    }

    fn try_apply_batch(
        &self,
        state: &mut State,
        index: LogIndex,
        ring_epoch: u32,
        slice: &BatchSlice,
    ) -> Result<BatchOutcome, Refusal> {
        let batch = Batch::open(slice.bytes.clone())?;
        let rows = batch.index()?;
        if state.batch_ids.contains(batch.header().id) && !mutant::is(Mutant::BatchIdIgnored) {
            return Ok(BatchOutcome::Known);
        }
        // Only now: one that came before the fence is here, whoever sends it again.
        if ring_epoch < state.fenced && !mutant::is(Mutant::EpochFenceSkipped) {
            return Ok(BatchOutcome::Fenced { epoch: state.fenced });
        }
        let tenant = &batch.header().tenant;
        let purged_at = Self::admit(state, tenant)?;
        let head = self.head_of(tenant);
        // Only now, so that a batch that was refused may come again when there is room for it.
        state.batch_ids.insert(index, batch.header().id);
        let header = batch.header();
        let head_batch = Piece {
            number: state.next_batch,
            place: Place::Log {
                index,
                offset: slice.offset,
                stamp: state.stamp,
                header: Box::new(header.clone()),
            },
            length: u32::try_from(slice.bytes.len()).unwrap_or(u32::MAX),
            start_min: header.start_min,
            start_max: header.start_max,
            repeats: mark_repeats(state, index, tenant_hash(tenant, purged_at), &rows),
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

    /// Lets a tenant in, if there is room for one more; says when it was last purged.
    fn admit(state: &mut State, tenant: &Tenant) -> Result<u64, Refusal> {
        let last_bucket = bucket_of(state.stamp);
        if let Some(known) = state.tenants.get_mut(tenant)
            && known.has_data
        {
            known.last_bucket = last_bucket;
            return Ok(known.purged_at);
        }
        if state.tenants.values().filter(|known| known.has_data).count() >= TENANTS_MAX {
            return Err(Refusal::Tenants { tenants_max: TENANTS_MAX });
        }
        let known = state.tenants.entry(tenant.clone()).or_default();
        known.has_data = true;
        known.last_bucket = last_bucket;
        Ok(known.purged_at)
    }

    fn head_of(&self, tenant: &Tenant) -> Arc<TenantHead> {
        let contents = self.contents();
        // There always is a generation to write to.
        let Some(generation) = contents.active() else { return Arc::default() };
        if let Some(head) = generation.tenants().get(tenant) {
            return Arc::clone(head);
        }
        Arc::clone(generation.tenants_mut().entry(tenant.clone()).or_default())
    }
}

/// Names a tenant among digests; another hash after each purge.
fn tenant_hash(tenant: &Tenant, purged_at: u64) -> u64 {
    let mut hasher = FixedHasher::default();
    hasher.write(tenant.as_str().as_bytes());
    hasher.write_u64(purged_at);
    hasher.finish()
}

/// The requests of a batch that came before, ascending.
fn mark_repeats(state: &mut State, at: LogIndex, tenant: u64, index: &Index) -> Box<[u32]> {
    let now = state.stamp;
    state.digests.forget_before(now);
    let parts = (0..).zip(request_parts(tenant, index));
    let repeats = parts.filter_map(|(request, part)| {
        let is_new = state.digests.insert(at, now, part);
        (!is_new).then_some(request)
    });
    repeats.collect()
}
