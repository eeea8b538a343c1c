//! What a command came to.

use model::NodeId;
use storage::log::{GroupId, LogIndex};

use super::EpochId;
use crate::identity::{ClusterId, ReplicaId};

/// The same on every replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaOutcome {
    /// It was done, or was so already.
    Applied(Applied),
    /// It was refused and changed nothing.
    Refused(Refusal),
}

impl MetaOutcome {
    /// Whether it was done.
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The revision of what was changed.
    pub revision: LogIndex,
    /// Replica ids that were handed out, in the order of the additions.
    pub replicas: Vec<ReplicaId>,
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no cluster yet.
    #[error("the cluster has not been founded")]
    NotFounded,
    /// There is one already.
    #[error("the cluster is {cluster}, founded before")]
    OtherCluster {
        /// Its id.
        cluster: ClusterId,
    },
    /// The command is one of a later version than the cluster's.
    #[error("the command needs cluster version {needed}, the cluster is at {version}")]
    NeedsVersion {
        /// The version that brought the command.
        needed: u32,
        /// The cluster's.
        version: u32,
    },
    /// A node does not know the version.
    #[error("node {node} knows versions up to {version} only")]
    NodeTooOld {
        /// The node.
        node: NodeId,
        /// What it knows.
        version: u32,
    },
    /// The command's index is not after the last one.
    #[error("the entry was applied before")]
    Repeated,
    /// What it would change has changed meanwhile.
    #[error("it has changed at {found}, after {expected}")]
    Stale {
        /// The revision that the proposer saw.
        expected: LogIndex,
        /// The revision now.
        found: LogIndex,
    },
    /// The epoch is not the newest one, or not in the state for it.
    #[error("epoch {epoch} is not at that point")]
    EpochState {
        /// The epoch.
        epoch: EpochId,
    },
    /// There is no such node.
    #[error("there is no node {node}")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The node was removed, for ever.
    #[error("node {node} was removed from the cluster")]
    RemovedNode {
        /// The node.
        node: NodeId,
    },
    /// The node is not what the command takes it for.
    #[error("node {node}: {what}")]
    NodeUnfit {
        /// The node.
        node: NodeId,
        /// Why not.
        what: &'static str,
    },
    /// There is no such group.
    #[error("there is no group {group}")]
    UnknownGroup {
        /// The group.
        group: GroupId,
    },
    /// The group has not been up yet.
    #[error("group {group} has not been formed")]
    NotFormed {
        /// The group.
        group: GroupId,
    },
    /// The group has no leader, as far as is known.
    #[error("group {group} has no leader")]
    NoLeader {
        /// The group.
        group: GroupId,
    },
    /// There is no such replica, or none left of it.
    #[error("there is no replica {replica}")]
    UnknownReplica {
        /// The replica.
        replica: ReplicaId,
    },
    /// A configuration may still have the replica.
    #[error("replica {replica} is not confirmed to be in no configuration")]
    NotConfirmed {
        /// The replica.
        replica: ReplicaId,
    },
    /// There would be fewer nodes than copies.
    #[error("{nodes} nodes cannot hold {factor} copies")]
    TooFewNodes {
        /// Nodes there would be.
        nodes: usize,
        /// Copies wanted.
        factor: u32,
    },
    /// A bound would be passed.
    #[error("there can be no more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The command makes no sense.
    #[error("malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
}

impl Refusal {
    /// Whether to look at the state again and propose anew, rather than give up.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::EpochState { .. } | Self::Repeated)
    }
}
