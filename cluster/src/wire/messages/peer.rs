//! Barriers, writes and status: one question, one answer.

use bytes::Bytes;
use model::ShardId;
use storage::log::LogIndex;

use super::number::Numbered as _;
use super::scalar::{check_shards, from_node_hint, from_reason, required, to_node_hint};
use crate::identity::ReplicaId;
use crate::wire::{
    BarrierOutcome, BarrierReply, BarrierRequest, ReplicaDigest, ReplicaFacts, ReplicaRole,
    RingEpoch, ShardBarrier, ShardBatch, ShardWrite, StatusReply, WireError, WriteOutcome,
    WriteReply, WriteRequest,
};

/// Asks for barriers.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BarrierRequestMessage {
    #[prost(uint64, tag = "1")]
    deadline_left_ms: u64,
    #[prost(uint32, repeated, tag = "2")]
    shards: Vec<u32>,
}

pub(crate) fn from_barrier_request(
    request: &BarrierRequest,
) -> Result<BarrierRequestMessage, WireError> {
    check_shards("shards of a barrier", request.shards.len())?;
    Ok(BarrierRequestMessage {
        deadline_left_ms: request.deadline_left_ms,
        shards: request.shards.iter().map(|shard| shard.0).collect(),
    })
}

pub(crate) fn to_barrier_request(
    message: &BarrierRequestMessage,
) -> Result<BarrierRequest, WireError> {
    check_shards("shards of a barrier", message.shards.len())?;
    Ok(BarrierRequest {
        deadline_left_ms: message.deadline_left_ms,
        shards: message.shards.iter().copied().map(ShardId).collect(),
    })
}

/// Barriers.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BarrierReplyMessage {
    #[prost(message, repeated, tag = "1")]
    barriers: Vec<BarrierMessage>,
}

#[derive(Clone, Copy)]
enum BarrierKind {
    Applied,
    NotLeader,
}

numbered!(BarrierKind, "a barrier of kind", { 1 => Applied, 2 => NotLeader });

/// The barrier of a shard.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BarrierMessage {
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(uint32, tag = "2")]
    fenced_epoch: u32,
    #[prost(uint32, tag = "3")]
    kind: u32,
    #[prost(uint64, tag = "4")]
    applied: u64,
    #[prost(bytes = "bytes", tag = "5")]
    hint: Bytes,
}

pub(crate) fn from_barrier_reply(reply: &BarrierReply) -> Result<BarrierReplyMessage, WireError> {
    check_shards("shards of a barrier", reply.barriers.len())?;
    let barriers = reply.barriers.iter().map(|barrier| {
        let (kind, applied, hint) = match barrier.outcome {
            BarrierOutcome::Applied(index) => (BarrierKind::Applied, index.0, None),
            BarrierOutcome::NotLeader { hint } => (BarrierKind::NotLeader, 0, hint),
        };
        BarrierMessage {
            shard: barrier.shard.0,
            fenced_epoch: barrier.fenced_epoch.0,
            kind: kind.number(),
            applied,
            hint: from_node_hint(hint),
        }
    });
    Ok(BarrierReplyMessage { barriers: barriers.collect() })
}

pub(crate) fn to_barrier_reply(message: &BarrierReplyMessage) -> Result<BarrierReply, WireError> {
    check_shards("shards of a barrier", message.barriers.len())?;
    let to_barrier = |barrier: &BarrierMessage| {
        let outcome = match BarrierKind::from_number(barrier.kind)? {
            BarrierKind::Applied => BarrierOutcome::Applied(LogIndex(barrier.applied)),
            BarrierKind::NotLeader => {
                BarrierOutcome::NotLeader { hint: to_node_hint(&barrier.hint)? }
            }
        };
        Ok(ShardBarrier {
            shard: ShardId(barrier.shard),
            fenced_epoch: RingEpoch(barrier.fenced_epoch),
            outcome,
        })
    };
    Ok(BarrierReply {
        barriers: message.barriers.iter().map(to_barrier).collect::<Result<_, WireError>>()?,
    })
}

