//! openraft's own suite for stores, on ours: over the log in memory, and over the log on a disk.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::Stream;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, RaftSnapshotBuilder, StorageError};
use storage::env::FaultEnv;
use storage::log::{GroupId, LogEngine, LogIndex, LogOptions, MemoryLog, SegmentLog};

use super::blocking::Blocking;
use super::fence::{Fence, Generation};
use super::log_handle::LogHandle;
use super::log_store::LogStore;
use super::machine::{FileName, Machine, MachineError, MachineSnapshot, MissingFile};
use super::standing::Standing;
use super::state_machine::{Snapshot, SnapshotData, StateMachine};
use super::types::{Consensus, LogId, Outcome, SnapshotMeta, StoredMembership};

/// Counts, and checkpoints whenever it is asked to.
#[derive(Debug, Default)]
pub(super) struct Counter {
    state: Mutex<(Option<LogIndex>, Option<LogIndex>)>,
}

impl Counter {
    /// As it is after a start, with a cut.
    pub(super) fn at(cut: LogIndex) -> Self {
        Self { state: Mutex::new((Some(cut), Some(cut))) }
    }
}

impl Machine for Counter {
    fn apply(&self, index: LogIndex, _: &Bytes) -> Result<Outcome, MachineError> {
        self.pass(index);
        Ok(Outcome::Applied(Bytes::new()))
    }

    fn is_brief(&self, entry: &Bytes) -> bool {
        !entry.starts_with(b"long")
    }

    fn pass(&self, index: LogIndex) {
        self.state.lock().unwrap().0 = Some(index);
    }

    fn cut(&self) -> Option<LogIndex> {
        self.state.lock().unwrap().1
    }

    fn checkpoint(&self) -> Result<(), MachineError> {
        let mut state = self.state.lock().unwrap();
        state.1 = state.0;
        Ok(())
    }

    fn snapshot(&self) -> Result<MachineSnapshot, MachineError> {
        let index = self.cut().ok_or(MachineError::NotYet)?;
        let mut manifest = BytesMut::new();
        manifest.put_u64_le(index.0);
        Ok(MachineSnapshot { index, manifest: manifest.freeze(), pin: Arc::new(()) })
    }

    fn read_stretch(&self, _: &FileName, _: u64, _: usize) -> Result<Bytes, MachineError> {
        Err(MachineError::NoSuchFile)
    }

    fn cut_of(&self, manifest: &Bytes) -> Result<LogIndex, MachineError> {
        Ok(LogIndex(u64::from_le_bytes(manifest.as_ref().try_into().unwrap())))
    }

    fn missing_files(&self, _: &Bytes) -> Result<Vec<MissingFile>, MachineError> {
        Ok(Vec::new())
    }

    fn put_stretch(&self, _: &Bytes, _: &FileName, _: u64, _: &Bytes) -> Result<(), MachineError> {
        Err(MachineError::NoSuchFile)
    }

    fn install(&self, manifest: &Bytes) -> Result<(), MachineError> {
        let index = self.cut_of(manifest)?;
        *self.state.lock().unwrap() = (Some(index), Some(index));
        Ok(())
    }
}

/// The state machine, but that its snapshots have their manifest: the suite installs them as they
/// are, where a leader's offer comes in between.
#[derive(Clone, Debug)]
struct Offering(StateMachine, Arc<Counter>);

impl Offering {
    fn with_manifest(&self, snapshot: Snapshot) -> Snapshot {
        match self.1.snapshot() {
            Ok(MachineSnapshot { manifest, .. }) => {
                Snapshot { snapshot: SnapshotData::Received(manifest), ..snapshot }
            }
            Err(_) => snapshot,
        }
    }
}

impl RaftStateMachine<Consensus> for Offering {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        self.0.applied_state().await
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Consensus>>> + Unpin + OptionalSend,
    {
        self.0.apply(entries).await
    }

    async fn try_create_snapshot_builder(&mut self, _: bool) -> Option<Self> {
        Some(self.clone())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        data: SnapshotData,
    ) -> io::Result<()> {
        self.0.install_snapshot(meta, data).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let snapshot = self.0.get_current_snapshot().await?;
        Ok(snapshot.map(|snapshot| self.with_manifest(snapshot)))
    }
}

impl RaftSnapshotBuilder<Consensus> for Offering {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let snapshot = self.0.build_snapshot().await?;
        Ok(self.with_manifest(snapshot))
    }
}

struct Stores<L>(L);

impl<L> StoreBuilder<Consensus, LogStore, Offering, Generation> for Stores<L>
where
    L: Fn() -> Arc<dyn LogEngine> + Send + Sync,
{
    async fn build(&self) -> Result<(Generation, LogStore, Offering), StorageError<Consensus>> {
        let handle = LogHandle::new(GroupId(3), (self.0)(), Blocking::Inline);
        let (pass, generation) = Arc::new(Fence::default()).advance();
        let machine = Arc::new(Counter::default());
        let counter = Arc::clone(&machine);
        let standing = Arc::new(Standing::open(handle.clone(), counter).unwrap());
        let store = LogStore::open(handle, pass.clone()).unwrap();
        Ok((generation, store, Offering(StateMachine::new(standing, pass), machine)))
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_over_a_log_in_memory() {
    Suite::test_all(Stores(|| Arc::new(MemoryLog::new()) as Arc<dyn LogEngine>)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_suite_over_a_log_on_a_disk() {
    let log = || {
        let options = LogOptions::new(|| 0, |_| {});
        let env = Arc::new(FaultEnv::new(7));
        let (log, _) = SegmentLog::open(env, Path::new("log"), &options).unwrap();
        Arc::new(log) as Arc<dyn LogEngine>
    };
    Suite::test_all(Stores(log)).await.unwrap();
}
