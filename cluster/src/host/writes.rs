//! A batch on its way to an acknowledgement: to whoever leads its shard, again and again, with the
//! same bytes, until its leader says what became of it or there is no time left.
//!
//! Repeating is harmless: apply drops a batch whose id it has. So an election, a lost answer or a
//! leader that has moved cost time and nothing else.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use futures_util::future::join_all;
use model::{Duration, NodeId, ShardId, Tenant};
use storage::entry;
use storage::mutant::{self, Mutant};

use super::handle::{Shared, std};
use super::limits::{
    LEASE_WAIT, LEASE_WAITS_MAX, META_DEADLINE, PAUSE_MAX, PAUSE_MIN, WRITE_ATTEMPT, WRITE_DEADLINE,
};
use super::messages::{MetaReply, MetaRequest};
use super::replicas::Hosted;
use crate::coordinator::RoutedBatch;
use crate::error::Error;
use crate::limits::{NO_SPACE_RETRY_AFTER_MS, RETRY_AFTER_MS};
use crate::raft::{Outcome, ProposeError, Replica, Role};
use crate::transport::{CallError, Reply};
use crate::wire::{RingEpoch, ShardBatch, ShardWrite, WriteOutcome, WriteReply, WriteRequest};

/// Whom to ask next about a shard: hints first, then who is believed to lead, then everybody.
#[derive(Debug, Default)]
pub(super) struct Search {
    hint: Option<NodeId>,
    turn: usize,
}

impl Search {
    /// Follows a hint, unless it leads back to where it came from.
    pub(super) fn follow(&mut self, hint: Option<NodeId>, from: NodeId) {
        self.hint = hint.filter(|node| *node != from);
    }

    /// The next node to ask.
    pub(super) fn next(&mut self, shared: &Shared, shard: ShardId) -> Option<NodeId> {
        let turn = self.turn;
        self.turn += 1;
        if let Some(node) = self.hint.take() {
            return Some(node);
        }
        if turn.is_multiple_of(2)
            && let Some(leader) = shared.leader_of(shard)
        {
            return Some(leader);
        }
        let replicas = shared.holders(shard);
        let place = (turn / 2).checked_rem(replicas.len())?;
        replicas.get(place).copied()
    }
}

impl Shared {
    /// Who leads a shard, as the replica here believes, or as was heard last.
    pub(super) fn leader_of(&self, shard: ShardId) -> Option<NodeId> {
        let own = self.replicas.of_shard(shard).and_then(|hosted| hosted.replica.leader());
        let heard = || {
            let leaders = self.leaders.lock().unwrap_or_else(PoisonError::into_inner);
            leaders.get(&shard).copied()
        };
        own.map(|place| place.node).or_else(heard)
    }

    /// Remembers who leads a shard that has no replica here.
    pub(super) fn note_leader(&self, shard: ShardId, node: NodeId) {
        self.leaders.lock().unwrap_or_else(PoisonError::into_inner).insert(shard, node);
    }

    /// Nodes that are meant to hold replicas of a shard.
    pub(super) fn holders(&self, shard: ShardId) -> Vec<NodeId> {
        let state = self.map.borrow();
        let group = state.shard(shard);
        group.map(|group| group.replicas.iter().map(|r| r.node).collect()).unwrap_or_default()
    }

