//! Nothing, in the place of the crate of this name.
//!
//! openraft keeps statistics of each group in some twenty histograms of that crate, which nobody
//! reads here, and cannot be built without. As soon as there is one, that crate computes its tables
//! for all sixteen widths that it knows: 29 MiB, resident in every node for as long as it runs, of
//! which one width is used. So `[patch.crates-io]` puts this here: the same names, and no counts.
//!
//! What openraft uses of it is here and no more; a version that wants more does not compile.

use std::fmt;
use std::marker::PhantomData;

/// A histogram that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()>(PhantomData<T>);

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// One that has counted nothing, and never will.
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// Takes a value.
    pub const fn record(&mut self, _: u64) {}

    /// Takes a value so many times.
    pub const fn record_n(&mut self, _: u64, _: u64) {}

    /// Those of no values.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats::default()
    }
}

/// Values below which so many of a histogram's lie; 0 without any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it: p0_1 is the 0.1th percentile")]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[not counted]")
    }
}

/// A picture of histograms that do not count.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart;

impl AsciiChart {
    /// An empty one.
    pub const fn new() -> Self {
        Self
    }

    /// With one more.
    #[must_use]
    pub fn add(self, _: &str, _: Histogram) -> Self {
        self
    }

    /// For a line of a log.
    pub fn compact(&self) -> impl fmt::Display {
        PercentileStats::default()
    }

    /// For people.
    pub fn detailed(&self) -> impl fmt::Display {
        PercentileStats::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_counted() {
        let mut histogram = Histogram::<()>::new();
        histogram.record(5);
        histogram.record_n(7, 9);
        assert_eq!(size_of_val(&histogram), 0);
        assert_eq!(histogram.percentile_stats().samples, 0);
        let chart = AsciiChart::new().add("of it", histogram);
        assert_eq!(chart.compact().to_string(), chart.detailed().to_string());
    }
}
