//! What the meta group can be told.

use std::collections::BTreeMap;

use model::{Duration, NodeId, Tenant, Timestamp};
use storage::log::{GroupId, LogIndex};

use super::{EpochId, Founding, NodeRecord, RetentionClass, Role};
use crate::identity::{ClusterId, ReplicaId};

/// A replica to be added to a group; its id comes from the meta group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addition {
    /// Where it will lie.
    pub node: NodeId,
    /// What it will do.
    pub role: Role,
}

/// One command. `expected` is the revision of what is changed, as the proposer saw it: a command
/// that comes too late is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaCommand {
    /// Starts the cluster; again with the same cluster id, it changes nothing.
    Found {
        /// What to start from.
        founding: Founding,
        /// When.
        at: Timestamp,
    },
    /// A node joins, or says that something about it changed.
    PutNode {
        /// The node.
        node: NodeId,
        /// What it says.
        record: NodeRecord,
        /// When.
        at: Timestamp,
    },
    /// Relieves a node of its replicas, to remove it then.
    RemoveNode {
        /// The node.
        node: NodeId,
    },
    /// The same, because a node of the same name takes its place.
    ReplaceNode {
        /// The node that has gone.
        old: NodeId,
        /// Its revision: if it speaks up meanwhile, nothing happens.
        expected: LogIndex,
        /// The node that takes its place.
        new: NodeId,
    },
    /// A leaving node holds nothing any more: it is removed.
    NodeGone {
        /// The node.
        node: NodeId,
    },
    /// Changes where the replicas of a group are meant to lie.
    ChangeReplicas {
        /// The group.
        group: GroupId,
        /// Its revision.
        expected: LogIndex,
        /// Replicas that are to go.
        remove: Vec<ReplicaId>,
        /// Replicas that are to come.
        add: Vec<Addition>,
    },
    /// The group has been seen up with the replicas first named.
    GroupFormed {
        /// The group.
        group: GroupId,
        /// Its revision.
        expected: LogIndex,
    },
    /// The group's leader confirmed that no configuration has the removed replica.
    ConfirmGone {
        /// The replica.
        replica: ReplicaId,
    },
    /// The data of a removed replica has gone as well.
    ForgetReplica {
        /// The replica.
        replica: ReplicaId,
    },
    /// How many voters each shard is meant to have.
    SetReplicationFactor {
        /// So many.
        factor: u32,
    },
    /// A new ring epoch with more shards.
    AddShards {
        /// The newest epoch, which must be active.
        expected: EpochId,
        /// Where the voters of each new shard will lie.
        placement: Vec<Vec<NodeId>>,
    },
    /// The new shards have leaders: the old ones may be fenced.
    StartFence {
        /// The epoch.
        epoch: EpochId,
        /// When, as the members' clocks have it.
        at: Timestamp,
    },
    /// Every old shard is fenced: the epoch is routed by.
    ActivateEpoch {
        /// The epoch.
        epoch: EpochId,
        /// When, as the members' clocks have it.
        at: Timestamp,
    },
    /// The newest epoch, which is not routed by yet, comes to nothing: it is routed by as the one
    /// before it was, and its shards, in which nothing was ever acknowledged, go.
    AbandonEpoch {
        /// The epoch.
        epoch: EpochId,
    },
    /// Makes a tenant known.
    PutTenant {
        /// The tenant.
        tenant: Tenant,
    },
    /// Forgets a tenant's name; what it stored ages as before.
    DropTenant {
        /// The tenant.
        tenant: Tenant,
    },
    /// How long data is kept.
    SetRetention {
        /// The revision of the retention.
        expected: LogIndex,
        /// The age by class.
        ages: BTreeMap<RetentionClass, Duration>,
        /// Most bytes of a node's disk for spans.
        disk_bytes_max: Option<u64>,
    },
    /// The sampling strategies.
    SetSampling {
        /// The revision of the sampling.
        expected: LogIndex,
        /// The strategies.
        content: Vec<u8>,
    },
    /// Allows what a later version brings, once every node knows it.
    RaiseVersion {
        /// The version.
        to: u32,
    },
    /// Goes on with one node and what lies on its disk, as another cluster: the others are lost.
    /// Written into a log by somebody who decided so, never proposed.
    Recover {
        /// The id of the cluster from now on: members that come back know another one.
        cluster: ClusterId,
        /// The node that is left.
        survivor: NodeId,
        /// The replicas on its disk.
        held: BTreeMap<GroupId, ReplicaId>,
    },
}

impl MetaCommand {
    /// The cluster version that brought this kind of command. An older cluster refuses it, and a
    /// program that does not know the version refuses to read it.
    pub fn min_version(&self) -> u32 {
        // Every kind there is came with the first version. A kind that a later one brings gets an
        // arm here, and with it the protection of nodes that do not know it.
        1
    }
}
