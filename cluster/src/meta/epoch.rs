//! Versions of the trace-id ring.

use std::fmt;

use model::Timestamp;

/// The number of a ring epoch; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EpochId(pub u32);

impl EpochId {
    /// The epoch that a cluster starts with.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for EpochId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How far an epoch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EpochState {
    /// Its new shards are being formed; everybody routes by the one before.
    Preparing,
    /// Shards of the epochs before are told, one by one, to refuse batches routed by those.
    Fencing,
    /// Routed by, unless a later one is active.
    Active,
}

/// One version of the ring: shards `0..shard_count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Its number.
    pub id: EpochId,
    /// Shards on its ring, those of earlier epochs included.
    pub shard_count: u32,
    /// How far it has come.
    pub state: EpochState,
    /// When the shards before it began to be fenced, by the median of the members' clocks; zero if
    /// that has not begun, and of the first epoch. Traces of between then and `activated_at` lie in
    /// two shards, and those of some time before and after.
    pub fenced_at: Timestamp,
    /// When it came into force, likewise; zero if it has not, and of the first epoch.
    pub activated_at: Timestamp,
}
