//! Time as whole nanoseconds, with arithmetic that cannot panic, and the clock handed to
//! whoever needs one.
//!
//! Clients' clocks lie: any `u64` is a legal [`Timestamp`] here, and an end before its start is
//! legal too. What to show for such a span is decided at the edges.

use std::fmt;

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(pub u64);

impl Timestamp {
    /// The latest time there is.
    pub const MAX: Self = Self(u64::MAX);

    /// Whole microseconds, rounded down, as Jaeger shows times.
    pub fn micros(self) -> u64 {
        self.0 / 1_000
    }

    /// The time of this many microseconds since the epoch, or [`Timestamp::MAX`].
    pub fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// `self` moved forward, at most to [`Timestamp::MAX`].
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// `self` moved back, at most to the epoch.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.0))
    }
}

impl Duration {
    /// Whole microseconds, rounded down.
    pub fn micros(self) -> u64 {
        self.0 / 1_000
    }

    /// This many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// This many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}ns", self.0)
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}ns", self.0)
    }
}

/// A stretch of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first moment in it.
    pub start: Timestamp,
    /// The last moment in it; before `start` the range is empty.
    pub end: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start: Timestamp(0), end: Timestamp::MAX };

    /// Whether `time` lies in the range.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time <= self.end
    }

    /// Whether any moment lies in both ranges.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// A reading of a clock that never goes back; only differences mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// `self` moved forward, saturating.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.0))
    }
}

/// Where time comes from. There is one real implementation in the whole program
/// (`cluster::clock`); tests and simulations bring their own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock, which may jump in either direction.
    fn wall(&self) -> Timestamp;
    /// The monotonic clock.
    fn monotonic(&self) -> Monotonic;
}
