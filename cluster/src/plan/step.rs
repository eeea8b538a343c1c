//! What the planner asks for.

use std::collections::BTreeSet;
use std::fmt;

use model::NodeId;
use storage::log::GroupId;

use super::ConfigurationId;
use crate::identity::{ReplicaId, shard_of_group};
use crate::meta::{EpochId, MetaCommand};

/// Where a step on a group is done, and on which condition: the leader refuses it if its newest
/// configuration is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The group.
    pub group: GroupId,
    /// Its leader.
    pub leader: ReplicaId,
    /// The leader's node.
    pub node: NodeId,
    /// The configuration the step was planned on.
    pub expected: ConfigurationId,
}

/// One thing to do. Each can be done again, or too late, without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Propose a command to the meta group.
    Propose(MetaCommand),
    /// Have nodes create their replicas of a new group; each initializes with the whole list.
    CreateGroup {
        /// The group.
        group: GroupId,
        /// Its first members.
        members: Vec<(ReplicaId, NodeId)>,
        /// Nodes that have not created theirs.
        on: Vec<NodeId>,
    },
    /// Have a node create an empty replica, and the leader add it as a learner.
    AddLearner {
        /// Where, and on which condition.
        at: At,
        /// The new replica.
        replica: ReplicaId,
        /// Its node.
        node: NodeId,
    },
    /// One joint change to exactly these voters. Who is not among them leaves the group.
    ChangeVoters {
        /// Where, and on which condition.
        at: At,
        /// The voters after it.
        voters: BTreeSet<ReplicaId>,
    },
    /// Remove a learner from the configuration.
    RemoveLearner {
        /// Where, and on which condition.
        at: At,
        /// The learner.
        replica: ReplicaId,
    },
    /// Hand leadership over.
    TransferLeader {
        /// Where, and on which condition.
        at: At,
        /// The next leader.
        to: ReplicaId,
        /// Its node.
        node: NodeId,
    },
    /// Confirm by a read index at the leader that no configuration has the replica; if so, propose
    /// [`MetaCommand::ConfirmGone`].
    ConfirmGone {
        /// Where, and on which condition.
        at: At,
        /// The removed replica.
        replica: ReplicaId,
    },
    /// Have a node delete the data of a removed replica.
    DeleteReplica {
        /// The group.
        group: GroupId,
        /// The removed replica.
        replica: ReplicaId,
        /// The node.
        node: NodeId,
    },
    /// Propose [`MetaCommand::StartFence`] with the time that it is.
    StartFence {
        /// The epoch.
        epoch: EpochId,
    },
    /// Propose [`MetaCommand::ActivateEpoch`] with the time that it is.
    ActivateEpoch {
        /// The epoch.
        epoch: EpochId,
    },
    /// Commit a fence: the shard refuses batches routed by earlier epochs.
    Fence {
        /// Where, and on which condition.
        at: At,
        /// The epoch.
        epoch: EpochId,
    },
}

impl Step {
    /// The group it is about, if it is about one.
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::CreateGroup { group, .. }
            | Self::DeleteReplica { group, .. }
            | Self::Propose(
                MetaCommand::ChangeReplicas { group, .. } | MetaCommand::GroupFormed { group, .. },
            ) => Some(*group),
            Self::AddLearner { at, .. }
            | Self::ChangeVoters { at, .. }
            | Self::RemoveLearner { at, .. }
            | Self::TransferLeader { at, .. }
            | Self::ConfirmGone { at, .. }
            | Self::Fence { at, .. } => Some(at.group),
            Self::Propose(_) | Self::StartFence { .. } | Self::ActivateEpoch { .. } => None,
        }
    }
}

/// What somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// Two members that both answer have one name.
    NameClash {
        /// The one that joined first.
        older: NodeId,
        /// The other.
        newer: NodeId,
    },
    /// A group has fewer voters that are up than it should have.
    UnderReplicated {
        /// The group.
        group: GroupId,
        /// Voters that are up.
        up: usize,
        /// Voters wanted.
        wanted: usize,
    },
    /// A ring epoch that is brought in waits for a shard without a leader.
    EpochWaits {
        /// The epoch.
        epoch: EpochId,
        /// The shard's group.
        group: GroupId,
    },
    /// A replica should go elsewhere, and no node can take it.
    NowhereToGo {
        /// The group.
        group: GroupId,
        /// The replica.
        replica: ReplicaId,
    },
}

/// What an alarm is about: two that are about the same are one alarm, at two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmSubject {
    /// The name of two nodes.
    Name(NodeId, NodeId),
    /// How many voters a group has.
    Voters(GroupId),
    /// The place of a replica.
    Place(GroupId, ReplicaId),
    /// What a ring epoch waits for.
    Epoch(EpochId, GroupId),
}

impl AlarmSubject {
    /// Every word that [`Self::kind`] gives.
    pub const KINDS: [&str; 4] = ["name-clash", "under-replicated", "nowhere-to-go", "epoch-waits"];

    /// The kind of alarm, in a word that scripts and metrics rely on.
    pub fn kind(&self) -> &'static str {
        let [name, voters, place, epoch] = Self::KINDS;
        match self {
            Self::Name(..) => name,
            Self::Voters(_) => voters,
            Self::Place(..) => place,
            Self::Epoch(..) => epoch,
        }
    }

    /// The group it is about, if it is about one.
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::Name(..) => None,
            Self::Voters(group) | Self::Place(group, _) | Self::Epoch(_, group) => Some(*group),
        }
    }
}

impl Alarm {
    /// What it is about.
    pub fn subject(&self) -> AlarmSubject {
        match self {
            Self::NameClash { older, newer } => AlarmSubject::Name(*older, *newer),
            Self::UnderReplicated { group, .. } => AlarmSubject::Voters(*group),
            Self::NowhereToGo { group, replica } => AlarmSubject::Place(*group, *replica),
            Self::EpochWaits { epoch, group } => AlarmSubject::Epoch(*epoch, *group),
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |group: GroupId| match shard_of_group(group) {
            Some(shard) => format!("shard {shard}"),
            None => "the cluster's own group".to_owned(),
        };
        match self {
            Self::NameClash { older, newer } => {
                write!(formatter, "nodes {older} and {newer} have one name, and both answer")
            }
            Self::UnderReplicated { group, up, wanted } => {
                write!(formatter, "{} has {up} of {wanted} replicas that answer", name(*group))
            }
            Self::EpochWaits { epoch, group } => write!(
                formatter,
                "ring epoch {epoch} waits for {}, which has no leader",
                name(*group)
            ),
            Self::NowhereToGo { group, replica } => write!(
                formatter,
                "replica {replica} of {} should go elsewhere, and no node can take it",
                name(*group)
            ),
        }
    }
}
