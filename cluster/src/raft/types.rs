//! The types that consensus works with, and ours at its edges.
//!
//! [`Consensus`] fixes what openraft is generic over. Everything outside this module speaks of
//! [`ReplicaId`], [`LogPosition`] and [`Outcome`], which name no type of openraft.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use model::NodeId;
use openraft::type_config::alias::{EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft::vote::RaftLeaderId as _;
use storage::log::LogIndex;
use tokio::sync::OwnedSemaphorePermit;

use super::runtime::Runtime;
use crate::identity::ReplicaId;

openraft::declare_raft_types!(
    /// What openraft is told about us.
    pub(crate) Consensus:
        D = Command,
        R = Outcome,
        NodeId = u64,
        Node = Host,
        AsyncRuntime = Runtime,
);

pub(crate) type Entry = EntryOf<Consensus>;
pub(crate) type LogId = LogIdOf<Consensus>;
pub(crate) type Vote = VoteOf<Consensus>;
pub(crate) type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
pub(crate) type Membership = openraft::Membership<u64, Host>;
pub(crate) type StoredMembership = StoredMembershipOf<Consensus>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<Consensus>;

/// Where a replica lives. It stands in the group's membership, so that replicas find each other
/// without asking anyone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// The node.
    pub(crate) node: NodeId,
}

/// A replica and where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The replica.
    pub replica: ReplicaId,
    /// Its node.
    pub node: NodeId,
}

/// The place of an entry in the history of a group: the same place, the same entry, on all
/// replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The term in which it was proposed.
    pub term: u64,
    /// The leader that proposed it.
    pub leader: ReplicaId,
    /// Its index.
    pub index: LogIndex,
}

impl LogPosition {
    pub(crate) fn from_log_id(id: &LogId) -> Self {
        Self {
            term: id.leader_id.term,
            leader: ReplicaId(id.leader_id.node_id),
            index: LogIndex(id.index),
        }
    }

    pub(crate) fn log_id(self) -> LogId {
        LogId::new(LeaderId::new(self.term, self.leader.0), self.index.0)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.term, self.leader, self.index)
    }
}

/// What is proposed to a group: bytes that only the machine understands.
#[derive(Clone)]
pub(crate) struct Command {
    /// The bytes, as they were proposed.
    pub(crate) payload: Bytes,
    /// The whole record around them, if it exists already: read from the log or received. It saves
    /// copying the payload when the record is sent or appended.
    pub(crate) record: Option<Bytes>,
    /// Keeps the proposal counted until nothing holds it any more.
    pub(crate) counted: Option<Arc<OwnedSemaphorePermit>>,
}

impl Command {
    /// A command that nobody framed or counted yet.
    pub(crate) fn new(payload: Bytes) -> Self {
        Self { payload, record: None, counted: None }
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.payload.len())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What came of applying an entry: the same on all replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not the machine's: consensus wrote it for itself.
    Passed,
    /// It was applied; the bytes are the machine's answer, often none.
    Applied(Bytes),
    /// It was routed by a ring epoch that is fenced off: it is not there, and will not be.
    Fenced {
        /// The epoch of the last fence.
        epoch: u32,
    },
    /// The machine refused it, on every replica alike.
    Refused {
        /// Why, in words.
        reason: Arc<str>,
    },
}
