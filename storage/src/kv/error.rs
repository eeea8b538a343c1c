//! What a key-value store answers instead of a result.

/// A failure of the key-value store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// Bytes on the disk are not what was written.
    #[error("the key-value store is damaged: {reason}")]
    Corrupt {
        /// The engine's words.
        reason: String,
    },
    /// The disk is full.
    #[error("no room for the key-value store: {reason}")]
    OutOfSpace {
        /// The engine's words.
        reason: String,
    },
    /// Another process has it open, or may not be allowed to.
    #[error("the key-value store cannot be opened: {reason}")]
    Unusable {
        /// The engine's words.
        reason: String,
    },
    /// The file system refused.
    #[error("key-value store: {reason}")]
    Io {
        /// The engine's words.
        reason: String,
    },
}

impl KvError {
    /// True if bytes on the disk are not what was written.
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// True if the disk is full.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, Self::OutOfSpace { .. })
    }
}
