//! What a node's part in a cluster is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use model::admin::{NodeFigures, ProcessStatus};
use model::{Clock, Duration, NodeId, ShardId};
use storage::env::Env;
use storage::kv::Kv;
use storage::log::{GroupId, LogEngine};
use storage::{Shard, Space};

use super::disowned::DisownedHook;
use super::door::HostDoor;
use crate::meta::NodeRecord;
use crate::plan::BootstrapConfig;
use crate::raft::{Blocking, FatalHook};
use crate::transport::{Dial, Directory, Incarnation, LocalIdentity, Transport};

/// Opens a shard over the node's log, without recovering it: its replica applies what follows the
/// seal cut. The log's records are unwrapped with [`crate::raft::unwrap`]. Blocks.
pub type OpenShard =
    Arc<dyn Fn(ShardId, GroupId) -> Result<Arc<Shard>, storage::Error> + Send + Sync>;

/// Removes the blocks of a shard and what is remembered of it: its replica was deleted. Blocks.
pub type ForgetShard = Arc<dyn Fn(ShardId) -> Result<(), storage::Error> + Send + Sync>;

/// Finds the addresses that the seeds lead to now, each with the seed that it comes from.
pub type ResolveSeeds =
    Arc<dyn Fn() -> BoxFuture<'static, Vec<(String, SocketAddr)>> + Send + Sync>;

/// Draws random bytes.
pub type RandomBytes = Arc<dyn Fn() -> [u8; 16] + Send + Sync>;

/// Tells what this process takes of its machine, if that can be known.
pub type ProcessFigures = Arc<dyn Fn() -> Option<ProcessStatus> + Send + Sync>;

/// Tells what this node does and what it keeps.
pub type TellFigures = Arc<dyn Fn() -> NodeFigures + Send + Sync>;

/// Everything that a node's part in a cluster is made of.
#[derive(Clone)]
pub struct HostParts {
    /// The node's id, on its disk before anybody hears of it.
    pub node: NodeId,
    /// This life of it; see [`super::begin_life`].
    pub incarnation: Incarnation,
    /// What it says of itself: name, addresses, zone.
    pub record: NodeRecord,
    /// How to come into a cluster.
    pub bootstrap: BootstrapConfig,
    /// The version of this program, for people.
    pub version: String,
    /// The URL of this node's pages, for people; empty if it has none.
    pub ui: String,
    /// What the process takes, for people.
    pub process: ProcessFigures,
    /// What the node does and what it keeps, for people.
    pub figures: TellFigures,
    /// Time; the same clock that reads' budgets are made with.
    pub clock: Arc<dyn Clock>,
    /// The log of all groups.
    pub log: Arc<dyn LogEngine>,
    /// The node's small store.
    pub kv: Arc<dyn Kv>,
    /// The file system and the data directory, to tell free space.
    pub disk: (Arc<dyn Env>, PathBuf),
    /// The room on that disk.
    pub space: Arc<Space>,
    /// Opens shards.
    pub open_shard: OpenShard,
    /// Removes them.
    pub forget_shard: ForgetShard,
    /// The way to nodes by their ids.
    pub transport: Arc<dyn Transport>,
    /// The way to addresses.
    pub dial: Arc<dyn Dial>,
    /// The handler that the transport was given.
    pub door: Arc<HostDoor>,
    /// Where nodes are; the directory that the transport was given.
    pub addresses: Arc<NodeAddresses>,
    /// Whom the transport speaks for; is told the cluster. None for a transport that does not care.
    pub identity: Option<Arc<LocalIdentity>>,
    /// Where to look for others.
    pub seeds: ResolveSeeds,
    /// Chance.
    pub random: RandomBytes,
    /// Where work runs that may block.
    pub blocking: Blocking,
    /// Threads for reads, and threads for encoding. None at all: where it is asked for.
    pub pool_threads: usize,
    /// Bytes of the log, the last written ones, that are kept for replicas that lag.
    pub log_kept_bytes: u64,
    /// For how long spans are kept, unless the cluster knows otherwise.
    pub retention: Duration,
    /// Is told when a replica's storage failed.
    pub fatal: FatalHook,
    /// Is told, once, when others speak with another process as this node.
    pub on_disowned: DisownedHook,
}

impl fmt::Debug for HostParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("HostParts");
        text.field("node", &self.node).field("record", &self.record).finish_non_exhaustive()
    }
}

/// Where nodes are, as they said. Clones are not needed: it is shared with the transport.
///
/// What the cluster was told stays until it is told something else; what is heard from a node is
/// of now. So the latter counts until the cluster is told of a change.
#[derive(Debug, Default)]
pub struct NodeAddresses {
    known: RwLock<BTreeMap<NodeId, Whereabouts>>,
}

#[derive(Debug, Default)]
struct Whereabouts {
    /// Where to call.
    at: String,
    /// What the cluster was told last.
    told: String,
    /// The latest life that was heard.
    start: u64,
}

impl NodeAddresses {
    /// Notes where a node was when it told the cluster.
    pub fn tell(&self, node: NodeId, address: &str) {
        self.change(node, |known| {
            if known.told != address {
                address.clone_into(&mut known.told);
                address.clone_into(&mut known.at);
            }
        });
    }

    /// Notes where a node says that it is, in the life with this count of starts. What an earlier
    /// life says, a copy of its disk perhaps, does not count.
    pub fn hear(&self, node: NodeId, start: u64, address: String) {
        self.change(node, |known| {
            if known.start <= start {
                known.start = start;
                known.at = address;
            }
        });
    }

    /// Changes what is known of a node, unless there is no room for another one.
    fn change(&self, node: NodeId, change: impl FnOnce(&mut Whereabouts)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < crate::identity::NODES_SEEN_MAX || known.contains_key(&node) {
            change(known.entry(node).or_default());
        }
    }
}

impl Directory for NodeAddresses {
    fn address(&self, node: NodeId) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&node).map(|known| known.at.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_counts_until_the_cluster_is_told_of_a_change() {
        let (addresses, node) = (NodeAddresses::default(), NodeId([1; 16]));
        let is_at = |expected: &str| assert_eq!(addresses.address(node).unwrap(), expected);
        assert_eq!(addresses.address(node), None);
        addresses.tell(node, "old");
        is_at("old");
        addresses.hear(node, 2, "new".to_owned());
        addresses.tell(node, "old");
        is_at("new");
        addresses.hear(node, 1, "a copy".to_owned());
        is_at("new");
        addresses.tell(node, "newer");
        is_at("newer");
        addresses.hear(node, 2, "new".to_owned());
        is_at("new");
    }
}
