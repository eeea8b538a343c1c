//! Digests of replicas at marks: whether all replicas of a shard hold the same (REP-2).
//!
//! A shard's leader commits a mark; then every node is asked what its replica held there. Who was
//! sealed or restarted in between has forgotten, and the question is asked again some other time: a
//! digest that is missing says nothing, two that differ say that something is wrong.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use model::budget::Budget;
use model::{NodeId, ShardId};
use storage::entry;
use storage::log::LogIndex;

use super::handle::{Shared, std};
use super::limits::{DIGEST_DEADLINE, DIGESTS_AT_ONCE, MARK_DEADLINE, WRITE_ATTEMPT};
use super::messages::{MetaReply, MetaRequest};
use crate::coordinator::{Digests, Held};
use crate::identity::shard_of_group;
use crate::raft::Outcome;

impl Shared {
    /// Marks shards, all or one, and asks every node. A few shards at a time, for everything is
    /// read; who asks while somebody else's question goes round waits until it is over, or each
    /// would have replicas forget the other's marks.
    pub(crate) async fn digests(self: Arc<Self>, of: Option<ShardId>) -> Digests {
        let _turn = self.digests_asked.lock().await;
        let state = self.state();
        let shards = state.groups().keys().filter_map(|group| shard_of_group(*group));
        let shards: Vec<ShardId> =
            shards.filter(|shard| of.is_none_or(|it| it == *shard)).collect();
        let nodes: Vec<NodeId> = state.present().map(|(node, _)| node).collect();
        let told = stream::iter(shards).map(|shard| self.digests_of(shard, &nodes));
        told.buffer_unordered(DIGESTS_AT_ONCE).concat().await.into_iter().collect()
    }

    /// What each of these nodes held of a shard, at a mark of now. Who is silent is not waited for.
    async fn digests_of(&self, shard: ShardId, nodes: &[NodeId]) -> Vec<((ShardId, NodeId), Held)> {
        let Some(LogIndex(mark)) = self.mark(shard).await else { return Vec::new() };
        let marks = vec![(shard.0, mark)];
        let reachable = nodes.iter().filter(|node| !self.cannot_reach(**node));
        let asked = reachable.map(|node| {
            let marks = marks.clone();
            async move {
                let reply = if *node == self.node {
                    self.digests_here(marks).await
                } else {
                    let request = MetaRequest::Digests { marks };
                    self.ask_meta(*node, &request, DIGEST_DEADLINE).await.ok()?
                };
                let MetaReply::Digests(sums) = reply else { return None };
                let (_, sum) = sums.into_iter().find(|(it, _)| *it == shard.0)?;
                Some(((shard, *node), Held { mark, digest: u128::from_be_bytes(sum) }))
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn mark(&self, shard: ShardId) -> Option<LogIndex> {
        let reply = match self.leader_of(shard) {
            Some(node) if node != self.node => self
                .ask_meta(node, &MetaRequest::Mark { shard: shard.0 }, WRITE_ATTEMPT)
                .await
                .ok()?,
            _ => self.mark_here(shard).await,
        };
        match reply {
            MetaReply::Marked { index } => Some(LogIndex(index)),
            _ => None,
        }
    }

    /// Commits a mark, if this node leads the shard.
    pub(super) async fn mark_here(&self, shard: ShardId) -> MetaReply {
        let Some(hosted) = self.replicas.of_shard(shard) else {
            return MetaReply::NotLeader { hint: None };
        };
        let epoch = self.routes().epoch;
        let entry = entry::encode_mark(self.stamp(shard, &hosted), epoch.0);
        let proposed = tokio::time::timeout(std(WRITE_ATTEMPT), hosted.replica.propose(entry));
        match proposed.await {
            Ok(Ok(Outcome::Applied(index))) => match index.as_ref().try_into() {
                Ok(index) => MetaReply::Marked { index: u64::from_be_bytes(index) },
                Err(_) => MetaReply::Failed("the mark has no place".into()),
            },
            Ok(outcome) => MetaReply::Failed(format!("{outcome:?}")),
            Err(_) => MetaReply::Failed("the shard's majority does not answer".into()),
        }
    }

    /// What this node's replicas held at these marks.
    pub(super) async fn digests_here(&self, marks: Vec<(u32, u64)>) -> MetaReply {
        let digests = marks.into_iter().map(|(shard, mark)| async move {
            let hosted = self.replicas.of_shard(ShardId(shard))?;
            let applied = hosted.replica.wait_applied(LogIndex(mark));
            tokio::time::timeout(std(MARK_DEADLINE), applied).await.ok()?;
            let of_shard = Arc::clone(hosted.shard.as_ref()?);
            let _room = self.digest_room.acquire().await.ok()?;
            let deadline = self.now().plus(DIGEST_DEADLINE);
            let budget = Budget::new(Arc::clone(&self.clock), deadline, u64::MAX);
            let cancel = budget.cancel_on_drop();
            let digest = move || of_shard.digest_at(LogIndex(mark), &budget);
            let found = self.blocking.run(digest).await.ok()?;
            drop(cancel);
            Some((shard, found.ok()??.to_be_bytes()))
        });
        MetaReply::Digests(join_all(digests).await.into_iter().flatten().collect())
    }
}