/// Batches.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WriteRequestMessage {
    #[prost(uint32, tag = "1")]
    ring_epoch: u32,
    #[prost(uint64, tag = "2")]
    deadline_left_ms: u64,
    #[prost(message, repeated, tag = "3")]
    batches: Vec<BatchMessage>,
}

/// A batch.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BatchMessage {
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(bytes = "bytes", tag = "2")]
    batch: Bytes,
}

pub(crate) fn from_write_request(request: &WriteRequest) -> Result<WriteRequestMessage, WireError> {
    check_shards("batches of a write", request.batches.len())?;
    let batch =
        |batch: &ShardBatch| BatchMessage { shard: batch.shard.0, batch: batch.batch.clone() };
    Ok(WriteRequestMessage {
        ring_epoch: request.ring_epoch.0,
        deadline_left_ms: request.deadline_left_ms,
        batches: request.batches.iter().map(batch).collect(),
    })
}

pub(crate) fn to_write_request(message: WriteRequestMessage) -> Result<WriteRequest, WireError> {
    check_shards("batches of a write", message.batches.len())?;
    let batch =
        |batch: BatchMessage| ShardBatch { shard: ShardId(batch.shard), batch: batch.batch };
    Ok(WriteRequest {
        ring_epoch: RingEpoch(message.ring_epoch),
        deadline_left_ms: message.deadline_left_ms,
        batches: message.batches.into_iter().map(batch).collect(),
    })
}

/// What became of batches.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WriteReplyMessage {
    #[prost(message, repeated, tag = "1")]
    outcomes: Vec<OutcomeMessage>,
}

#[derive(Clone, Copy)]
enum OutcomeKind {
    Done,
    Refused,
    Busy,
    NotLeader,
    Fenced,
    Unknown,
}

numbered!(OutcomeKind, "an outcome of kind", {
    1 => Done, 2 => Refused, 3 => Busy, 4 => NotLeader, 5 => Fenced, 6 => Unknown,
});

/// What became of a batch.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OutcomeMessage {
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(uint64, tag = "4")]
    retry_after_ms: u64,
    #[prost(bytes = "bytes", tag = "5")]
    hint: Bytes,
    #[prost(uint32, tag = "6")]
    epoch: u32,
}

pub(crate) fn from_write_reply(reply: &WriteReply) -> Result<WriteReplyMessage, WireError> {
    check_shards("batches of a write", reply.outcomes.len())?;
    Ok(WriteReplyMessage { outcomes: reply.outcomes.iter().map(from_outcome).collect() })
}

fn from_outcome(write: &ShardWrite) -> OutcomeMessage {
    let of = |kind: OutcomeKind| OutcomeMessage {
        shard: write.shard.0,
        kind: kind.number(),
        ..Default::default()
    };
    match &write.outcome {
        WriteOutcome::Done => of(OutcomeKind::Done),
        WriteOutcome::Refused { reason } => {
            OutcomeMessage { reason: from_reason(reason), ..of(OutcomeKind::Refused) }
        }
        WriteOutcome::Busy { retry_after_ms } => {
            OutcomeMessage { retry_after_ms: *retry_after_ms, ..of(OutcomeKind::Busy) }
        }
        WriteOutcome::NotLeader { hint } => {
            OutcomeMessage { hint: from_node_hint(*hint), ..of(OutcomeKind::NotLeader) }
        }
        WriteOutcome::Fenced { epoch } => {
            OutcomeMessage { epoch: epoch.0, ..of(OutcomeKind::Fenced) }
        }
        WriteOutcome::Unknown { reason } => {
            OutcomeMessage { reason: from_reason(reason), ..of(OutcomeKind::Unknown) }
        }
    }
}

pub(crate) fn to_write_reply(message: WriteReplyMessage) -> Result<WriteReply, WireError> {
    check_shards("batches of a write", message.outcomes.len())?;
    let outcomes = message.outcomes.into_iter().map(to_outcome);
    Ok(WriteReply { outcomes: outcomes.collect::<Result<_, _>>()? })
}

