//! What one read may spend. Every storage read takes a [`Budget`] and checks it at each page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::time::{Clock, Monotonic};

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
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }

    /// A part of it, for something that has to be over by `deadline`, and can be cancelled while
    /// the rest goes on. What it spends is spent of the whole.
    pub fn part(&self, deadline: Monotonic) -> Self {
        let deadline = self.deadline.min(deadline);
        Self { deadline, cancelled: Arc::default(), ..self.clone() }
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
