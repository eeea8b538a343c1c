//! Why bytes are not a message, or a value cannot become one.

use model::ShardId;
use model::batch::BatchError;
use model::query::PatternError;

/// Why something could not be encoded or decoded.
///
/// What the decoder of a question refuses was not acted upon. An answer that cannot be read says
/// nothing: a write whose answer is refused here may have happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes are not a message at all.
    #[error("{what} is not a message: {reason}")]
    NotAMessage {
        /// Of what kind.
        what: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// A number names something that this version does not know.
    #[error("{what} {number} is not known to this version")]
    Unknown {
        /// What it names.
        what: &'static str,
        /// The number.
        number: u32,
    },
    /// Something that must be there is not.
    #[error("{what} is missing")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// Something is there that cannot be.
    #[error("{what} makes no sense: {reason}")]
    Invalid {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// More bytes than allowed.
    #[error("{what} takes {bytes} bytes, {bytes_max} are allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// A count beyond its bound.
    #[error("more than {count_max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        count_max: u64,
    },
    /// Predicates within predicates beyond the bound.
    #[error("a predicate is nested more than {depth_max} deep")]
    TooDeep {
        /// The bound.
        depth_max: usize,
    },
    /// A regular expression does not compile.
    #[error("a pattern was refused")]
    Pattern(#[from] PatternError),
    /// Spans cannot be read.
    #[error("spans cannot be read")]
    Spans(#[from] BatchError),
    /// A frame came where it has no place.
    #[error("shard {shard} sent {what} out of place")]
    OutOfPlace {
        /// Whose frame.
        shard: ShardId,
        /// What it is.
        what: &'static str,
    },
    /// Whoever takes the frames wants no more.
    #[error("the receiver has gone")]
    Stopped,
}

impl WireError {
    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }

    /// Whether the other side probably speaks a later version.
    pub fn is_of_another_version(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Missing { .. })
    }
}
