//! Digests of replicas at marks: whether all replicas of a shard hold the same (REP-2).
//!
//! Each shard's leader commits a mark; then every node is asked what its replicas held there. Who
//! was sealed or restarted in between has forgotten, and the question is asked again some other
//! time: a digest that is missing says nothing, two that differ say that something is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use model::ShardId;
use model::budget::Budget;
use storage::entry;
use storage::log::LogIndex;

use super::handle::{Shared, std};
use super::limits::{DIGEST_DEADLINE, MARK_DEADLINE, WRITE_ATTEMPT};
use super::messages::{MetaReply, MetaRequest};
use crate::coordinator::{Digests, Held};
use crate::raft::Outcome;

impl Shared {
    /// Marks every shard, and asks every node.
    pub(crate) async fn digests(self: Arc<Self>) -> Digests {
        let state = self.state();
        let shards: Vec<ShardId> = state
            .groups()
            .keys()
            .filter_map(|group| crate::identity::shard_of_group(*group))
            .collect();
        let marked = shards.into_iter().map(|shard| {
            let shared = &self;
            async move { Some((shard.0, shared.mark(shard).await?.0)) }
        });
        let marks: Vec<(u32, u64)> = join_all(marked).await.into_iter().flatten().collect();
        let mark_of: BTreeMap<u32, u64> = marks.iter().copied().collect();
        let asked = state.present().map(|(node, _)| {
            let (shared, mark_of, marks) = (&self, &mark_of, marks.clone());
            async move {
                let reply = if node == shared.node {
                    shared.digests_here(marks).await
                } else {
                    let request = MetaRequest::Digests { marks };
                    let asked = shared.ask_meta(node, &request, DIGEST_DEADLINE).await;
                    asked.unwrap_or(MetaReply::Done)
                };
                let MetaReply::Digests(sums) = reply else { return Vec::new() };
                let of_node = |(shard, sum): (u32, [u8; 16])| {
                    let mark = *mark_of.get(&shard)?;
                    let held = Held { mark, digest: u128::from_be_bytes(sum) };
                    Some(((ShardId(shard), node), held))
                };
                sums.into_iter().filter_map(of_node).collect()
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
