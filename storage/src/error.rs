//! The crate's one error enum, for callers that do not care which part failed.
//!
//! Parts have errors of their own ([`EnvError`], [`LogError`]); what a caller needs to decide is
//! asked by methods, never by matching text.

use model::batch::BatchError;
use model::budget::Exhausted;

use crate::block::BlockError;
use crate::entry::EntryError;
use crate::env::EnvError;
use crate::kv::KvError;
use crate::log::{GroupId, LogError, LogIndex};
use crate::meta::MetaError;

/// Whatever storage can answer instead of a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("file system")]
    Env(#[from] EnvError),
    /// The log refused or failed.
    #[error("log")]
    Log(#[from] LogError),
    /// An entry of a shard is not what the log says it is, or not for this version.
    #[error("entry {index} of group {group}")]
    Entry {
        /// The group of the log.
        group: GroupId,
        /// The entry.
        index: LogIndex,
        /// What is wrong with it.
        #[source]
        source: EntryError,
    },
    /// A batch in an entry of the log cannot be read.
    #[error("the batch at byte {offset} of entry {index} of group {group}")]
    Batch {
        /// The group of the log.
        group: GroupId,
        /// The entry.
        index: LogIndex,
        /// Where the batch begins in the entry.
        offset: u32,
        /// What is wrong with it.
        #[source]
        source: BatchError,
    },
    /// An entry that must be in the log is not there.
    #[error("group {group} lacks entry {index}")]
    MissingEntry {
        /// The group of the log.
        group: GroupId,
        /// The entry.
        index: LogIndex,
    },
    /// A block, or a part of it, cannot be read or written.
    #[error("block")]
    Block(#[from] BlockError),
    /// The manifest of a shard cannot be read.
    #[error("the manifest of shard {shard}: {reason}")]
    Manifest {
        /// The shard.
        shard: model::ShardId,
        /// What does not add up.
        reason: model::columns::ColumnError,
    },
    /// This cannot happen; it is answered instead of ending the process.
    #[error("bug: {what}")]
    Bug {
        /// What contradicts itself.
        what: &'static str,
    },
    /// A read spent its budget.
    #[error("the read was stopped")]
    Exhausted(#[from] Exhausted),
    /// The key-value store refused or failed.
    #[error("key-value store")]
    Kv(#[from] KvError),
    /// What the node knows of itself cannot be used.
    #[error("node identity")]
    Meta(#[from] MetaError),
}

impl Error {
    /// True if bytes on the disk are not what was written: retrying cannot help, a peer can.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Env(_) | Self::Exhausted(_) | Self::Bug { .. } => false,
            Self::Log(error) => error.is_corruption(),
            Self::Entry { source, .. } => source.is_corruption(),
            Self::Batch { source, .. } => !matches!(source, BatchError::Version { .. }),
            Self::MissingEntry { .. } | Self::Manifest { .. } => true,
            Self::Block(error) => error.is_corruption(),
            Self::Kv(error) => error.is_corruption(),
            Self::Meta(error) => error.is_corruption(),
        }
    }

    /// True if the disk is full.
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::Env(error) => error.is_out_of_space(),
            Self::Log(error) => error.is_out_of_space(),
            Self::Kv(error) => error.is_out_of_space(),
            Self::Block(error) => error.is_out_of_space(),
            Self::Bug { .. }
            | Self::Manifest { .. }
            | Self::Entry { .. }
            | Self::Batch { .. }
            | Self::MissingEntry { .. }
            | Self::Exhausted(_)
            | Self::Meta(_) => false,
        }
    }
}
