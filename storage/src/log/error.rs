//! What the log answers instead of a result, and what can be wrong with bytes on a disk.

use std::path::PathBuf;
use std::sync::Arc;

use super::{GroupId, LogIndex, SegmentNumber};
use crate::env::EnvError;

/// A refusal or a failure of the log. Cheap to clone: one failure answers every waiter.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The queue is full; the disk is behind. Retry after a moment.
    #[error("the log's queue is full: {queued_bytes} of {queued_bytes_max} bytes")]
    Busy {
        /// Bytes that wait for a sync.
        queued_bytes: usize,
        /// The bound.
        queued_bytes_max: usize,
    },
    /// More bytes than the log takes in one piece.
    #[error("{what} of {bytes} bytes, at most {bytes_max} are taken")]
    TooLarge {
        /// Which piece.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The entries do not follow what the group holds.
    #[error("group {group} expects index {expected}, not {given}")]
    NotContiguous {
        /// The group.
        group: GroupId,
        /// The index that must come next.
        expected: LogIndex,
        /// The index that came.
        given: LogIndex,
    },
    /// The log holds as many groups as it may.
    #[error("the log holds {groups_max} groups already")]
    TooManyGroups {
        /// The bound.
        groups_max: usize,
    },
    /// There is no such state slot.
    #[error("state slot {slot} is not below {slots_max}")]
    NoSuchSlot {
        /// The slot asked for.
        slot: u8,
        /// The bound.
        slots_max: u8,
    },
    /// A configured size is outside its range.
    #[error("segments of {bytes} bytes, at most {bytes_max} are possible")]
    SegmentSize {
        /// The configured size.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// The file system refused.
    #[error("log file")]
    Env(#[from] Arc<EnvError>),
    /// Bytes that were durable are not what was written. Nothing was changed.
    #[error("the log is damaged: {} at offset {offset}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where the damaged frame begins.
        offset: u64,
        /// What is wrong with it.
        #[source]
        damage: Damage,
    },
    /// The log was written by a newer version.
    #[error("log file {} has format {version}, this version reads {version_max}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Its format.
        version: u32,
        /// The newest format this version reads.
        version_max: u32,
    },
    /// An earlier write or sync failed: the log takes and gives nothing more in this process.
    #[error("the log has failed for good")]
    Failed(#[source] Arc<LogError>),
    /// The writer thread panicked.
    #[error("the log's writer panicked")]
    WriterPanicked,
    /// The log is being closed.
    #[error("the log is closed")]
    Closed,
}

impl From<EnvError> for LogError {
    fn from(error: EnvError) -> Self {
        Self::Env(Arc::new(error))
    }
}

impl LogError {
    /// True if the same call may succeed a moment later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// True if bytes on the disk are not what was written.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Failed(cause) => cause.is_corruption(),
            _ => false,
        }
    }

    /// True if the disk is full.
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::Env(error) => error.is_out_of_space(),
            Self::Failed(cause) => cause.is_out_of_space(),
            _ => false,
        }
    }
}

/// What is wrong with bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// There is no frame where one must begin.
    #[error("no frame begins here")]
    Magic,
    /// The frame's header does not match its checksum, or belongs elsewhere.
    #[error("the frame header's checksum does not match")]
    HeaderChecksum,
    /// The frame's payload does not match its checksum.
    #[error("the payload's checksum does not match")]
    PayloadChecksum,
    /// The frame has a kind or a field that this format does not have.
    #[error("the frame has an unknown kind or field")]
    Kind,
    /// The payload is larger than its kind allows.
    #[error("the payload is too long")]
    Length,
    /// The frame claims that what follows it was synced before it.
    #[error("the frame confirms bytes behind itself")]
    Confirmation,
    /// The file ends where bytes must be.
    #[error("the file ends too early")]
    Truncated,
    /// A payload does not read as what its kind says.
    #[error("the payload is malformed")]
    Payload,
    /// A segment header at another place than the beginning, or none there, or of another segment.
    #[error("the segment header is missing or misplaced")]
    SegmentHeader,
    /// The segment was written by a newer version.
    #[error("the segment has format {version}")]
    Version {
        /// The format it says it has.
        version: u32,
    },
    /// An entry that does not follow the one before it.
    #[error("the entry does not follow its predecessor")]
    NotContiguous,
    /// The frame read is not the one the index names.
    #[error("the frame is not the entry that was asked for")]
    WrongEntry,
    /// A segment that holds live entries does not exist.
    #[error("segment {0} is missing")]
    MissingSegment(SegmentNumber),
    /// Entries that must be there are in no segment.
    #[error("group {group} lacks {missing} of its entries")]
    MissingEntries {
        /// The group.
        group: GroupId,
        /// How many are not there.
        missing: u64,
    },
}
