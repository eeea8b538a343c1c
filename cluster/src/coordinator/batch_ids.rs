//! Names for batches: 128 bits that no other batch has.

use std::sync::atomic::{AtomicU64, Ordering};

use model::BatchId;
use twox_hash::XxHash3_128;

/// Makes ids from a random start and a counter.
#[derive(Debug)]
pub struct BatchIds {
    seed: [u8; 16],
    next: AtomicU64,
}

impl BatchIds {
    /// Ids that differ from those of any other `seed`, which must be random.
    pub fn new(seed: [u8; 16]) -> Self {
        Self { seed, next: AtomicU64::new(0) }
    }

    /// The next id.
    pub(crate) fn next(&self) -> BatchId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 24];
        for (place, byte) in bytes.iter_mut().zip(self.seed.into_iter().chain(number.to_le_bytes()))
        {
            *place = byte;
        }
        BatchId(XxHash3_128::oneshot(&bytes).to_be_bytes())
    }
}