    /// Brings a batch to an acknowledgement.
    pub(super) async fn deliver(self: Arc<Self>, batch: RoutedBatch) -> Result<(), Error> {
        let deadline = self.now().plus(WRITE_DEADLINE);
        let RoutedBatch { shard, epoch, bytes } = batch;
        let (mut search, mut pause) = (Search::default(), PAUSE_MIN);
        let mut reason = format!("shard {shard} has no leader");
        loop {
            let left = self.left(deadline);
            if left.0 == 0 {
                metrics::counter!("skua_write_deadlines_total").increment(1);
                return Err(Error::Unknown { reason });
            }
            let node = search.next(&self, shard);
            let outcome = match node {
                None => WriteOutcome::NotLeader { hint: None },
                Some(node) if node == self.node => self.write_here(shard, epoch, &bytes).await,
                Some(node) => {
                    let batch = ShardBatch { shard, batch: bytes.clone() };
                    let sent = self.send_batch(node, epoch, batch);
                    let outcome = tokio::select! {
                        biased;
                        sent = tokio::time::timeout(std(left), sent) => sent,
                        // Whoever led may be gone without a word.
                        () = self.heard_of_leader(shard, Some(node)) => {
                            search = Search::default();
                            continue;
                        }
                    };
                    outcome.unwrap_or_else(|_| WriteOutcome::Unknown {
                        reason: "no answer in time".into(),
                    })
                }
            };
            tracing::trace!(%shard, ?node, ?outcome, "an attempt to write");
            match outcome {
                WriteOutcome::Done => {
                    node.into_iter().for_each(|node| self.note_leader(shard, node));
                    return Ok(());
                }
                WriteOutcome::Refused { reason } => return Err(Error::Refused { reason }),
                // It is not there and will not be: whoever cut the batch cuts it anew, as soon as
                // the epoch is routed by.
                WriteOutcome::Fenced { epoch } => {
                    if self.learns(deadline, |routes| routes.epoch >= epoch).await {
                        return Err(Error::Fenced);
                    }
                    let reason = format!("ring epoch {epoch} is not in force yet");
                    return Err(Error::Unknown { reason });
                }
                WriteOutcome::NotLeader { hint } => {
                    let has_hint = hint.is_some();
                    search.follow(hint, node.unwrap_or(self.node));
                    if has_hint && pause == PAUSE_MIN {
                        // The first hint is likely to be right: no pause before it.
                        pause = Duration(PAUSE_MIN.0.saturating_add(1));
                        continue;
                    }
                }
                // Room on a disk does not come within a write's patience.
                WriteOutcome::Busy { retry_after_ms: NO_SPACE_RETRY_AFTER_MS.. } => {
                    return Err(Error::NoSpace);
                }
                WriteOutcome::Busy { .. } => {
                    reason = format!("the leader of shard {shard} has no room");
                }
                WriteOutcome::Unknown { reason: lost } => reason = lost,
            }
            let left = self.left(deadline);
            tokio::select! {
                biased;
                // It is asked next, whatever others said before.
                () = self.heard_of_leader(shard, None) => search = Search::default(),
                () = tokio::time::sleep(std(pause.min(left))) => {}
            }
            pause = Duration(pause.0.saturating_mul(2)).min(PAUSE_MAX);
        }
    }

    /// Waits until the replica here hears that another node than this one has become the shard's
    /// leader; without a replica, for ever.
    async fn heard_of_leader(&self, shard: ShardId, than: Option<NodeId>) {
        if let Some(hosted) = self.replicas.of_shard(shard) {
            let mut leadership = hosted.replica.leadership();
            while leadership.changed().await.is_ok() {
                let leader = leadership.borrow().leader.map(|place| place.node);
                if leader.is_some() && leader != than {
                    return;
                }
            }
        }
        // The replica has ended, and tells of nobody.
        std::future::pending::<()>().await;
    }

    /// Proposes a batch to the replica here, in bounded time.
    async fn write_here(&self, shard: ShardId, epoch: RingEpoch, batch: &Bytes) -> WriteOutcome {
        let Some(hosted) = self.replicas.of_shard(shard) else {
            return WriteOutcome::NotLeader { hint: None };
        };
        if let Some(busy) = self.has_no_room(shard, &hosted) {
            return busy;
        }
        let stamp = self.stamp(shard, &hosted);
        match entry::encode_data(stamp, epoch.0, std::slice::from_ref(batch)) {
            Ok(entry) => propose(&hosted, entry).await,
            Err(error) => WriteOutcome::Refused { reason: error.to_string() },
        }
    }

    /// Answers a node that has batches for shards that this one may lead.
    pub(super) async fn answer_write(self: &Arc<Self>, request: Bytes) -> Reply {
        let refused =
            |error: crate::wire::WireError| CallError::Refused { reason: error.to_string() };
        let WriteRequest { ring_epoch, batches, .. } =
            WriteRequest::decode(request).map_err(refused)?;
        let written = batches.into_iter().map(|ShardBatch { shard, batch }| async move {
            ShardWrite { shard, outcome: self.write_here(shard, ring_epoch, &batch).await }
        });
        WriteReply { outcomes: join_all(written).await }.encode().map_err(refused)
    }

