//! Stretches a trace and moves it, so that no duration and no gap of another pass is repeated.
//!
//! All times of a trace stretch by one factor from its start (a child stays in its parent), and
//! the trace starts early enough that nothing ends later than it did. Zero stays zero, and what was
//! a whole number of microseconds is one again: clocks have a granularity, and encodings profit
//! from it.

use super::Random;
use crate::recording::{Recording, TraceFacts, granularity};

/// Factors are from [`FACTOR_MIN`] to [`FACTOR_MAX`] parts of [`FACTOR_ONE`]: as much shorter as
/// longer, or the durations' digits would become fewer or more.
const FACTOR_ONE: u64 = 3 << 20;
const FACTOR_MIN: u64 = FACTOR_ONE / 4 * 3;
const FACTOR_MAX: u64 = FACTOR_ONE / 3 * 4;

/// How far a trace moves at most, in mean gaps between traces.
const MOVE_GAPS_MAX: u64 = 4;

/// How the times of one trace change.
#[derive(Debug, Clone, Copy)]
pub struct TraceTimes {
    recorded_start: u64,
    start: u64,
    factor: u64,
}

impl TraceTimes {
    /// As recorded.
    pub fn unchanged(trace: &TraceFacts) -> Self {
        let start = trace.first_start;
        Self { recorded_start: start, start, factor: FACTOR_ONE }
    }

    /// Drawn for a trace of the recording under a seed that differs from pass to pass.
    pub fn drawn(recording: &Recording, trace: &TraceFacts, trace_id: &[u8], seed: u64) -> Self {
        let mut random = Random::of(seed, trace_id);
        let window = recording.last_end().saturating_sub(recording.first_start());
        let gap = window / (recording.traces().len() as u64).max(1);
        let factor = FACTOR_MIN + random.below(FACTOR_MAX - FACTOR_MIN);
        let duration = trace.last_end.saturating_sub(trace.first_start);
        let longer = scaled(duration, factor).saturating_sub(duration);
        let moved = random.below(gap.saturating_mul(MOVE_GAPS_MAX).saturating_add(1));
        let earlier = longer.saturating_add(moved).div_ceil(trace.granularity.max(1));
        let earlier = earlier.saturating_mul(trace.granularity);
        let start = trace.first_start.saturating_sub(earlier);
        Self { recorded_start: trace.first_start, start, factor }
    }

    /// The new start and end of a span.
    pub fn span(&self, start: u64, end: u64) -> (u64, u64) {
        let new_start = self.moved(start, self.recorded_start, self.start);
        (new_start, self.moved(end, start, new_start))
    }

    /// The new time of an event of a span that started at `start` and now starts at `new_start`.
    pub fn event(&self, time: u64, start: u64, new_start: u64) -> u64 {
        if time == 0 { 0 } else { self.moved(time, start, new_start) }
    }

    /// `time` as far from `new_origin` as the factor makes of its distance from `origin`.
    fn moved(&self, time: u64, origin: u64, new_origin: u64) -> u64 {
        if time >= origin {
            new_origin.saturating_add(self.stretched(time - origin))
        } else {
            new_origin.saturating_sub(self.stretched(origin - time))
        }
    }

    fn stretched(&self, distance: u64) -> u64 {
        if self.factor == FACTOR_ONE {
            return distance;
        }
        let unit = granularity(distance);
        let stretched = scaled(distance, self.factor);
        // Something that took time still takes time.
        (stretched - stretched % unit).max(unit.min(distance))
    }
}

fn scaled(distance: u64, factor: u64) -> u64 {
    let exact = u128::from(distance) * u128::from(factor) / u128::from(FACTOR_ONE);
    u64::try_from(exact).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: TraceFacts =
        TraceFacts { first_start: 1_000_000, last_end: 1_009_000, granularity: 1000, spans: 3 };

    fn halved() -> TraceTimes {
        TraceTimes { recorded_start: 1_000_000, start: 500_000, factor: FACTOR_ONE / 2 }
    }

    #[test]
    fn granularity_and_zero_stay() {
        let times = halved();
        assert_eq!(times.span(1_000_000, 1_007_000), (500_000, 503_000));
        assert_eq!(times.span(1_004_000, 1_004_000), (502_000, 502_000));
        assert_eq!(times.span(1_004_000, 1_004_001), (502_000, 502_001));
        assert_eq!(times.event(0, 1_004_000, 502_000), 0);
        assert_eq!(times.event(1_003_000, 1_004_000, 502_000), 501_000);
    }

    #[test]
    fn unchanged_is_unchanged() {
        assert_eq!(TraceTimes::unchanged(&TRACE).span(1_234_567, u64::MAX), (1_234_567, u64::MAX));
    }

    #[test]
    fn nothing_ends_later() {
        let recording = Recording::default();
        for seed in 0..100 {
            let times = TraceTimes::drawn(&recording, &TRACE, b"trace", seed);
            let (start, end) = times.span(1_001_000, 1_009_000);
            assert!(end <= 1_009_000 && start < end, "seed {seed}");
        }
    }
}
