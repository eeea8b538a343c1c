//! What a node says of its replicas.

use bytes::Bytes;
use model::ShardId;
use storage::log::LogIndex;

use super::WireError;
use super::limits::{REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
use super::messages::{peer, scalar};
use crate::identity::ReplicaId;

/// Asks a node for the facts about its replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusRequest {
    /// Whether digests are wanted: they cost a pass over what is not summed up yet.
    pub digests: bool,
}

/// The facts about a node's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusReply {
    /// One for each replica.
    pub replicas: Vec<ReplicaFacts>,
}

/// A replica as its node knows it. An index of zero stands for nothing, as the log begins at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaFacts {
    /// Its shard.
    pub shard: ShardId,
    /// Its name in the group.
    pub replica: ReplicaId,
    /// What it is in the group.
    pub role: ReplicaRole,
    /// The term it is in.
    pub term: u64,
    /// The last entry it has applied.
    pub applied: LogIndex,
    /// The last entry in its log.
    pub last: LogIndex,
    /// The last entry whose batches are all in blocks.
    pub seal_cut: LogIndex,
    /// Spans it holds, repeats included.
    pub spans: u64,
    /// Bytes it holds.
    pub bytes: u64,
    /// What it holds as a set, if asked for and known.
    pub digest: Option<ReplicaDigest>,
}

/// What a replica is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplicaRole {
    /// It leads.
    Leader,
    /// It votes and follows.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows and has no vote.
    Learner,
}

/// The set of spans that a replica held at a mark; equal on all replicas for the same mark (REP-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaDigest {
    /// The mark's place in the log.
    pub mark: LogIndex,
    /// The sum of the hashes of all distinct spans, modulo 2^128.
    pub sum: u128,
}

impl StatusRequest {
    /// The request as bytes.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        let message = peer::StatusRequestMessage { digests: self.digests };
        scalar::encode("a status request", &message, REQUEST_BYTES_MAX)
    }

    /// The request in these bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        let message: peer::StatusRequestMessage =
            scalar::decode("a status request", bytes, REQUEST_BYTES_MAX)?;
        Ok(Self { digests: message.digests })
    }
}

impl StatusReply {
    /// The reply as bytes.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        scalar::encode("a status reply", &peer::from_status_reply(self)?, REPLY_BYTES_MAX)
    }

    /// The reply in these bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        peer::to_status_reply(&scalar::decode("a status reply", bytes, REPLY_BYTES_MAX)?)
    }
}
