//! How many bytes, and how old, the entries are that somebody lacks.
//!
//! Consensus counts entries, which may be blank or 4 MiB. Whether a learner is near enough to vote
//! is a matter of bytes and of time, so appends leave marks here: up to which index, how many bytes
//! in all, when. Marks close in time are one; the oldest are forgotten.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration as StdDuration;

use model::Duration;
use storage::log::LogIndex;
use tokio::time::Instant;

use super::limits::{LEDGER_MARKS_MAX, LEDGER_RESOLUTION};

/// What somebody lacks of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of entries.
    pub bytes: u64,
    /// The age of the oldest of them.
    pub age: Duration,
}

/// The marks of a log's recent appends.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    /// Ascending; each tells of the entries behind the one before it.
    recent: VecDeque<Mark>,
    /// The bytes before the first mark's entries, and where these begin.
    bytes_before: u64,
    first: u64,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    last: u64,
    /// Of all appends up to this one.
    bytes: u64,
    at: Instant,
}

impl Ledger {
    /// Entries from `first` to `last` were appended.
    pub(crate) fn note(&self, first: LogIndex, last: LogIndex, bytes: u64) {
        let now = tokio::time::Instant::now();
        let mut marks = self.lock();
        let follows =
            marks.recent.back().is_some_and(|mark| mark.last.checked_add(1) == Some(first.0));
        if !follows {
            *marks = Marks { first: first.0, ..Marks::default() };
        }
        let resolution = StdDuration::from_nanos(LEDGER_RESOLUTION.0);
        match marks.recent.back_mut() {
            Some(mark) if now.duration_since(mark.at) < resolution => {
                mark.last = last.0;
                mark.bytes += bytes;
            }
            newest => {
                let bytes = newest.map_or(0, |mark| mark.bytes) + bytes;
                marks.recent.push_back(Mark { last: last.0, bytes, at: now });
            }
        }
        if marks.recent.len() > LEDGER_MARKS_MAX
            && let Some(oldest) = marks.recent.pop_front()
        {
            marks.first = oldest.last.saturating_add(1);
            marks.bytes_before = oldest.bytes;
        }
    }

    /// What lies behind `matching`; nothing if that is longer ago than the marks reach.
    pub(crate) fn behind(&self, matching: Option<LogIndex>) -> Option<Lag> {
        let next = matching.map_or(0, |matching| matching.0.saturating_add(1));
        let marks = self.lock();
        let newest = marks.recent.back()?;
        if next < marks.first {
            return None;
        }
        let reached = marks.recent.partition_point(|mark| mark.last < next);
        let Some(oldest) = marks.recent.get(reached) else { return Some(Lag::default()) };
        let before = reached.checked_sub(1).and_then(|place| marks.recent.get(place));
        let before = before.map_or(marks.bytes_before, |mark| mark.bytes);
        let age = u64::try_from(oldest.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Some(Lag { bytes: newest.bytes.saturating_sub(before), age: Duration(age) })
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_and_ages_follow_the_marks() {
        let ledger = Ledger::default();
        assert_eq!(ledger.behind(None), None);
        for index in 5..10 {
            ledger.note(LogIndex(index), LogIndex(index), 100);
            tokio::time::sleep(StdDuration::from_secs(1)).await;
        }
        assert_eq!(ledger.behind(Some(LogIndex(3))), None);
        let lag = |bytes, secs| Some(Lag { bytes, age: Duration::from_secs(secs) });
        assert_eq!(ledger.behind(Some(LogIndex(4))), lag(500, 5));
        assert_eq!(ledger.behind(Some(LogIndex(7))), lag(200, 2));
        assert_eq!(ledger.behind(Some(LogIndex(9))), lag(0, 0));
        // Another leader's entries took the place of some.
        ledger.note(LogIndex(8), LogIndex(9), 50);
        assert_eq!(ledger.behind(Some(LogIndex(6))), None);
        assert_eq!(ledger.behind(Some(LogIndex(7))), lag(50, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_small() {
        let ledger = Ledger::default();
        for index in 0..3 * LEDGER_MARKS_MAX as u64 {
            ledger.note(LogIndex(index), LogIndex(index), 1);
            tokio::time::sleep(StdDuration::from_millis(20)).await;
        }
        assert_eq!(ledger.lock().recent.len(), LEDGER_MARKS_MAX);
        let last = 3 * LEDGER_MARKS_MAX as u64 - 1;
        assert_eq!(ledger.behind(Some(LogIndex(last - 10))).unwrap().bytes, 10);
        assert_eq!(ledger.behind(None), None);
    }
}
