//! Figures over many spans: what may be asked, and answers that merge.
//!
//! Every answer is over *distinct* spans, and merging the answers of disjoint sets of spans
//! gives the answer of their union: that is what lets shards, blocks and minutes be computed
//! apart.

use std::collections::BTreeMap;

use crate::query::{Field, SpanPredicate};
use crate::span::SpanKind;
use crate::{Duration, Text, TimeRange, Timestamp};

/// Most distinct groups or values one answer carries ([`Aggregate::cut`]); further ones are counted
/// as `other`.
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
    /// For [`AggregateKind::TopValues`]: string form to figures.
    pub values: BTreeMap<Text, Counts>,
    /// For [`AggregateKind::Red`]: group and time bin to figures.
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

/// What entries of an answer take besides their texts, about: with the nodes of the maps, of which
/// a part is empty.
const COUNTS_BYTES: u64 = 96;
const GROUP_BYTES: u64 = 640;
const RED_BYTES: u64 = 224;
const BUCKET_BYTES: u64 = 16;

impl Aggregate {
    /// Adds the answer over a disjoint set of spans. Says by how many bytes of memory this one
    /// grew, about. Nothing is cut off: what is left out depends on all there is, and not on what
    /// came first.
    pub fn merge(&mut self, other: &Self) -> u64 {
        self.spans += other.spans;
        self.errors += other.errors;
        self.traces += other.traces;
        self.other += other.other;
        let mut grown = 0;
        for (bin, counts) in &other.heatmap {
            let own = self.heatmap.entry(*bin).or_insert_with(|| {
                grown += COUNTS_BYTES;
                Counts::default()
            });
            own.add(*counts);
        }
        for (value, counts) in &other.values {
            if let Some(own) = self.values.get_mut(value) {
                own.add(*counts);
            } else {
                grown += COUNTS_BYTES + value.len() as u64;
                self.values.insert(copied(value), *counts);
            }
        }
        for (group, bins) in &other.red {
            if !self.red.contains_key(group) {
                let Group { service, operation, kind } = group;
                grown += GROUP_BYTES + (service.len() + operation.len()) as u64;
                let (service, operation) = (copied(service), copied(operation));
                self.red.insert(Group { service, operation, kind: *kind }, BTreeMap::new());
            }
            let Some(own_bins) = self.red.get_mut(group) else { continue };
            for (bin, red) in bins {
                let own = own_bins.entry(*bin).or_insert_with(|| {
                    grown += RED_BYTES;
                    Red::default()
                });
                own.counts.add(red.counts);
                let buckets_before = own.durations.buckets.len();
                own.durations.merge(&red.durations);
                grown += (own.durations.buckets.len() - buckets_before) as u64 * BUCKET_BYTES;
            }
        }
        grown
    }

    /// Keeps the [`GROUPS_MAX`] values and the groups with the most spans, of equal ones the first;
    /// the spans of the others are counted as `other`. Says whether there were others: what is
    /// merged with this answer then may lack some of a value's or a group's spans.
    ///
    /// What is kept is a function of the spans alone, wherever they lay and whenever they came. So
    /// it is the last that is done, after everything was merged and subtracted.
    pub fn cut(&mut self) -> bool {
        let others = cut_off(&mut self.values, GROUPS_MAX, |counts| counts.spans)
            + cut_off(&mut self.red, GROUPS_MAX, |bins| {
                bins.values().map(|red| red.counts.spans).sum()
            });
        self.other += others;
        others > 0
    }

    /// Keeps the so many most frequent values, ties by value; the others are counted as `other`.
    pub fn keep_values(&mut self, count: usize) {
        self.other += cut_off(&mut self.values, count, |counts| counts.spans);
    }
}

/// A text that shares no memory with the batch that it was found in.
fn copied(text: &Text) -> Text {
    Text::copy_from(text.as_bytes())
}

/// Keeps the entries with the most spans, of equal ones the first; says how many spans the others
/// have.
fn cut_off<K: Ord + Clone, V>(
    entries: &mut BTreeMap<K, V>,
    count: usize,
    spans: impl Fn(&V) -> u64,
) -> u64 {
    if entries.len() <= count {
        return 0;
    }
    let mut ranked: Vec<(u64, K)> =
        entries.iter().map(|(key, value)| (spans(value), key.clone())).collect();
    // Stable: equally frequent ones stay in their order.
    ranked.sort_by_key(|(spans, _)| std::cmp::Reverse(*spans));
    let mut others = 0;
    for (spans, key) in ranked.drain(count..) {
        entries.remove(&key);
        others += spans;
    }
    others
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
    fn the_most_frequent_remain_in_whatever_order_they_come() {
        let value = |number: usize| Text::from(format!("{number:06}"));
        let of = |number: usize, spans: u64| {
            let values = BTreeMap::from([(value(number), Counts { spans, errors: 0 })]);
            Aggregate { spans, values, ..Aggregate::default() }
        };
        let all = GROUPS_MAX + 500;
        let mut expected = None;
        for step in [1, 11, 5_003] {
            let mut answer = Aggregate::default();
            for place in 0..all {
                let number = place * step % all;
                answer.merge(&of(number, if number.is_multiple_of(21) { 5 } else { 2 }));
            }
            // Some were counted twice; of what is taken away entirely nothing may stay.
            answer.merge(&of(3, 2));
            answer.subtract(&of(3, 4));
            assert!(answer.cut());
            assert_eq!(answer.values.len(), GROUPS_MAX);
            assert_eq!(answer.values.get(&value(21 * 499)).map(|own| own.spans), Some(5));
            assert_eq!(
                answer.values.values().map(|own| own.spans).sum::<u64>() + answer.other,
                answer.spans
            );
            let before = expected.get_or_insert_with(|| answer.clone());
            assert_eq!(*before, answer);
            assert!(!answer.cut());
        }
    }

    #[test]
    fn an_answer_says_by_how_much_it_grows() {
        let mut red = Red { counts: Counts { spans: 1, errors: 0 }, ..Red::default() };
        red.durations.add(Duration(7));
        let group = Group { service: "s".into(), operation: "o".into(), kind: SpanKind(1) };
        let answer = |bins: std::ops::Range<u64>| {
            let bins = bins.map(|bin| (bin, red.clone())).collect();
            Aggregate { red: BTreeMap::from([(group.clone(), bins)]), ..Aggregate::default() }
        };
        let mut all = Aggregate::default();
        let cell = RED_BYTES + BUCKET_BYTES;
        assert_eq!(all.merge(&answer(0..5)), GROUP_BYTES + 2 + 5 * cell);
        assert_eq!(all.merge(&answer(2..9)), 4 * cell);
        assert_eq!(all.merge(&answer(0..9)), 0);
        // Other durations in a cell that is there already.
        red.durations = DurationSketch::default();
        red.durations.add(Duration(70_000));
        let other = BTreeMap::from([(group.clone(), BTreeMap::from([(0, red.clone())]))]);
        assert_eq!(all.merge(&Aggregate { red: other, ..Aggregate::default() }), BUCKET_BYTES);
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
