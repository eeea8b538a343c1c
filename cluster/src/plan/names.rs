//! Nodes that come and go: the one that takes another's place by name, and the one that has left.

use model::NodeId;

use super::limits::REPLACE_AFTER;
use super::step::{Alarm, Step};
use super::view::View;
use crate::meta::{MetaCommand, Node};

/// Commands about nodes, at most one of a kind, and names that two nodes claim.
pub(crate) fn nodes(view: View<'_>) -> (Vec<Step>, Vec<Alarm>) {
    let (replacement, alarms) = replacement(view);
    (replacement.into_iter().chain(departure(view)).map(Step::Propose).collect(), alarms)
}

/// A new node with a member's name takes its place once the member has gone. If the member answers,
/// both stay, whatever gossip says: a second machine with a first one's name is an operator's slip,
/// and must not cost the first its data.
fn replacement(view: View<'_>) -> (Option<MetaCommand>, Vec<Alarm>) {
    let mut members: Vec<(NodeId, &Node)> = view.state.members().collect();
    members.sort_unstable_by_key(|(id, node)| (node.joined, *id));
    // Two members that were always there may come to share a name: without either, the copies must
    // still find room.
    let factor = usize::try_from(view.state.settings().replication_factor).unwrap_or(usize::MAX);
    let is_spare = members.len() > factor;
    let mut replacement = None;
    let mut alarms = Vec::new();
    for (place, (newer, newer_node)) in members.iter().enumerate() {
        let same = |(_, node): &&(NodeId, &Node)| {
            !node.record.name.is_empty() && node.record.name == newer_node.record.name
        };
        for (older, older_node) in members.iter().take(place).filter(same) {
            if view.answers(*older) {
                alarms.push(Alarm::NameClash { older: *older, newer: *newer });
            } else if is_spare && view.is_gone(*older, REPLACE_AFTER) && view.answers(*newer) {
                replacement.get_or_insert(MetaCommand::ReplaceNode {
                    old: *older,
                    expected: older_node.revision,
                    new: *newer,
                });
            }
        }
    }
    (replacement, alarms)
}

/// A leaving node that holds nothing, and that no configuration may have, is gone.
fn departure(view: View<'_>) -> Option<MetaCommand> {
    let state = view.state;
    let is_free = |node: &NodeId| {
        let mut left = state.tombstones().values().filter(|tombstone| tombstone.node == *node);
        state.replicas_on(*node).next().is_none() && left.all(|tombstone| tombstone.is_confirmed)
    };
    let node = state.leaving().map(|(node, _)| node).find(is_free)?;
    Some(MetaCommand::NodeGone { node })
}
