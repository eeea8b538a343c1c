//! Whom a node speaks with: the newest life of each peer that it has seen.

use std::sync::{Mutex, PoisonError};

use crate::identity::{IncarnationTable, Verdict};
use crate::transport::{Peer, PeerGate};

/// The gate of a node.
#[derive(Debug, Default)]
pub struct IncarnationGate {
    table: Mutex<IncarnationTable>,
}

impl PeerGate for IncarnationGate {
    fn admit(&self, peer: Peer) -> Result<(), String> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = table.observe(peer.node, peer.incarnation);
        drop(table);
        match verdict {
            Verdict::Accept | Verdict::Newer => Ok(()),
            Verdict::RefuseOlder => Err(format!("node {} was started again since", peer.node)),
            Verdict::RefuseClash { first } => {
                metrics::counter!("skua_incarnation_clashes_total").increment(1);
                let node = peer.node;
                tracing::error!(%node, ?first, "two processes claim one life of a node");
                Err(format!("another process claims this life of node {}", peer.node))
            }
        }
    }
}
