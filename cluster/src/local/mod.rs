//! A shard whose only replica is on this node: proposals go straight to the node's log.

mod group;

pub use group::LocalGroup;
