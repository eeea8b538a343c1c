//! [`Shard`]: one shard's state machine, and what can be known of it.
//!
//! Shared by whoever applies (one at a time) and whoever reads (many at a time). A read sees at
//! least what was applied when it began; it holds no lock while it reads from the log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use model::{ShardId, Tenant, Timestamp};

use super::cache::DecodedCache;
use super::head::TenantHead;
use super::limits::RECOVER_BYTES;
use super::window::{BatchIdWindow, DigestWindow};
use crate::Error;
use crate::log::{GroupId, LogEngine, LogIndex};

/// Finds the shard's entry in a record of its group's log; nothing in records that are not the
/// shard's (what consensus writes for itself).
pub type Unwrap = fn(&Bytes) -> Option<Bytes>;

/// One shard's committed spans.
///
/// A deterministic state machine: [`Shard::apply`] takes the entries of the group's log in order,
/// and everything else answers from what was applied. It does not know how entries come about, nor
/// which other replicas there are.
pub struct Shard {
    id: ShardId,
    group: GroupId,
    log: Arc<dyn LogEngine>,
    unwrap: Unwrap,
    pub(super) cache: Arc<DecodedCache>,
    pub(super) cache_owner: u64,
    /// Written by apply, under [`Self::state`].
    tenants: RwLock<BTreeMap<Tenant, Arc<TenantHead>>>,
    /// What apply needs to remember; held while an entry is applied.
    state: Mutex<State>,
    /// One more than the applied index, 0 for none; set when the entry can be read.
    applied_end: AtomicU64,
}

/// What apply remembers. All of it follows from the applied entries.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) applied: Option<LogIndex>,
    /// Everything up to here is in blocks; re-applying begins behind it.
    pub(super) seal_cut: Option<LogIndex>,
    /// The latest stamp: log time.
    pub(super) stamp: Timestamp,
    pub(super) batch_ids: BatchIdWindow,
    pub(super) digests: DigestWindow,
    pub(super) next_batch: u64,
    pub(super) next_tenant: u32,
    pub(super) batches_known: u64,
    pub(super) batches_refused: u64,
    pub(super) spans_repeated: u64,
}

/// Sizes and counters of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// The last applied index.
    pub applied: Option<LogIndex>,
    /// Everything up to here is in blocks.
    pub seal_cut: Option<LogIndex>,
    /// Log time: the latest stamp.
    pub stamp: Timestamp,
    /// The earliest stamp of a batch that is not in a block yet.
    pub head_stamp_min: Option<Timestamp>,
    /// Tenants with data.
    pub tenants: u64,
    /// Spans, marked repeats left out; repeats that were not recognised still count.
    pub spans: u64,
    /// Batches.
    pub batches: u64,
    /// Traces.
    pub traces: u64,
    /// Bytes of the batches in the log.
    pub bytes: u64,
    /// Bytes of memory that find them, estimated.
    pub resident_bytes: u64,
    /// Batches dropped because their id was known.
    pub batches_known: u64,
    /// Batches refused because they make no sense.
    pub batches_refused: u64,
    /// Spans marked as repeats.
    pub spans_repeated: u64,
}

impl fmt::Debug for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, group, applied) = (self.id, self.group, self.applied());
        write!(formatter, "Shard {{ id: {id}, group: {group}, applied: {applied:?} }}")
    }
}

impl Shard {
    /// An empty shard over a group of the log whose records are the shard's entries themselves.
    /// [`Self::recover`] fills it with what the log holds.
    pub fn new(
        id: ShardId,
        group: GroupId,
        log: Arc<dyn LogEngine>,
        cache: Arc<DecodedCache>,
    ) -> Self {
        Self::with_envelope(id, group, log, cache, |record| Some(record.clone()))
    }

    /// [`Self::new`] where the shard's entries stand inside the records of the log.
    pub fn with_envelope(
        id: ShardId,
        group: GroupId,
        log: Arc<dyn LogEngine>,
        cache: Arc<DecodedCache>,
        unwrap: Unwrap,
    ) -> Self {
        let cache_owner = cache.new_owner();
        Self {
            id,
            group,
            log,
            unwrap,
            cache,
            cache_owner,
            tenants: RwLock::default(),
            state: Mutex::default(),
            applied_end: AtomicU64::new(0),
        }
    }

