//! How many spans a node has taken in, how many queries it has answered and how long the last ones
//! took, for people who look at the cluster. What monitoring wants is in the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::Duration;

/// So many of the last queries are remembered: enough for a hundredth of them to be some.
const REMEMBERED_MAX: usize = 1_024;

/// Counts what a node has done since it started.
#[derive(Debug, Default)]
pub struct Meter {
    spans_taken: AtomicU64,
    answered: AtomicU64,
    /// A ring: the place of the next one is the count of those before.
    last: Mutex<Vec<Duration>>,
}

impl Meter {
    /// Spans were acknowledged.
    pub(crate) fn note_spans(&self, spans: u64) {
        self.spans_taken.fetch_add(spans, Ordering::Relaxed);
    }

    /// How many spans were acknowledged to those who sent them here.
    pub fn spans_taken(&self) -> u64 {
        self.spans_taken.load(Ordering::Relaxed)
    }

    /// A query was answered.
    pub(crate) fn note_query(&self, took: Duration) {
        let before = self.answered.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(before % REMEMBERED_MAX as u64).unwrap_or(0);
        match last.get_mut(place) {
            Some(old) => *old = took,
            None => last.push(took),
        }
    }

    /// How many queries were answered.
    pub fn queries_answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How long all but the slowest hundredth of the last queries took; nothing before the first.
    pub fn query_p99(&self) -> Option<Duration> {
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
        let meter = Meter::default();
        assert_eq!((meter.queries_answered(), meter.query_p99()), (0, None));
        meter.note_query(Duration(7));
        assert_eq!(meter.query_p99(), Some(Duration(7)));
        for took in 0..99 {
            meter.note_query(Duration(took));
        }
        assert_eq!((meter.queries_answered(), meter.query_p99()), (100, Some(Duration(97))));
        for _ in 0..REMEMBERED_MAX {
            meter.note_query(Duration(5));
        }
        assert_eq!(meter.query_p99(), Some(Duration(5)), "what was long ago is forgotten");
    }
}
