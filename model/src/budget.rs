//! What one read may spend. Every storage read takes a [`Budget`] and checks it at each page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::time::{Clock, Monotonic};

/// Bytes that a read may keep of what it finds, on one node and over all its shards: figures,
/// names, places in an order. What a read decodes it lets go again, piece by piece; this stays
/// until the answer is made, so that it has a bound of its own. Half a million cells of figures
/// fit.
pub const HELD_BYTES_MAX: u64 = 128 << 20;

/// Why a read stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Its deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// Its caller left.
    #[error("the caller left")]
    Cancelled,
    /// It read as many bytes as it may.
    #[error("the read exceeded its budget of {bytes_max} bytes")]
    Bytes {
        /// The budget in bytes.
        bytes_max: u64,
    },
}

/// The limits of one read, shared by all threads that work on it. Cloning shares.
#[derive(Debug, Clone)]
pub struct Budget {
    clock: Arc<dyn Clock>,
    deadline: Monotonic,
    bytes_max: u64,
    bytes_spent: Arc<AtomicU64>,
    held_bytes_max: u64,
    bytes_held: Arc<AtomicU64>,
    cancelled: Arc<AtomicBool>,
}

impl Budget {
    /// A budget that ends at `deadline` or after `bytes_max` bytes of decoded data.
    pub fn new(clock: Arc<dyn Clock>, deadline: Monotonic, bytes_max: u64) -> Self {
        Self {
            clock,
            deadline,
            bytes_max,
            bytes_spent: Arc::new(AtomicU64::new(0)),
            held_bytes_max: HELD_BYTES_MAX,
            bytes_held: Arc::new(AtomicU64::new(0)),
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The same budget of a read that may keep at most so many bytes, if that is less than
    /// [`HELD_BYTES_MAX`].
    #[must_use]
    pub fn holding_at_most(self, bytes_max: u64) -> Self {
        Self { held_bytes_max: self.held_bytes_max.min(bytes_max), ..self }
    }

    /// A part of it, for something that has to be over by `deadline`, and can be cancelled while
    /// the rest goes on. What it spends is spent of the whole.
    pub fn part(&self, deadline: Monotonic) -> Self {
        let deadline = self.deadline.min(deadline);
        Self { deadline, cancelled: Arc::default(), ..self.clone() }
    }

    /// The same for work that serves all reads after it, and that no read should pay for alone: it
    /// ends with the time, with what it keeps and when the caller leaves, but reads as much as it
    /// needs.
    #[must_use]
    pub fn unmetered(&self) -> Self {
        Self { bytes_max: u64::MAX, bytes_spent: Arc::default(), ..self.clone() }
    }

    /// Charges `bytes` and says whether the read may go on.
    pub fn spend(&self, bytes: u64) -> Result<(), Exhausted> {
        if self.is_cancelled() {
            return Err(Exhausted::Cancelled);
        }
        let spent = self.bytes_spent.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if spent > self.bytes_max {
            return Err(Exhausted::Bytes { bytes_max: self.bytes_max });
        }
        if self.clock.monotonic() > self.deadline {
            return Err(Exhausted::Deadline);
        }
        Ok(())
    }

    /// Charges `bytes` that the read keeps, and says whether it may go on. They count until
    /// [`Self::let_go`].
    pub fn hold(&self, bytes: u64) -> Result<(), Exhausted> {
        let held = self.bytes_held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if held > self.held_bytes_max {
            return Err(Exhausted::Bytes { bytes_max: self.held_bytes_max });
        }
        self.spend(bytes)
    }

    /// Bytes that were held are not kept any longer. What was spent stays spent.
    pub fn let_go(&self, bytes: u64) {
        self.bytes_held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that the read keeps now.
    pub fn bytes_held(&self) -> u64 {
        self.bytes_held.load(Ordering::Relaxed)
    }

    /// Whether the caller left.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// When the read has to be over.
    pub fn deadline(&self) -> Monotonic {
        self.deadline
    }

    /// A guard that cancels the read when it is dropped: held by whoever waits for the answer.
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(Some(Arc::clone(&self.cancelled)))
    }
}

/// Cancels a [`Budget`] when dropped.
#[derive(Debug)]
pub struct CancelOnDrop(Option<Arc<AtomicBool>>);

impl CancelOnDrop {
    /// The read ended by itself: what remains of the budget is for the next one.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancelled) = &self.0 {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn work_for_all_reads_ends_with_the_caller_and_not_with_its_bytes() {
        let clock = Arc::new(ManualClock::default());
        let budget = Budget::new(clock, Monotonic(1), 100).holding_at_most(100);
        let unmetered = budget.unmetered();
        assert_eq!(unmetered.spend(1_000), Ok(()));
        assert_eq!(budget.spend(100), Ok(()), "what others spent is not its own");
        assert_eq!(unmetered.hold(101), Err(Exhausted::Bytes { bytes_max: 100 }));
        drop(budget.cancel_on_drop());
        assert_eq!(unmetered.spend(0), Err(Exhausted::Cancelled));
    }

    #[test]
    fn what_is_kept_has_a_bound_of_its_own_over_all_that_share_a_budget() {
        let budget =
            Budget::new(Arc::new(ManualClock::default()), Monotonic(1), 1_000).holding_at_most(100);
        let other = budget.part(Monotonic(1));
        assert_eq!(budget.hold(60), Ok(()));
        assert_eq!(other.hold(60), Err(Exhausted::Bytes { bytes_max: 100 }));
        other.let_go(60);
        assert_eq!((budget.bytes_held(), other.hold(40)), (60, Ok(())));
        budget.let_go(100);
        // It is spent all the same.
        assert_eq!(budget.spend(900), Ok(()));
        assert_eq!(budget.hold(1), Err(Exhausted::Bytes { bytes_max: 1_000 }));
        let roomy = Budget::new(Arc::new(ManualClock::default()), Monotonic(1), u64::MAX);
        let spent = Exhausted::Bytes { bytes_max: HELD_BYTES_MAX };
        assert_eq!(roomy.hold(HELD_BYTES_MAX + 1), Err(spent));
    }
}
