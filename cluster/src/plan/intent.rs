//! The next change of one group's intent: which replicas should lie elsewhere, come or go.
//!
//! In this order: a damaged or lost replica goes; one on a leaving or dead node moves; then the
//! number is made right. A group whose last change is still under way waits, unless what must go is
//! lost, or never got to vote: without that, the change might never come to its end.

use std::collections::{BTreeMap, BTreeSet};

use model::NodeId;

use super::facts::Gossip;
use super::limits::DEAD_AFTER;
use super::node_ring::NodeRing;
use super::placement::{Site, repeats, repeats_with};
use super::step::Alarm;
use super::view::{GroupView, View};
use super::voters::{meta_voter_count, meta_voters};
use crate::identity::{META_GROUP, ReplicaId, shard_of_group};
use crate::meta::{Addition, MetaCommand, Replica, Role, Standing};

/// Decides over the groups one after another, keeping count of what was decided.
pub(crate) struct Intents<'a> {
    view: View<'a>,
    sites: Vec<Site>,
    ring: NodeRing,
    /// Replicas by node, those decided on included.
    loads: BTreeMap<NodeId, usize>,
    /// The one node whose replicas move because it is dead.
    dead: Option<NodeId>,
    /// Groups that may still begin to move.
    budget: usize,
    pub(crate) alarms: Vec<Alarm>,
}

impl<'a> Intents<'a> {
    pub(crate) fn new(view: View<'a>, budget: usize) -> Self {
        let sites = view.sites();
        let ring = NodeRing::new(sites.iter().map(|site| site.node));
        let mut loads = BTreeMap::new();
        for replica in view.state.groups().values().flat_map(|group| &group.replicas) {
            *loads.entry(replica.node).or_default() += 1;
        }
        Self { view, sites, ring, loads, dead: dead(view), budget, alarms: Vec::new() }
    }

    /// The next change for a group, if one is due and allowed.
    pub(crate) fn next(&mut self, group: &GroupView<'_>) -> Option<MetaCommand> {
        if !group.has_majority(&group.facts.configuration.voters) {
            return None;
        }
        if group.id == META_GROUP {
            return self.change_meta(group);
        }
        let is_settled = group.is_settled();
        for replica in self.to_go(group) {
            let votes = group.facts.configuration.voters.contains(&replica.id);
            if !is_settled && votes && !group.is_lost(&replica) {
                continue;
            }
            // A group that moves already counts already.
            if is_settled && self.budget == 0 {
                return None;
            }
            if let Some(command) = self.relieve(group, replica) {
                self.budget = self.budget.saturating_sub(usize::from(is_settled));
                return Some(command);
            }
            self.alarms.push(Alarm::NowhereToGo { group: group.id, replica: replica.id });
        }
        if is_settled { self.make_number_right(group) } else { None }
    }

    /// Replicas that cannot stay, the lost ones first.
    fn to_go(&self, group: &GroupView<'_>) -> Vec<Replica> {
        let state = self.view.state;
        let stays = |node: NodeId| {
            let is_member = state.nodes().get(&node).is_some_and(crate::meta::Node::is_member);
            is_member && self.dead != Some(node)
        };
        let all = || group.intent.replicas.iter().copied();
        let leaving = all().filter(|r| !group.is_lost(r) && !stays(r.node));
        all().filter(|r| group.is_lost(r)).chain(leaving).collect()
    }

    /// Puts another replica in the place of one; or takes it out alone if nothing is lost by that.
    fn relieve(&mut self, group: &GroupView<'_>, replica: Replica) -> Option<MetaCommand> {
        let state = self.view.state;
        let successor = state.nodes().get(&replica.node).and_then(|node| match node.standing {
            Standing::Leaving { successor } => successor,
            Standing::Member | Standing::Removed => None,
        });
        let fits = |node: &NodeId| self.view.takes_more(*node) && state.may_hold(group.id, *node);
        let successor = successor.filter(fits);
        let rest: BTreeSet<ReplicaId> =
            group.wanted().into_iter().filter(|id| *id != replica.id).collect();
        let is_surplus = rest.len() >= self.factor();
        if is_surplus && group.has_majority(&rest) {
            return Some(change(group, vec![replica.id], Vec::new()));
        }
        if let Some(node) = successor.or_else(|| self.choose(group, &[replica.id])) {
            *self.loads.entry(node).or_default() += 1;
            let addition = Addition { node, role: replica.role };
            return Some(change(group, vec![replica.id], vec![addition]));
        }
        // A lost replica does not vote; without it, its node can take a new one.
        let is_spare = !rest.is_empty() && group.has_majority(&rest);
        (group.is_lost(&replica) && is_spare).then(|| change(group, vec![replica.id], Vec::new()))
    }

    /// As many voters as are wanted: all that lack come at once, all that are too many go at once,
    /// each by one joint change.
    fn make_number_right(&mut self, group: &GroupView<'_>) -> Option<MetaCommand> {
        let (have, factor) = (group.wanted().len(), self.factor());
        if have > factor {
            let gone = self.surplus(group, have - factor);
            let rest = group.wanted().into_iter().filter(|id| !gone.contains(id)).collect();
            return group.has_majority(&rest).then(|| change(group, gone, Vec::new()));
        }
        if have == factor || self.budget == 0 {
            return None;
        }
        let mut add: Vec<Addition> = Vec::new();
        while have + add.len() < factor {
            let Some(node) = self.choose_beside(group, &[], &add) else { break };
            *self.loads.entry(node).or_default() += 1;
            add.push(Addition { node, role: Role::Voter });
        }
        if add.is_empty() {
            return None;
        }
        self.budget -= 1;
        Some(change(group, Vec::new(), add))
    }

