//! Who this node is, whom it admits and where its peers are: what the real transport is told.

use std::fmt;
use std::sync::OnceLock;

use model::NodeId;

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
}

impl LocalIdentity {
    /// A node that belongs to no cluster yet.
    pub fn new(node: NodeId, incarnation: Incarnation) -> Self {
        Self { peer: Peer { node, incarnation }, cluster: OnceLock::new() }
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

/// Decides whether a life of a node is still the one to speak with.
pub trait PeerGate: fmt::Debug + Send + Sync + 'static {
    /// Admits a peer of this cluster, or says why not (an older incarnation, a removed node).
    /// Asked at every call, by both sides.
    fn admit(&self, peer: Peer) -> Result<(), String>;
}

/// Admits everyone.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

impl PeerGate for OpenGate {
    fn admit(&self, _peer: Peer) -> Result<(), String> {
        Ok(())
    }
}
