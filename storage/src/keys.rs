//! Every key of the key-value store, and its encoding.
//!
//! Column family `meta`:
//!
//! ```text
//!   node    what the node knows of itself; the value is `crate::meta`'s
//! ```
//!
//! Column family `shards`, every key beginning with the shard's number:
//!
//! ```text
//!   shard s           what the shard remembers besides its spans, at its seal cut
//!   shard b number    a block: that it belongs to the shard, and its file's length
//!   shard w number    the requests and batches that one seal added to what is remembered
//! ```
//!
//! Keys are plain bytes that sort as they are read; numbers in keys are big-endian.

use model::ShardId;

/// What the node knows of itself: one value, so that it is whole or absent.
pub(crate) const NODE: &[u8] = b"node";

/// What kind of value a shard's key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShardKey {
    /// What the shard remembers besides its spans.
    State,
    /// A block.
    Block(u64),
    /// What one seal added to what is remembered.
    Window(u64),
}

impl ShardKey {
    /// The key.
    pub(crate) fn of(self, shard: ShardId) -> Vec<u8> {
        let (kind, number) = match self {
            Self::State => (b's', None),
            Self::Block(number) => (b'b', Some(number)),
            Self::Window(number) => (b'w', Some(number)),
        };
        let mut key = shard.0.to_be_bytes().to_vec();
        key.push(kind);
        key.extend(number.into_iter().flat_map(u64::to_be_bytes));
        key
    }

    /// The number in a key.
    pub(crate) fn number(key: &[u8]) -> Option<u64> {
        key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
    }
}
