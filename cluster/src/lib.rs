//! The coordinator: takes writes for any trace to its shard, merges reads from all shards.
//!
//! A node that is alone keeps its shards by itself ([`local`]): proposals go straight to its log.
//! A node of a cluster has a [`host`]: one Raft group a shard ([`raft`]), a group for the
//! cluster's own state ([`meta`]), pure planners of what to do next ([`plan`]), and the way to its
//! peers ([`transport`], [`gossip`], [`wire`]). The write path (builders, linger, the CPU pool, the
//! batch) and the read path (fan-out, merge, completeness) are the same in both.
//!
//! The crate moves batch bytes and `model` types. It knows no protocol that clients speak.

pub mod clock;
pub mod compaction;
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
mod pool;
pub mod raft;
pub mod task;
pub mod transport;
pub mod upkeep;
pub mod vouch;
pub mod watch;
pub mod wire;

pub use config::ClusterConfig;
pub use coordinator::{ClusterCoordinatorParts, Coordinator, CoordinatorParts};
pub use error::Error;
