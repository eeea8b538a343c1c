//! Counts of durations as numbered buckets.
//!
//! The numbers are part of the wire format and stated here once more: bucket 0 holds the duration
//! 0; bucket `8 * o + s + 1` holds those in `[2^o * (1 + s/8), 2^o * (1 + (s+1)/8))` nanoseconds.
//! The model's sketch shows its buckets through ranks only, so they are found by rank: the middle
//! of a bucket lies in it, and ranks up to [`COUNT_MAX`] are exact in a double.

use model::Duration;
use model::aggregate::DurationSketch;

use super::WireError;
use super::limits::COUNT_MAX;
use super::messages::scalar::check_count;

/// Buckets per power of two.
const STEPS: u32 = 8;

/// The numbers of the buckets that hold something, ascending, and how much each holds.
pub(crate) fn buckets(sketch: &DurationSketch) -> Result<Vec<(u32, u64)>, WireError> {
    let count = check_count("durations", sketch.count())?;
    let mut buckets = Vec::new();
    let mut seen = 0;
    while let Some(middle) = at_rank(sketch, count, seen + 1) {
        let last = last_rank(seen + 1, |rank| at_rank(sketch, count, rank) == Some(middle));
        buckets.push((number_of(middle), last - seen));
        seen = last;
    }
    Ok(buckets)
}

/// The sketch of these buckets.
pub(crate) fn sketch(
    buckets: impl IntoIterator<Item = (u32, u64)>,
) -> Result<DurationSketch, WireError> {
    let mut sketch = DurationSketch::default();
    let mut total = 0_u64;
    for (number, count) in buckets {
        total = check_count("durations", total.saturating_add(count))?;
        let unknown = || WireError::Unknown { what: "a bucket of durations", number };
        add(&mut sketch, first_of(number).ok_or_else(unknown)?, count);
    }
    Ok(sketch)
}

/// The middle of the bucket in which the duration of this rank (from 1) lies. Half a rank below
/// is asked for, so that no rounding reaches a neighbour.
fn at_rank(sketch: &DurationSketch, count: u64, rank: u64) -> Option<Duration> {
    if rank > count {
        return None;
    }
    sketch.quantile((rank as f64 - 0.5) / count as f64)
}

/// The last rank from `first` on of which `holds`, which is so of `first` and not again after the
/// first of which it is not.
fn last_rank(first: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut last, mut step) = (first, 1);
    while holds(last + step) {
        last += step;
        step *= 2;
    }
    while step > 0 {
        if holds(last + step) {
            last += step;
        }
        step /= 2;
    }
    last
}

/// Counts a duration this many times, by doubling.
fn add(sketch: &mut DurationSketch, duration: Duration, count: u64) {
    let mut doubled = DurationSketch::default();
    doubled.add(duration);
    let mut left = count;
    while left > 0 {
        if left % 2 == 1 {
            sketch.merge(&doubled);
        }
        left /= 2;
        if left > 0 {
            doubled.merge(&doubled.clone());
        }
    }
}

/// The bucket of a duration.
#[expect(clippy::cast_possible_truncation, reason = "below 8 * 64 + 1")]
fn number_of(duration: Duration) -> u32 {
    let Some(octave) = duration.0.checked_ilog2() else { return 0 };
    let above = u128::from(duration.0 - (1 << octave));
    let step = (above * u128::from(STEPS)) >> octave;
    octave * STEPS + step as u32 + 1
}

/// The least duration of a bucket; nothing if there is none, as in most steps below 8 ns.
fn first_of(number: u32) -> Option<Duration> {
    let Some(place) = number.checked_sub(1) else { return Some(Duration(0)) };
    let (octave, step) = (place / STEPS, place % STEPS);
    if octave >= u64::BITS {
        return None;
    }
    let eighths = u128::from(STEPS + step) << octave;
    let first = Duration(u64::try_from(eighths.div_ceil(u128::from(STEPS))).ok()?);
    (number_of(first) == number).then_some(first)
}

const _: () = assert!(COUNT_MAX <= 1 << 50);

#[cfg(test)]
mod tests {
    use super::*;
    use model::testing::Random;

    fn returns(sketch: &DurationSketch) {
        let found = buckets(sketch).unwrap();
        assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), sketch.count());
        assert_eq!(&super::sketch(found).unwrap(), sketch);
    }

    #[test]
    fn every_bucket_returns() {
        let mut all = DurationSketch::default();
        returns(&all);
        for octave in 0..64 {
            for step in 0..8_u64 {
                let mut one = DurationSketch::default();
                one.add(Duration((1_u64 << octave) + (step << octave >> 3)));
                returns(&one);
                all.merge(&one);
            }
        }
        all.add(Duration(0));
        all.add(Duration(u64::MAX));
        returns(&all);
    }

    #[test]
    fn counts_of_any_size_return() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut sketch = DurationSketch::default();
            for _ in 0..random.below(6) {
                let duration = Duration(1 << random.below(40));
                let magnitude = random.below(44);
                let count = random.below(1 << magnitude);
                add(&mut sketch, duration, count);
            }
            returns(&sketch);
        }
    }

    #[test]
    fn buckets_that_hold_nothing_and_counts_that_could_overflow_are_refused() {
        assert_eq!(first_of(8 + 2), None, "between 2 and 2.25 ns");
        for bucket in [513, 514, 600, u32::MAX] {
            assert!(sketch([(bucket, 1)]).is_err(), "{bucket}");
        }
        assert!(sketch([(1, COUNT_MAX), (9, 1)]).is_err());
        assert!(sketch([(1, u64::MAX), (9, u64::MAX)]).is_err());
    }
}
