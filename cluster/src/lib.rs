//! The coordinator: takes writes for any trace to its shard, merges reads from all shards.
//!
//! Today a cluster is one node, and a shard's replica is the [`local`] one: its proposals go
//! straight to the node's log. What a cluster of many adds stands behind the same seams: a
//! group that agrees (in the place of [`local::LocalGroup`]) and a transport between nodes.
//! The write path in front of it (builders, linger, the CPU pool, the batch) and the read path
//! behind it (fan-out, merge, completeness) are what every node of a cluster will run.
//!
//! The crate moves batch bytes and `model` types. It knows no protocol that clients speak.

pub mod clock;
pub mod config;
pub mod coordinator;
pub mod error;
pub mod gossip;
pub mod host;
pub mod identity;
pub mod limits;
pub mod local;
pub mod meta;
pub mod placement;
pub mod plan;
pub mod raft;
pub mod task;
pub mod transport;
pub mod upkeep;
pub mod wire;

pub use config::ClusterConfig;
pub use coordinator::{ClusterCoordinatorParts, Coordinator, CoordinatorParts};
pub use error::Error;