    /// The replicas to go of too many: those that are not up, then those that share a zone, then
    /// those on the fullest nodes; the leader last of all.
    fn surplus(&self, group: &GroupView<'_>, count: usize) -> Vec<ReplicaId> {
        let mut left: Vec<Replica> = group.intent.voters().copied().collect();
        let mut gone = Vec::new();
        for _ in 0..count {
            let nodes: Vec<NodeId> = left.iter().map(|replica| replica.node).collect();
            let rank = |replica: &&Replica| {
                let kept: Vec<NodeId> =
                    nodes.iter().copied().filter(|node| *node != replica.node).collect();
                let shares_zone = repeats(&self.sites, &kept) < repeats(&self.sites, &nodes);
                let load = self.loads.get(&replica.node).copied().unwrap_or_default();
                let is_leader = replica.id == group.leader;
                (!is_leader, !group.is_up(replica.id), shares_zone, load, replica.id)
            };
            let Some(worst) = left.iter().max_by_key(rank).map(|replica| replica.id) else { break };
            left.retain(|replica| replica.id != worst);
            gone.push(worst);
        }
        gone.sort_unstable();
        gone
    }

    fn choose(&self, group: &GroupView<'_>, without: &[ReplicaId]) -> Option<NodeId> {
        self.choose_beside(group, without, &[])
    }

    /// The best node for one more replica: in a zone of its own, then with the fewest replicas,
    /// then as the ring wants it.
    fn choose_beside(
        &self,
        group: &GroupView<'_>,
        without: &[ReplicaId],
        added: &[Addition],
    ) -> Option<NodeId> {
        let kept = group.intent.replicas.iter().filter(|r| !without.contains(&r.id));
        let mut nodes: Vec<NodeId> = kept.map(|replica| replica.node).collect();
        nodes.extend(added.iter().map(|addition| addition.node));
        let order = self.ring.order(shard_of_group(group.id)?);
        let fits = |site: &&Site| {
            let may_hold = self.view.state.may_hold(group.id, site.node);
            site.takes_more && may_hold && !nodes.contains(&site.node)
        };
        let rank = |site: &&Site| {
            let load = self.loads.get(&site.node).copied().unwrap_or_default();
            let place = order.iter().position(|node| *node == site.node);
            (repeats_with(&self.sites, &nodes, site.node), load, place)
        };
        self.sites.iter().filter(fits).min_by_key(rank).map(|site| site.node)
    }

    /// The meta group follows the number of members. Its state is small: it moves at once.
    fn change_meta(&self, group: &GroupView<'_>) -> Option<MetaCommand> {
        let state = self.view.state;
        let present: Vec<NodeId> =
            group.intent.voters().filter(|r| !group.is_lost(r)).map(|r| r.node).collect();
        let gone = |node: NodeId| self.view.is_gone(node, DEAD_AFTER);
        let fit = |site: &&Site| !gone(site.node);
        let place = |site: &Site| {
            let takes_more = site.takes_more && state.may_hold(group.id, site.node);
            Site { takes_more, ..site.clone() }
        };
        let sites: Vec<Site> = self.sites.iter().filter(fit).map(place).collect();
        // By members, dead ones included: a cluster of three that lost one is a cluster of three.
        let count = meta_voter_count(self.sites.len());
        let mut chosen = meta_voters(&sites, count, &present);
        let is_member = |node: &NodeId| state.members().any(|(id, _)| id == *node);
        let dead_voters = present.iter().copied().filter(|node| gone(*node) && is_member(node));
        // With nowhere to go, a dead voter stays one.
        let lacking = count.saturating_sub(chosen.len());
        chosen.extend(dead_voters.take(lacking));
        // Before the last change has come to its end, only who never will vote (again) goes.
        let is_settled = group.is_settled();
        let votes = |r: &Replica| group.facts.configuration.voters.contains(&r.id);
        let voters = || group.intent.voters();
        let remove: Vec<ReplicaId> = voters()
            .filter(|r| !chosen.contains(&r.node) || group.is_lost(r))
            .filter(|r| is_settled || !votes(r) || group.is_lost(r))
            .map(|replica| replica.id)
            .collect();
        let is_new = |node: &&NodeId| !voters().any(|replica| replica.node == **node);
        let room = if is_settled { chosen.len() } else { remove.len() };
        let add: Vec<Addition> = chosen
            .iter()
            .filter(is_new)
            .take(room)
            .map(|node| Addition { node: *node, role: Role::Voter })
            .collect();
        let stays = group.wanted().into_iter().any(|id| !remove.contains(&id));
        let is_change = !(remove.is_empty() && add.is_empty());
        (is_change && (stays || !add.is_empty())).then(|| change(group, remove, add))
    }

    fn factor(&self) -> usize {
        usize::try_from(self.view.state.settings().replication_factor).unwrap_or(usize::MAX)
    }
}

fn change(group: &GroupView<'_>, remove: Vec<ReplicaId>, add: Vec<Addition>) -> MetaCommand {
    MetaCommand::ChangeReplicas { group: group.id, expected: group.intent.revision, remove, add }
}

/// The dead node whose replicas move: one at a time, the one that has been down for longest.
fn dead(view: View<'_>) -> Option<NodeId> {
    let since = |node: NodeId| match view.node(node).map(|facts| facts.gossip) {
        Some(Gossip::Down { since }) => Some((since, node)),
        Some(Gossip::Up) | None => None,
    };
    let holders = view.state.members().map(|(node, _)| node).filter(|node| {
        view.state.replicas_on(*node).any(|(group, _)| group != META_GROUP)
            && view.is_gone(*node, DEAD_AFTER)
    });
    holders.filter_map(since).min().map(|(_, node)| node)
}
