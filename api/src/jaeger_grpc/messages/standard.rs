//! `google.protobuf.Timestamp` and `Duration`, and what they mean to the model.

use model::time::Timestamp as Moment;
use prost::Message;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// `google.protobuf.Timestamp`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Timestamp {
    /// Seconds since the epoch.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds of the second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// `google.protobuf.Duration`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds beyond.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The moment; before the epoch it is the epoch.
    pub fn moment(self) -> Moment {
        let nanos = i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos);
        Moment(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        let (seconds, nanos) = split(moment.0);
        Self { seconds, nanos }
    }
}

impl From<model::Duration> for Duration {
    fn from(duration: model::Duration) -> Self {
        let (seconds, nanos) = split(duration.0);
        Self { seconds, nanos }
    }
}

/// Whole seconds and the nanoseconds beyond.
fn split(nanos: u64) -> (i64, i32) {
    let seconds = nanos / 1_000_000_000;
    let rest = nanos % 1_000_000_000;
    (i64::try_from(seconds).unwrap_or(i64::MAX), i32::try_from(rest).unwrap_or(0))
}

impl Duration {
    /// Nanoseconds, as far as they fit.
    pub fn nanos_total(self) -> i64 {
        let nanos = i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_within_what_the_model_can_say() {
        let moment = Moment(1_734_091_200_000_000_007);
        assert_eq!(Timestamp::from(moment).moment(), moment);
        assert_eq!(Timestamp { seconds: -1, nanos: 5 }.moment(), Moment(0));
        assert_eq!(Timestamp { seconds: i64::MAX, nanos: 0 }.moment(), Moment(u64::MAX));
        assert_eq!(Duration { seconds: 1, nanos: 500_000_000 }.nanos_total(), 1_500_000_000);
        assert_eq!(Duration { seconds: i64::MIN, nanos: -1 }.nanos_total(), i64::MIN);
    }
}
