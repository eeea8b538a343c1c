//! The next step that brings one group's fact nearer to its intent.

use std::collections::BTreeSet;

use model::NodeId;
use storage::log::GroupId;

use super::step::Step;
use super::view::{GroupView, Holding, View};
use crate::identity::{META_GROUP, ReplicaId};
use crate::meta::{Group, MetaCommand, Node, Replica, Role, Tombstone};

/// The next step for a group that has not been up yet.
pub(crate) fn form(view: View<'_>, id: GroupId, intent: &Group) -> Option<Step> {
    // Of an epoch that was abandoned, made too late on an old request.
    let left = intent.replicas.iter().find_map(|replica| match view.holds(replica.node, id) {
        Holding::Replica(held) if held != replica.id && view.answers(replica.node) => {
            let delete = Step::DeleteReplica { group: id, replica: held, node: replica.node };
            view.state.is_buried(id, held).then_some(delete)
        }
        Holding::Replica(_) | Holding::Nothing | Holding::Unknown => None,
    });
    if left.is_some() {
        return left;
    }
    let lacks = |replica: &&Replica| {
        view.answers(replica.node) && view.holds(replica.node, id) == Holding::Nothing
    };
    let on: Vec<NodeId> = intent.replicas.iter().filter(lacks).map(|r| r.node).collect();
    // The meta group was initialized by its founders; nobody can create it from within.
    if !on.is_empty() && id != META_GROUP {
        let members = intent.replicas.iter().map(|replica| (replica.id, replica.node)).collect();
        return Some(Step::CreateGroup { group: id, members, on });
    }
    // Whoever was out of reach until now comes in later, as another replica.
    let wanted: BTreeSet<ReplicaId> = intent.replicas.iter().map(|replica| replica.id).collect();
    let facts = view.facts.groups.get(&id)?;
    let configuration = &facts.configuration;
    let is_up =
        facts.leader.is_some() && configuration.is_committed && configuration.voters == wanted;
    let expected = intent.revision;
    is_up.then_some(Step::Propose(MetaCommand::GroupFormed { group: id, expected }))
}

/// The next step for a group that has a leader.
pub(crate) fn follow(group: &GroupView<'_>) -> Option<Step> {
    let configuration = &group.facts.configuration;
    if configuration.is_joint() {
        // Somebody began this change and could not end it.
        return change_voters(group, &configuration.voters);
    }
    add_learner(group)
        .or_else(|| change_voters(group, &group.wanted()))
        .or_else(|| remove_learner(group))
        .or_else(|| bury(group))
}

/// A replica that is meant to be there and is not.
fn add_learner(group: &GroupView<'_>) -> Option<Step> {
    let configuration = &group.facts.configuration;
    let is_missing = |replica: &&Replica| {
        // What the node has may be another replica of the group, whose data has to go first.
        let has_room = match group.view.holds(replica.node, group.id) {
            Holding::Replica(held) => held == replica.id,
            Holding::Nothing | Holding::Unknown => true,
        };
        !configuration.has(replica.id) && group.view.answers(replica.node) && has_room
    };
    let missing = group.intent.replicas.iter().find(is_missing)?;
    Some(Step::AddLearner { at: group.at, replica: missing.id, node: missing.node })
}

/// One joint change to the voters that are meant to be, once all newcomers have caught up, with a
/// majority up on both sides of it.
fn change_voters(group: &GroupView<'_>, wanted: &BTreeSet<ReplicaId>) -> Option<Step> {
    let configuration = &group.facts.configuration;
    let is_joint = configuration.is_joint();
    let present = if is_joint { &configuration.outgoing } else { &configuration.voters };
    if !is_joint && present == wanted || wanted.is_empty() {
        return None;
    }
    let mut newcomers = wanted.difference(present);
    if !newcomers.all(|replica| group.has_caught_up(*replica)) {
        return None;
    }
    if !group.has_majority(present) || !group.has_majority(wanted) {
        return None;
    }
    if !is_joint && !wanted.contains(&group.leader) {
        return hand_over(group, wanted);
    }
    Some(Step::ChangeVoters { at: group.at, voters: wanted.clone() })
}

