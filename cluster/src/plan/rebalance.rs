//! Evening out: one replica at a time, and only while nothing else is under way.

use std::collections::BTreeMap;

use model::{NodeId, ShardId};

use super::placement::{Placement, next_move};
use super::view::{GroupView, View};
use crate::identity::{group_of_shard, shard_of_group};
use crate::meta::{Addition, EpochState, MetaCommand, Role};

/// The next move for evenness, if the cluster is at rest: every group settled with all its voters
/// up, every member answering, nobody leaving, nothing left of removed replicas on nodes that
/// answer.
pub(crate) fn rebalance(view: View<'_>, groups: &[GroupView<'_>]) -> Option<MetaCommand> {
    let state = view.state;
    let all_up = |group: &GroupView<'_>| group.wanted().iter().all(|id| group.is_up(*id));
    let at_rest = groups.len() == state.groups().len()
        && groups.iter().all(|group| group.intent.is_formed && group.is_settled() && all_up(group))
        && state.members().all(|(node, _)| view.answers(node))
        && state.leaving().next().is_none()
        && state.epochs().iter().all(|epoch| epoch.state == EpochState::Active)
        && state.tombstones().values().all(|tombstone| !view.answers(tombstone.node));
    if !at_rest {
        return None;
    }
    let mut placement = Placement::new();
    for group in groups {
        if let Some(shard) = shard_of_group(group.id) {
            let nodes: Vec<NodeId> = group.intent.voters().map(|replica| replica.node).collect();
            placement.insert(shard, nodes);
        }
    }
    let may_move = |shard: ShardId, _from: NodeId, to: NodeId| {
        view.takes_more(to) && state.may_hold(group_of_shard(shard), to)
    };
    let next = next_move(&view.sites(), &placement, &may_move)?;
    let by_id: BTreeMap<_, _> = groups.iter().map(|group| (group.id, group)).collect();
    let group = by_id.get(&group_of_shard(next.shard))?;
    let replica = group.intent.replica_on(next.from)?;
    Some(MetaCommand::ChangeReplicas {
        group: group.id,
        expected: group.intent.revision,
        remove: vec![replica.id],
        add: vec![Addition { node: next.to, role: Role::Voter }],
    })
}
