//! The shards of a node that is alone: proposals go straight to the node's log.

mod group;
mod shards;

pub(crate) use group::Answer;
pub use group::LocalGroup;
pub(crate) use shards::{LocalShards, LocalShardsParts};
