//! Why a node cannot take part in a cluster.

use storage::kv::KvError;

use crate::identity::ClusterId;
use crate::plan::RefusedStart;

/// Why a node's part in a cluster did not start, or a change of it did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The node's own small store failed.
    #[error("the node's store failed")]
    Store(#[from] KvError),
    /// What the node's store holds is not what was written.
    #[error("{what} in the node's store makes no sense")]
    Malformed {
        /// What.
        what: &'static str,
    },
    /// A log, a replica or a thread could not be started.
    #[error("a part of the node did not start")]
    Io(#[from] std::io::Error),
    /// A shard could not be opened.
    #[error("a shard cannot be opened")]
    Shard(#[from] storage::Error),
    /// No cluster can be founded or joined like this.
    #[error(transparent)]
    Refused(#[from] RefusedStart),
    /// The node was removed from its cluster, for ever.
    #[error("the cluster does not take this node: {reason}")]
    NotTaken {
        /// The cluster's words.
        reason: String,
    },
    /// The node speaks for another cluster already.
    #[error("this process speaks for another cluster than {cluster}")]
    OtherCluster {
        /// The cluster on its disk.
        cluster: ClusterId,
    },
    /// The cluster writes what this program does not know.
    #[error("the cluster is at version {version}, this program knows {known}")]
    Version {
        /// The cluster's.
        version: u32,
        /// The newest one known.
        known: u32,
    },
    /// A replica is not what was asked for.
    #[error("{reason}")]
    Replica {
        /// Why not.
        reason: String,
    },
}
