//! How many queries a node has answered and how long the last ones took, for people who look at
//! the cluster. What monitoring wants is in the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::Duration;

/// So many of the last queries are remembered: enough for a hundredth of them to be some.
const REMEMBERED_MAX: usize = 1_024;

/// Counts queries.
#[derive(Debug, Default)]
pub struct QueryMeter {
    answered: AtomicU64,
    /// A ring: the place of the next one is the count of those before.
    last: Mutex<Vec<Duration>>,
}

impl QueryMeter {
    /// One was answered.
    pub(crate) fn note(&self, took: Duration) {
        let before = self.answered.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(before % REMEMBERED_MAX as u64).unwrap_or(0);
        match last.get_mut(place) {
            Some(old) => *old = took,
            None => last.push(took),
        }
    }

    /// How many were answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How long all but the slowest hundredth of the last ones took; nothing before the first.
    pub fn p99(&self) -> Option<Duration> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.sort_unstable();
        let rank = (last.len() * 99).div_ceil(100);
        last.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_hundredth_of_the_last_ones_is_left_out() {
        let meter = QueryMeter::default();
        assert_eq!((meter.answered(), meter.p99()), (0, None));
        meter.note(Duration(7));
        assert_eq!(meter.p99(), Some(Duration(7)));
        for took in 0..99 {
            meter.note(Duration(took));
        }
        assert_eq!((meter.answered(), meter.p99()), (100, Some(Duration(97))));
        for _ in 0..REMEMBERED_MAX {
            meter.note(Duration(5));
        }
        assert_eq!(meter.p99(), Some(Duration(5)), "what was long ago is forgotten");
    }
}
