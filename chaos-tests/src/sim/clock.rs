//! A node's clocks: the simulation's time, and a wall clock that can jump.

use std::sync::atomic::{AtomicI64, Ordering};

use model::time::{Clock, Monotonic, Timestamp};

/// When simulations begin, by the wall: some moment that is not the start of an hour.
const EPOCH_NANOS: u64 = 1_700_000_123_000_000_000;

/// The clocks of one node. They follow the runtime's time, which is paused and jumps ahead.
#[derive(Debug)]
pub struct NodeClock {
    origin: tokio::time::Instant,
    wall_ahead_nanos: AtomicI64,
}

impl NodeClock {
    /// Clocks that go right, for a simulation that began at `origin`.
    pub fn new(origin: tokio::time::Instant) -> Self {
        Self { origin, wall_ahead_nanos: AtomicI64::new(0) }
    }

    /// Lets the wall clock be so much ahead of the truth, or behind.
    pub fn set_wall_ahead(&self, nanos: i64) {
        self.wall_ahead_nanos.store(nanos, Ordering::Relaxed);
    }

    fn since_origin(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Clock for NodeClock {
    fn wall(&self) -> Timestamp {
        let ahead = self.wall_ahead_nanos.load(Ordering::Relaxed);
        let truth = EPOCH_NANOS.saturating_add(self.since_origin());
        Timestamp(truth.saturating_add_signed(ahead))
    }

    fn monotonic(&self) -> Monotonic {
        // Nobody may take zero for "never".
        Monotonic(1_000_000_000_u64.saturating_add(self.since_origin()))
    }
}
