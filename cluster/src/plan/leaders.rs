//! Who should lead: nobody on a node that stops, nobody who is damaged, and evenly over the rest.
//!
//! Writes of a shard pause while its leader changes, so few change at once, and only to a voter
//! that answered the last heartbeat and has the last entry: it can lead at once. Where a node has
//! just failed, its shards have paused already: nothing is evened out until it is back, or gone
//! for so long that the others have to do without it.

use std::collections::BTreeMap;

use model::NodeId;
use model::time::Monotonic;

use super::facts::{DiskMark, Facts, Progress};
use super::limits::{CALM_SILENCE_MAX, REPLACE_AFTER, TRANSFERS_MAX};
use super::step::At;
use super::view::{GroupView, View};
use crate::identity::{META_GROUP, ReplicaId};
use crate::meta::MetaState;

/// One change of leaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Where, and on which condition.
    pub at: At,
    /// The next leader.
    pub to: ReplicaId,
    /// Its node.
    pub node: NodeId,
}

/// The next transfers off a node that is about to stop; call it until the node leads nothing. The
/// node itself can: the facts needed are those of the groups it leads.
pub fn drain(state: &MetaState, facts: &Facts, now: Monotonic, node: NodeId) -> Vec<Transfer> {
    let view = View { state, facts, now };
    let groups: Vec<GroupView<'_>> =
        state.groups().iter().filter_map(|(id, group)| GroupView::new(view, *id, group)).collect();
    let mut leaders = Leaders::new(view, &groups);
    leaders.leave(&groups, &|other| other == node);
    leaders.transfers
}

/// The next transfers, of the groups that are free for one.
pub(crate) fn spread(
    view: View<'_>,
    groups: &[GroupView<'_>],
    free: &[GroupView<'_>],
) -> Vec<Transfer> {
    let mut leaders = Leaders::new(view, groups);
    leaders.leave(free, &|node| !may_lead(view, node));
    leaders.leave_damaged(free);
    if is_calm(view, groups) {
        leaders.even_out(free);
    }
    leaders.transfers
}

/// Whether every group has a leader, and every leader hears its voters, but for nodes that have
/// been gone for long.
fn is_calm(view: View<'_>, groups: &[GroupView<'_>]) -> bool {
    let is_heard = |group: &GroupView<'_>, replica: ReplicaId| {
        let lately = |progress: &Progress| progress.silent_for <= CALM_SILENCE_MAX;
        replica == group.leader || group.progress(replica).is_some_and(lately)
    };
    let is_given_up = |group: &GroupView<'_>, replica: ReplicaId| {
        group.node_of(replica).is_some_and(|node| view.is_gone(node, REPLACE_AFTER))
    };
    groups.len() == view.state.groups().len()
        && groups.iter().all(|group| {
            let mut wanted = group.wanted().into_iter();
            wanted.all(|replica| is_heard(group, replica) || is_given_up(group, replica))
        })
}

/// Leaders by node, those decided on included.
struct Leaders<'a> {
    view: View<'a>,
    counts: BTreeMap<NodeId, usize>,
    budget: usize,
    transfers: Vec<Transfer>,
}

impl<'a> Leaders<'a> {
    fn new(view: View<'a>, groups: &[GroupView<'_>]) -> Self {
        let mut counts: BTreeMap<NodeId, usize> =
            view.state.members().map(|(node, _)| (node, 0)).collect();
        for group in groups.iter().filter(|group| group.id != META_GROUP) {
            *counts.entry(group.at.node).or_default() += 1;
        }
        let budget = TRANSFERS_MAX.saturating_sub(view.facts.transfers_under_way);
        Self { view, counts, budget, transfers: Vec::new() }
    }

    /// Off every node that should lead nothing.
    fn leave(&mut self, groups: &[GroupView<'_>], is_left: &dyn Fn(NodeId) -> bool) {
        for group in groups.iter().filter(|group| is_left(group.at.node)) {
            if let Some((to, node)) = self.best(group, &|node| !is_left(node)) {
                self.transfer(group, to, node);
            }
        }
    }

    /// Off damaged replicas: what is damaged can be handed on to nobody, so a new replica would
    /// wait for ever, and with it the replacement of its leader.
    fn leave_damaged(&mut self, groups: &[GroupView<'_>]) {
        for group in groups.iter().filter(|group| group.id != META_GROUP) {
            if group.is_damaged(group.leader)
                && !self.has(group)
                && let Some((to, node)) = self.best(group, &|node| node != group.at.node)
            {
                self.transfer(group, to, node);
            }
        }
    }

    /// Whether a transfer of the group is decided on.
    fn has(&self, group: &GroupView<'_>) -> bool {
        self.transfers.iter().any(|transfer| transfer.at.group == group.id)
    }

    /// From the node that leads most to one that leads two fewer or less, again and again.
    fn even_out(&mut self, groups: &[GroupView<'_>]) {
        while self.budget > 0 {
            let candidates =
                groups.iter().filter(|group| group.id != META_GROUP && !self.has(group));
            let best = candidates.filter_map(|group| {
                let from = self.count(group.at.node);
                let (to, node) = self.best(group, &|node| self.count(node) + 2 <= from)?;
                Some((std::cmp::Reverse(from), self.count(node), group.id, to, node))
            });
            let Some((_, _, id, to, node)) = best.min() else { return };
            let Some(group) = groups.iter().find(|group| group.id == id) else { return };
            self.transfer(group, to, node);
        }
    }

    /// The voter that can lead at once, on the node that leads least.
    fn best(
        &self,
        group: &GroupView<'_>,
        is_fit: &dyn Fn(NodeId) -> bool,
    ) -> Option<(ReplicaId, NodeId)> {
        let wanted = group.wanted();
        let able = wanted.iter().filter(|id| group.can_lead(**id) && !group.is_damaged(**id));
        let placed = able.filter_map(|replica| Some((*replica, group.node_of(*replica)?)));
        let fit = placed.filter(|(_, node)| may_lead(self.view, *node) && is_fit(*node));
        fit.min_by_key(|(replica, node)| (self.count(*node), *replica))
    }

    fn count(&self, node: NodeId) -> usize {
        self.counts.get(&node).copied().unwrap_or_default()
    }

    fn transfer(&mut self, group: &GroupView<'_>, to: ReplicaId, node: NodeId) {
        if self.budget == 0 {
            return;
        }
        self.budget -= 1;
        *self.counts.entry(node).or_default() += 1;
        let from = self.counts.entry(group.at.node).or_default();
        *from = from.saturating_sub(1);
        self.transfers.push(Transfer { at: group.at, to, node });
    }
}

/// Whether a node should lead: it stays, does not stop, and has room for what it would take in.
fn may_lead(view: View<'_>, node: NodeId) -> bool {
    let is_member = view.state.nodes().get(&node).is_some_and(crate::meta::Node::is_member);
    let facts = view.node(node);
    // Of itself a node may know nothing worse than that it drains.
    let is_draining = facts.is_some_and(|facts| facts.is_draining);
    let has_room = facts.is_none_or(|facts| facts.disk == DiskMark::Ample);
    is_member && !is_draining && has_room
}
