//! Sizes and durations as people write them: `64 MiB`, `5s`, `1h30m`.
//!
//! A size without a unit is bytes. A duration without a unit is refused, because nobody can know
//! whether `5` means seconds or minutes; only `0` needs none. Both print in a form that reads back
//! as the same value.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a size or a duration cannot be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// There is no number where one must stand.
    #[error("a number is missing")]
    NoNumber,
    /// The number has no unit.
    #[error("a unit is missing; write one of {known}")]
    NoUnit {
        /// The units there are.
        known: &'static str,
    },
    /// The unit is not known.
    #[error("`{unit}` is not a unit; write one of {known}")]
    UnknownUnit {
        /// What stands there.
        unit: String,
        /// The units there are.
        known: &'static str,
    },
    /// The value does not fit.
    #[error("the value is too large")]
    TooLarge,
}

const SIZE_UNITS: &str = "B, KB, MB, GB, TB, KiB, MiB, GiB, TiB";
const DURATION_UNITS: &str = "ms, s, m, h, d";

/// A count of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The size rounded to three figures, for people.
    pub fn rounded(self) -> String {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if value < 1_024.0 {
                break;
            }
            value /= 1_024.0;
            unit = larger;
        }
        let decimals = usize::from(unit != "B" && value < 10.0);
        format!("{value:.decimals$} {unit}")
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, rest) = leading_number(text.trim())?;
        let unit = rest.trim();
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err(UnitError::UnknownUnit { unit: unit.to_owned(), known: SIZE_UNITS }),
        };
        number.checked_mul(factor).map(Self).ok_or(UnitError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(formatter, "{} {unit}", self.0 / factor);
            }
        }
        write!(formatter, "{} B", self.0)
    }
}

/// Reads a duration: numbers with units, added up.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total_ms = 0_u64;
    loop {
        let (number, after) = leading_number(rest)?;
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let factor_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(UnitError::NoUnit { known: DURATION_UNITS }),
            _ => {
                let unit = unit.to_owned();
                return Err(UnitError::UnknownUnit { unit, known: DURATION_UNITS });
            }
        };
        let part_ms = number.checked_mul(factor_ms).ok_or(UnitError::TooLarge)?;
        total_ms = total_ms.checked_add(part_ms).ok_or(UnitError::TooLarge)?;
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(Duration::from_millis(total_ms));
        }
    }
}

/// Prints a duration in its largest whole unit, so that it reads back as the same value.
pub fn format_duration(duration: Duration) -> String {
    let total_ms = duration.as_millis();
    for (unit, factor_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if total_ms.is_multiple_of(factor_ms) && (total_ms > 0 || unit == "s") {
            return format!("{}{unit}", total_ms / factor_ms);
        }
    }
    format!("{total_ms}ms")
}

/// Splits `64 MiB` into 64 and ` MiB`.
fn leading_number(text: &str) -> Result<(u64, &str), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Err(UnitError::NoNumber);
    }
    digits.parse().map(|number| (number, rest)).map_err(|_| UnitError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("64 MiB", 64 << 20),
            ("64mib", 64 << 20),
            (" 2GB ", 2_000_000_000),
            ("1 TiB", 1 << 40),
        ] {
            assert_eq!(text.parse::<ByteSize>(), Ok(ByteSize(bytes)), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1.5 MiB", "3 parsecs", "99999999999 TiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("5s", 5_000),
            ("5 s", 5_000),
            ("250ms", 250),
            ("1h30m", 5_400_000),
            ("1m 30s", 90_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "5", "s", "-5s", "5 fortnights", "5s3", "1.5h", "99999999999999999999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for bytes in [0, 1, 1_000, 1 << 20, (1 << 20) + 1, 3 << 30, 1 << 40, u64::MAX] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
        for millis in [0, 1, 999, 1_000, 1_001, 60_000, 3_600_000, 86_400_000, 90_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn figures_for_people_have_few_digits() {
        for (bytes, text) in
            [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (64 << 20, "64 MiB")]
        {
            assert_eq!(ByteSize(bytes).rounded(), text);
        }
    }
}
