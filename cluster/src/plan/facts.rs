//! What is: the meta leader's picture of nodes and groups at one moment.
//!
//! Times are readings of the meta leader's monotonic clock. What is not known is absent, and the
//! planner takes no step on it.

use std::collections::{BTreeMap, BTreeSet};

use model::time::Monotonic;
use model::{Duration, NodeId};
use storage::log::GroupId;

use crate::identity::ReplicaId;
use crate::meta::EpochId;

/// Everything the planner looks at besides the state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The node that leads the meta group, and gathered this.
    pub meta_leader: NodeId,
    /// What is known of nodes.
    pub nodes: BTreeMap<NodeId, NodeFacts>,
    /// What is known of groups, from their leaders.
    pub groups: BTreeMap<GroupId, GroupFacts>,
    /// Shards of which no leader is known, and since when.
    pub leaderless: BTreeMap<GroupId, Monotonic>,
    /// Leader transfers that were asked for and have not come to anything yet.
    pub transfers_under_way: usize,
}

/// Gossip's opinion of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gossip {
    /// It answers somebody.
    Up,
    /// Nobody heard of it.
    Down {
        /// Since when that is the opinion.
        since: Monotonic,
    },
}

/// How much room a node's disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum DiskMark {
    /// Enough.
    #[default]
    Ample,
    /// Below the first mark: no new client data, nothing moves there.
    Low,
    /// Below the second: the node refuses data entries.
    VeryLow,
}

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Gossip's opinion.
    pub gossip: Gossip,
    /// Members that cannot reach it by RPC, and since when.
    pub unreachable_from: BTreeMap<NodeId, Monotonic>,
    /// How much room it has.
    pub disk: DiskMark,
    /// Whether it is giving up leadership, to stop.
    pub is_draining: bool,
    /// The replicas on its disk, by its own account; none while it has not told.
    pub held: Option<BTreeMap<GroupId, Held>>,
}

/// A replica on a node's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which one.
    pub replica: ReplicaId,
    /// Whether its log, its vote or a block of it is damaged: it must come back as another replica.
    pub is_damaged: bool,
}

/// What a group's leader knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupFacts {
    /// The leader, if there is one and it was heard of in its present term.
    pub leader: Option<ReplicaId>,
    /// The newest configuration.
    pub configuration: Configuration,
    /// How far each other replica of the configuration has come.
    pub progress: BTreeMap<ReplicaId, Progress>,
    /// The highest epoch that the group is fenced for.
    pub fenced: EpochId,
}

/// Names a configuration: the log id of the entry that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ConfigurationId {
    /// The entry's term.
    pub term: u64,
    /// The entry's index.
    pub index: u64,
}

/// A group's Raft configuration: the fact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// Which one.
    pub id: ConfigurationId,
    /// Whether it is committed.
    pub is_committed: bool,
    /// Voters; in a joint configuration, those of the incoming half.
    pub voters: BTreeSet<ReplicaId>,
    /// In a joint configuration, the voters of the outgoing half; else empty.
    pub outgoing: BTreeSet<ReplicaId>,
    /// Replicas that follow without a vote.
    pub learners: BTreeSet<ReplicaId>,
}

impl Configuration {
    /// Whether two sets of voters must both agree.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a replica is in it in any role.
    pub fn has(&self, replica: ReplicaId) -> bool {
        self.voters.contains(&replica)
            || self.outgoing.contains(&replica)
            || self.learners.contains(&replica)
    }
}

/// How far a follower or learner has come, as its leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of log it lacks.
    pub lag_bytes: u64,
    /// The age of the oldest entry it lacks.
    pub lag: Duration,
    /// How long ago it last answered.
    pub silent_for: Duration,
    /// Whether it has the leader's last entry.
    pub has_last: bool,
}
