//! Whether the others can do without what a member held, so that it may come back as another node.
//!
//! A node whose small store is damaged does not know who it is, so it cannot give its replicas up
//! one by one. It can only leave everything and come as somebody new, under its old name. That is
//! for when the others have all of it, and could lose one more look at it: each group that it was
//! in has a leader, and two other voters at least, all of which are up and have caught up.

use std::collections::BTreeSet;
use std::fmt;

use model::NodeId;
use model::time::Monotonic;
use storage::log::GroupId;

use super::facts::Facts;
use super::view::{GroupView, View};
use crate::identity::ReplicaId;
use crate::meta::{Group, MetaState};

/// Voters beside the lost one that a group needs.
const OTHERS_MIN: usize = 2;

/// Why a member cannot be done without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indispensable {
    /// No member has the name, or more than one.
    Unclear {
        /// How many have it.
        members: usize,
    },
    /// The member of that name answers.
    Answers(NodeId),
    /// A group might lose what only that member has.
    Group(GroupId),
}

impl fmt::Display for Indispensable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclear { members } => write!(formatter, "{members} members have this name"),
            Self::Answers(node) => write!(formatter, "the member of this name, {node}, answers"),
            Self::Group(group) => write!(
                formatter,
                "group {group} does not have two other voters that are up and have caught up"
            ),
        }
    }
}

/// The member of this name, if it does not answer and the others have all that it held.
pub fn can_do_without(
    state: &MetaState,
    facts: &Facts,
    now: Monotonic,
    name: &str,
) -> Result<NodeId, Indispensable> {
    let view = View { state, facts, now };
    let named = || state.members().filter(|(_, node)| node.record.name == name);
    let (Some((node, _)), 1) = (named().next(), named().count()) else {
        return Err(Indispensable::Unclear { members: named().count() });
    };
    if view.answers(node) {
        return Err(Indispensable::Answers(node));
    }
    for (group, replica) in state.replicas_on(node) {
        let intent = state.groups().get(&group);
        if intent.is_some_and(|intent| !others_have(view, group, intent, replica.id)) {
            return Err(Indispensable::Group(group));
        }
    }
    Ok(node)
}

fn others_have(view: View<'_>, id: GroupId, intent: &Group, lost: ReplicaId) -> bool {
    // Also of one that the meta group has not heard to be formed: it takes batches before that.
    let Some(group) = GroupView::new(view, id, intent) else { return false };
    let configuration = &group.facts.configuration;
    let others: BTreeSet<ReplicaId> =
        group.wanted().into_iter().filter(|replica| *replica != lost).collect();
    others.len() >= OTHERS_MIN
        && group.leader != lost
        && !configuration.is_joint()
        && others.is_subset(&configuration.voters)
        && others.iter().all(|other| *other == group.leader || group.has_caught_up(*other))
        // A voter counts as up for some seconds after it was last heard of.
        && others.iter().all(|other| group.node_of(*other).is_some_and(|node| view.answers(node)))
}
