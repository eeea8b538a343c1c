//! The cluster's own state as a replicated state machine.
//!
//! Small: it is kept in memory whole, and written whole into the node's store every few hundred
//! commands. That copy is the machine's cut, and its snapshot: the manifest is the state itself and
//! names no files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use storage::log::{LogEngine, LogIndex};

use super::durable::Durable;
use super::limits::META_CHECKPOINT_ENTRIES;
use super::messages::{MetaApplied, encode};
use crate::meta::{CodecError, MetaCommand, MetaOutcome, MetaState};
use crate::raft::{FileName, Machine, MachineError, MachineSnapshot, MissingFile, Outcome};
use crate::watch;

/// The state that the meta group agrees on, on this node.
#[derive(Debug)]
pub(crate) struct MetaMachine {
    durable: Durable,
    log: Arc<dyn LogEngine>,
    standing: Mutex<Standing>,
    published: watch::Sender<Arc<MetaState>>,
}

#[derive(Debug)]
struct Standing {
    state: MetaState,
    /// The copy in the node's store, and up to where it goes.
    cut: Option<(LogIndex, Bytes)>,
}

impl MetaMachine {
    /// From what the node's store holds; entries come from this log. Blocks.
    pub(crate) fn open(
        durable: Durable,
        log: Arc<dyn LogEngine>,
    ) -> Result<Self, super::error::HostError> {
        let stored = durable.meta()?;
        let cut = stored.as_ref().map(|state| (state.applied(), Bytes::from(state.encode())));
        let state = stored.unwrap_or_default();
        let published = watch::Sender::new(Arc::new(state.clone()));
        Ok(Self { durable, log, standing: Mutex::new(Standing { state, cut }), published })
    }

    /// The state as it is applied here.
    pub(crate) fn state(&self) -> Arc<MetaState> {
        Arc::clone(&self.published.borrow())
    }

    /// Follows it.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<MetaState>> {
        self.published.subscribe()
    }

    /// Forgets all of it, durably: the node's replica of the group goes. Blocks.
    pub(crate) fn clear(&self) -> Result<(), storage::kv::KvError> {
        let mut standing = self.lock();
        self.durable.forget_meta()?;
        *standing = Standing { state: MetaState::default(), cut: None };
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &MetaState) {
        let state = Arc::new(state.clone());
        self.published.send_replace(state);
    }

    /// Writes the state as it is now into the node's store. Nobody waits for the lock meanwhile.
    ///
    /// Invariant (DUR-3): the log is durable up to the cut before there is a cut; see the shards'
    /// seals for why.
    fn write_down(&self) -> Result<(), MachineError> {
        let (applied, bytes) = {
            let standing = self.lock();
            (standing.state.applied(), Bytes::from(standing.state.encode()))
        };
        self.log.barrier().map_err(|error| failed(&error))?;
        let mut standing = self.lock();
        let is_newest = standing.cut.as_ref().is_none_or(|(cut, _)| *cut < applied);
        // Behind what was written down, if all of it was forgotten in between.
        if is_newest && standing.state.applied() >= applied {
            self.durable.set_meta(&bytes).map_err(|error| failed(&error))?;
            standing.cut = Some((applied, bytes));
        }
        Ok(())
    }
}

impl Machine for MetaMachine {
    fn apply(&self, index: LogIndex, entry: &Bytes) -> Result<Outcome, MachineError> {
        let mut standing = self.lock();
        let outcome = match MetaCommand::decode(entry) {
            Ok(command) => match standing.state.apply(index, &command) {
                MetaOutcome::Applied(applied) => {
                    let replicas = applied.replicas.iter().map(|replica| replica.0).collect();
                    let applied = MetaApplied { revision: applied.revision.0, replicas };
                    Outcome::Applied(encode(&applied).map_err(|error| failed(&error))?)
                }
                MetaOutcome::Refused(refusal) => {
                    Outcome::Refused { reason: refusal.to_string().into() }
                }
            },
            // Every member knows what may be written; this program should not be one.
            Err(error @ CodecError::Later { .. }) => return Err(failed(&error)),
            Err(error) => {
                standing.state.skip(index);
                Outcome::Refused { reason: error.to_string().into() }
            }
        };
        let cut = standing.cut.as_ref().map_or(0, |(cut, _)| cut.0);
        self.publish(&standing.state);
        drop(standing);
        if index.0.saturating_sub(cut) >= META_CHECKPOINT_ENTRIES {
            self.write_down()?;
        }
        Ok(outcome)
    }

    fn pass(&self, index: LogIndex) {
        self.lock().state.skip(index);
    }

    fn cut(&self) -> Option<LogIndex> {
        self.lock().cut.as_ref().map(|(cut, _)| *cut)
    }

    fn checkpoint(&self) -> Result<(), MachineError> {
        // Before the first entry there is no place in the log that a cut could name.
        let is_due = {
            let standing = self.lock();
            let cut = standing.cut.as_ref().map_or(LogIndex(0), |(cut, _)| *cut);
            cut < standing.state.applied()
        };
        if is_due { self.write_down() } else { Ok(()) }
    }

    fn snapshot(&self) -> Result<MachineSnapshot, MachineError> {
        let (index, manifest) = self.lock().cut.clone().ok_or(MachineError::NotYet)?;
        Ok(MachineSnapshot { index, manifest, pin: Arc::new(()) })
    }

    fn read_stretch(&self, _: &FileName, _: u64, _: usize) -> Result<Bytes, MachineError> {
        Err(MachineError::NoSuchFile)
    }

    fn cut_of(&self, manifest: &Bytes) -> Result<LogIndex, MachineError> {
        decode(manifest).map(|state| state.applied())
    }

    fn missing_files(&self, manifest: &Bytes) -> Result<Vec<MissingFile>, MachineError> {
        decode(manifest).map(|_| Vec::new())
    }

    fn put_stretch(&self, _: &Bytes, _: &FileName, _: u64, _: &Bytes) -> Result<(), MachineError> {
        Err(MachineError::NoSuchFile)
    }

    fn install(&self, manifest: &Bytes) -> Result<(), MachineError> {
        let state = decode(manifest)?;
        let mut standing = self.lock();
        self.durable.set_meta(manifest).map_err(|error| failed(&error))?;
        *standing = Standing { cut: Some((state.applied(), manifest.clone())), state };
        self.publish(&standing.state);
        Ok(())
    }
}

fn decode(manifest: &Bytes) -> Result<MetaState, MachineError> {
    MetaState::decode(manifest)
        .map_err(|error| MachineError::BadSnapshot { reason: error.to_string() })
}

fn failed(error: &dyn ToString) -> MachineError {
    MachineError::Failed { reason: error.to_string() }
}
