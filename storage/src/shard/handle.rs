//! [`Shard`]: one shard's state machine, and what can be known of it.
//!
//! Shared by whoever applies (one at a time) and whoever reads (many at a time). A read sees at
//! least what was applied when it began; it holds no lock while it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};

use bytes::Bytes;
use model::store::Completeness;
use model::{ShardId, Tenant, Timestamp, TraceId};

use super::apart::ApartCache;
use super::block_store::BlockStore;
use super::blocks::Block;
use super::cache::DecodedCache;
use super::contents::{Contents, Generation};
use super::digest::Frozen;
use super::hash::LookupMap;
use super::limits::{PRESSURE_SPANS, RECOVER_BYTES};
use super::manifest::TenantState;
use super::snapshot::Transfers;
use super::window::{BatchIdWindow, DigestWindow};
use crate::Error;
use crate::block::Split;
use crate::log::{GroupId, LogEngine, LogIndex};

/// Finds the shard's entry in a record of its group's log; nothing in records that are not the
/// shard's (what consensus writes for itself).
pub type Unwrap = fn(&Bytes) -> Option<Bytes>;

/// The traces of a tenant that blocks list as cut.
pub(super) type SplitMap = LookupMap<TraceId, Split>;

/// What a shard is made of.
#[derive(Debug)]
pub struct ShardParts {
    /// Its id.
    pub id: ShardId,
    /// Its group of the log.
    pub group: GroupId,
    /// The log.
    pub log: Arc<dyn LogEngine>,
    /// Finds entries in the log's records.
    pub unwrap: Unwrap,
    /// What reads have unpacked.
    pub cache: Arc<DecodedCache>,
    /// Where its blocks lie; without, it is never sealed.
    pub blocks: Option<BlockStore>,
}

/// One shard's committed spans.
///
/// A deterministic state machine: [`Shard::apply`] takes the entries of the group's log in order,
/// and everything else answers from what was applied. It does not know how entries come about, nor
/// which other replicas there are.
pub struct Shard {
    id: ShardId,
    group: GroupId,
    pub(super) log: Arc<dyn LogEngine>,
    unwrap: Unwrap,
    pub(super) cache: Arc<DecodedCache>,
    pub(super) cache_owner: u64,
    pub(super) store: Option<BlockStore>,
    /// Changed by apply and by whoever seals and merges, under [`Self::state`].
    contents: RwLock<Contents>,
    /// By tenant: traces that lie in several places, as far as blocks know. Those of new blocks are
    /// added before contents have the blocks, those of old ones taken out after: whoever holds
    /// contents finds all that cut traces in them. A trace that is listed without need is looked up
    /// without need.
    splits: RwLock<BTreeMap<Tenant, Arc<SplitMap>>>,
    /// Counts the changes of [`Self::splits`].
    splits_version: AtomicU64,
    /// Pages that reads did not open because zones ruled them out.
    pub(super) pages_ruled_out: AtomicU64,
    /// What is known of traces that lie in several blocks.
    pub(super) apart: ApartCache,
    /// Whether sealing has fallen behind.
    pub(super) pressure: Pressure,
    /// One at a time merges. Taken before [`Self::upkeep`] and held for as long as a merge takes.
    merging: Mutex<()>,
    /// One at a time seals, sweeps, installs, or puts what was merged in its place.
    upkeep: Mutex<()>,
    /// Held while the manifest says what memory does not yet say; taken within [`Self::upkeep`],
    /// which may be held for as long as a seal takes.
    changing: Mutex<()>,
    /// Nobody seals, merges or installs any more.
    closed: AtomicBool,
    /// A change of the manifest failed, and may be there all the same.
    pub(super) is_unsettled: AtomicBool,
    /// The last head was sealed before it was full, as that of other shards may have been at the
    /// same moment (see [`BlockStore::in_turns`]).
    pub(super) is_out_of_turn: AtomicBool,
    /// What there was at the last mark.
    pub(super) frozen: Mutex<Option<Frozen>>,
    /// Snapshots that are given out or received.
    pub(super) transfers: Mutex<Transfers>,
    /// What apply needs to remember; held while an entry is applied.
    state: Mutex<State>,
    /// One more than the applied index, 0 for none; set when the entry can be read.
    applied_end: AtomicU64,
    /// Log time and the last fence as of the last applied entry, for who asks while the next one is
    /// being applied: that may take as long as its batches take to be unpacked. Invariant: written
    /// under [`Self::state`], by [`Self::tell_times`], before the entry counts as applied. So who
    /// sees an entry applied sees its stamp and its fence.
    stamp: AtomicU64,
    fenced: AtomicU32,
    /// Whether [`State::blocks_lost`] has any: every read asks.
    pub(super) has_lost: AtomicBool,
}

