//! Whether a node that is alone may believe its wall clock that something is past its retention.
//!
//! Nothing that was dropped comes back, and a clock can jump ahead: a wrong answer of a time
//! server, a machine that was woken up, an empty battery at the start. Other nodes' clocks would
//! tell; a node alone has its monotonic clock. While the wall clock has lately jumped ahead of that
//! one nothing is dropped for its age (RET-1). What was written meanwhile is kept longer, too: that
//! is the safe side.

use std::sync::atomic::{AtomicU64, Ordering};

use model::Duration;
use model::admin::AlarmStatus;
use model::time::{Monotonic, Timestamp};

/// By how much the wall clock may get ahead of the monotonic one between two looks: a correction
/// is less, a jump that could cost an hour of data is more.
const JUMP_MAX: Duration = Duration::from_secs(60);

/// How long nothing goes after a jump: long enough that somebody sees the alarm.
const FROZEN_AFTER_JUMP: Duration = Duration::from_secs(24 * 3_600);

/// By how much the clock may be ahead of the newest stamp when the node starts. Nodes are away for
/// longer than this; then what is past goes a little later.
const AWAY_MAX: Duration = Duration::from_secs(3_600);

/// How long nothing goes after such a start: a time server has answered by then.
const FROZEN_AFTER_START: Duration = Duration::from_secs(3_600);

/// What is remembered from one look to the next. Pure.
#[derive(Debug, Default)]
pub(crate) struct ClockGuard {
    last: Option<(Timestamp, Monotonic)>,
    frozen_until: Option<Monotonic>,
    /// What the clock must show to be as before the jump.
    jumped_over: Duration,
}

impl ClockGuard {
    /// Looks at the clocks; says for how long nothing goes yet, if so. At the first look `newest`
    /// is the newest stamp there is.
    pub(crate) fn look(
        &mut self,
        wall: Timestamp,
        now: Monotonic,
        newest: Option<Timestamp>,
    ) -> Option<Duration> {
        let last = self.last.replace((wall, now));
        let ahead = if let Some((before, at)) = last {
            let expected = before.saturating_add(now.since(at));
            self.goes_back(expected.since(wall));
            let ahead = wall.since(expected);
            (ahead > JUMP_MAX).then_some((ahead, FROZEN_AFTER_JUMP))
        } else {
            let ahead = newest.map(|newest| wall.since(newest));
            ahead.filter(|ahead| *ahead > AWAY_MAX).map(|it| (it, FROZEN_AFTER_START))
        };
        if let Some((ahead, frozen)) = ahead {
            self.jumped_over = Duration(self.jumped_over.0.saturating_add(ahead.0));
            self.frozen_until = self.frozen_until.max(Some(now.plus(frozen)));
        }
        let left = self.frozen_until.map(|until| until.since(now)).filter(|left| left.0 > 0);
        if left.is_none() {
            self.frozen_until = None;
            self.jumped_over = Duration(0);
        }
        left
    }

    /// The clock is set back: once it is where it was before, all is well again.
    fn goes_back(&mut self, by: Duration) {
        self.jumped_over = Duration(self.jumped_over.0.saturating_sub(by.0));
        if by.0 > 0 && self.jumped_over <= JUMP_MAX {
            self.frozen_until = None;
        }
    }
}

/// For how long nothing goes, as those see it who show it.
#[derive(Debug, Default)]
pub struct Frozen {
    left_nanos: AtomicU64,
}

impl Frozen {
    /// For how long still; nothing if what is past goes.
    pub fn left(&self) -> Option<Duration> {
        let left = self.left_nanos.load(Ordering::Relaxed);
        (left > 0).then_some(Duration(left))
    }

    /// Notes it, and tells people when it begins and when it is over.
    pub(crate) fn note(&self, left: Option<Duration>) {
        let nanos = left.unwrap_or_default().0;
        let before = self.left_nanos.swap(nanos, Ordering::Relaxed);
        metrics::gauge!("skua_retention_frozen").set(if nanos > 0 { 1.0 } else { 0.0 });
        match (before > 0, nanos > 0) {
            (false, true) => tracing::error!(
                seconds = nanos / 1_000_000_000,
                "the wall clock is far ahead of when this node last looked or wrote: in case it is \
                 wrong, nothing is dropped for its age until it is set back or for so long"
            ),
            (true, false) => tracing::info!("what is past its retention goes again"),
            _ => {}
        }
    }
}

/// What people are told while nothing goes.
pub(crate) fn alarm(left: Duration) -> AlarmStatus {
    AlarmStatus {
        kind: "retention-frozen".to_owned(),
        text: format!(
            "the wall clock is far ahead of when this node last looked or wrote: in case it is \
             wrong, nothing is dropped for its age until it is set back, or for another {} minutes",
            left.0.div_ceil(60_000_000_000)
        ),
        shard: None,
        stands: Duration(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 24 * 3_600;

    /// Looks at these moments, in seconds: what the wall shows, and the monotonic clock.
    fn looks(newest: Option<u64>, moments: &[(u64, u64)]) -> Vec<bool> {
        let mut guard = ClockGuard::default();
        let newest = newest.map(|newest| Timestamp(newest * SECOND));
        let look = |(wall, now): &(u64, u64)| {
            guard.look(Timestamp(wall * SECOND), Monotonic(now * SECOND), newest).is_some()
        };
        moments.iter().map(look).collect()
    }

    #[test]
    fn a_clock_that_goes_evenly_is_believed() {
        assert_eq!(looks(None, &[(1_000, 0), (1_001, 1), (1_100, 60), (900, 61)]), [false; 4]);
        assert_eq!(looks(Some(1_000), &[(1_000 + 3_600, 0), (4_700, 60)]), [false; 2]);
    }

    #[test]
    fn nothing_goes_for_a_day_after_a_jump_unless_it_is_taken_back() {
        let jump = 8 * DAY;
        let moments = [
            (1_000, 0),
            (1_001 + jump, 1),
            (1_000 + jump + DAY, DAY),
            (1_002 + jump + DAY, DAY + 2),
        ];
        assert_eq!(looks(None, &moments), [false, true, true, false]);
        let taken_back = [(1_000, 0), (1_001 + jump, 1), (1_010, 10), (1_020, 20)];
        assert_eq!(looks(None, &taken_back), [false, true, false, false]);
        let half = [(1_000, 0), (1_001 + jump, 1), (1_010 + jump / 2, 10), (1_020, 20)];
        assert_eq!(looks(None, &half), [false, true, true, false]);
    }

    #[test]
    fn nothing_goes_for_an_hour_after_a_start_long_after_the_newest_span() {
        let moments = [(8 * DAY, 5), (8 * DAY + 3_000, 3_005), (8 * DAY + 3_601, 3_606)];
        assert_eq!(looks(Some(1_000), &moments), [true, true, false]);
        let set_right = [(8 * DAY, 5), (1_010, 15)];
        assert_eq!(looks(Some(1_000), &set_right), [true, false]);
    }
}
