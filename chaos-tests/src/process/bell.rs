//! Time of a run: one clock that never goes back, and waiting that ends when the run does.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The run's clock, and the bell that ends it.
#[derive(Debug)]
pub(crate) struct Bell {
    origin: Instant,
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), rung: Mutex::new(false), changed: Condvar::new() }
    }

    /// Nanoseconds since the run began.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Ends the waiting of everybody.
    pub(crate) fn ring(&self) {
        if let Ok(mut rung) = self.rung.lock() {
            *rung = true;
        }
        self.changed.notify_all();
    }

    pub(crate) fn has_rung(&self) -> bool {
        self.rung.lock().is_ok_and(|rung| *rung)
    }

    /// Waits so long, or until the bell rings; says whether it has rung.
    pub(crate) fn wait(&self, most: Duration) -> bool {
        let Ok(rung) = self.rung.lock() else { return true };
        self.changed.wait_timeout_while(rung, most, |rung| !*rung).is_ok_and(|(rung, _)| *rung)
    }

    /// Waits until `done`, for at most so long; says whether it was.
    pub(crate) fn until(&self, most: Duration, mut done: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + most;
        loop {
            if done() {
                return true;
            }
            if Instant::now() >= end || self.wait(POLL) {
                return false;
            }
        }
    }
}

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);
