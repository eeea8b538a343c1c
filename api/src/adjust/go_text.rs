//! Durations and times as Go prints them, for warnings whose wording clients know.

use std::fmt::Write as _;

use model::Timestamp;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// A duration as Go's `Duration.String` prints it: `1h15m30.918s`, `2.5ms`, `3µs`, `0s`.
pub fn format_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < NANOS_PER_SECOND {
        let (unit, unit_nanos, digits) = match magnitude {
            0..1_000 => ("ns", 1, 0),
            1_000..1_000_000 => ("µs", 1_000, 3),
            _ => ("ms", 1_000_000, 6),
        };
        let fraction = fraction(magnitude % unit_nanos, digits);
        return format!("{sign}{}{fraction}{unit}", magnitude / unit_nanos);
    }
    let seconds = magnitude / NANOS_PER_SECOND;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let mut text = sign.to_owned();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{}{}s", seconds % 60, fraction(magnitude % NANOS_PER_SECOND, 9));
    text
}

/// A time as Go's `Time.String` prints it in UTC: `2024-12-13 12:37:41.5 +0000 UTC`.
pub fn format_time(time: Timestamp) -> String {
    let seconds = time.0 / NANOS_PER_SECOND;
    let (year, month, day) = civil_date(seconds / SECONDS_PER_DAY);
    let of_day = seconds % SECONDS_PER_DAY;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}{} +0000 UTC",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
        fraction(time.0 % NANOS_PER_SECOND, 9),
    )
}

/// A time as Protobuf's JSON writes it: RFC 3339 with 0, 3, 6 or 9 digits of the second.
pub fn format_rfc3339(time: Timestamp) -> String {
    let seconds = time.0 / NANOS_PER_SECOND;
    let (year, month, day) = civil_date(seconds / SECONDS_PER_DAY);
    let of_day = seconds % SECONDS_PER_DAY;
    let nanos = time.0 % NANOS_PER_SECOND;
    let fraction = match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    };
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// `.` and the fraction without trailing zeros; nothing for zero.
fn fraction(value: u64, digits: usize) -> String {
    if value == 0 {
        return String::new();
    }
    let text = format!("{value:0digits$}");
    format!(".{}", text.trim_end_matches('0'))
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Counts in
/// eras of 400 years that begin in March, so that the leap day is the last of its year.
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    const DAYS_FROM_YEAR_ZERO: u64 = 719_468;
    let days = days_since_epoch + DAYS_FROM_YEAR_ZERO;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (-999, "-999ns"),
            (1_100, "1.1µs"),
            (2_000_000, "2ms"),
            (2_200_000, "2.2ms"),
            (1_000_000_000, "1s"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
            (-5_000_000, "-5ms"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format_duration(nanos), text);
        }
    }

    #[test]
    fn times_read_as_go_prints_them() {
        for (nanos, text) in [
            (0, "1970-01-01 00:00:00 +0000 UTC"),
            (1_734_093_461_500_000_000, "2024-12-13 12:37:41.5 +0000 UTC"),
            (1_709_164_800_000_000_001, "2024-02-29 00:00:00.000000001 +0000 UTC"),
            (951_868_799_999_999_999, "2000-02-29 23:59:59.999999999 +0000 UTC"),
            (4_107_542_400_000_000_000, "2100-03-01 00:00:00 +0000 UTC"),
        ] {
            assert_eq!(format_time(Timestamp(nanos)), text);
        }
    }
}
