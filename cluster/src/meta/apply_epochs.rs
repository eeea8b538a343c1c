//! Commands that take a ring epoch from its first mention to being routed by.

use std::collections::BTreeSet;

use model::{NodeId, ShardId, Timestamp};
use storage::log::LogIndex;

use super::apply::{Done, changed};
use super::limits::{EPOCHS_MAX, REPLICATION_FACTOR_MAX, SHARDS_ADDED_MAX, SHARDS_MAX};
use super::{Applied, Epoch, EpochId, EpochState, Group, MetaState, Node, Refusal, Replica, Role};
use crate::identity::group_of_shard;

impl MetaState {
    pub(super) fn add_shards(
        &mut self,
        index: LogIndex,
        expected: EpochId,
        placement: &[Vec<NodeId>],
    ) -> Done {
        let newest = self.newest_epoch(expected, EpochState::Active)?;
        if self.epochs.len() >= EPOCHS_MAX {
            return Err(Refusal::TooMany { what: "ring epochs", max: EPOCHS_MAX });
        }
        let added = u32::try_from(placement.len()).unwrap_or(u32::MAX);
        let shard_count = newest.shard_count.saturating_add(added);
        if placement.is_empty() || placement.len() > SHARDS_ADDED_MAX {
            return Err(Refusal::TooMany { what: "shards added", max: SHARDS_ADDED_MAX });
        }
        if usize::try_from(shard_count).map_or(true, |count| count > SHARDS_MAX) {
            return Err(Refusal::TooMany { what: "shards", max: SHARDS_MAX });
        }
        for nodes in placement {
            self.check_placement(nodes)?;
        }
        let epoch = EpochId(newest.id.0.saturating_add(1));
        let mut replicas = Vec::new();
        for (shard, nodes) in (newest.shard_count..).zip(placement) {
            let group = self.place(index, epoch, nodes);
            replicas.extend(group.replicas.iter().map(|replica| replica.id));
            self.groups.insert(group_of_shard(ShardId(shard)), group);
        }
        let (fenced_at, activated_at) = (Timestamp(0), Timestamp(0));
        let state = EpochState::Preparing;
        self.epochs.push(Epoch { id: epoch, shard_count, state, fenced_at, activated_at });
        Ok(Applied { revision: index, replicas })
    }

    pub(super) fn start_fence(&mut self, index: LogIndex, epoch: EpochId, at: Timestamp) -> Done {
        self.newest_epoch(epoch, EpochState::Preparing)?;
        let unformed = self.groups.iter().find(|(_, g)| g.epoch == epoch && !g.is_formed);
        if let Some((group, _)) = unformed {
            return Err(Refusal::NotFormed { group: *group });
        }
        self.set_newest_epoch(EpochState::Fencing);
        if let Some(newest) = self.epochs.last_mut() {
            newest.fenced_at = at;
        }
        Ok(changed(index))
    }

    pub(super) fn activate_epoch(
        &mut self,
        index: LogIndex,
        epoch: EpochId,
        at: Timestamp,
    ) -> Done {
        self.newest_epoch(epoch, EpochState::Fencing)?;
        self.set_newest_epoch(EpochState::Active);
        if let Some(newest) = self.epochs.last_mut() {
            // Another leader's members may have had another median.
            newest.activated_at = at.max(newest.fenced_at);
        }
        Ok(changed(index))
    }

    /// The newest epoch, if it is the one meant and in that state.
    fn newest_epoch(&self, id: EpochId, state: EpochState) -> Result<Epoch, Refusal> {
        let newest = self.epochs.last().filter(|epoch| epoch.id == id && epoch.state == state);
        newest.copied().ok_or(Refusal::EpochState { epoch: id })
    }

    fn set_newest_epoch(&mut self, state: EpochState) {
        if let Some(newest) = self.epochs.last_mut() {
            newest.state = state;
        }
    }

    fn check_placement(&self, nodes: &[NodeId]) -> Result<(), Refusal> {
        let distinct: BTreeSet<&NodeId> = nodes.iter().collect();
        let is_bounded = nodes.len() <= REPLICATION_FACTOR_MAX as usize;
        if nodes.is_empty() || !is_bounded || distinct.len() != nodes.len() {
            return Err(Refusal::Malformed { what: "a shard's placement" });
        }
        let stays = |node: &NodeId| self.nodes.get(node).is_some_and(Node::is_member);
        match nodes.iter().find(|node| !stays(node)) {
            Some(node) => Err(Refusal::NodeUnfit { node: *node, what: "it is not a member" }),
            None => Ok(()),
        }
    }

    fn place(&mut self, index: LogIndex, epoch: EpochId, nodes: &[NodeId]) -> Group {
        let replica = |node: &NodeId| {
            let id = self.next_replica();
            Replica { id, node: *node, role: Role::Voter }
        };
        let replicas = nodes.iter().map(replica).collect();
        Group { epoch, is_formed: false, replicas, revision: index }
    }
}
