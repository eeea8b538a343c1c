//! What the coordinator is told at start.

/// Settings of the first ring epoch; the store keeps them, later differences are only logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// How many shards the trace-id space is cut into.
    pub shard_count: u32,
    /// Threads for encoding batches and threads for reading, each.
    pub pool_threads: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { shard_count: 2, pool_threads: 2 }
    }
}
