//! What this node knows of the other members' wall clocks, and what follows for log time.
//!
//! No clock is trusted alone. A shard's stamps follow the median of its voters' clocks, so that
//! one clock that is wrong moves them neither ahead nor back; and what is past its retention goes
//! when every clock of some majority says so (RET-1).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::time::Monotonic;
use model::{NodeId, Timestamp};
use storage::mutant::{self, Mutant};

use super::limits::CLOCK_FRESH;

/// What members last said of their clocks.
#[derive(Debug, Default)]
pub(crate) struct PeerClocks {
    readings: Mutex<BTreeMap<NodeId, Reading>>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Timestamp,
    /// When it arrived, by this node's monotonic clock.
    at: Monotonic,
}

impl PeerClocks {
    /// Notes what a member's clock says.
    pub(crate) fn note(&self, node: NodeId, wall: Timestamp, at: Monotonic) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.insert(node, Reading { wall, at });
        readings.retain(|_, reading| at.since(reading.at) <= CLOCK_FRESH);
    }

    /// By how many nanoseconds a node's clock is ahead of this one's, negative if it is behind, as
    /// far as known; less the way of a message.
    pub(crate) fn ahead(&self, node: NodeId, own: Timestamp, now: Monotonic) -> Option<i64> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = readings.get(&node)?;
        let age = now.since(reading.at);
        let wall = (age <= CLOCK_FRESH).then(|| reading.wall.saturating_add(age))?;
        i64::try_from(i128::from(wall.0) - i128::from(own.0)).ok()
    }

    /// What the clocks of these nodes show now, as far as known, ascending. The node itself is
    /// among them with its own.
    pub(crate) fn walls(
        &self,
        nodes: impl IntoIterator<Item = NodeId>,
        own: (NodeId, Timestamp),
        now: Monotonic,
    ) -> Vec<Timestamp> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = |node: NodeId| {
            if node == own.0 {
                return Some(own.1);
            }
            let reading = readings.get(&node)?;
            let age = now.since(reading.at);
            (age <= CLOCK_FRESH).then(|| reading.wall.saturating_add(age))
        };
        let mut walls: Vec<Timestamp> = nodes.into_iter().filter_map(wall).collect();
        walls.sort_unstable();
        walls
    }
}

/// The median; of two in the middle the earlier, because time that ran ahead cannot be taken back.
pub(crate) fn median(ascending: &[Timestamp]) -> Option<Timestamp> {
    ascending.get(ascending.len().checked_sub(1)? / 2).copied()
}

/// The next stamp of a shard with so many voters. Until a majority's clocks are known, as right
/// after a start, log time stands still rather than follow one clock, for it never comes back; a
/// shard without any time yet has no other.
pub(crate) fn log_time(
    ascending: &[Timestamp],
    voters: usize,
    last: Timestamp,
    own: Timestamp,
) -> Timestamp {
    if ascending.len() > voters / 2 {
        return median(ascending).unwrap_or(own).max(last);
    }
    if last.0 > 0 { last } else { own }
}

/// The latest time that every clock of some majority of `voters` has reached; none if fewer are
/// known.
pub(crate) fn reached_by_majority(ascending: &[Timestamp], voters: usize) -> Option<Timestamp> {
    let majority = if mutant::is(Mutant::FastClockDrops) { 1 } else { voters / 2 + 1 };
    ascending.get(ascending.len().checked_sub(majority)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([1; 16]);
    const OTHER: NodeId = NodeId([2; 16]);
    const THIRD: NodeId = NodeId([3; 16]);

    fn seconds(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    #[test]
    fn a_clock_that_is_wrong_moves_nothing() {
        let at = |own: u64, other: u64, third: u64| {
            let mut walls = [own, other, third].map(Timestamp);
            walls.sort_unstable();
            (median(&walls), reached_by_majority(&walls, 3))
        };
        for wrong in [0, u64::MAX] {
            for (median, reached) in [at(wrong, 100, 101), at(100, wrong, 101), at(101, 100, wrong)]
            {
                for time in [median, reached].map(Option::unwrap) {
                    assert!((100..=101).contains(&time.0), "{wrong}: {time:?}");
                }
            }
        }
    }

    #[test]
    fn with_few_clocks_known_time_is_the_earlier_and_nothing_is_past() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[Timestamp(5), Timestamp(9)]), Some(Timestamp(5)));
        assert_eq!(reached_by_majority(&[Timestamp(9)], 3), None);
        assert_eq!(reached_by_majority(&[Timestamp(5), Timestamp(9)], 3), Some(Timestamp(5)));
        assert_eq!(reached_by_majority(&[Timestamp(9)], 1), Some(Timestamp(9)));
    }

    #[test]
    fn log_time_stands_still_until_a_majority_is_known() {
        let fast = Timestamp(1_000);
        assert_eq!(log_time(&[fast], 3, Timestamp(7), fast), Timestamp(7));
        assert_eq!(log_time(&[Timestamp(9), fast], 3, Timestamp(7), fast), Timestamp(9));
        assert_eq!(log_time(&[fast], 1, Timestamp(7), fast), fast);
        assert_eq!(log_time(&[fast], 3, Timestamp(0), fast), fast, "there is no time yet");
    }

    #[test]
    fn readings_go_on_and_grow_old() {
        let clocks = PeerClocks::default();
        let ten = Monotonic(10_000_000_000);
        clocks.note(OTHER, seconds(500), ten);
        let walls = |now| clocks.walls([OWN, OTHER, THIRD], (OWN, seconds(7)), Monotonic(now));
        assert_eq!(walls(ten.0), [seconds(7), seconds(500)]);
        assert_eq!(walls(ten.0 + 2_000_000_000), [seconds(7), seconds(502)]);
        assert_eq!(walls(ten.0 + CLOCK_FRESH.0 + 1), [seconds(7)]);
        let ahead = |own, now| clocks.ahead(OTHER, seconds(own), Monotonic(now));
        assert_eq!(ahead(499, ten.0), Some(1_000_000_000));
        assert_eq!(ahead(504, ten.0 + 2_000_000_000), Some(-2_000_000_000));
        assert_eq!(ahead(499, ten.0 + CLOCK_FRESH.0 + 1), None);
        assert_eq!(clocks.ahead(THIRD, seconds(7), ten), None);
    }
}
