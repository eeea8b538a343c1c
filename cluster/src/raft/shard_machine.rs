//! A shard as a replicated state machine.
//!
//! Storage seals by itself and says how far; so the cut is the shard's seal cut, and there is
//! nothing to do at a checkpoint.

use std::sync::Arc;

use bytes::Bytes;
use storage::log::LogIndex;
use storage::shard::{Applied, BatchOutcome, Shard};

use super::machine::{FileName, Machine, MachineError, MachineSnapshot, MissingFile};
use super::types::Outcome;

/// A shard's state, replicated.
#[derive(Debug)]
pub struct ShardMachine {
    shard: Arc<Shard>,
}

impl ShardMachine {
    /// Over a shard whose log records are unwrapped by [`super::unwrap`].
    pub fn new(shard: Arc<Shard>) -> Self {
        Self { shard }
    }

    /// The shard.
    pub fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }
}

impl Machine for ShardMachine {
    fn apply(&self, index: LogIndex, entry: &Bytes) -> Result<Outcome, MachineError> {
        let applied = self.shard.apply(index, entry)?;
        Ok(match refusal(&applied) {
            Some(reason) => Outcome::Refused { reason: reason.into() },
            None => Outcome::Applied(Bytes::new()),
        })
    }

    fn pass(&self, index: LogIndex) {
        self.shard.pass(index);
    }

    fn cut(&self) -> Option<LogIndex> {
        self.shard.seal_cut()
    }

    fn checkpoint(&self) -> Result<(), MachineError> {
        Ok(())
    }

    fn purgeable(&self) -> Option<LogIndex> {
        self.shard.purgeable()
    }

    fn snapshot(&self) -> Result<MachineSnapshot, MachineError> {
        // It can be purged behind, not handed on.
        let index = self.cut().ok_or(MachineError::NotYet)?;
        Ok(MachineSnapshot { index, manifest: Bytes::new(), pin: Arc::new(()) })
    }

    fn read_stretch(&self, _: &FileName, _: u64, _: usize) -> Result<Bytes, MachineError> {
        Err(MachineError::NoSuchFile)
    }

    fn missing_files(&self, _: &Bytes) -> Result<Vec<MissingFile>, MachineError> {
        Err(MachineError::BadSnapshot { reason: "shards have none yet".into() })
    }

    fn put_stretch(&self, _: &Bytes, _: &FileName, _: u64, _: &Bytes) -> Result<(), MachineError> {
        Err(MachineError::NoSuchFile)
    }

    fn install(&self, _: &Bytes) -> Result<(), MachineError> {
        Err(MachineError::BadSnapshot { reason: "shards have none yet".into() })
    }
}

/// Why the shard refused a batch of an entry, if it did.
fn refusal(applied: &Applied) -> Option<String> {
    applied.batches.iter().find_map(|outcome| match outcome {
        BatchOutcome::Refused(refusal) => Some(refusal.to_string()),
        BatchOutcome::Added { .. } | BatchOutcome::Known => None,
    })
}
