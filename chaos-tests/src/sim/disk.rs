//! A node's disk: files and a key-value store that forget what was not synced, and the log's
//! writer, which takes simulated time.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::testing::Random;
use storage::env::{Crash, Env as _, EnvError, FaultEnv};
use storage::kv::FaultKv;
use storage::log::{
    Bounds, Done, GroupId, LogEngine, LogError, LogIndex, LogStats, Operation, Rejected,
    SegmentLog, StateSlot,
};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long an idle log waits before it confirms its last frames.
const CONFIRM_AFTER: Duration = Duration::from_millis(500);

/// A sync takes between one millisecond and this.
const SYNC_MILLIS_MAX: u64 = 4;

/// The disk of a node, which survives its process.
#[derive(Debug, Clone)]
pub struct NodeDisk {
    /// Its files.
    pub env: FaultEnv,
    /// Its key-value store.
    pub kv: FaultKv,
    origin: Instant,
    /// Milliseconds since the origin until which nothing is synced.
    stalled_until: Arc<AtomicU64>,
}

impl NodeDisk {
    /// An empty disk.
    pub fn new(seed: u64, origin: Instant) -> Self {
        let env = FaultEnv::new(seed);
        // Low enough to be a number, high enough not to be low.
        env.set_free_bytes(1 << 40);
        let kv = FaultKv::new(&env);
        Self { env, kv, origin, stalled_until: Arc::default() }
    }

    /// Where a node keeps its log.
    pub fn log_directory() -> &'static Path {
        Path::new("data/log")
    }

    /// Where a node keeps its blocks.
    pub fn block_directory() -> &'static Path {
        Path::new("data/blocks")
    }

    /// The process has ended; what the crash left is there when the next one starts.
    pub fn restart(&self, crash: Crash) {
        self.env.restart(crash);
        self.kv.restart(crash);
    }

    /// Lets no sync end for a while.
    pub fn stall(&self, millis: u64) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.stalled_until.store(now.saturating_add(millis), Ordering::Relaxed);
    }

    /// Ends a stall.
    pub fn unstall(&self) {
        self.stalled_until.store(0, Ordering::Relaxed);
    }

    /// Waits as long as the disk does not answer.
    async fn answers(&self) {
        loop {
            let until = self.stalled_until.load(Ordering::Relaxed);
            let until = self.origin + Duration::from_millis(until);
            if tokio::time::Instant::now() >= until {
                return;
            }
            // A stall may end early: look again now and then.
            let step = tokio::time::Instant::now() + Duration::from_millis(20);
            tokio::time::sleep_until(until.min(step)).await;
        }
    }

    /// Cuts off the end of the newest file of the log; says how many bytes, if there is one.
    pub fn cut_log(&self, random: &mut Random) -> Option<usize> {
        let is_log = |path: &PathBuf| path.starts_with(Self::log_directory());
        let newest = self.env.paths().into_iter().filter(is_log).max()?;
        let length = self.env.content(&newest)?.len();
        // Now and then so much that blocks know of more than what is left.
        let most = if random.one_in(3) { length as u64 } else { CUT_BYTES_MAX };
        let lost = usize::try_from(1 + random.below(most)).unwrap_or(1).min(length);
        self.env.cut(&newest, length - lost).then_some(lost)
    }

    /// Takes every file of the log away; says how many there were.
    pub fn lose_log(&self) -> Result<usize, EnvError> {
        let directory = Self::log_directory();
        let names = self.env.list(directory)?;
        for name in &names {
            self.env.remove(&directory.join(name))?;
        }
        self.env.sync_directory(directory)?;
        Ok(names.len())
    }

    /// Flips one bit of some file of a kind; says of which, if there was one.
    pub fn flip(&self, kind: Kind, random: &mut Random) -> Option<Flipped> {
        let directory = match kind {
            Kind::Log => Self::log_directory(),
            Kind::Block => Self::block_directory(),
        };
        let is_kind = |path: &PathBuf| path.starts_with(directory);
        let paths: Vec<PathBuf> = self.env.paths().into_iter().filter(is_kind).collect();
        let path = paths.get(random.index(paths.len()))?;
        let length = self.env.content(path)?.len();
        let mask = 1_u8 << random.below(8);
        let offset = random.index(length);
        let is_last = paths.iter().max() == Some(path) && offset + LAST_BYTES > length;
        let flipped = Flipped { path: path.clone(), is_last };
        self.env.flip(path, offset, mask).then_some(flipped)
    }
}

/// The newest file of the log usually loses up to so many bytes of its end.
const CUT_BYTES_MAX: u64 = 8 << 10;

/// What a log may not have confirmed yet when its node is killed.
const LAST_BYTES: usize = 4 << 10;

/// Where a bit flipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flipped {
    /// The file.
    pub path: PathBuf,
    /// Whether it is at the end of the newest file.
    pub is_last: bool,
}

/// What a flipped bit hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A segment of the log.
    Log,
    /// A block.
    Block,
}

/// The product's log, whose steps a task makes instead of threads.
#[derive(Debug)]
pub struct SimLog {
    log: SegmentLog,
    work: Notify,
    random: Mutex<Random>,
}

impl SimLog {
    /// Over a log that was opened without threads.
    pub fn new(log: SegmentLog, random: Random) -> Self {
        Self { log, work: Notify::new(), random: Mutex::new(random) }
    }

    /// Writes and syncs what is submitted, for as long as it runs.
    pub async fn drive(self: Arc<Self>, disk: NodeDisk) {
        loop {
            if tokio::time::timeout(CONFIRM_AFTER, self.work.notified()).await.is_err() {
                disk.answers().await;
                self.log.confirm();
                self.log.sweep();
                continue;
            }
            loop {
                tokio::time::sleep(self.sync_time()).await;
                disk.answers().await;
                if !self.log.pump() {
                    break;
                }
            }
        }
    }

    /// Tells everybody who waits that the disk is gone. To be called when it is.
    pub fn fail(&self) {
        while self.log.pump() {}
    }

    fn sync_time(&self) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(1 + random.below(SYNC_MILLIS_MAX))
    }
}

impl LogEngine for SimLog {
    fn try_submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        let submitted = self.log.try_submit(operation, done);
        self.work.notify_one();
        submitted
    }

    fn submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        let submitted = self.log.submit(operation, done);
        self.work.notify_one();
        submitted
    }

    fn submit_and_wait(&self, operation: Operation) -> Result<(), LogError> {
        self.log.submit_and_wait(operation)
    }

    fn read(
        &self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Bytes)>, LogError> {
        self.log.read(group, range, bytes_max)
    }

    fn entry(&self, group: GroupId, index: LogIndex) -> Result<Option<Bytes>, LogError> {
        self.log.entry(group, index)
    }

    fn bounds(&self, group: GroupId) -> Bounds {
        self.log.bounds(group)
    }

    fn groups(&self) -> Vec<GroupId> {
        self.log.groups()
    }

    fn state(&self, group: GroupId, slot: StateSlot) -> Option<Bytes> {
        self.log.state(group, slot)
    }

    fn stats(&self) -> LogStats {
        self.log.stats()
    }
}