fn to_outcome(message: OutcomeMessage) -> Result<ShardWrite, WireError> {
    let outcome = match OutcomeKind::from_number(message.kind)? {
        OutcomeKind::Done => WriteOutcome::Done,
        OutcomeKind::Refused => WriteOutcome::Refused { reason: message.reason },
        OutcomeKind::Busy => WriteOutcome::Busy { retry_after_ms: message.retry_after_ms },
        OutcomeKind::NotLeader => WriteOutcome::NotLeader { hint: to_node_hint(&message.hint)? },
        OutcomeKind::Fenced => WriteOutcome::Fenced { epoch: RingEpoch(message.epoch) },
        OutcomeKind::Unknown => WriteOutcome::Unknown { reason: message.reason },
    };
    Ok(ShardWrite { shard: ShardId(message.shard), outcome })
}

/// Asks for status.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatusRequestMessage {
    #[prost(bool, tag = "1")]
    pub(crate) digests: bool,
}

/// Status.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatusReplyMessage {
    #[prost(message, repeated, tag = "1")]
    replicas: Vec<ReplicaMessage>,
}

numbered!(ReplicaRole, "a role", { 1 => Leader, 2 => Follower, 3 => Candidate, 4 => Learner });

/// A replica.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReplicaMessage {
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(uint64, tag = "2")]
    replica: u64,
    #[prost(uint32, tag = "3")]
    role: u32,
    #[prost(uint64, tag = "4")]
    term: u64,
    #[prost(uint64, tag = "5")]
    applied: u64,
    #[prost(uint64, tag = "6")]
    last: u64,
    #[prost(uint64, tag = "7")]
    seal_cut: u64,
    #[prost(uint64, tag = "8")]
    spans: u64,
    #[prost(uint64, tag = "9")]
    bytes: u64,
    #[prost(message, optional, tag = "10")]
    digest: Option<DigestMessage>,
}

/// A digest: sixteen bytes, big-endian.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DigestMessage {
    #[prost(uint64, tag = "1")]
    mark: u64,
    #[prost(bytes = "bytes", tag = "2")]
    sum: Bytes,
}

pub(crate) fn from_status_reply(reply: &StatusReply) -> Result<StatusReplyMessage, WireError> {
    check_shards("replicas of a node", reply.replicas.len())?;
    let replica = |facts: &ReplicaFacts| ReplicaMessage {
        shard: facts.shard.0,
        replica: facts.replica.0,
        role: facts.role.number(),
        term: facts.term,
        applied: facts.applied.0,
        last: facts.last.0,
        seal_cut: facts.seal_cut.0,
        spans: facts.spans,
        bytes: facts.bytes,
        digest: facts.digest.map(|digest| DigestMessage {
            mark: digest.mark.0,
            sum: Bytes::copy_from_slice(&digest.sum.to_be_bytes()),
        }),
    };
    Ok(StatusReplyMessage { replicas: reply.replicas.iter().map(replica).collect() })
}

pub(crate) fn to_status_reply(message: &StatusReplyMessage) -> Result<StatusReply, WireError> {
    check_shards("replicas of a node", message.replicas.len())?;
    let replicas = message.replicas.iter().map(to_replica);
    Ok(StatusReply { replicas: replicas.collect::<Result<_, _>>()? })
}

fn to_replica(message: &ReplicaMessage) -> Result<ReplicaFacts, WireError> {
    Ok(ReplicaFacts {
        shard: ShardId(message.shard),
        replica: ReplicaId(message.replica),
        role: ReplicaRole::from_number(message.role)?,
        term: message.term,
        applied: LogIndex(message.applied),
        last: LogIndex(message.last),
        seal_cut: LogIndex(message.seal_cut),
        spans: message.spans,
        bytes: message.bytes,
        digest: message.digest.as_ref().map(to_digest).transpose()?,
    })
}

fn to_digest(message: &DigestMessage) -> Result<ReplicaDigest, WireError> {
    let sum = message.sum.as_ref().try_into().ok().map(u128::from_be_bytes);
    Ok(ReplicaDigest { mark: LogIndex(message.mark), sum: required("the sum of a digest", sum)? })
}
