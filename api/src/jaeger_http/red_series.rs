//! Rates, errors and durations as series of points: what the Monitor tab draws.
//!
//! Pure. Figures come in bins; a point at a moment is over the bins of the window before it, as
//! Prometheus computes `rate(...[window])`. Windows overlap, and sketches of durations cannot be
//! subtracted cheaply, so they are kept in two stacks: every bin is merged a bounded number of
//! times, however long the window is.

use std::collections::BTreeMap;

use model::aggregate::{Aggregate, DurationSketch, Red};
use model::{Duration, Text, Timestamp};

/// When the points are, and over which bins. Bin 0 begins one window before the first point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// The first moment.
    pub(super) start: Timestamp,
    /// Nanoseconds from one moment to the next.
    pub(super) step_nanos: u64,
    /// How many moments.
    pub(super) points: u64,
    /// Width of a bin.
    pub(super) bin_nanos: u64,
    /// How many bins a window has.
    pub(super) window_bins: u64,
}

impl Grid {
    /// How long a window is.
    pub(super) fn window(&self) -> Duration {
        Duration(self.window_bins.saturating_mul(self.bin_nanos))
    }
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Figure {
    /// The duration below which this share of the calls lies, in milliseconds.
    Latency(f64),
    /// Calls a second.
    Calls,
    /// The share of the calls that failed.
    Errors,
}

/// A series: its service and operation (empty if not grouped by it), and its points.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// The service.
    pub(super) service: Text,
    /// The operation.
    pub(super) operation: Text,
    /// A value a moment; `NaN` where there is nothing to divide by.
    pub(super) values: Vec<f64>,
}

/// The series of every group, in order of their names.
pub(super) fn series(aggregate: &Aggregate, grid: Grid, figure: Figure) -> Vec<Series> {
    let mut groups: BTreeMap<(&Text, &Text), BTreeMap<u64, Red>> = BTreeMap::new();
    for (group, bins) in &aggregate.red {
        // Kinds were chosen before and are not told apart any more.
        let merged = groups.entry((&group.service, &group.operation)).or_default();
        for (bin, red) in bins {
            add(merged.entry(*bin).or_default(), red);
        }
    }
    let groups = groups.into_iter();
    groups
        .map(|((service, operation), bins)| Series {
            service: service.clone(),
            operation: operation.clone(),
            values: values(&bins, grid, figure),
        })
        .collect()
}

fn add(own: &mut Red, other: &Red) {
    own.counts.add(other.counts);
    own.durations.merge(&other.durations);
}

fn values(bins: &BTreeMap<u64, Red>, grid: Grid, figure: Figure) -> Vec<f64> {
    let bins_a_step = grid.step_nanos / grid.bin_nanos.max(1);
    let mut window = Window::default();
    let mut entered = bins.iter().peekable();
    (0..grid.points)
        .map(|point| {
            let first = point.saturating_mul(bins_a_step);
            let behind = first.saturating_add(grid.window_bins);
            while let Some((bin, red)) = entered.next_if(|(bin, _)| **bin < behind) {
                window.push(*bin, red);
            }
            window.drop_before(first);
            value(&window.total(), grid, figure)
        })
        .collect()
}

fn value(red: &Red, grid: Grid, figure: Figure) -> f64 {
    let calls = red.counts.spans as f64;
    match figure {
        Figure::Calls => {
            let window_seconds = grid.window().0 as f64 / 1e9;
            calls / window_seconds
        }
        Figure::Errors if red.counts.spans == 0 => f64::NAN,
        Figure::Errors => red.counts.errors as f64 / calls,
        Figure::Latency(quantile) => {
            red.durations.quantile(quantile).map_or(f64::NAN, |duration| duration.0 as f64 / 1e6)
        }
    }
}

/// Bins that enter at one end and leave at the other, and their sum.
#[derive(Debug, Default)]
struct Window {
    /// The older bins, oldest last, each with the sum of itself and the younger ones here.
    older: Vec<(u64, Red)>,
    /// The younger bins, oldest first.
    younger: Vec<(u64, Red)>,
    younger_total: Red,
}

impl Window {
    fn push(&mut self, bin: u64, red: &Red) {
        add(&mut self.younger_total, red);
        self.younger.push((bin, red.clone()));
    }

    fn drop_before(&mut self, first: u64) {
        while self.older.pop_if(|(bin, _)| *bin < first).is_some() {}
        let is_stale = self.younger.first().is_some_and(|(bin, _)| *bin < first);
        if self.older.is_empty() && is_stale {
            let mut sum = Red::default();
            for (bin, red) in std::mem::take(&mut self.younger).into_iter().rev() {
                add(&mut sum, &red);
                self.older.push((bin, sum.clone()));
            }
            self.younger_total = Red { durations: DurationSketch::default(), ..Red::default() };
            while self.older.pop_if(|(bin, _)| *bin < first).is_some() {}
        }
    }

    fn total(&self) -> Red {
        let mut total = self.younger_total.clone();
        if let Some((_, older)) = self.older.last() {
            add(&mut total, older);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use model::testing::Random;

    use super::*;

    #[test]
    fn a_sliding_window_equals_the_sum_over_its_bins() {
        let seed = 7;
        let mut random = Random::new(seed);
        for _ in 0..50 {
            let mut bins: BTreeMap<u64, Red> = BTreeMap::new();
            for _ in 0..random.below(60) {
                let red = bins.entry(random.below(80)).or_default();
                red.counts.spans += 1;
                red.counts.errors += random.below(2);
                red.durations.add(Duration(random.below(1_000_000)));
            }
            let grid = Grid {
                start: Timestamp(0),
                step_nanos: 1 + random.below(4),
                points: 20,
                bin_nanos: 1,
                window_bins: 1 + random.below(20),
            };
            let figures = [Figure::Calls, Figure::Errors, Figure::Latency(0.9)];
            for figure in figures {
                let found = values(&bins, grid, figure);
                for point in 0..grid.points {
                    let first = point * grid.step_nanos;
                    let mut sum = Red::default();
                    for (_, red) in bins.range(first..first + grid.window_bins) {
                        add(&mut sum, red);
                    }
                    let wanted = value(&sum, grid, figure);
                    let got = found[usize::try_from(point).unwrap_or_default()];
                    let same = got.to_bits() == wanted.to_bits();
                    assert!(same, "seed {seed}: {figure:?} {got} {wanted}");
                }
            }
        }
    }
}
