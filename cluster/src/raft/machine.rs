//! What a group replicates: a state machine, seen from consensus.
//!
//! ```text
//!   log:   1 2 3 4 5 6 7 8 9
//!                ^       ^
//!               cut   applied
//! ```
//!
//! A machine applies the entries of its group in order. Its *cut* is the highest index whose
//! effects it will still have after a power loss, without the log: a start re-applies what follows
//! the cut, the log may be purged up to it, and a snapshot is what the machine is at its cut.
//!
//! A snapshot is a manifest, small and immutable, that names files. A receiver says which of them
//! it lacks, gets these in stretches from whoever offered the manifest, and installs all of it in
//! one step. The machine checks what it is given; consensus only carries it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use storage::log::LogIndex;

use super::types::Outcome;

/// A replicated state machine. Its calls may block; nothing calls `apply`, `pass` and `install` at
/// the same time.
pub trait Machine: fmt::Debug + Send + Sync + 'static {
    /// Applies the entry at `index`. Indexes ascend, but an index that was applied before may come
    /// again after a restart and must change nothing. An error is this replica's own, and ends it:
    /// what all replicas refuse alike is [`Outcome::Refused`].
    fn apply(&self, index: LogIndex, entry: &Bytes) -> Result<Outcome, MachineError>;

    /// Whether an entry that is small is applied in a moment: by memory and processor alone, and
    /// without waiting for anybody who might take longer. Such entries hold up whoever applies them
    /// for less than it would take to have it done elsewhere.
    fn is_brief(&self, _entry: &Bytes) -> bool {
        false
    }

    /// Passes over an index whose entry is not the machine's.
    fn pass(&self, index: LogIndex);

    /// The highest index whose effects are durable without the log. It only grows.
    fn cut(&self) -> Option<LogIndex>;

    /// Up to where the log may be purged: the cut, or less as long as a read that is running may
    /// still look for entries before it.
    fn purgeable(&self) -> Option<LogIndex> {
        self.cut()
    }

    /// Moves the cut up to what is applied, if the machine can do that at once; one that moves its
    /// cut by itself leaves it alone.
    fn checkpoint(&self) -> Result<(), MachineError>;

    /// The machine at its cut. Nothing is copied; what the manifest names stays readable as long
    /// as the snapshot's pin is held. A machine that has a cut has a snapshot; while it cannot hand
    /// that on, whoever lacks purged entries cannot be helped.
    fn snapshot(&self) -> Result<MachineSnapshot, MachineError>;

    /// Bytes of a file that a snapshot pins, fewer than `length` only at its end.
    fn read_stretch(
        &self,
        file: &FileName,
        offset: u64,
        length: usize,
    ) -> Result<Bytes, MachineError>;

    /// Whether a file that a snapshot pins is sound, because what came of it elsewhere is damaged.
    /// A machine that finds damage hands the file on no more.
    fn is_sound(&self, _file: &FileName) -> Result<bool, MachineError> {
        Ok(true)
    }

    /// The cut of a manifest from elsewhere. Says so if the manifest is none.
    fn cut_of(&self, manifest: &Bytes) -> Result<LogIndex, MachineError>;

    /// The files of a manifest from elsewhere that this machine does not have whole, with how far
    /// each has come. Says so if the manifest is none.
    fn missing_files(&self, manifest: &Bytes) -> Result<Vec<MissingFile>, MachineError>;

    /// Adds bytes to a file that is missing, at the end of what is there; a file that is whole
    /// then is checked.
    fn put_stretch(
        &self,
        manifest: &Bytes,
        file: &FileName,
        offset: u64,
        bytes: &Bytes,
    ) -> Result<(), MachineError>;

    /// Becomes what the manifest describes, durably and in one step: after a crash the machine is
    /// the old one or the new one. All its files are there. The cut is the manifest's from then on.
    fn install(&self, manifest: &Bytes) -> Result<(), MachineError>;
}

/// Keeps the files of a snapshot from going away; they may go when the last clone is dropped.
pub type Pin = Arc<dyn fmt::Debug + Send + Sync>;

/// A machine at its cut.
#[derive(Clone, Debug)]
pub struct MachineSnapshot {
    /// The cut.
    pub index: LogIndex,
    /// What the machine needs to become this, apart from the files that it names.
    pub manifest: Bytes,
    /// Holds the files.
    pub pin: Pin,
}

/// The name of a file, as the machine calls it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(pub Bytes);

/// A file that a receiver does not have whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFile {
    /// Its name.
    pub file: FileName,
    /// Its length.
    pub bytes: u64,
    /// How much of it, from the beginning, is there already.
    pub bytes_present: u64,
}

/// Why a machine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// There is no snapshot: nothing is durable without the log.
    #[error("there is no snapshot yet")]
    NotYet,
    /// Bytes from elsewhere are not what they should be. Nothing was changed.
    #[error("not a usable snapshot: {reason}")]
    BadSnapshot {
        /// What is wrong with them.
        reason: String,
    },
    /// A file that was asked for is not there, or not pinned.
    #[error("there is no such file")]
    NoSuchFile,
    /// The machine's storage refused or failed.
    #[error("the machine's storage failed")]
    Storage(#[from] storage::Error),
    /// It failed in a way of its own.
    #[error("the machine failed: {reason}")]
    Failed {
        /// How.
        reason: String,
    },
}