/// Leadership goes to a voter that stays before its holder leaves. None of them may be ready yet,
/// or none may stay at all (a move of the only replica): then the change goes first, and the
/// leader that left hands over by itself.
fn hand_over(group: &GroupView<'_>, wanted: &BTreeSet<ReplicaId>) -> Option<Step> {
    let configuration = &group.facts.configuration;
    let mut staying = wanted.intersection(&configuration.voters).peekable();
    if staying.peek().is_none() {
        return Some(Step::ChangeVoters { at: group.at, voters: wanted.clone() });
    }
    let to = staying.find(|replica| group.can_lead(**replica))?;
    let node = group.node_of(*to)?;
    Some(Step::TransferLeader { at: group.at, to: *to, node })
}

/// A learner that is meant to be nothing.
fn remove_learner(group: &GroupView<'_>) -> Option<Step> {
    let is_meant = |replica: &ReplicaId| group.intent.replica(*replica).is_some();
    let learners = &group.facts.configuration.learners;
    let replica = learners.iter().find(|replica| !is_meant(replica))?;
    Some(Step::RemoveLearner { at: group.at, replica: *replica })
}

/// What is left of removed replicas: first the confirmation, then the data, then the tombstone.
fn bury(group: &GroupView<'_>) -> Option<Step> {
    let view = group.view;
    let tombstones = view.state.tombstones().iter().filter(|(_, t)| t.group == group.id);
    for (replica, tombstone) in tombstones {
        let replica = *replica;
        if !tombstone.is_confirmed {
            if group.facts.configuration.has(replica) {
                continue;
            }
            return Some(Step::ConfirmGone { at: group.at, replica });
        }
        let step = clear(view, replica, tombstone);
        if step.is_some() {
            return step;
        }
    }
    orphan(group)
}

/// Of a removed replica that is in no configuration: first its data goes, then its tombstone.
pub(crate) fn clear(view: View<'_>, replica: ReplicaId, tombstone: &Tombstone) -> Option<Step> {
    let Tombstone { group, node, .. } = *tombstone;
    let is_removed = view.state.nodes().get(&node).is_none_or(Node::is_removed);
    match view.holds(node, group) {
        _ if is_removed => Some(forget(replica)),
        Holding::Replica(held) if held == replica => {
            view.answers(node).then_some(Step::DeleteReplica { group, replica, node })
        }
        Holding::Replica(_) | Holding::Nothing => view.answers(node).then(|| forget(replica)),
        Holding::Unknown => None,
    }
}

/// A replica that a node made too late, on an old request: it was removed, and forgotten because no
/// configuration had it.
fn orphan(group: &GroupView<'_>) -> Option<Step> {
    let state = group.view.state;
    let mut held =
        group.view.facts.nodes.keys().filter_map(|node| match group.view.holds(*node, group.id) {
            Holding::Replica(replica) => Some((*node, replica)),
            Holding::Nothing | Holding::Unknown => None,
        });
    let is_orphan = |(node, replica): &(NodeId, ReplicaId)| {
        state.is_buried(group.id, *replica)
            && !state.tombstones().contains_key(replica)
            && !group.facts.configuration.has(*replica)
            && group.view.answers(*node)
    };
    let (node, replica) = held.find(is_orphan)?;
    Some(Step::DeleteReplica { group: group.id, replica, node })
}

fn forget(replica: ReplicaId) -> Step {
    Step::Propose(MetaCommand::ForgetReplica { replica })
}

/// Whether a group waits for a replica to catch up: it counts against the moves under way.
pub(crate) fn is_moving(group: &GroupView<'_>) -> bool {
    let configuration = &group.facts.configuration;
    let arrives = |replica: &Replica| match replica.role {
        Role::Voter => !configuration.voters.contains(&replica.id),
        Role::Learner => !configuration.has(replica.id),
    };
    configuration.is_joint() || group.intent.replicas.iter().any(arrives)
}
