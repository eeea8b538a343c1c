//! The read barrier: what has to be applied before an answer holds every acknowledged write.

use bytes::Bytes;
use model::{NodeId, ShardId};
use storage::log::LogIndex;

use super::limits::{REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
use super::messages::{peer, scalar};
use super::{RingEpoch, WireError};

/// Asks a node for the barriers of shards that it leads, all in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarrierRequest {
    /// How long the asker waits.
    pub deadline_left_ms: u64,
    /// The shards, each once.
    pub shards: Vec<ShardId>,
}

/// The barriers, in any order. A shard that is not named has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BarrierReply {
    /// One for each shard.
    pub barriers: Vec<ShardBarrier>,
}

/// What a node says of the barrier of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardBarrier {
    /// The shard.
    pub shard: ShardId,
    /// The highest ring epoch whose fence the node has applied there. One later than the asker's
    /// means that writes may be elsewhere: the question starts over with the new map.
    pub fenced_epoch: RingEpoch,
    /// The barrier, or who may know it.
    pub outcome: BarrierOutcome,
}

/// A barrier, or who may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierOutcome {
    /// The node led the shard throughout the call, confirmed by a majority: a replica that has
    /// applied this much shows every write acknowledged before the call (QRY-3).
    Applied(LogIndex),
    /// The node does not lead the shard, or could not confirm that it does.
    NotLeader {
        /// Who may.
        hint: Option<NodeId>,
    },
}

impl BarrierRequest {
    /// The request as bytes.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        let message = peer::from_barrier_request(self)?;
        scalar::encode("a barrier request", &message, REQUEST_BYTES_MAX)
    }

    /// The request in these bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        peer::to_barrier_request(&scalar::decode("a barrier request", bytes, REQUEST_BYTES_MAX)?)
    }
}

impl BarrierReply {
    /// The reply as bytes.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        scalar::encode("a barrier reply", &peer::from_barrier_reply(self)?, REPLY_BYTES_MAX)
    }

    /// The reply in these bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        peer::to_barrier_reply(&scalar::decode("a barrier reply", bytes, REPLY_BYTES_MAX)?)
    }
}
