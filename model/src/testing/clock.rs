//! A clock that stands still until it is told to move.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::{Clock, Monotonic};
use crate::{Duration, Timestamp};

/// A clock moved by hand. The wall clock can be set apart, to make it jump.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_nanos: AtomicU64,
    monotonic_nanos: AtomicU64,
}

impl ManualClock {
    /// A clock whose wall shows `wall`.
    pub fn new(wall: Timestamp) -> Self {
        Self { wall_nanos: AtomicU64::new(wall.0), monotonic_nanos: AtomicU64::new(0) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, duration: Duration) {
        self.wall_nanos.fetch_add(duration.0, Ordering::Relaxed);
        self.monotonic_nanos.fetch_add(duration.0, Ordering::Relaxed);
    }

    /// Makes the wall clock jump.
    pub fn set_wall(&self, wall: Timestamp) {
        self.wall_nanos.store(wall.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.wall_nanos.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.monotonic_nanos.load(Ordering::Relaxed))
    }
}
