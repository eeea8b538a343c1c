//! What a node says of itself, and how it spreads: in versions, of which the newest wins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foca::{BroadcastHandler, Invalidates};
use model::NodeId;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::limits::{ADDRESS_BYTES_MAX, FACTS_BYTES_MAX, LABEL_BYTES_MAX, MEMBERS_MAX};

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeState {
    /// Not yet ready to take part.
    #[default]
    Starting,
    /// Takes reads and writes.
    Ready,
    /// About to stop: gives its leaders away.
    Draining,
}

/// How much room its disk has, in the node's own judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpaceMark {
    /// Enough.
    #[default]
    Enough,
    /// Running out: not for more replicas.
    Low,
    /// None: writes are refused.
    Full,
}

/// What a node says of itself. Hints, every one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Host and port of node RPC.
    pub rpc_address: String,
    /// The name that people use.
    pub name: String,
    /// The zone, if there are zones.
    pub zone: String,
    /// The version it runs.
    pub version: String,
    /// What it is doing.
    pub state: NodeState,
    /// Share of its processors in use, in thousandths.
    pub load_permille: u16,
    /// Bytes that its disk still takes.
    pub disk_free_bytes: u64,
    /// What that means.
    pub space: SpaceMark,
}

/// Orders what a node said: its start, and a counter within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct FactsVersion {
    pub(crate) start: u64,
    pub(crate) counter: u64,
}

/// The wire form; it changes only with the envelope's version byte. Unknown states read as the
/// most careful one.
#[derive(Serialize, Deserialize)]
struct WireFacts {
    node: [u8; 16],
    start: u64,
    counter: u64,
    state: u8,
    load_permille: u16,
    disk_free_bytes: u64,
    space: u8,
    rpc_address: String,
    name: String,
    zone: String,
    version: String,
}

/// Facts that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the facts of a node")]
pub(crate) struct NotFacts;

impl Facts {
    /// The bytes that are spread, or `None` for an address that is too long.
    pub(crate) fn encode(&self, node: NodeId, version: FactsVersion) -> Option<Vec<u8>> {
        let cut = |text: &str| {
            let mut end = text.len().min(LABEL_BYTES_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.get(..end).unwrap_or_default().to_owned()
        };
        let wire = WireFacts {
            node: node.0,
            start: version.start,
            counter: version.counter,
            state: match self.state {
                NodeState::Starting => 0,
                NodeState::Ready => 1,
                NodeState::Draining => 2,
            },
            load_permille: self.load_permille,
            disk_free_bytes: self.disk_free_bytes,
            space: match self.space {
                SpaceMark::Enough => 0,
                SpaceMark::Low => 1,
                SpaceMark::Full => 2,
            },
            rpc_address: self.rpc_address.clone(),
            name: cut(&self.name),
            zone: cut(&self.zone),
            version: cut(&self.version),
        };
        if self.rpc_address.len() > ADDRESS_BYTES_MAX {
            return None;
        }
        postcard::to_stdvec(&wire).ok().filter(|bytes| bytes.len() <= FACTS_BYTES_MAX)
    }

    fn decode(bytes: &[u8]) -> Result<(NodeId, FactsVersion, Self), NotFacts> {
        if bytes.len() > FACTS_BYTES_MAX {
            return Err(NotFacts);
        }
        let (wire, rest) = postcard::take_from_bytes::<WireFacts>(bytes).map_err(|_| NotFacts)?;
        let labels = [&wire.name, &wire.zone, &wire.version];
        let is_bounded = wire.rpc_address.len() <= ADDRESS_BYTES_MAX
            && labels.iter().all(|label| label.len() <= LABEL_BYTES_MAX);
        if !rest.is_empty() || !is_bounded {
            return Err(NotFacts);
        }
        let facts = Self {
            rpc_address: wire.rpc_address,
            name: wire.name,
            zone: wire.zone,
            version: wire.version,
            state: match wire.state {
                0 => NodeState::Starting,
                1 => NodeState::Ready,
                _ => NodeState::Draining,
            },
            load_permille: wire.load_permille,
            disk_free_bytes: wire.disk_free_bytes,
            space: match wire.space {
                0 => SpaceMark::Enough,
                1 => SpaceMark::Low,
                _ => SpaceMark::Full,
            },
        };
        let version = FactsVersion { start: wire.start, counter: wire.counter };
        Ok((NodeId(wire.node), version, facts))
    }
}

/// The newest facts of every node. Clones share them; there is one writer, the core.
#[derive(Debug, Clone, Default)]
pub(crate) struct FactsStore {
    newest: Arc<Mutex<BTreeMap<NodeId, (FactsVersion, Facts)>>>,
    own: NodeId,
}

impl FactsStore {
    pub(crate) fn new(own: NodeId) -> Self {
        Self { newest: Arc::default(), own }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, (FactsVersion, Facts)>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest facts of a node.
    pub(crate) fn get(&self, node: NodeId) -> Option<Facts> {
        self.lock().get(&node).map(|(_, facts)| facts.clone())
    }

    /// Forgets nodes that are not known.
    pub(crate) fn retain(&self, is_known: impl Fn(NodeId) -> bool) {
        self.lock().retain(|node, _| is_known(*node));
    }
}

/// Which news replaces which.
#[derive(Debug)]
pub(crate) struct FactsKey(NodeId);

impl Invalidates for FactsKey {
    fn invalidates(&self, other: &Self) -> bool {
        // Only newer facts ever get as far as here.
        self.0 == other.0
    }
}

impl BroadcastHandler<Identity> for FactsStore {
    type Key = FactsKey;
    type Error = NotFacts;