    /// Removes all data of a tenant from a shard, wherever it is led.
    pub(super) async fn purge(
        self: Arc<Self>,
        shard: ShardId,
        tenant: Tenant,
    ) -> Result<(), Error> {
        let deadline = self.now().plus(WRITE_DEADLINE);
        let (mut search, mut pause) = (Search::default(), PAUSE_MIN);
        let mut reason = format!("shard {shard} has no leader");
        while self.left(deadline).0 > 0 {
            let Some(node) = search.next(&self, shard) else { break };
            let reply = if node == self.node {
                Ok(self.purge_here(shard, &tenant).await)
            } else {
                let tenant = tenant.as_str().to_owned();
                let request = MetaRequest::Purge { shard: shard.0, tenant };
                self.ask_meta(node, &request, META_DEADLINE).await
            };
            match reply {
                Ok(MetaReply::Done) => return Ok(()),
                Ok(MetaReply::Refused(reason)) => return Err(Error::Refused { reason }),
                Ok(MetaReply::NotLeader { hint }) => search.follow(hint.map(NodeId), node),
                Ok(MetaReply::Failed(failed)) => reason = failed,
                Ok(_) => reason = "the answer is not one to this question".into(),
                Err(error) => reason = error.to_string(),
            }
            tokio::time::sleep(std(pause)).await;
            pause = Duration(pause.0.saturating_mul(2)).min(PAUSE_MAX);
        }
        Err(Error::Unknown { reason })
    }

    /// Commits a fence in a shard, if this node leads it: batches that were routed by an epoch
    /// before this one are refused from there on.
    pub(super) async fn fence_here(&self, shard: ShardId, epoch: u32) -> Result<(), String> {
        let hosted = self.replicas.of_shard(shard).ok_or("the shard has no replica here")?;
        let entry = entry::encode_fence(self.stamp(shard, &hosted), epoch);
        match propose(&hosted, entry).await {
            WriteOutcome::Done => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    /// Removes all data of a tenant from a shard, if this node leads it.
    pub(super) async fn purge_here(&self, shard: ShardId, tenant: &Tenant) -> MetaReply {
        let Some(hosted) = self.replicas.of_shard(shard) else {
            return MetaReply::NotLeader { hint: None };
        };
        let epoch = self.routes().epoch;
        let entry = entry::encode_purge(self.stamp(shard, &hosted), epoch.0, tenant);
        answer(propose(&hosted, entry).await)
    }
}

/// What came of an entry, for a member that asked for it.
pub(super) fn answer(outcome: WriteOutcome) -> MetaReply {
    match outcome {
        WriteOutcome::Done => MetaReply::Done,
        WriteOutcome::Refused { reason } => MetaReply::Refused(reason),
        WriteOutcome::NotLeader { hint } => MetaReply::NotLeader { hint: hint.map(|node| node.0) },
        other => MetaReply::Failed(format!("{other:?}")),
    }
}

/// Proposes an entry. One that was just elected takes none before a follower has answered it: that
/// is waited for, as long as a heartbeat takes, rather than sent back to whoever asked.
async fn propose_to_leader(replica: &Replica, entry: Bytes) -> Result<Outcome, ProposeError> {
    for _ in 0..LEASE_WAITS_MAX {
        let outcome = replica.propose(entry.clone()).await;
        let is_elected = replica.leadership().borrow().role == Role::Leader;
        if outcome != Err(ProposeError::NoQuorum) || !is_elected {
            return outcome;
        }
        tokio::time::sleep(std(LEASE_WAIT)).await;
    }
    replica.propose(entry).await
}

/// Proposes an entry, in bounded time.
pub(super) async fn propose(hosted: &Hosted, entry: Bytes) -> WriteOutcome {
    let proposing = propose_to_leader(&hosted.replica, entry);
    let within =
        if mutant::is(Mutant::AckBeforeCommit) { Duration::from_millis(2) } else { WRITE_ATTEMPT };
    let proposed = tokio::time::timeout(std(within), proposing).await;
    match proposed {
        Ok(Ok(Outcome::Applied(_) | Outcome::Passed)) => WriteOutcome::Done,
        Ok(Ok(Outcome::Fenced { epoch })) => WriteOutcome::Fenced { epoch: RingEpoch(epoch) },
        Ok(Ok(Outcome::Refused { reason })) => WriteOutcome::Refused { reason: reason.to_string() },
        Ok(Err(ProposeError::NotLeader { leader })) => {
            WriteOutcome::NotLeader { hint: leader.map(|place| place.node) }
        }
        Ok(Err(ProposeError::NoQuorum)) => WriteOutcome::NotLeader { hint: None },
        Ok(Err(ProposeError::Busy { .. })) => WriteOutcome::Busy { retry_after_ms: RETRY_AFTER_MS },
        Ok(Err(ProposeError::Refused { reason })) => WriteOutcome::Refused { reason },
        Ok(Err(ProposeError::Unknown { reason })) => WriteOutcome::Unknown { reason },
        Err(_) if mutant::is(Mutant::AckBeforeCommit) => WriteOutcome::Done,
        Err(_) => WriteOutcome::Unknown { reason: "the shard's majority does not answer".into() },
    }
}
