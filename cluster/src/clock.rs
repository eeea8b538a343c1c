//! The one implementation of [`model::Clock`].
#![expect(clippy::disallowed_methods, reason = "this is the clock that everyone else is handed")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::time::{Clock, Monotonic, Timestamp};

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