    /// News is kept and passed on; what is not news is dropped here, or it would go round for ever.
    fn receive_item(
        &mut self,
        data: &[u8],
        sender: Option<&Identity>,
    ) -> Result<Option<FactsKey>, NotFacts> {
        let (node, version, facts) = Facts::decode(data)?;
        if node == self.own {
            // Without a sender it is our own word; from others, an echo.
            return Ok(sender.is_none().then_some(FactsKey(node)));
        }
        let mut newest = self.lock();
        let is_news = newest.get(&node).is_none_or(|(known, _)| version > *known);
        if !is_news || (newest.len() >= MEMBERS_MAX && !newest.contains_key(&node)) {
            return Ok(None);
        }
        newest.insert(node, (version, facts));
        Ok(Some(FactsKey(node)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_round_trip_and_only_news_is_passed_on() {
        let facts = Facts {
            rpc_address: "node-1.nodes:7947".into(),
            name: "ä".repeat(60),
            state: NodeState::Ready,
            load_permille: 999,
            disk_free_bytes: u64::MAX,
            space: SpaceMark::Low,
            ..Facts::default()
        };
        let node = NodeId([1; 16]);
        let version = |start, counter| FactsVersion { start, counter };
        let bytes = facts.encode(node, version(2, 7)).unwrap();
        let (of, read_version, read) = Facts::decode(&bytes).unwrap();
        assert_eq!((of, read_version), (node, version(2, 7)));
        assert!(read.name.len() <= LABEL_BYTES_MAX && facts.name.starts_with(&read.name));
        assert_eq!(Facts { name: facts.name.clone(), ..read }, facts);
        for length in 0..bytes.len() {
            assert_eq!(Facts::decode(&bytes[..length]), Err(NotFacts));
        }
        let long = Facts { rpc_address: "x".repeat(ADDRESS_BYTES_MAX + 1), ..Facts::default() };
        assert_eq!(long.encode(node, version(1, 1)), None);

        let mut store = FactsStore::new(NodeId([2; 16]));
        let mut is_news = |bytes: &[u8]| store.receive_item(bytes, None).unwrap().is_some();
        assert!(is_news(&bytes) && !is_news(&bytes));
        assert!(!is_news(&facts.encode(node, version(1, 9)).unwrap()));
        assert!(is_news(&facts.encode(node, version(3, 0)).unwrap()));
        assert!(store.get(node).is_some() && store.get(NodeId([3; 16])).is_none());
    }
}
