//! Questions that the parts of the planner share, about nodes and about one group.

use std::collections::BTreeSet;

use model::time::Monotonic;
use model::{Duration, NodeId};
use storage::log::GroupId;

use super::facts::{DiskMark, Facts, Gossip, GroupFacts, NodeFacts, Progress};
use super::limits::{PROMOTE_LAG_BYTES_MAX, PROMOTE_LAG_MAX, VOTER_SILENCE_MAX};
use super::placement::Site;
use super::step::At;
use crate::identity::ReplicaId;
use crate::limits::HEARD_WITHIN;
use crate::meta::{Group, MetaState, Node, Replica};

/// What a node says that it holds of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    /// It has not told.
    Unknown,
    /// No replica.
    Nothing,
    /// This one.
    Replica(ReplicaId),
}

/// Intent, facts and the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) state: &'a MetaState,
    pub(crate) facts: &'a Facts,
    pub(crate) now: Monotonic,
}

impl<'a> View<'a> {
    /// Whether the meta leader can reach a node.
    pub(crate) fn answers(&self, node: NodeId) -> bool {
        node == self.facts.meta_leader
            || self
                .node(node)
                .is_some_and(|facts| !facts.unreachable_from.contains_key(&self.facts.meta_leader))
    }

    /// Whether a node has been gone for so long: down in gossip, and out of reach of the meta
    /// leader and of a majority of members, all that time.
    pub(crate) fn is_gone(&self, node: NodeId, patience: Duration) -> bool {
        let Some(facts) = self.node(node) else { return false };
        let long = |since: Monotonic| self.now.since(since) >= patience;
        let is_down = match facts.gossip {
            Gossip::Up => false,
            Gossip::Down { since } => long(since),
        };
        let sees_not = |observer: NodeId| facts.unreachable_from.get(&observer).copied();
        let from_leader = sees_not(self.facts.meta_leader).is_some_and(long);
        let members = self.state.members().count();
        let others = || self.state.members().map(|(id, _)| id).filter(|id| *id != node);
        let observers = others().filter(|id| sees_not(*id).is_some_and(long)).count();
        // A majority of all members; of two, the other one.
        let majority = (members / 2 + 1).min(others().count()).max(1);
        is_down && from_leader && observers >= majority
    }

    /// Whether a node can take a replica that it does not hold.
    pub(crate) fn takes_more(&self, node: NodeId) -> bool {
        let is_member = self.state.nodes().get(&node).is_some_and(Node::is_member);
        let is_fit = self.node(node).is_some_and(|facts| {
            facts.gossip == Gossip::Up && facts.disk == DiskMark::Ample && !facts.is_draining
        });
        is_member && is_fit && self.answers(node)
    }

    /// Members as places for replicas.
    pub(crate) fn sites(&self) -> Vec<Site> {
        let site = |(node, member): (NodeId, &Node)| Site {
            node,
            zone: member.record.zone.clone(),
            takes_more: self.takes_more(node),
        };
        self.state.members().map(site).collect()
    }

    pub(crate) fn node(&self, node: NodeId) -> Option<&'a NodeFacts> {
        self.facts.nodes.get(&node)
    }

    /// What a node holds of a group.
    pub(crate) fn holds(&self, node: NodeId, group: GroupId) -> Holding {
        let Some(held) = self.node(node).and_then(|facts| facts.held.as_ref()) else {
            return Holding::Unknown;
        };
        held.get(&group).map_or(Holding::Nothing, |held| Holding::Replica(held.replica))
    }
}

/// A group that has a leader and a configuration to build on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupView<'a> {
    pub(crate) view: View<'a>,
    pub(crate) id: GroupId,
    pub(crate) intent: &'a Group,
    pub(crate) facts: &'a GroupFacts,
    pub(crate) leader: ReplicaId,
    pub(crate) at: At,
}