    /// Its id.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Its group of the log.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The last applied index: reads that begin now see at least this.
    pub fn applied(&self) -> Option<LogIndex> {
        self.applied_end.load(Ordering::Acquire).checked_sub(1).map(LogIndex)
    }

    /// Everything up to here is in blocks: re-applying begins behind it, and the log may be purged
    /// up to it.
    pub fn seal_cut(&self) -> Option<LogIndex> {
        self.state().seal_cut
    }

    /// Log time: the latest stamp applied. A leader's next stamp must not be earlier.
    pub fn stamp(&self) -> Timestamp {
        self.state().stamp
    }

    /// Sizes and counters.
    pub fn stats(&self) -> ShardStats {
        let heads: Vec<_> = self.tenants().values().cloned().collect();
        let state = self.state();
        let mut stats = ShardStats {
            applied: state.applied,
            seal_cut: state.seal_cut,
            stamp: state.stamp,
            tenants: heads.len() as u64,
            batches_known: state.batches_known,
            batches_refused: state.batches_refused,
            spans_repeated: state.spans_repeated,
            ..ShardStats::default()
        };
        drop(state);
        for sizes in heads.iter().map(|head| head.sizes()) {
            stats.spans += sizes.spans;
            stats.batches += sizes.batches;
            stats.traces += sizes.traces;
            stats.bytes += sizes.bytes;
            stats.resident_bytes += sizes.resident_bytes;
            stats.head_stamp_min = match (stats.head_stamp_min, sizes.stamp_min) {
                (Some(own), Some(other)) => Some(own.min(other)),
                (own, other) => own.or(other),
            };
        }
        stats
    }

    /// Applies what the log holds behind the applied index (behind the seal cut, after a start), up
    /// to and including `upto` or to the end. `progress` is told the applied index and the goal.
    pub fn recover(
        &self,
        upto: Option<LogIndex>,
        progress: &mut dyn FnMut(LogIndex, LogIndex),
    ) -> Result<(), Error> {
        let bounds = self.log.bounds(self.group);
        let done = self.applied().or(self.seal_cut());
        let Some(last) = bounds.last else { return Ok(()) };
        let goal = upto.map_or(last, |upto| upto.min(last));
        // Invariant: the log is never purged beyond the seal cut.
        if let Some(purged) = bounds.purged.filter(|purged| done < Some(*purged)) {
            return Err(Error::MissingEntry { group: self.group, index: purged });
        }
        let mut next = done.map_or(LogIndex(0), LogIndex::next);
        while next <= goal {
            let records = self.log.read(self.group, next..goal.next(), RECOVER_BYTES)?;
            if records.is_empty() {
                return Err(Error::MissingEntry { group: self.group, index: next });
            }
            for (index, record) in records {
                match (self.unwrap)(&record) {
                    Some(entry) => drop(self.apply(index, &entry)?),
                    None => self.pass(index),
                }
                next = index.next();
                progress(index, goal);
            }
        }
        Ok(())
    }

    /// The shard's entry at an index.
    pub(super) fn entry(&self, index: LogIndex) -> Result<Bytes, Error> {
        let record = self.log.entry(self.group, index)?;
        let entry = record.and_then(|record| (self.unwrap)(&record));
        entry.ok_or(Error::MissingEntry { group: self.group, index })
    }

    /// A tenant's head, if it has data.
    pub(super) fn tenant(&self, tenant: &Tenant) -> Option<Arc<TenantHead>> {
        self.tenants().get(tenant).cloned()
    }

    pub(super) fn tenants(
        &self,
    ) -> std::sync::RwLockReadGuard<'_, BTreeMap<Tenant, Arc<TenantHead>>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tenants_mut(
        &self,
    ) -> std::sync::RwLockWriteGuard<'_, BTreeMap<Tenant, Arc<TenantHead>>> {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry at `index` is applied and can be read.
    pub(super) fn set_applied(&self, state: &mut State, index: LogIndex) {
        state.applied = Some(index);
        self.applied_end.store(index.0.saturating_add(1), Ordering::Release);
    }
}
