//! Who this node is, whom it admits and where its peers are: what the real transport is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use model::NodeId;

use super::limits::PEERS_MAX;
use super::{Incarnation, Peer};

/// The random name of a cluster, drawn when it was founded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// Parses exactly 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        // The same text form as a node's id.
        (text.len() == 32).then(|| NodeId::from_hex(text).ok().map(|id| Self(id.0)))?
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&NodeId(self.0), formatter)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// This node, in this life. Which cluster it belongs to may become known later.
#[derive(Debug)]
pub struct LocalIdentity {
    /// The node and its life.
    pub peer: Peer,
    cluster: OnceLock<ClusterId>,
    /// Peers that refuse this life, and the life that they know instead. Written by the transport,
    /// which forgets a peer's refusal when it answers again.
    refusals: Mutex<BTreeMap<NodeId, Incarnation>>,
}

impl LocalIdentity {
    /// A node that belongs to no cluster yet.
    pub fn new(node: NodeId, incarnation: Incarnation) -> Self {
        let peer = Peer { node, incarnation };
        Self { peer, cluster: OnceLock::new(), refusals: Mutex::default() }
    }

    /// Peers that refuse this life of the node because they know a later one, or another process
    /// that claims the same; and the life that they know.
    pub fn refusals(&self) -> BTreeMap<NodeId, Incarnation> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a peer refused this life. What cannot be meant for it is passed over.
    pub(crate) fn note_refusal(&self, by: NodeId, known: Incarnation) {
        let own = self.peer.incarnation;
        if known == own || known.start < own.start || by == self.peer.node {
            return;
        }
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() < PEERS_MAX || refusals.contains_key(&by) {
            refusals.insert(by, known);
        }
    }

    /// Notes that a peer answered: it takes this life for the newest.
    pub(crate) fn note_answer(&self, by: NodeId) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(&by);
    }

    /// The cluster, once known.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster.get().copied()
    }

    /// Says which cluster the node belongs to. False if it belongs to another already.
    pub fn set_cluster(&self, cluster: ClusterId) -> bool {
        *self.cluster.get_or_init(|| cluster) == cluster
    }
}

/// Where peers are.
pub trait Directory: fmt::Debug + Send + Sync + 'static {
    /// Host and port of a node. A name is resolved anew at every connect; when the answer differs
    /// from what it was, the next call goes to the new address.
    fn address(&self, node: NodeId) -> Option<String>;
}

/// Why a peer is not spoken with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAdmitted {
    /// In words.
    pub reason: String,
    /// The life of that node which is spoken with instead. The peer is told: if enough say so, it
    /// is not who it thinks it is any more.
    pub known: Option<Incarnation>,
}

/// Decides whether a life of a node is still the one to speak with.
pub trait PeerGate: fmt::Debug + Send + Sync + 'static {
    /// Admits a peer of this cluster, or says why not (an older incarnation, a removed node).
    /// Asked at every call, by both sides.
    fn admit(&self, peer: Peer) -> Result<(), NotAdmitted>;
}

/// Admits everyone.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

impl PeerGate for OpenGate {
    fn admit(&self, _peer: Peer) -> Result<(), NotAdmitted> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_life_or_another_claim_to_this_one_is_a_refusal() {
        let life = |start, nonce| Incarnation { start, nonce };
        let (own, peer) = (NodeId([1; 16]), NodeId([2; 16]));
        let local = LocalIdentity::new(own, life(7, 1));
        for known in [life(7, 1), life(6, 9)] {
            local.note_refusal(peer, known);
        }
        local.note_refusal(own, life(8, 1));
        assert!(local.refusals().is_empty());
        local.note_refusal(peer, life(7, 2));
        assert_eq!(local.refusals(), BTreeMap::from([(peer, life(7, 2))]));
        local.note_refusal(peer, life(8, 3));
        assert_eq!(local.refusals(), BTreeMap::from([(peer, life(8, 3))]));
        local.note_answer(peer);
        assert!(local.refusals().is_empty());
    }
}
