//! Times as Go's standard library reads them: RFC 3339 with a fraction of a second.

use super::go_parse::GoParseError;

/// `time.Parse(time.RFC3339Nano, text)`, in nanoseconds since the epoch. One leniency: a zone
/// such as `+02:00` whose plus sign was sent unescaped arrives with a space, and is taken.
pub fn parse_time(text: &str) -> Result<i128, GoParseError> {
    let restored = restore_plus(text);
    let text = restored.as_deref().unwrap_or(text);
    let mut reader = TimeReader { text, rest: text };
    let year = reader.digits(4, 4, "2006")?;
    reader.literal("-")?;
    let month = reader.digits(2, 2, "01")?;
    if !(1..=12).contains(&month) {
        return Err(reader.out_of_range("month"));
    }
    reader.literal("-")?;
    let day = reader.digits(2, 2, "02")?;
    reader.literal("T")?;
    let hour = reader.digits(1, 2, "15")?;
    if hour > 23 {
        return Err(reader.out_of_range("hour"));
    }
    reader.literal(":")?;
    let minute = reader.digits(2, 2, "04")?;
    if minute > 59 {
        return Err(reader.out_of_range("minute"));
    }
    reader.literal(":")?;
    let second = reader.digits(2, 2, "05")?;
    if second > 59 {
        return Err(reader.out_of_range("second"));
    }
    let nanos = reader.fraction();
    let zone_seconds = reader.zone()?;
    if !reader.rest.is_empty() {
        let rest = reader.rest.to_owned();
        return Err(GoParseError::TimeExtra { text: text.to_owned(), rest });
    }
    if day < 1 || day > days_in_month(year, month) {
        return Err(reader.out_of_range("day"));
    }
    let of_day = hour * 3_600 + minute * 60 + second;
    let seconds = days_from_epoch(year, month, day) * 86_400 + of_day - zone_seconds;
    Ok(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

/// The text with the plus sign of its zone, if a space stands in its place.
fn restore_plus(text: &str) -> Option<String> {
    let zone_at = text.len().checked_sub("+00:00".len())?;
    let (time, zone) = text.split_at_checked(zone_at)?;
    zone.strip_prefix(' ').map(|zone| format!("{time}+{zone}"))
}

struct TimeReader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl TimeReader<'_> {
    fn cannot_parse(&self, element: &'static str) -> GoParseError {
        GoParseError::Time { text: self.text.to_owned(), rest: self.rest.to_owned(), element }
    }

    fn out_of_range(&self, part: &'static str) -> GoParseError {
        GoParseError::TimeRange { text: self.text.to_owned(), part }
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), GoParseError> {
        self.rest = self.rest.strip_prefix(literal).ok_or_else(|| self.cannot_parse(literal))?;
        Ok(())
    }

    fn digits(
        &mut self,
        count_min: usize,
        count_max: usize,
        element: &'static str,
    ) -> Result<i64, GoParseError> {
        let count = self.rest.bytes().take(count_max).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(count);
        if count < count_min {
            return Err(self.cannot_parse(element));
        }
        self.rest = rest;
        Ok(digits.bytes().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// An optional fraction of a second, in nanoseconds; digits beyond the ninth do not count.
    fn fraction(&mut self) -> i64 {
        let Some(behind_point) = self.rest.strip_prefix(['.', ',']) else { return 0 };
        let count = behind_point.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return 0;
        }
        let (digits, rest) = behind_point.split_at(count);
        self.rest = rest;
        let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
        padded.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    }

    /// `Z`, or hours and minutes; in seconds east of Greenwich.
    fn zone(&mut self) -> Result<i64, GoParseError> {
        const ELEMENT: &str = "Z07:00";
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let at = TimeReader { text: self.text, rest: self.rest };
        let sign = match self.rest.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(at.cannot_parse(ELEMENT)),
        };
        self.rest = self.rest.split_at(1).1;
        let wrong = |_| at.cannot_parse(ELEMENT);
        let hours = self.digits(2, 2, ELEMENT).map_err(wrong)?;
        self.literal(":").map_err(wrong)?;
        let minutes = self.digits(2, 2, ELEMENT).map_err(wrong)?;
        if hours > 24 {
            return Err(self.out_of_range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(self.out_of_range("time zone offset minute"));
        }
        Ok(sign * (hours * 3_600 + minutes * 60))
    }
}

fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap_year(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, negative before. Counts years from March, so that a leap day ends one.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-12-13T12:37:41.5Z", 1_734_093_461_500_000_000),
            ("2024-12-13T14:37:41.5+02:00", 1_734_093_461_500_000_000),
            ("2024-12-13T14:37:41.5 02:00", 1_734_093_461_500_000_000),
            ("2024-12-13T07:07:41.123456789-05:30", 1_734_093_461_123_456_789),
            ("2024-02-29T00:00:00.000000001Z", 1_709_164_800_000_000_001),
            ("1969-12-31T23:59:59Z", -1_000_000_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000_000),
        ] {
            assert_eq!(parse_time(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn times_are_refused_in_gos_words() {
        const AS: &str = r#"as "2006-01-02T15:04:05.999999999Z07:00""#;
        for (text, words) in [
            ("NaN", format!(r#"parsing time "NaN" {AS}: cannot parse "NaN" as "2006""#)),
            ("2024-12-13", format!(r#"parsing time "2024-12-13" {AS}: cannot parse "" as "T""#)),
            (
                "2024-12-13T10:00:00",
                format!(r#"parsing time "2024-12-13T10:00:00" {AS}: cannot parse "" as "Z07:00""#),
            ),
            (
                "2024-13-13T10:00:00Z",
                r#"parsing time "2024-13-13T10:00:00Z": month out of range"#.to_owned(),
            ),
            (
                "2023-02-29T10:00:00Z",
                r#"parsing time "2023-02-29T10:00:00Z": day out of range"#.to_owned(),
            ),
            (
                "2024-12-13T10:00:00Zx",
                r#"parsing time "2024-12-13T10:00:00Zx": extra text: "x""#.to_owned(),
            ),
        ] {
            assert_eq!(parse_time(text).unwrap_err().to_string(), words);
        }
    }
}
