//! Barriers of reads: what a replica must have applied to show every write that was acknowledged
//! before the read began. First what replicas vouch for ([`crate::vouch`]), in one round trip and
//! one call to each node. For shards where that is not enough their leader is asked, which asks its
//! majority: one call to each node for all shards that it leads. What one node says is passed on
//! while others are waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::{BoxStream, FuturesUnordered};
use model::time::Monotonic;
use model::{Duration, NodeId, ShardId};
use storage::log::LogIndex;
use tokio::sync::mpsc;

use super::handle::{Shared, millis, std};
use super::limits::{BARRIER_ATTEMPT, BARRIER_DEADLINE_MAX, PAUSE_MAX, PAUSE_MIN, VOUCH_WITHIN};
use super::told::told;
use super::writes::Search;
use crate::raft::BarrierError;
use crate::transport::{CallError, Method, Reply};
use crate::vouch::{self, Vouch};
use crate::wire::{
    BarrierOutcome, BarrierReply, BarrierRequest, RingEpoch, ShardBarrier, VouchReply, VouchRequest,
};

/// Shards and their barriers; nothing for those whose barrier did not come in time.
pub(super) type Barriers = Vec<(ShardId, Option<LogIndex>)>;

impl Shared {
    /// The barriers of shards, each once, as they come.
    pub(super) fn barriers(
        self: &Arc<Self>,
        shards: Vec<ShardId>,
        until: Monotonic,
    ) -> BoxStream<'static, Barriers> {
        let shared = Arc::clone(self);
        told(shards.len(), move |tell| async move {
            shared.find_barriers(shards, until, &tell).await;
        })
    }

    async fn find_barriers(
        self: &Arc<Self>,
        shards: Vec<ShardId>,
        until: Monotonic,
        tell: &mpsc::Sender<Barriers>,
    ) {
        let unvouched = self.find_vouched(shards, until, tell).await;
        let mut wanted: BTreeMap<ShardId, Search> =
            unvouched.into_iter().map(|shard| (shard, Search::default())).collect();
        if wanted.is_empty() {
            return;
        }
        let mut pause = PAUSE_MIN;
        loop {
            let mut by_node: BTreeMap<NodeId, Vec<ShardId>> = BTreeMap::new();
            for (shard, search) in &mut wanted {
                if let Some(node) = search.next(self, *shard) {
                    by_node.entry(node).or_default().push(*shard);
                }
            }
            let within = self.left(until).min(BARRIER_ATTEMPT);
            let asked = by_node.into_iter().map(|(node, shards)| async move {
                (node, self.ask_barriers(node, shards, within).await)
            });
            let mut asked: FuturesUnordered<_> = asked.collect();
            let mut has_hint = false;
            while let Some((node, barriers)) = asked.next().await {
                let mut found = Vec::new();
                for barrier in barriers {
                    match barrier.outcome {
                        BarrierOutcome::Applied(index) => {
                            if wanted.remove(&barrier.shard).is_some() {
                                found.push((barrier.shard, Some(index)));
                                self.note_leader(barrier.shard, node);
                            }
                        }
                        BarrierOutcome::NotLeader { hint } => {
                            has_hint |= hint.is_some();
                            if let Some(search) = wanted.get_mut(&barrier.shard) {
                                search.follow(hint, node);
                            }
                        }
                    }
                }
                pass_on(tell, found).await;
            }
            let left = self.left(until);
            if wanted.is_empty() || left.0 == 0 {
                return pass_on(tell, wanted.into_keys().map(|shard| (shard, None)).collect())
                    .await;
            }
            if !has_hint || pause > PAUSE_MIN {
                tokio::time::sleep(std(pause.min(left))).await;
            }
            pause = Duration(pause.0.saturating_mul(2)).min(PAUSE_MAX);
        }
    }

    /// Finds barriers by what replicas vouch for; returns the shards of which they say too little.
    async fn find_vouched(
        self: &Arc<Self>,
        shards: Vec<ShardId>,
        until: Monotonic,
        tell: &mpsc::Sender<Barriers>,
    ) -> Vec<ShardId> {
        let mut vouches: BTreeMap<ShardId, Vec<Vouch>> = BTreeMap::new();
        for shard in shards {
            vouches.insert(shard, self.vouch_here(shard).into_iter().collect());
        }
        pass_on(tell, take_agreed(&mut vouches)).await;
        let mut by_node: BTreeMap<NodeId, Vec<ShardId>> = BTreeMap::new();
        for shard in vouches.keys() {
            let others = self.holders(*shard).into_iter().filter(|node| *node != self.node);
            for node in others.filter(|node| !self.cannot_reach(*node)) {
                by_node.entry(node).or_default().push(*shard);
            }
        }
        let within = self.left(until).min(VOUCH_WITHIN);
        let asked =
            by_node.into_iter().map(|(node, shards)| self.ask_vouches(node, shards, within));
        let mut asked: FuturesUnordered<_> = asked.collect();
        while !vouches.is_empty()
            && let Some(reply) = asked.next().await
        {
            for (shard, vouch) in reply {
                if let Some(heard) = vouches.get_mut(&shard) {
                    heard.push(vouch);
                }
            }
            pass_on(tell, take_agreed(&mut vouches)).await;
        }
        vouches.into_keys().collect()
    }

    /// What the replicas on another node vouch for; nothing of those about which it says nothing.
    async fn ask_vouches(
        &self,
        node: NodeId,
        shards: Vec<ShardId>,
        within: Duration,
    ) -> BTreeMap<ShardId, Vouch> {
        let Ok(request) = (VouchRequest { shards }).encode() else { return BTreeMap::new() };
        let reply = self.transport.call(node, Method::Vouch, request, within).await;
        let reply = reply.ok().and_then(|reply| VouchReply::decode(reply).ok());
        reply.map(|reply| reply.vouches.into_iter().collect()).unwrap_or_default()
    }

    /// Answers a node that asks for vouches.
    pub(super) fn answer_vouches(&self, request: Bytes) -> Reply {
        let refused =
            |error: crate::wire::WireError| CallError::Refused { reason: error.to_string() };
        let VouchRequest { shards } = VouchRequest::decode(request).map_err(refused)?;
        let distinct: BTreeSet<ShardId> = shards.into_iter().collect();
        let vouch = |shard| Some((shard, self.vouch_here(shard)?));
        let vouches = distinct.into_iter().filter_map(vouch).collect();
        VouchReply { vouches }.encode().map_err(refused)
    }

    fn vouch_here(&self, shard: ShardId) -> Option<Vouch> {
        self.replicas.of_shard(shard)?.replica.vouch()
    }

    /// The barriers that a node knows; none of shards about which it says nothing.
    async fn ask_barriers(
        self: &Arc<Self>,
        node: NodeId,
        shards: Vec<ShardId>,
        within: Duration,
    ) -> Vec<ShardBarrier> {
        if node == self.node {
            return self.barriers_here(&shards, within).await;
        }
        let deadline_left_ms = millis(within);
        let Ok(request) = (BarrierRequest { deadline_left_ms, shards }).encode() else {
            return Vec::new();
        };
        let reply = self.transport.call(node, Method::Barrier, request, within).await;
        let reply = reply.ok().and_then(|reply| BarrierReply::decode(reply).ok());
        reply.map(|reply| reply.barriers).unwrap_or_default()
    }

    /// Answers a node that asks for barriers.
    pub(super) async fn answer_barriers(self: &Arc<Self>, request: Bytes) -> Reply {
        let refused =
            |error: crate::wire::WireError| CallError::Refused { reason: error.to_string() };
        let BarrierRequest { deadline_left_ms, shards } =
            BarrierRequest::decode(request).map_err(refused)?;
        let distinct: BTreeSet<ShardId> = shards.into_iter().collect();
        let shards: Vec<ShardId> = distinct.into_iter().collect();
        let within = Duration::from_millis(deadline_left_ms).min(BARRIER_DEADLINE_MAX);
        let barriers = self.barriers_here(&shards, within).await;
        BarrierReply { barriers }.encode().map_err(refused)
    }

    async fn barriers_here(&self, shards: &[ShardId], within: Duration) -> Vec<ShardBarrier> {
        let asked = shards.iter().map(|shard| async move {
            let outcome = self.barrier_here(*shard, within).await;
            ShardBarrier { shard: *shard, fenced_epoch: RingEpoch(1), outcome }
        });
        join_all(asked).await
    }

    async fn barrier_here(&self, shard: ShardId, within: Duration) -> BarrierOutcome {
        metrics::counter!("skua_barriers_asked_total").increment(1);
        let Some(hosted) = self.replicas.of_shard(shard) else {
            return BarrierOutcome::NotLeader { hint: None };
        };
        match tokio::time::timeout(std(within), hosted.replica.read_barrier()).await {
            Ok(Ok(index)) => BarrierOutcome::Applied(index),
            Ok(Err(BarrierError::NotLeader { leader })) => {
                BarrierOutcome::NotLeader { hint: leader.map(|place| place.node) }
            }
            Ok(Err(_)) | Err(_) => BarrierOutcome::NotLeader { hint: None },
        }
    }
}

/// Takes out the shards of which enough was heard, and their barriers.
fn take_agreed(vouches: &mut BTreeMap<ShardId, Vec<Vouch>>) -> Barriers {
    let mut agreed = Barriers::new();
    vouches.retain(|shard, heard| {
        let barrier = vouch::barrier(heard);
        agreed.extend(barrier.map(|index| (*shard, Some(index))));
        barrier.is_none()
    });
    metrics::counter!("skua_barriers_vouched_total").increment(agreed.len() as u64);
    agreed
}

async fn pass_on(tell: &mpsc::Sender<Barriers>, barriers: Barriers) {
    if !barriers.is_empty() {
        // Whoever asked may have left.
        let _ = tell.send(barriers).await;
    }
}
