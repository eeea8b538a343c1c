//! Upkeep of a node's shards: heads are sealed, blocks merged, what is past its retention dropped,
//! and the log purged of what is in blocks.
//!
//! One thread for the whole node, one piece of work at a time, but that heads are sealed in the
//! middle of a merge: they would grow while they wait, by more than sealing takes. What is due is
//! decided by the shards; what is dropped is decided by [`drop_due`], from the clock and the
//! retention, and becomes an entry of the log, so that all replicas lose the same. It also looks at
//! the room on the disk, drops the oldest hours when data take more than they may, looks for
//! damage, and compacts when somebody asks.

mod clock_guard;
mod disk_cap;
mod scrubber;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use model::budget::{Budget, CancelOnDrop};
use model::time::{Clock, Duration, Monotonic, Timestamp};
use storage::Space;
use storage::log::LogIndex;
use storage::shard::{CLASS_ORDINARY, Sealed, Shard, Upkeep, bucket_of};

pub use self::clock_guard::Frozen;
pub(crate) use self::clock_guard::{ClockGuard, alarm as frozen_alarm};
use self::disk_cap::CapKeeper;
pub use self::disk_cap::DiskCap;
use self::scrubber::Scrubber;
use crate::compaction::{Compaction, Work};

/// How often shards are asked what is due.
const PERIOD: std::time::Duration = std::time::Duration::from_millis(250);

/// How often a merge looks whether a head is to be sealed: of many tenants each is a pause.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After a failure the same work is tried again, but not at once: the usual cause is a full disk.
const PAUSE_AFTER_FAILURE: std::time::Duration = std::time::Duration::from_secs(5);

/// Is told what may be purged from a shard's log.
pub type Purge = Box<dyn Fn(&Shard, LogIndex) + Send>;

/// Proposes that a shard drops the buckets of a class up to and including one.
pub type ProposeDrop = Box<dyn Fn(&Shard, u8, u64) + Send>;

/// Tells which shards there are now.
pub type ListShards = Box<dyn Fn() -> Vec<Arc<Shard>> + Send>;

/// What upkeep works on.
pub struct UpkeepParts {
    /// The shards of the node.
    pub shards: ListShards,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long spans are kept, by their stamps.
    pub retention: Duration,
    /// Is told for how long nothing goes for its age, because the clock has jumped.
    pub frozen: Arc<Frozen>,
    /// Purges the log.
    pub purge: Purge,
    /// Drops buckets.
    pub propose_drop: ProposeDrop,
    /// The room on the disk.
    pub space: Arc<Space>,
    /// How much data may take of it.
    pub disk_cap: DiskCap,
    /// How often every block is read to its last byte, to find damage.
    pub scrub_every: Duration,
    /// Bytes of the log.
    pub log_bytes: Box<dyn Fn() -> u64 + Send>,
    /// Who asks for a compaction.
    pub compaction: Arc<Compaction>,
}

impl std::fmt::Debug for UpkeepParts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("UpkeepParts").finish_non_exhaustive()
    }
}

/// What upkeep remembers from one round to the next.
#[derive(Debug, Default)]
pub struct UpkeepState {
    guard: ClockGuard,
    cap: CapKeeper,
    scrubber: Scrubber,
}

/// The thread; it ends when this is dropped, in the middle of whatever it does.
#[derive(Debug)]
pub struct UpkeepThread {
    stop: Arc<AtomicBool>,
    cancel: Arc<Mutex<Option<CancelOnDrop>>>,
    thread: Option<JoinHandle<()>>,
}

impl UpkeepThread {
    /// Starts the thread, which calls `give_way` first: where processors are short, those who wait
    /// for an answer go before it.
    pub fn start(parts: UpkeepParts, give_way: fn()) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let budget = unlimited(&parts.clock);
        let cancel = Arc::new(Mutex::new(Some(budget.cancel_on_drop())));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("upkeep".into()).spawn(move || {
            give_way();
            run(&parts, &budget, &stopping);
        })?;
        Ok(Self { stop, cancel, thread: Some(thread) })
    }
}

impl Drop for UpkeepThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.cancel.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in it was reported by the hook.
            let _ = thread.join();
        }
    }
}

/// Upkeep has no reader that waits: it is bounded by what there is to do.
pub fn unlimited(clock: &Arc<dyn Clock>) -> Budget {
    Budget::new(Arc::clone(clock), Monotonic(u64::MAX), u64::MAX)
}

/// The last bucket of a class that is past its retention, if the shard has any of it: a bucket
/// goes when its last possible stamp is older than the retention.
pub fn drop_due(now: Timestamp, retention: Duration, oldest: Option<u64>) -> Option<u64> {
    let past = bucket_of(Timestamp(now.0.checked_sub(retention.0)?)).checked_sub(1)?;
    oldest.filter(|oldest| *oldest <= past).map(|_| past)
}

