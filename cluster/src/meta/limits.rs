//! Every bound of the cluster's own state, each with its reason.

/// Nodes of a cluster that were not removed. Gossip and the planner look at all of them.
pub const NODES_MAX: usize = 1_024;

/// Removed nodes remembered, so that a removed node is told so when it comes back. Beyond, the one
/// that joined first is forgotten: its replicas stay out all the same, by their ids.
pub const NODES_REMOVED_MAX: usize = 4_096;

/// Shards of all epochs: the groups of a node share one log, and each costs heartbeats.
pub const SHARDS_MAX: usize = 4_096;

/// Shards that one command may add; with their placement they must fit a command.
pub const SHARDS_ADDED_MAX: usize = 1_024;

/// Voters that a shard is meant to have: beyond seven, every write waits for a majority of four.
pub const REPLICATION_FACTOR_MAX: u32 = 7;

/// Replicas a group is meant to have, learners included: the largest factor and two in addition.
pub const REPLICAS_MAX: usize = 9;

/// Voters of the meta group: five survive two failures, and more only make it slower.
pub const META_VOTERS_MAX: usize = 5;

/// Removed replicas whose data is not known to be gone. Moves wait when there are more.
pub const TOMBSTONES_MAX: usize = 65_536;

/// Ring epochs, one for each time that shards were added.
pub const EPOCHS_MAX: usize = 64;

/// Tenants by name.
pub const TENANTS_MAX: usize = 4_096;

/// Retention classes: blocks are kept apart by class, so there are few.
pub const RETENTION_CLASSES_MAX: usize = 16;

/// Bytes of a node's name or zone: a DNS name's length.
pub const LABEL_BYTES_MAX: usize = 253;

/// Addresses that a node announces.
pub const ADDRESSES_MAX: usize = 8;

/// Bytes of the sampling strategies.
pub const SAMPLING_BYTES_MAX: usize = 1 << 20;

/// Bytes of an encoded command: an entry of the log holds 4 MiB.
pub const COMMAND_BYTES_MAX: usize = 2 << 20;

/// Bytes of an encoded state, well above what the bounds on its parts allow in practice.
pub const SNAPSHOT_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(SAMPLING_BYTES_MAX < COMMAND_BYTES_MAX);
const _: () = assert!(REPLICATION_FACTOR_MAX as usize + 2 <= REPLICAS_MAX);
const _: () = assert!(META_VOTERS_MAX <= REPLICAS_MAX);
