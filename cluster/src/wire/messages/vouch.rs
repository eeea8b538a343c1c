//! Vouches: what replicas say of their votes.

use std::collections::BTreeSet;

use model::ShardId;
use storage::log::LogIndex;

use super::scalar::check_shards;
use crate::identity::ReplicaId;
use crate::vouch::{Ballot, Led, Vouch};
use crate::wire::limits::{VOTER_SETS_MAX, VOTERS_MAX};
use crate::wire::{VouchReply, VouchRequest, WireError};

/// Asks for vouches.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VouchRequestMessage {
    #[prost(uint32, repeated, tag = "1")]
    shards: Vec<u32>,
}

pub(crate) fn from_vouch_request(request: &VouchRequest) -> Result<VouchRequestMessage, WireError> {
    check_shards("shards of a vouch request", request.shards.len())?;
    Ok(VouchRequestMessage { shards: request.shards.iter().map(|shard| shard.0).collect() })
}

pub(crate) fn to_vouch_request(message: &VouchRequestMessage) -> Result<VouchRequest, WireError> {
    check_shards("shards of a vouch request", message.shards.len())?;
    Ok(VouchRequest { shards: message.shards.iter().copied().map(ShardId).collect() })
}

/// Vouches.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VouchReplyMessage {
    #[prost(message, repeated, tag = "1")]
    vouches: Vec<VouchMessage>,
}

/// What a replica says.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VouchMessage {
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(uint64, tag = "2")]
    replica: u64,
    #[prost(message, optional, tag = "3")]
    voted: Option<BallotMessage>,
    #[prost(message, optional, tag = "4")]
    led: Option<LedMessage>,
}

/// A vote.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct BallotMessage {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    candidate: u64,
}

/// What a leader knows.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LedMessage {
    #[prost(uint64, tag = "1")]
    committed: u64,
    #[prost(message, repeated, tag = "2")]
    voters: Vec<VotersMessage>,
}

/// A set of voters.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VotersMessage {
    #[prost(uint64, repeated, tag = "1")]
    replicas: Vec<u64>,
}

pub(crate) fn from_vouch_reply(reply: &VouchReply) -> Result<VouchReplyMessage, WireError> {
    check_shards("vouches", reply.vouches.len())?;
    let vouches = reply.vouches.iter().map(|(shard, vouch)| {
        let voted = vouch
            .voted
            .map(|Ballot { term, candidate }| BallotMessage { term, candidate: candidate.0 });
        let led = vouch.led.as_ref().map(from_led).transpose()?;
        Ok(VouchMessage { shard: shard.0, replica: vouch.replica.0, voted, led })
    });
    Ok(VouchReplyMessage { vouches: vouches.collect::<Result<_, WireError>>()? })
}

fn from_led(led: &Led) -> Result<LedMessage, WireError> {
    check_voters(led.voters.iter().map(BTreeSet::len))?;
    let set = |set: &BTreeSet<ReplicaId>| VotersMessage {
        replicas: set.iter().map(|replica| replica.0).collect(),
    };
    Ok(LedMessage { committed: led.committed.0, voters: led.voters.iter().map(set).collect() })
}

pub(crate) fn to_vouch_reply(message: &VouchReplyMessage) -> Result<VouchReply, WireError> {
    check_shards("vouches", message.vouches.len())?;
    let vouches = message.vouches.iter().map(|vouch| {
        let voted = vouch.voted.map(|BallotMessage { term, candidate }| Ballot {
            term,
            candidate: ReplicaId(candidate),
        });
        let led = vouch.led.as_ref().map(to_led).transpose()?;
        Ok((ShardId(vouch.shard), Vouch { replica: ReplicaId(vouch.replica), voted, led }))
    });
    Ok(VouchReply { vouches: vouches.collect::<Result<_, WireError>>()? })
}

fn to_led(message: &LedMessage) -> Result<Led, WireError> {
    check_voters(message.voters.iter().map(|set| set.replicas.len()))?;
    let set = |set: &VotersMessage| set.replicas.iter().copied().map(ReplicaId).collect();
    Ok(Led {
        committed: LogIndex(message.committed),
        voters: message.voters.iter().map(set).collect(),
    })
}

fn check_voters(sets: impl ExactSizeIterator<Item = usize>) -> Result<(), WireError> {
    let too_many =
        |what, count_max: usize| WireError::TooMany { what, count_max: count_max as u64 };
    if sets.len() > VOTER_SETS_MAX {
        return Err(too_many("sets of voters", VOTER_SETS_MAX));
    }
    match sets.max() {
        Some(most) if most > VOTERS_MAX => Err(too_many("voters of a group", VOTERS_MAX)),
        _ => Ok(()),
    }
}
