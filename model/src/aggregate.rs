//! Figures over many spans: what may be asked, and answers that merge.
//!
//! Every answer is over *distinct* spans, and merging the answers of disjoint sets of spans
//! gives the answer of their union: that is what lets shards, blocks and minutes be computed
//! apart.

use std::collections::BTreeMap;

use crate::query::{Field, SpanPredicate};
use crate::span::SpanKind;
use crate::{Duration, Text, TimeRange, Timestamp};

/// Most distinct groups or values one answer carries; further ones are counted as `other`.
pub const GROUPS_MAX: usize = 10_000;

/// A question for figures.
#[derive(Debug, Clone)]
pub struct AggregateQuery {
    /// Only spans that start within count.
    pub window: TimeRange,
    /// Only spans that pass count.
    pub predicate: SpanPredicate,
    /// What to count.
    pub kind: AggregateKind,
}

/// What to count.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregateKind {
    /// Spans, errors and traces.
    Totals,
    /// Spans by start (steps counted from the window's start) and duration (power-of-two
    /// buckets of nanoseconds, [`duration_bucket`]).
    Heatmap {
        /// Width of a time bin; at least one nanosecond.
        step: Duration,
    },
    /// The most frequent values of a field, by string form.
    TopValues {
        /// The field: the values under a key, or what else a span has.
        field: Field,
        /// How many values remain once all answers are merged
        /// ([`crate::query::aggregate::finish`]).
        limit: u32,
    },
    /// Rate, errors and durations by time and group.
    Red {
        /// Width of a time bin; at least one nanosecond.
        step: Duration,
        /// By what to group.
        group_by: GroupBy,
    },
}

/// How RED figures are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// By effective service.
    Service,
    /// By effective service and operation.
    Operation,
}

/// An answer to an [`AggregateQuery`]; merge answers of disjoint sets with [`Self::merge`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aggregate {
    /// Spans that counted.
    pub spans: u64,
    /// Of these, spans with status error.
    pub errors: u64,
    /// Traces with at least one span that counted. Adds up because a trace is in one shard.
    pub traces: u64,
    /// For [`AggregateKind::Heatmap`]: (time bin, duration bucket) to figures.
    pub heatmap: BTreeMap<(u64, u8), Counts>,
    /// For [`AggregateKind::TopValues`]: string form to figures, at most [`GROUPS_MAX`].
    pub values: BTreeMap<Text, Counts>,
    /// For [`AggregateKind::Red`]: group and time bin to figures, at most [`GROUPS_MAX`] groups.
    pub red: BTreeMap<Group, BTreeMap<u64, Red>>,
    /// Spans whose value or group did not fit.
    pub other: u64,
}

/// A group of RED figures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// Effective service.
    pub service: Text,
    /// Effective operation; empty when grouped by service.
    pub operation: Text,
    /// The spans' kind.
    pub kind: SpanKind,
}

/// Spans and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Spans.
    pub spans: u64,
    /// Of these, spans with status error.
    pub errors: u64,
}

/// Rate, errors, durations of a group in a time bin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Red {
    /// How many spans and errors.
    pub counts: Counts,
    /// Their durations.
    pub durations: crate::aggregate::DurationSketch,
}

/// Buckets per power of two: relative error of a quantile at most 1/16.
const BUCKETS_PER_OCTAVE: u32 = 8;

/// Counts of durations in exponential buckets; adds and subtracts exactly.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DurationSketch {
    buckets: BTreeMap<u16, u64>,
}

impl DurationSketch {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        *self.buckets.entry(Self::bucket_of(duration)).or_default() += 1;
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }

    /// Counts so many durations of one bucket.
    pub fn add_bucket(&mut self, bucket: u16, count: u64) {
        *self.buckets.entry(bucket).or_default() += count;
    }

    /// The buckets in use, ascending, with how many durations each counts.
    pub fn buckets(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.buckets.iter().map(|(bucket, count)| (*bucket, *count))
    }

    /// Takes away counts that were added before.
    pub fn subtract(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            if let Some(own) = self.buckets.get_mut(bucket) {
                *own = own.saturating_sub(*count);
                if *own == 0 {
                    self.buckets.remove(bucket);
                }
            }
        }
    }

    /// The heatmap's bucket ([`duration_bucket`]) of the durations of a bucket.
    #[expect(clippy::cast_possible_truncation, reason = "at most 64 octaves")]
    pub fn octave_of_bucket(bucket: u16) -> u8 {
        let place = u32::from(bucket).checked_sub(1);
        place.map_or(0, |place| (place / BUCKETS_PER_OCTAVE) as u8 + 1)
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// The duration below which the share `quantile` (0 to 1) of the counted ones lies, to the
    /// middle of a bucket; nothing if nothing was counted.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among at most 2^53 durations"
    )]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let count = self.count();
        let rank = (quantile.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, bucket_count)| {
            seen += bucket_count;
            (seen >= rank).then(|| Self::middle_of(*bucket))
        })
    }

    /// Bucket 0 holds 0; the others hold `[2^o * (1 + s/8), 2^o * (1 + (s+1)/8))`.
    #[expect(clippy::cast_possible_truncation, reason = "at most 64 * 8 buckets")]
    pub fn bucket_of(duration: Duration) -> u16 {
        let nanos = duration.0;
        if nanos == 0 {
            return 0;
        }
        let octave = nanos.ilog2();
        let fraction = u128::from(nanos - (1 << octave)) * u128::from(BUCKETS_PER_OCTAVE);
        let step = (fraction >> octave) as u32;
        (octave * BUCKETS_PER_OCTAVE + step + 1) as u16
    }

    fn middle_of(bucket: u16) -> Duration {
        let Some(place) = u32::from(bucket).checked_sub(1) else { return Duration(0) };
        let (octave, step) = (place / BUCKETS_PER_OCTAVE, place % BUCKETS_PER_OCTAVE);
        let twice_steps = u128::from(2 * BUCKETS_PER_OCTAVE);
        let middle = (twice_steps + u128::from(2 * step + 1)) << octave;
        Duration(u64::try_from(middle / twice_steps).unwrap_or(u64::MAX))
    }
}

