//! A node as the cluster knows it.

use model::{NodeId, Timestamp};
use storage::log::LogIndex;

use super::limits::{ADDRESSES_MAX, LABEL_BYTES_MAX};

/// What a node says of itself when it joins, and again when it changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeRecord {
    /// A label; two nodes may have the same (see [`crate::plan`] for what follows).
    pub name: String,
    /// Where peers reach it, as `host:port`; names are resolved at every connect.
    pub addresses: Vec<String>,
    /// What may fail together with it; empty if nothing is known.
    pub zone: String,
    /// The newest cluster version its program can take part in.
    pub version: u32,
}

impl NodeRecord {
    /// Whether it keeps to the bounds.
    pub(crate) fn is_well_formed(&self) -> bool {
        let is_label = |label: &str| label.len() <= LABEL_BYTES_MAX;
        is_label(&self.name)
            && is_label(&self.zone)
            && self.version > 0
            && self.addresses.len() <= ADDRESSES_MAX
            && self.addresses.iter().all(|address| is_label(address))
    }
}

/// Whether a node belongs to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Member,
    /// It is being relieved of its replicas, to be removed then.
    Leaving {
        /// The node of the same name that takes its place, if that is why.
        successor: Option<NodeId>,
    },
    /// It did once, and never will again.
    Removed,
}

/// A node, present or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it last said of itself.
    pub record: NodeRecord,
    /// Whether it belongs to the cluster.
    pub standing: Standing,
    /// When it joined, by the clock of whoever proposed it. For people; nothing is decided by it.
    pub joined_at: Timestamp,
    /// The command by which it joined: which of two nodes is the older one.
    pub joined: LogIndex,
    /// The last command that changed anything here.
    pub revision: LogIndex,
}

impl Node {
    /// Whether it belongs to the cluster and is to stay.
    pub fn is_member(&self) -> bool {
        self.standing == Standing::Member
    }

    /// Whether it does not belong to the cluster any more.
    pub fn is_removed(&self) -> bool {
        self.standing == Standing::Removed
    }
}
