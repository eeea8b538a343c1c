//! The version of the ring, which nodes exchange and the model has no need of.

use std::fmt;

/// A version of the ring that maps trace ids to shards. The first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RingEpoch(pub u32);

impl fmt::Display for RingEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