fn run(parts: &UpkeepParts, budget: &Budget, stop: &AtomicBool) {
    let mut state = UpkeepState::default();
    while !stop.load(Ordering::Relaxed) {
        match round(parts, &mut state, budget, stop) {
            Some(std::time::Duration::ZERO) => {}
            Some(pause) => std::thread::park_timeout(pause),
            None => return,
        }
    }
}

/// Looks once at every shard and does what is due. Returns how long to rest; nothing if the budget
/// was cancelled. The thread does nothing else; a simulation, which has no threads, calls it.
pub fn round(
    parts: &UpkeepParts,
    state: &mut UpkeepState,
    budget: &Budget,
    stop: &AtomicBool,
) -> Option<std::time::Duration> {
    let mut has_worked = false;
    let mut pause = PERIOD;
    let shards = (parts.shards)();
    look_at_clock(parts, &shards, &mut state.guard);
    look_at_disk(parts, &shards, &mut state.cap);
    if parts.compaction.take(shards.len() as u64) && compact(parts, &shards, budget, stop) {
        return None;
    }
    for shard in &shards {
        match step(parts, &shards, shard, budget) {
            Ok(worked) => has_worked |= worked,
            Err(storage::Error::Exhausted(_)) => return None,
            Err(error) => {
                failed(shard, &error);
                pause = PAUSE_AFTER_FAILURE;
            }
        }
    }
    if has_worked {
        return Some(std::time::Duration::ZERO);
    }
    state.scrubber.step(&shards, parts.scrub_every, parts.clock.as_ref());
    Some(pause)
}

/// Finds out whether the wall clock can be believed that something is past.
fn look_at_clock(parts: &UpkeepParts, shards: &[Arc<Shard>], guard: &mut ClockGuard) {
    // Elsewhere ages are judged by the clocks of many.
    if parts.retention.0 == u64::MAX {
        return;
    }
    let (wall, now) = (parts.clock.wall(), parts.clock.monotonic());
    parts.frozen.note(guard.look(wall, now, newest_stamp(shards)));
}

/// The newest stamp of all; nothing if there is none.
pub(crate) fn newest_stamp(shards: &[Arc<Shard>]) -> Option<Timestamp> {
    shards.iter().map(|shard| shard.stamp()).max().filter(|stamp| stamp.0 > 0)
}

/// Asks how much room there is, and drops the oldest hour if data take more than they may.
fn look_at_disk(parts: &UpkeepParts, shards: &[Arc<Shard>], keeper: &mut CapKeeper) {
    parts.space.refresh();
    let now = parts.clock.wall();
    let Some(bytes_max) = parts.disk_cap.bytes(parts.space.total_bytes()) else { return };
    if !keeper.has_settled(shards, now) {
        return;
    }
    let of_shards: u64 = shards.iter().map(|shard| shard.block_bytes()).sum();
    let used_bytes = of_shards.saturating_add((parts.log_bytes)());
    let oldest = || shards.iter().filter_map(|shard| shard.oldest_bucket(CLASS_ORDINARY)).min();
    // This node's clock may be ahead of log time, by which the hour goes that is being written.
    let log_time = shards.iter().map(|shard| shard.stamp()).max().unwrap_or_default();
    let now = now.min(log_time);
    let Some(bucket) = keeper.due(used_bytes, bytes_max, oldest(), now) else { return };
    tracing::warn!(used_bytes, bytes_max, bucket, "the disk cap drops the oldest hour early");
    metrics::counter!("skua_disk_cap_drops_total").increment(1);
    for shard in shards {
        if shard.oldest_bucket(CLASS_ORDINARY).is_some_and(|oldest| oldest <= bucket) {
            (parts.propose_drop)(shard, CLASS_ORDINARY, bucket);
        }
    }
}

/// Does for every shard what could be done in time; true if the thread is to end.
fn compact(parts: &UpkeepParts, shards: &[Arc<Shard>], budget: &Budget, stop: &AtomicBool) -> bool {
    let mut failure = None;
    for shard in shards {
        match compact_shard(parts, shards, shard, budget, stop) {
            Ok(()) => parts.compaction.shard_done(),
            Err(storage::Error::Exhausted(_)) => {
                parts.compaction.finish(Some("the node is stopping".to_owned()));
                return true;
            }
            Err(error) => {
                metrics::counter!("skua_upkeep_failures_total").increment(1);
                tracing::error!(shard = %shard.id(), %error, "compaction of a shard failed");
                failure = Some(format!("shard {}: {error}", shard.id()));
            }
        }
    }
    parts.compaction.finish(failure);
    false
}

