//! What people set: the replication factor, retention, sampling.

use std::collections::BTreeMap;

use model::Duration;
use storage::log::LogIndex;

/// How many copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Voters that each shard is meant to have.
    pub replication_factor: u32,
    /// The last command that changed it.
    pub revision: LogIndex,
}

/// Data that is kept equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetentionClass(pub u8);

/// How long data is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// The age by class, in stamps' time. A class without one is kept.
    pub ages: BTreeMap<RetentionClass, Duration>,
    /// Most bytes of a node's disk for spans; without it the node's own default holds.
    pub disk_bytes_max: Option<u64>,
    /// The last command that changed it.
    pub revision: LogIndex,
}

/// Sampling strategies, as bytes whose meaning is the edge's affair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sampling {
    /// The strategies.
    pub content: Vec<u8>,
    /// The last command that changed them.
    pub revision: LogIndex,
}