impl<'a> GroupView<'a> {
    /// None while the group has no leader, or its configuration is not committed.
    pub(crate) fn new(view: View<'a>, id: GroupId, intent: &'a Group) -> Option<Self> {
        let facts = view.facts.groups.get(&id)?;
        let leader = facts.leader?;
        let buried = view.state.tombstones().get(&leader).map(|tombstone| tombstone.node);
        let node = intent.replica(leader).map(|replica| replica.node).or(buried)?;
        let expected = facts.configuration.id;
        let at = At { group: id, leader, node, expected };
        let group = Self { view, id, intent, facts, leader, at };
        facts.configuration.is_committed.then_some(group)
    }

    /// The voters there are meant to be.
    pub(crate) fn wanted(&self) -> BTreeSet<ReplicaId> {
        self.intent.voters().map(|replica| replica.id).collect()
    }

    pub(crate) fn progress(&self, replica: ReplicaId) -> Option<&'a Progress> {
        self.facts.progress.get(&replica)
    }

    /// Whether a replica has answered its leader lately.
    pub(crate) fn is_up(&self, replica: ReplicaId) -> bool {
        let heard = |progress: &Progress| progress.silent_for <= VOTER_SILENCE_MAX;
        replica == self.leader || self.progress(replica).is_some_and(heard)
    }

    /// Whether a replica is near enough to vote. The leader is, who tells of the others only: also
    /// the newcomer that was elected in a joint configuration.
    pub(crate) fn has_caught_up(&self, replica: ReplicaId) -> bool {
        let near = |progress: &Progress| {
            progress.lag_bytes < PROMOTE_LAG_BYTES_MAX && progress.lag < PROMOTE_LAG_MAX
        };
        let is_near = || self.progress(replica).is_some_and(near);
        replica == self.leader || self.is_up(replica) && is_near()
    }

    /// Whether leadership can go to a replica without a pause: a voter that answered the last
    /// heartbeat and has the last entry.
    pub(crate) fn can_lead(&self, replica: ReplicaId) -> bool {
        let ready = |progress: &Progress| progress.has_last && progress.silent_for <= HEARD_WITHIN;
        replica != self.leader
            && self.facts.configuration.voters.contains(&replica)
            && self.progress(replica).is_some_and(ready)
    }

    /// Whether more than half of these are up.
    pub(crate) fn has_majority(&self, voters: &BTreeSet<ReplicaId>) -> bool {
        let up = voters.iter().filter(|replica| self.is_up(**replica)).count();
        up > voters.len() / 2
    }

    /// Whether the fact is what the intent asks for.
    pub(crate) fn is_settled(&self) -> bool {
        let configuration = &self.facts.configuration;
        let learners = self.intent.replicas.len() - self.wanted().len();
        let all_there = self.intent.replicas.iter().all(|r| configuration.has(r.id));
        !configuration.is_joint()
            && configuration.voters == self.wanted()
            && configuration.learners.len() == learners
            && all_there
    }

    /// Whether a replica's node says that something of it is damaged. A removed one may still lead.
    pub(crate) fn is_damaged(&self, replica: ReplicaId) -> bool {
        let facts = self.node_of(replica).and_then(|node| self.view.node(node));
        let held = facts.and_then(|facts| facts.held.as_ref()?.get(&self.id));
        held.is_some_and(|held| held.replica == replica && held.is_damaged)
    }

    /// Whether a replica will never work again: its node says that its log or vote is damaged; or
    /// it is silent, and its node, which answers, does not have it (a founder that was down when
    /// the others began never had). Either comes back under a new id only.
    pub(crate) fn is_lost(&self, replica: &Replica) -> bool {
        let held = self.view.node(replica.node).and_then(|facts| facts.held.as_ref());
        let Some(held) = held else { return false };
        if let Some(held) = held.get(&self.id).filter(|held| held.replica == replica.id) {
            return held.is_damaged;
        }
        let votes = self.facts.configuration.voters.contains(&replica.id);
        votes && !self.is_up(replica.id) && self.view.answers(replica.node)
    }

    /// The node of a replica, removed ones included.
    pub(crate) fn node_of(&self, replica: ReplicaId) -> Option<NodeId> {
        let buried = self.view.state.tombstones().get(&replica).map(|tombstone| tombstone.node);
        self.intent.replica(replica).map(|replica| replica.node).or(buried)
    }
}
