//! Who is who: clusters, nodes, lives of nodes, replicas, groups.
//!
//! A node's id is random and lies on its disk beside the id of its cluster; a name is only a label.
//! A replica of a group has an id of its own, which is Raft's node id inside that group. Were the
//! node's id used there, a node whose disk was emptied would vote again under the id of the replica
//! that had promised its vote and forgot it. An incarnation names one life of a node: how often it
//! was started, and a number drawn at that start.
//!
//! Invariants:
//! - REP-3: a replica id is handed out once, by the meta group, and never again. A replica that was
//!   removed or damaged stays out for ever, whatever its disk says;
//! - a packet of an earlier life of a node changes nothing in a later one; of two processes that
//!   claim the same life, the one seen second is refused, and the alarm goes to both;
//! - nothing here is registered anywhere: each peer judges by the highest life it has seen itself.
//!   A central register would be one more thing that must be reached before anybody may speak.
//!
//! What is absent on purpose: where ids are kept, and who draws the random ones. Everything here is
//! a value.

mod cluster;
mod incarnation;
mod replica;

pub use cluster::ClusterId;
pub use incarnation::{IncarnationTable, NODES_SEEN_MAX, Verdict};
pub use replica::{META_GROUP, ReplicaId, group_of_shard, shard_of_group};
