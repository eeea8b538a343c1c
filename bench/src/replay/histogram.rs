//! Counts durations in buckets of bounded relative width, so that quantiles of any number of
//! requests take constant memory.
//!
//! A duration in nanoseconds falls into the bucket of its highest set bit and the
//! [`PRECISION_BITS`] bits below it: an answer is less than one percent low or high.

use std::time::Duration;

const PRECISION_BITS: u32 = 7;
const BUCKETS: usize = 64 << PRECISION_BITS;

/// A distribution of durations.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Adds all of another distribution.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The duration, in milliseconds, that `percent` of all do not exceed; zero if there are none.
    pub fn percentile_milliseconds(&self, percent: u64) -> f64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(bucket).min(self.max) as f64 / 1e6;
            }
        }
        0.0
    }

    /// The longest, in milliseconds.
    pub fn max_milliseconds(&self) -> f64 {
        self.max as f64 / 1e6
    }
}

fn bucket(nanos: u64) -> usize {
    let exponent = nanos.checked_ilog2().unwrap_or(0).saturating_sub(PRECISION_BITS);
    let mantissa = usize::try_from(nanos >> exponent).unwrap_or_default();
    ((exponent as usize) << PRECISION_BITS) + mantissa
}

fn upper_bound(bucket: usize) -> u64 {
    // From the second octave on, a bucket's mantissa has its highest bit set.
    let octave = (bucket >> PRECISION_BITS).saturating_sub(1);
    let mantissa = (bucket - (octave << PRECISION_BITS)) as u64;
    ((mantissa + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_their_durations_within_a_percent() {
        for nanos in [0, 1, 127, 128, 129, 255, 256, 1_000, 123_456, 987_654_321, 1 << 50] {
            let bound = upper_bound(bucket(nanos));
            assert!(bound >= nanos && bound - nanos <= nanos / 100 + 1, "{nanos} {bound}");
        }
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|milliseconds| histogram.add(Duration::from_millis(milliseconds)));
        let near = |percent, wanted: f64| {
            (histogram.percentile_milliseconds(percent) - wanted).abs() <= wanted / 100.0
        };
        assert!(near(50, 50.0) && near(99, 99.0) && near(100, 100.0));
        assert_eq!(histogram.count(), 100);
        assert!(Histogram::default().percentile_milliseconds(50) < 0.001);
    }
}