/// What apply remembers. All of it follows from the applied entries.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) applied: Option<LogIndex>,
    /// Everything up to here is in blocks; re-applying begins behind it.
    pub(super) seal_cut: Option<LogIndex>,
    /// The latest stamp: log time.
    pub(super) stamp: Timestamp,
    /// The ring epoch of the last fence; 0 if there was none.
    pub(super) fenced: u32,
    pub(super) batch_ids: BatchIdWindow,
    pub(super) digests: DigestWindow,
    pub(super) tenants: BTreeMap<Tenant, TenantState>,
    pub(super) next_batch: u64,
    pub(super) next_block: u64,
    /// Blocks that the manifest names and that cannot be opened.
    pub(super) blocks_lost: BTreeSet<u64>,
    /// The last entry of the last generation that was closed.
    pub(super) rotated: Option<LogIndex>,
    /// Chunks of remembered requests in the manifest, the oldest first.
    pub(super) chunks: Vec<ChunkInfo>,
    /// Chunks that nothing needs since the last seal. The change after it removes them: if it had
    /// done so itself and failed, nobody could put them back.
    pub(super) forgotten: BTreeSet<u64>,
    /// The row of the state in the manifest, as the last change that succeeded left it.
    pub(super) row: Option<Vec<u8>>,
    /// Blocks that only a change names that failed.
    pub(super) doubtful: Vec<Arc<Block>>,
    /// Generations that were sealed, as long as a read may still have them, with their last index.
    pub(super) retired: Vec<(LogIndex, Weak<Generation>)>,
    /// Bytes that seals and merges wrote.
    pub(super) sealed_bytes: u64,
    pub(super) merged_bytes: u64,
    pub(super) batches_known: u64,
    pub(super) batches_refused: u64,
    pub(super) spans_repeated: u64,
}

/// Whether sealing has fallen behind, looked at again when enough has come in: it is asked for
/// each batch, and to look takes a walk over all tenants.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// Spans that came in since it was looked at.
    spans_unseen: AtomicU64,
    is_behind: AtomicBool,
}

impl Pressure {
    /// Notes spans that came in.
    pub(super) fn note(&self, spans: u64) {
        self.spans_unseen.fetch_add(spans, Ordering::Relaxed);
    }

    /// What was found last, unless it is time to look again.
    pub(super) fn is_behind(&self, look: impl FnOnce() -> bool) -> bool {
        let is_due = self.spans_unseen.load(Ordering::Relaxed) >= PRESSURE_SPANS;
        if is_due || self.is_behind.load(Ordering::Relaxed) {
            self.spans_unseen.store(0, Ordering::Relaxed);
            self.is_behind.store(look(), Ordering::Relaxed);
        }
        self.is_behind.load(Ordering::Relaxed)
    }
}

/// A chunk of remembered requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkInfo {
    pub(super) number: u64,
    pub(super) batch_ids: usize,
    pub(super) digests: usize,
    pub(super) stamp_max: Timestamp,
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
    /// Spans of these that are not in a block yet.
    pub head_spans: u64,
    /// Batches that are not in a block yet.
    pub batches: u64,
    /// Traces, counted once for the head and once for each block.
    pub traces: u64,
    /// Bytes of the head's batches in the log, and of the blocks.
    pub bytes: u64,
    /// Bytes of the head's batches in the log.
    pub head_bytes: u64,
    /// Bytes of memory that find what is in the head, estimated.
    pub resident_bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Blocks that are set aside because something of them is damaged.
    pub blocks_damaged: u64,
    /// Traces that are known to lie in several places.
    pub splits: u64,
    /// Bytes written into blocks by sealing, since the start.
    pub sealed_bytes: u64,
    /// Bytes written into blocks by merging, since the start.
    pub merged_bytes: u64,
    /// Batches dropped because their id was known.
    pub batches_known: u64,
    /// Batches refused because they make no sense.
    pub batches_refused: u64,
    /// Spans marked as repeats.
    pub spans_repeated: u64,
}

