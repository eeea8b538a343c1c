//! openraft's own suite for stores, on ours: over the log in memory, and over the log on a disk.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::{BufMut as _, Bytes, BytesMut};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use storage::env::FaultEnv;
use storage::log::{GroupId, LogEngine, LogIndex, LogOptions, MemoryLog, SegmentLog};

use super::blocking::Blocking;
use super::fence::{Fence, Generation};
use super::log_handle::LogHandle;
use super::log_store::LogStore;
use super::machine::{FileName, Machine, MachineError, MachineSnapshot, MissingFile};
use super::standing::Standing;
use super::state_machine::StateMachine;
use super::types::{Consensus, Outcome};

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

struct Stores<L>(L);

impl<L> StoreBuilder<Consensus, LogStore, StateMachine, Generation> for Stores<L>
where
    L: Fn() -> Arc<dyn LogEngine> + Send + Sync,
{
    async fn build(&self) -> Result<(Generation, LogStore, StateMachine), StorageError<Consensus>> {
        let handle = LogHandle::new(GroupId(3), (self.0)(), Blocking::Inline);
        let (pass, generation) = Arc::new(Fence::default()).advance();
        let machine = Arc::new(Counter::default());
        let standing = Arc::new(Standing::open(handle.clone(), machine).unwrap());
        let store = LogStore::open(handle, pass.clone()).unwrap();
        Ok((generation, store, StateMachine::new(standing, pass)))
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
