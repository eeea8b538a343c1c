//! Batches on their way to the leaders of their shards.

use bytes::Bytes;
use model::{NodeId, ShardId};

use super::limits::{REPLY_BYTES_MAX, WRITE_BYTES_MAX};
use super::messages::{peer, scalar};
use super::{RingEpoch, WireError};

/// Batches for shards that the called node leads, all in one call. Sending the same batches again
/// is harmless: apply drops a batch whose id it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRequest {
    /// The ring epoch by which the spans were routed.
    pub ring_epoch: RingEpoch,
    /// How long the asker waits.
    pub deadline_left_ms: u64,
    /// The batches; a shard may have several.
    pub batches: Vec<ShardBatch>,
}

/// A batch for a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardBatch {
    /// The shard.
    pub shard: ShardId,
    /// The batch as its coordinator encoded it. Never changed on the way.
    pub batch: Bytes,
}

/// What became of the batches, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteReply {
    /// One for each batch.
    pub outcomes: Vec<ShardWrite>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardWrite {
    /// Its shard.
    pub shard: ShardId,
    /// What became of it.
    pub outcome: WriteOutcome,
}

/// What became of a batch, by what the asker may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Durable on a majority and applied (DUR-1, API-1).
    Done,
    /// It can never be accepted, on any replica. Not written.
    Refused {
        /// Why; long texts are cut off on the way.
        reason: String,
    },
    /// There is no room now. Not written; try again later.
    Busy {
        /// When.
        retry_after_ms: u64,
    },
    /// The node does not lead the shard. Not written by it; try the leader.
    NotLeader {
        /// Who may be.
        hint: Option<NodeId>,
    },
    /// The shard has fenced off the ring epoch by which the spans were routed. Not written: route
    /// them again by a later one.
    Fenced {
        /// The highest fenced epoch.
        epoch: RingEpoch,
    },
    /// It may have been written or not. Sending it again is the way to know.
    Unknown {
        /// What happened; long texts are cut off on the way.
        reason: String,
    },
}

impl WriteRequest {
    /// The request as bytes. Batches of together [`super::limits::WRITE_PAYLOAD_BYTES_MAX`] fit.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        scalar::encode("a write request", &peer::from_write_request(self)?, WRITE_BYTES_MAX)
    }

    /// The request in these bytes; batches are stretches of them, not copies.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        peer::to_write_request(scalar::decode("a write request", bytes, WRITE_BYTES_MAX)?)
    }
}

impl WriteReply {
    /// The reply as bytes.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        scalar::encode("a write reply", &peer::from_write_reply(self)?, REPLY_BYTES_MAX)
    }

    /// The reply in these bytes. Whoever cannot read it knows nothing of any batch.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        peer::to_write_reply(scalar::decode("a write reply", bytes, REPLY_BYTES_MAX)?)
    }
}
