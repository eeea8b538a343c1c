//! What a group is meant to be: its replicas, and what is left of former ones.

use model::NodeId;
use storage::log::{GroupId, LogIndex};

use super::EpochId;
use crate::identity::ReplicaId;

/// What a replica is meant to do in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To vote, and to count for durability.
    Voter,
    /// To follow without a vote.
    Learner,
}

/// A replica of a group, as it is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replica {
    /// Its id inside the group.
    pub id: ReplicaId,
    /// Where it lies.
    pub node: NodeId,
    /// What it is meant to do.
    pub role: Role,
}

/// The intent for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The ring epoch that brought it; the first one for the meta group.
    pub epoch: EpochId,
    /// Whether the group has been up with the replicas first named. Until then the list stands
    /// still: each of them initializes with it.
    pub is_formed: bool,
    /// Its replicas, by id.
    pub replicas: Vec<Replica>,
    /// The last command that changed anything here.
    pub revision: LogIndex,
}

impl Group {
    /// The replicas that are meant to vote.
    pub fn voters(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|replica| replica.role == Role::Voter)
    }

    /// The replica of an id.
    pub fn replica(&self, id: ReplicaId) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.id == id)
    }

    /// The replica that is meant to lie on a node.
    pub fn replica_on(&self, node: NodeId) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.node == node)
    }
}

/// What is left of a replica that was taken out of the intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The group it was of.
    pub group: GroupId,
    /// The node that may still have its data.
    pub node: NodeId,
    /// Whether the group's leader confirmed, by a read index, that no configuration has it. Before
    /// that, its data must stay: it may be the vote that a majority needs.
    pub is_confirmed: bool,
}
