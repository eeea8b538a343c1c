//! What can go wrong below the coordinator, by what its caller should do.

use model::StoreError;

use crate::limits::{NO_SPACE_RETRY_AFTER_MS, RETRY_AFTER_MS};

/// Why a proposal or a read did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no room now.
    #[error("{what} is full")]
    Busy {
        /// What is full.
        what: &'static str,
    },
    /// There is too little room on the disk.
    #[error("there is too little room on the disk")]
    NoSpace,
    /// The shard's state machine refuses it, now and on every replica.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The batch was routed by a ring epoch that is over: it is not there and will not be. Its
    /// spans have to be routed anew, by the epoch that is in force now.
    #[error("the ring epoch of the batch is over")]
    Fenced,
    /// The outcome is unknown: it may have happened, it may still happen, it may never.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// What was lost sight of, in words.
        reason: String,
    },
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy { what } => Self::Overloaded { what, retry_after_ms: RETRY_AFTER_MS },
            Error::NoSpace => Self::Overloaded {
                what: "there is too little room on the disk",
                retry_after_ms: NO_SPACE_RETRY_AFTER_MS,
            },
            Error::Refused { reason } => Self::Invalid { what: reason },
            Error::Fenced | Error::Unknown { .. } => {
                Self::Unavailable { what: error.to_string(), retry_after_ms: RETRY_AFTER_MS }
            }
        }
    }
}