fn compact_shard(
    parts: &UpkeepParts,
    shards: &[Arc<Shard>],
    shard: &Shard,
    budget: &Budget,
    stop: &AtomicBool,
) -> Result<(), storage::Error> {
    let goal = shard.applied();
    // What comes in meanwhile is for the next one.
    while shard.seal_cut() < goal && parts.space.refresh().takes_seals() {
        let sealed = shard.seal(budget)?;
        report("seal", shard, sealed);
        if !parts.compaction.add(Work::Seal, sealed) {
            break;
        }
    }
    while parts.space.refresh().takes_merges() && !stop.load(Ordering::Relaxed) {
        let merged = merge(parts, shards, shard, true, budget)?;
        report("merge", shard, merged);
        if !parts.compaction.add(Work::Merge, merged) {
            break;
        }
    }
    shard.sweep()?;
    purge(parts, shard);
    Ok(())
}

/// Merges blocks of a shard, and meanwhile seals whatever head is due: a merge takes many seconds
/// on a slow processor, and writers would have to wait for it.
fn merge(
    parts: &UpkeepParts,
    shards: &[Arc<Shard>],
    shard: &Shard,
    all: bool,
    budget: &Budget,
) -> Result<Option<Sealed>, storage::Error> {
    // What failed is tried again in a later round, behind a pause.
    let mut has_failed = false;
    let mut looked = parts.clock.monotonic();
    let mut seal_due = || {
        let (now, is_early) =
            (parts.clock.wall(), parts.clock.monotonic().since(looked) < LOOK_EVERY);
        if has_failed || is_early {
            return;
        }
        looked = parts.clock.monotonic();
        for due in shards.iter().filter(|shard| shard.is_seal_due(now)) {
            if !parts.space.mark().takes_seals() {
                return;
            }
            match due.seal(budget) {
                Ok(sealed) => {
                    report("seal", due, sealed);
                    purge(parts, due);
                }
                Err(error) => {
                    // One that was cancelled ends the merge as well.
                    if !matches!(error, storage::Error::Exhausted(_)) {
                        failed(due, &error);
                    }
                    has_failed = true;
                    return;
                }
            }
        }
    };
    shard.merge_with_pauses(parts.clock.wall(), all, budget, &mut seal_due)
}

fn failed(shard: &Shard, error: &storage::Error) {
    metrics::counter!("skua_upkeep_failures_total").increment(1);
    let error = error as &dyn std::error::Error;
    tracing::error!(shard = %shard.id(), error, "upkeep of a shard failed");
}

fn purge(parts: &UpkeepParts, shard: &Shard) {
    if let Some(upto) = shard.purgeable() {
        (parts.purge)(shard, upto);
    }
}

/// Does what is due for one shard; true if anything was.
fn step(
    parts: &UpkeepParts,
    shards: &[Arc<Shard>],
    shard: &Shard,
    budget: &Budget,
) -> Result<bool, storage::Error> {
    let now = parts.clock.wall();
    let past = drop_due(now, parts.retention, shard.oldest_bucket(CLASS_ORDINARY));
    if let Some(bucket) = past.filter(|_| parts.frozen.left().is_none()) {
        (parts.propose_drop)(shard, CLASS_ORDINARY, bucket);
    }
    let worked = match shard.due(now) {
        Upkeep::Nothing => false,
        Upkeep::Sweep => shard.sweep()? > 0,
        Upkeep::Seal if !parts.space.mark().takes_seals() => false,
        Upkeep::Merge if !parts.space.mark().takes_merges() => false,
        Upkeep::Seal => report("seal", shard, shard.seal(budget)?),
        Upkeep::Merge => report("merge", shard, merge(parts, shards, shard, false, budget)?),
    };
    purge(parts, shard);
    Ok(worked)
}

fn report(what: &'static str, shard: &Shard, done: Option<Sealed>) -> bool {
    let Some(Sealed { cut, blocks, spans, repeats, bytes }) = done else { return false };
    metrics::counter!("skua_upkeep_spans_total", "work" => what).increment(spans);
    metrics::counter!("skua_upkeep_bytes_total", "work" => what).increment(bytes);
    metrics::counter!("skua_upkeep_total", "work" => what).increment(1);
    tracing::debug!(shard = %shard.id(), what, cut, blocks, spans, repeats, bytes, "upkeep");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_goes_when_all_of_it_is_past() {
        let hour = 3_600_000_000_000;
        let day = Duration(24 * hour);
        let now = Timestamp(100 * hour + 5);
        // Stamps up to the hour 76 are past; a bucket is an hour of them.
        assert_eq!(drop_due(now, day, Some(10)), Some(75));
        assert_eq!(drop_due(now, day, Some(75)), Some(75));
        assert_eq!(drop_due(now, day, Some(76)), None, "the bucket is not past as a whole");
        assert_eq!(drop_due(now, day, None), None);
        assert_eq!(drop_due(Timestamp(hour), day, Some(0)), None, "a clock that has just begun");
    }
}
