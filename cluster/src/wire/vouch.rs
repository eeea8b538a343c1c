//! What replicas say of their votes, so that a reader finds barriers by itself.

use bytes::Bytes;
use model::ShardId;

use super::WireError;
use super::limits::{REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
use super::messages::{scalar, vouch};
use crate::vouch::Vouch;

/// Asks a node what its replicas of shards say, all in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VouchRequest {
    /// The shards, each once.
    pub shards: Vec<ShardId>,
}

/// What they say, in any order. A shard that is not named has no replica there that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VouchReply {
    /// One for each shard.
    pub vouches: Vec<(ShardId, Vouch)>,
}

impl VouchRequest {
    /// The request as bytes.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        let message = vouch::from_vouch_request(self)?;
        scalar::encode("a vouch request", &message, REQUEST_BYTES_MAX)
    }

    /// The request in these bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        vouch::to_vouch_request(&scalar::decode("a vouch request", bytes, REQUEST_BYTES_MAX)?)
    }
}

impl VouchReply {
    /// The reply as bytes.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        scalar::encode("a vouch reply", &vouch::from_vouch_reply(self)?, REPLY_BYTES_MAX)
    }

    /// The reply in these bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        vouch::to_vouch_reply(&scalar::decode("a vouch reply", bytes, REPLY_BYTES_MAX)?)
    }
}