/// While it is held the manifest may say what memory does not yet say.
#[must_use = "it is dropped once memory says what the manifest says"]
pub(super) struct Changing<'a>(#[expect(dead_code, reason = "held, not used")] MutexGuard<'a, ()>);

impl fmt::Debug for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, group, applied) = (self.id, self.group, self.applied());
        write!(formatter, "Shard {{ id: {id}, group: {group}, applied: {applied:?} }}")
    }
}

impl Shard {
    /// An empty shard over a group of the log whose records are the shard's entries themselves, and
    /// which is never sealed. [`Self::recover`] fills it with what the log holds.
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
        Self::empty(ShardParts { id, group, log, unwrap, cache, blocks: None })
    }

    /// A shard with what its manifest names. [`Self::recover`] adds what follows in the log.
    pub fn open(parts: ShardParts) -> Result<Self, Error> {
        let shard = Self::empty(parts);
        shard.load()?;
        Ok(shard)
    }

    fn empty(parts: ShardParts) -> Self {
        let cache_owner = parts.cache.new_owner();
        Self {
            id: parts.id,
            group: parts.group,
            log: parts.log,
            unwrap: parts.unwrap,
            cache: parts.cache,
            cache_owner,
            store: parts.blocks,
            contents: RwLock::default(),
            splits: RwLock::default(),
            splits_version: AtomicU64::new(0),
            pages_ruled_out: AtomicU64::new(0),
            apart: ApartCache::default(),
            pressure: Pressure::default(),
            merging: Mutex::default(),
            upkeep: Mutex::default(),
            changing: Mutex::default(),
            closed: AtomicBool::new(false),
            is_unsettled: AtomicBool::new(false),
            is_out_of_turn: AtomicBool::new(false),
            frozen: Mutex::default(),
            transfers: Mutex::default(),
            state: Mutex::default(),
            applied_end: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            fenced: AtomicU32::new(0),
            has_lost: AtomicBool::new(false),
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
        Timestamp(self.stamp.load(Ordering::Acquire))
    }

    /// The ring epoch of the last fence applied, 0 if there was none: batches that were routed by
    /// an epoch before it are refused.
    pub fn fenced(&self) -> u32 {
        self.fenced.load(Ordering::Acquire)
    }

    /// Sizes and counters.
    pub fn stats(&self) -> ShardStats {
        let contents = self.contents().clone();
        let state = self.state();
        let mut stats = ShardStats {
            applied: state.applied,
            seal_cut: state.seal_cut,
            stamp: state.stamp,
            tenants: state.tenants.values().filter(|tenant| tenant.has_data).count() as u64,
            batches_known: state.batches_known,
            batches_refused: state.batches_refused,
            spans_repeated: state.spans_repeated,
            sealed_bytes: state.sealed_bytes,
            merged_bytes: state.merged_bytes,
            blocks_damaged: state.blocks_lost.len() as u64,
            ..ShardStats::default()
        };
        drop(state);
        for generation in &contents.generations {
            for sizes in generation.tenants().values().map(|head| head.sizes()) {
                stats.head_spans += sizes.spans;
                stats.batches += sizes.batches;
                stats.traces += sizes.traces;
                stats.head_bytes += sizes.bytes;
                stats.resident_bytes += sizes.resident_bytes;
                stats.head_stamp_min = match (stats.head_stamp_min, sizes.stamp_min) {
                    (Some(own), Some(other)) => Some(own.min(other)),
                    (own, other) => own.or(other),
                };
            }
        }
        (stats.spans, stats.bytes) = (stats.head_spans, stats.head_bytes);
        for block in contents.blocks.iter() {
            stats.spans += block.sizes().spans;
            stats.traces += block.sizes().traces;
            stats.bytes += block.file().size_bytes();
            stats.blocks_damaged += u64::from(block.is_damaged());
        }
        stats.blocks = contents.blocks.len() as u64;
        stats.splits = self.splits().values().map(|splits| splits.len() as u64).sum();
        stats
    }

    /// Pages that reads did not open because it was known that nothing on them could count.
    pub fn pages_ruled_out(&self) -> u64 {
        self.pages_ruled_out.load(Ordering::Relaxed)
    }

    /// Whether something of the shard's data is damaged, so that its answers lack it.
    pub fn has_damage(&self) -> bool {
        self.has_lost.load(Ordering::Acquire)
            || self.contents().blocks.iter().any(|block| block.is_damaged())
    }

    /// What every answer says of itself before it is made: complete, unless something is damaged.
    pub fn completeness(&self) -> Completeness {
        let missing = if self.has_damage() { BTreeSet::from([self.id]) } else { BTreeSet::new() };
        Completeness { missing, ..Completeness::default() }
    }

    /// Ends all writing of files: what seals and merges is waited for, and nothing does any more.
    /// For a replica that is about to be deleted.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.merging.lock().unwrap_or_else(PoisonError::into_inner));
        drop(self.upkeep.lock().unwrap_or_else(PoisonError::into_inner));
        drop(self.changing());
    }

    /// The right to merge; nothing once the shard is closed.
    pub(super) fn merge_lock(&self) -> Option<MutexGuard<'_, ()>> {
        let lock = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.is_closed()).then_some(lock)
    }

    /// The right to seal, sweep, install or replace blocks; nothing once the shard is closed.
    pub(super) fn upkeep_lock(&self) -> Option<MutexGuard<'_, ()>> {
        let lock = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.is_closed()).then_some(lock)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// While it is held, manifest and memory are of one moment for everybody else.
    pub(super) fn changing(&self) -> Changing<'_> {
        Changing(self.changing.lock().unwrap_or_else(PoisonError::into_inner))
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

    pub(super) fn contents(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contents_mut(&self) -> RwLockWriteGuard<'_, Contents> {
        self.contents.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn splits(&self) -> RwLockReadGuard<'_, BTreeMap<Tenant, Arc<SplitMap>>> {
        self.splits.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn splits_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Tenant, Arc<SplitMap>>> {
        let splits = self.splits.write().unwrap_or_else(PoisonError::into_inner);
        self.splits_version.fetch_add(1, Ordering::Relaxed);
        splits
    }

    /// Names the state of the splits; asked while they are held.
    pub(super) fn splits_version(&self) -> u64 {
        self.splits_version.load(Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what log time and the last fence are now.
    pub(super) fn tell_times(&self, state: &State) {
        self.stamp.store(state.stamp.0, Ordering::Release);
        self.fenced.store(state.fenced, Ordering::Release);
    }

    /// The entry at `index` is applied and can be read.
    pub(super) fn set_applied(&self, state: &mut State, index: LogIndex) {
        state.applied = Some(index);
        self.tell_times(state);
        self.applied_end.store(index.0.saturating_add(1), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::entry::encode_fence;
    use crate::log::MemoryLog;

    /// Apply holds its lock while it unpacks what it applies.
    #[test]
    fn who_asks_for_times_does_not_wait_for_an_entry_that_is_being_applied() {
        let log = Arc::new(MemoryLog::new());
        let cache = Arc::new(DecodedCache::new(1 << 20));
        let shard = Arc::new(Shard::new(ShardId(0), GroupId(1), log, cache));
        shard.apply(LogIndex(1), &encode_fence(Timestamp(70), 7)).unwrap();
        let applying = shard.state();
        let (say, said) = mpsc::sync_channel(1);
        let asked = Arc::clone(&shard);
        std::thread::spawn(move || {
            let is_complete = asked.completeness().is_complete();
            say.send((asked.stamp(), asked.fenced(), asked.applied(), is_complete)).unwrap();
        });
        let said = said.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(said, (Timestamp(70), 7, Some(LogIndex(1)), true));
        drop(applying);
    }
}
