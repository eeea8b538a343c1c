//! Whom a node speaks with: the newest life of each peer that it has seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::NodeId;

use crate::identity::{IncarnationTable, NODES_SEEN_MAX, Verdict};
use crate::transport::{Incarnation, NotAdmitted, Peer, PeerGate};

/// The gate of a node.
#[derive(Debug, Default)]
pub struct IncarnationGate {
    table: Mutex<IncarnationTable>,
    /// The last clash of each node that was logged: the same one is met with every call.
    logged: Mutex<BTreeMap<NodeId, Incarnation>>,
}

impl IncarnationGate {
    fn clash(&self, peer: Peer, first: Incarnation) {
        metrics::counter!("skua_incarnation_clashes_total").increment(1);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= NODES_SEEN_MAX {
            logged.clear();
        }
        if logged.insert(peer.node, peer.incarnation) != Some(peer.incarnation) {
            let (node, second) = (peer.node, peer.incarnation);
            tracing::error!(%node, ?first, ?second, "two processes claim one life of a node");
        }
    }
}

impl PeerGate for IncarnationGate {
    fn admit(&self, peer: Peer) -> Result<(), NotAdmitted> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = table.observe(peer.node, peer.incarnation);
        let known = table.highest(peer.node);
        drop(table);
        let node = peer.node;
        let reason = match verdict {
            Verdict::Accept | Verdict::Newer => return Ok(()),
            Verdict::RefuseOlder => format!("node {node} was started again since"),
            Verdict::RefuseClash { first } => {
                self.clash(peer, first);
                format!("another process claims this life of node {node}")
            }
        };
        Err(NotAdmitted { reason, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_admitted_is_told_which_life_is() {
        let gate = IncarnationGate::default();
        let life = |start, nonce| Incarnation { start, nonce };
        let admit = |incarnation| gate.admit(Peer { node: NodeId([1; 16]), incarnation });
        assert_eq!(admit(life(5, 1)), Ok(()));
        for refused in [life(4, 9), life(5, 2)] {
            assert_eq!(admit(refused).unwrap_err().known, Some(life(5, 1)));
        }
        assert_eq!(admit(life(6, 2)), Ok(()));
        assert_eq!(admit(life(5, 1)).unwrap_err().known, Some(life(6, 2)));
    }
}
