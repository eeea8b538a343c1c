//! The state itself, and the questions it answers. It changes in `apply` alone.

use std::collections::BTreeMap;

use model::{NodeId, ShardId, Tenant};
use storage::log::{GroupId, LogIndex};

use super::{
    Epoch, EpochState, Group, Node, Replica, Retention, Sampling, Settings, Standing, Tombstone,
};
use crate::identity::{ClusterId, ReplicaId, group_of_shard};

/// What the meta group agrees on. Fields are written by `apply` and by the decoder of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetaState {
    /// The last command that was applied, refused ones included.
    pub(super) applied: LogIndex,
    pub(super) cluster: Option<ClusterId>,
    pub(super) cluster_version: u32,
    pub(super) settings: Settings,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// The highest replica id handed out.
    pub(super) last_replica: u64,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) tombstones: BTreeMap<ReplicaId, Tombstone>,
    /// Ascending by id; the last one is the newest.
    pub(super) epochs: Vec<Epoch>,
    /// Tenants by name, with the command that made each known.
    pub(super) tenants: BTreeMap<Tenant, LogIndex>,
    pub(super) retention: Retention,
    pub(super) sampling: Sampling,
}

impl MetaState {
    /// The last command that was applied, refused ones included.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The cluster, once founded.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// The version whose formats may be written.
    pub fn cluster_version(&self) -> u32 {
        self.cluster_version
    }

    /// What people set.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Every node, removed ones included.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// Nodes that belong to the cluster and are to stay.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.is_member()).map(|(id, node)| (*id, node))
    }

    /// Nodes that belong to the cluster, leaving ones included.
    pub fn present(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().filter(|(_, node)| !node.is_removed()).map(|(id, node)| (*id, node))
    }

    /// Every group's intent, the meta group's first.
    pub fn groups(&self) -> &BTreeMap<GroupId, Group> {
        &self.groups
    }

    /// The intent for a shard.
    pub fn shard(&self, shard: ShardId) -> Option<&Group> {
        self.groups.get(&group_of_shard(shard))
    }

    /// What is left of removed replicas.
    pub fn tombstones(&self) -> &BTreeMap<ReplicaId, Tombstone> {
        &self.tombstones
    }

    /// Whether a replica id was handed out, taken back, and confirmed to be in no configuration: it
    /// must not vote any more, whatever it holds. Before the confirmation it may have to: the
    /// configuration that takes it out needs a majority of the one that has it.
    pub fn is_buried(&self, group: GroupId, replica: ReplicaId) -> bool {
        let is_meant = self.groups.get(&group).is_some_and(|g| g.replica(replica).is_some());
        let is_pending = self.tombstones.get(&replica).is_some_and(|t| !t.is_confirmed);
        replica.0 != 0 && replica.0 <= self.last_replica && !is_meant && !is_pending
    }

    /// Every ring epoch, ascending. All of them are live: data of each may still be there.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The epoch to route by.
    pub fn active_epoch(&self) -> Option<Epoch> {
        self.epochs.iter().rev().find(|epoch| epoch.state == EpochState::Active).copied()
    }

    /// Tenants by name, with the command that made each known.
    pub fn tenants(&self) -> &BTreeMap<Tenant, LogIndex> {
        &self.tenants
    }

    /// How long data is kept.
    pub fn retention(&self) -> &Retention {
        &self.retention
    }

    /// The sampling strategies.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// Whether a new replica of a group may lie on a node: the node is to stay, and nothing of that
    /// group is or may be on its disk. (A node's log keeps one replica per group.)
    pub fn may_hold(&self, group: GroupId, node: NodeId) -> bool {
        let is_member = self.nodes.get(&node).is_some_and(Node::is_member);
        let holds = self.groups.get(&group).is_some_and(|g| g.replica_on(node).is_some());
        let held = self.tombstones.values().any(|t| t.group == group && t.node == node);
        is_member && !holds && !held
    }

    /// The replicas meant to lie on a node.
    pub fn replicas_on(&self, node: NodeId) -> impl Iterator<Item = (GroupId, &Replica)> {
        self.groups
            .iter()
            .filter_map(move |(id, group)| group.replica_on(node).map(|replica| (*id, replica)))
    }

    /// Leaving nodes, and who takes the place of each.
    pub fn leaving(&self) -> impl Iterator<Item = (NodeId, Option<NodeId>)> {
        self.nodes.iter().filter_map(|(id, node)| match node.standing {
            Standing::Leaving { successor } => Some((*id, successor)),
            Standing::Member | Standing::Removed => None,
        })
    }
}
