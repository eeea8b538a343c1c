//! A node as gossip names it.

use std::net::SocketAddr;

use model::NodeId;
use serde::{Deserialize, Serialize};

/// A life of a node, and where its gossip is heard. A wire form: it changes only with the version
/// byte of the envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    node: [u8; 16],
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Counts its starts.
    pub(crate) start: u64,
    /// Counts how often in this life it was declared down and came back.
    renewals: u32,
}

impl Identity {
    pub(crate) fn new(node: NodeId, start: u64, address: SocketAddr) -> Self {
        Self { node: node.0, address, start, renewals: 0 }
    }

    pub(crate) fn node(&self) -> NodeId {
        NodeId(self.node)
    }

    fn age(&self) -> (u64, u32) {
        (self.start, self.renewals)
    }
}

impl foca::Identity for Identity {
    type Addr = [u8; 16];

    fn renew(&self) -> Option<Self> {
        let renewals = self.renewals.checked_add(1)?;
        Some(Self { renewals, ..self.clone() })
    }

    fn addr(&self) -> [u8; 16] {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.age() > adversary.age()
    }
}
