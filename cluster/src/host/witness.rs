//! Before a node's replicas run: what others saw them acknowledge (DUR-3).
//!
//! Every member that has replicas of the same groups is asked. All answers are waited for during a
//! while, then those of a majority of each group, this node included; after that a group without a
//! majority cannot elect anybody anyway. A log that has less than somebody saw has lost its end,
//! and with it an unknown part of every group: all replicas are given up, as they are when the log
//! is damaged in its middle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use model::NodeId;
use model::time::Monotonic;
use storage::log::GroupId;

use super::error::HostError;
use super::give_up::others_have;
use super::handle::{Shared, std};
use super::limits::{PAUSE_MAX, REPORT_DEADLINE, WITNESSES_ALL_WITHIN, WITNESSES_MOST_WITHIN};
use super::messages::{MetaReply, MetaRequest, SeenMessage};
use crate::identity::ReplicaId;
use crate::meta::MetaState;
use crate::raft::{self, Seen};

/// The members that have replicas of a group, but for this node, and how many of them make a
/// majority together with it.
struct Wanted {
    others: BTreeSet<NodeId>,
    most: usize,
}

impl Shared {
    /// Hears what others saw, and gives the node's replicas up if its log has less.
    pub(super) async fn hear_witnesses(self: &Arc<Self>) -> Result<(), HostError> {
        let (list, state) = (self.replicas.listed(), self.state());
        let wanted = self.wanted(&list, &state);
        if wanted.is_empty() {
            return Ok(());
        }
        let seen = self.ask_witnesses(&list, &wanted).await;
        let log = Arc::clone(self.replicas.log());
        let (held, groups) = (list.clone(), log);
        let own = self.blocking.run(move || {
            let end = |group: &GroupId| Ok((*group, raft::held_by(&groups, *group)?));
            held.keys().map(end).collect::<std::io::Result<BTreeMap<GroupId, Seen>>>()
        });
        let own = own.await??;
        let lost = seen
            .iter()
            .find(|(_, group, seen)| own.get(group).is_some_and(|own| seen.is_more_than(own)));
        let Some((by, group, seen)) = lost else { return Ok(()) };
        let own = own.get(group);
        tracing::error!(%group, ?own, ?seen, %by, "the log has lost its end");
        if !others_have(&state, &list) {
            let reason = "the log has lost its end, and others do not have what this node's \
                          replicas held, so it does not start";
            return Err(HostError::Replica { reason: reason.into() });
        }
        self.replicas.give_up().await?;
        tracing::error!("this node's replicas were given up, and others make it new ones");
        Ok(())
    }

    fn wanted(&self, list: &BTreeMap<GroupId, ReplicaId>, state: &MetaState) -> Vec<Wanted> {
        let of_group = |group: &GroupId| {
            let voters: Vec<NodeId> =
                state.groups().get(group)?.voters().map(|voter| voter.node).collect();
            let own = usize::from(voters.contains(&self.node));
            let most = (voters.len() / 2 + 1).saturating_sub(own);
            let others: BTreeSet<NodeId> =
                voters.into_iter().filter(|node| *node != self.node).collect();
            (!others.is_empty()).then_some(Wanted { others, most })
        };
        list.keys().filter_map(of_group).collect()
    }

    async fn ask_witnesses(
        self: &Arc<Self>,
        list: &BTreeMap<GroupId, ReplicaId>,
        wanted: &[Wanted],
    ) -> Vec<(NodeId, GroupId, Seen)> {
        let replicas = list.iter().map(|(group, replica)| (group.0, replica.0)).collect();
        let request = Arc::new(MetaRequest::Witnessed { replicas });
        let nodes: BTreeSet<NodeId> =
            wanted.iter().flat_map(|wanted| wanted.others.iter().copied()).collect();
        let mut asked: FuturesUnordered<_> = nodes
            .iter()
            .map(|node| Arc::clone(self).ask_witness(*node, Arc::clone(&request)))
            .collect();
        let begun = self.now();
        let (all_until, most_until) =
            (begun.plus(WITNESSES_ALL_WITHIN), begun.plus(WITNESSES_MOST_WITHIN));
        let (mut answered, mut seen) = (BTreeSet::new(), Vec::new());
        loop {
            let has_most = wanted.iter().all(|wanted| {
                wanted.others.intersection(&answered).count()
                    >= wanted.most.min(wanted.others.len())
            });
            let until: Monotonic = if has_most { all_until } else { most_until };
            let left = self.left(until);
            let next = tokio::time::timeout(std(left), asked.next()).await;
            let Ok(Some((node, told))) = next else { break };
            answered.insert(node);
            seen.extend(told.into_iter().map(|message| {
                let (group, seen) = message.into();
                (node, group, seen)
            }));
        }
        if answered.len() < nodes.len() {
            let silent = nodes.len() - answered.len();
            tracing::warn!(silent, "not all members said what they saw of this node's replicas");
        }
        seen
    }

    /// Asks one member until it answers.
    async fn ask_witness(
        self: Arc<Self>,
        node: NodeId,
        request: Arc<MetaRequest>,
    ) -> (NodeId, Vec<SeenMessage>) {
        loop {
            let asked = self.ask_meta(node, &request, REPORT_DEADLINE).await;
            if let Ok(MetaReply::Witnessed(seen)) = asked {
                return (node, seen);
            }
            tokio::time::sleep(std(PAUSE_MAX)).await;
        }
    }

    /// What this node saw of a member's replicas.
    pub(super) fn witnessed(&self, replicas: Vec<(u64, u64)>) -> MetaReply {
        let witness = self.replicas.witness();
        let of = |(group, replica)| {
            let group = GroupId(group);
            SeenMessage::from((group, witness.of(group, ReplicaId(replica))))
        };
        MetaReply::Witnessed(replicas.into_iter().map(of).collect())
    }
}
