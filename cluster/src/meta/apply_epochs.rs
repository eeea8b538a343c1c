//! Commands that take a ring epoch from its first mention to being routed by, or out of the way.

use std::collections::BTreeSet;

use model::{NodeId, ShardId, Timestamp};
use storage::log::{GroupId, LogIndex};

use super::apply::{Done, changed};
use super::limits::{
    EPOCHS_MAX, REPLICATION_FACTOR_MAX, SHARDS_ADDED_MAX, SHARDS_MAX, TOMBSTONES_MAX,
};
use super::{
    Applied, Epoch, EpochId, EpochState, Group, MetaState, Node, Refusal, Replica, Role, Tombstone,
};
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
        for (shard, nodes) in (newest.shard_count..).zip(placement) {
            self.check_placement(group_of_shard(ShardId(shard)), nodes)?;
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

    /// Gives up the newest epoch.
    ///
    /// Invariant (PLC-1, DUR-1): nothing that was acknowledged becomes hidden. Nobody routes by an
    /// epoch before it is active, so its own shards have never been sent a span; what older epochs
    /// acknowledged lies where the former ring leads, by which this epoch is routed from now on.
    /// Shards that are fenced take its batches, and so do those that are not.
    pub(super) fn abandon_epoch(&mut self, index: LogIndex, epoch: EpochId) -> Done {
        let newest = self.epochs.last().filter(|newest| newest.id == epoch);
        let is_pending = newest.is_some_and(|newest| newest.state != EpochState::Active);
        let former = self.epochs.iter().rev().nth(1).filter(|_| is_pending);
        let shard_count = former.ok_or(Refusal::EpochState { epoch })?.shard_count;
        let gone = || self.groups.iter().filter(|(_, group)| group.epoch == epoch);
        let count: usize = gone().map(|(_, group)| group.replicas.len()).sum();
        if self.tombstones.len() + count > TOMBSTONES_MAX {
            return Err(Refusal::TooMany { what: "removed replicas", max: TOMBSTONES_MAX });
        }
        // They are not waited for: the whole group goes, and nobody's vote is needed for that.
        let buried: Vec<_> = gone()
            .flat_map(|(id, group)| group.replicas.iter().map(|replica| (*id, *replica)))
            .collect();
        self.groups.retain(|_, group| group.epoch != epoch);
        // Nor is it for those that were removed before.
        let groups = &self.groups;
        let left = self.tombstones.values_mut().filter(|it| !groups.contains_key(&it.group));
        left.for_each(|tombstone| tombstone.is_confirmed = true);
        for (group, replica) in buried {
            let tombstone = Tombstone { group, node: replica.node, is_confirmed: true };
            self.tombstones.insert(replica.id, tombstone);
        }
        if let Some(newest) = self.epochs.last_mut() {
            newest.shard_count = shard_count;
            newest.state = EpochState::Active;
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

    fn check_placement(&self, group: GroupId, nodes: &[NodeId]) -> Result<(), Refusal> {
        let distinct: BTreeSet<&NodeId> = nodes.iter().collect();
        let is_bounded = nodes.len() <= REPLICATION_FACTOR_MAX as usize;
        if nodes.is_empty() || !is_bounded || distinct.len() != nodes.len() {
            return Err(Refusal::Malformed { what: "a shard's placement" });
        }
        let stays = |node: &NodeId| self.nodes.get(node).is_some_and(Node::is_member);
        if let Some(node) = nodes.iter().find(|node| !stays(node)) {
            return Err(Refusal::NodeUnfit { node: *node, what: "it is not a member" });
        }
        // Left from an epoch that was abandoned.
        match nodes.iter().find(|node| !self.may_hold(group, **node)) {
            Some(node) => {
                let what = "something of the group is on its disk";
                Err(Refusal::NodeUnfit { node: *node, what })
            }
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