/// The heatmap's duration bucket: 0 for zero, otherwise one more than the power of two below.
#[expect(clippy::cast_possible_truncation, reason = "at most 64")]
pub fn duration_bucket(duration: Duration) -> u8 {
    duration.0.checked_ilog2().map_or(0, |octave| octave as u8 + 1)
}

impl Aggregate {
    /// Adds the answer over a disjoint set of spans.
    pub fn merge(&mut self, other: &Self) {
        self.spans += other.spans;
        self.errors += other.errors;
        self.traces += other.traces;
        self.other += other.other;
        for (bin, counts) in &other.heatmap {
            self.heatmap.entry(*bin).or_default().add(*counts);
        }
        for (value, counts) in &other.values {
            if self.values.len() < GROUPS_MAX || self.values.contains_key(value) {
                self.values.entry(value.clone()).or_default().add(*counts);
            } else {
                self.other += counts.spans;
            }
        }
        for (group, bins) in &other.red {
            if self.red.len() >= GROUPS_MAX && !self.red.contains_key(group) {
                self.other += bins.values().map(|red| red.counts.spans).sum::<u64>();
                continue;
            }
            let own_bins = self.red.entry(group.clone()).or_default();
            for (bin, red) in bins {
                let own = own_bins.entry(*bin).or_default();
                own.counts.add(red.counts);
                own.durations.merge(&red.durations);
            }
        }
    }
}

impl Aggregate {
    /// Takes away the answer over spans that were added before. What is left of nothing goes, as
    /// if it had never been counted.
    pub fn subtract(&mut self, other: &Self) {
        self.spans = self.spans.saturating_sub(other.spans);
        self.errors = self.errors.saturating_sub(other.errors);
        self.traces = self.traces.saturating_sub(other.traces);
        self.other = self.other.saturating_sub(other.other);
        for (bin, counts) in &other.heatmap {
            subtract_from(&mut self.heatmap, bin, *counts);
        }
        for (value, counts) in &other.values {
            subtract_from(&mut self.values, value, *counts);
        }
        for (group, bins) in &other.red {
            let Some(own_bins) = self.red.get_mut(group) else { continue };
            for (bin, red) in bins {
                let Some(own) = own_bins.get_mut(bin) else { continue };
                own.counts.subtract(red.counts);
                own.durations.subtract(&red.durations);
                if own.counts.spans == 0 {
                    own_bins.remove(bin);
                }
            }
            if own_bins.is_empty() {
                self.red.remove(group);
            }
        }
    }
}

fn subtract_from<K: Ord>(cells: &mut BTreeMap<K, Counts>, key: &K, counts: Counts) {
    let Some(own) = cells.get_mut(key) else { return };
    own.subtract(counts);
    if own.spans == 0 {
        cells.remove(key);
    }
}

impl Counts {
    /// Adds the figures of a disjoint set.
    pub fn add(&mut self, other: Self) {
        self.spans += other.spans;
        self.errors += other.errors;
    }

    /// Takes away figures that were added before.
    pub fn subtract(&mut self, other: Self) {
        self.spans = self.spans.saturating_sub(other.spans);
        self.errors = self.errors.saturating_sub(other.errors);
    }
}

/// Calls from one service to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DependencyEdge {
    /// The caller's effective service.
    pub parent: Text,
    /// The callee's effective service; may be the caller's own.
    pub child: Text,
    /// Distinct child spans whose parent span lies in the same trace.
    pub calls: u64,
    /// Of these, child spans with status error.
    pub errors: u64,
}

/// The time bin of `start` in steps of `step` from `origin`.
pub fn time_bin(start: Timestamp, origin: Timestamp, step: Duration) -> u64 {
    start.since(origin).0 / step.0.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_sixteenth() {
        for nanos in [1, 7, 1_000, 123_456_789, u64::MAX] {
            let mut sketch = DurationSketch::default();
            sketch.add(Duration(nanos));
            let found = sketch.quantile(0.5).map(|found| found.0 as f64).unwrap();
            assert!((found / nanos as f64 - 1.0).abs() <= 1.0 / 16.0 + 1e-9, "{nanos} {found}");
        }
        assert_eq!(DurationSketch::default().quantile(0.5), None);
    }

    #[test]
    fn buckets_of_sketches_lie_in_those_of_heatmaps() {
        let around = (0..64).flat_map(|octave| [(1_u64 << octave) - 1, 1 << octave, 3 << octave]);
        for nanos in around.chain([u64::MAX]) {
            let bucket = DurationSketch::bucket_of(Duration(nanos));
            let octave = DurationSketch::octave_of_bucket(bucket);
            assert_eq!(octave, duration_bucket(Duration(nanos)), "{nanos}");
        }
    }
}
