//! Numbers, truth values and durations as Go's standard library reads them.
//!
//! Jaeger is written in Go and hands parameters to `strconv` and `time`; which texts it takes,
//! and the words with which it refuses others, are part of its API.

use std::fmt::Write as _;

/// Why a text was refused, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoParseError {
    /// Not what the function reads.
    #[error("strconv.{function}: parsing {}: invalid syntax", quote(text))]
    Syntax {
        /// The function's name.
        function: &'static str,
        /// What it was given.
        text: String,
    },
    /// A number that the type cannot hold.
    #[error("strconv.{function}: parsing {}: value out of range", quote(text))]
    Range {
        /// The function's name.
        function: &'static str,
        /// What it was given.
        text: String,
    },
    /// Not a duration, or one that 64 bits of nanoseconds cannot hold.
    #[error("time: invalid duration {}", quote_ascii(text))]
    Duration {
        /// What was given.
        text: String,
    },
    /// A number without a unit.
    #[error("time: missing unit in duration {}", quote_ascii(text))]
    MissingUnit {
        /// What was given.
        text: String,
    },
    /// A unit that does not exist.
    #[error("time: unknown unit {} in duration {}", quote_ascii(unit), quote_ascii(text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// What was given.
        text: String,
    },
    /// A time of another form.
    #[error(
        "parsing time {} as {}: cannot parse {} as {}",
        quote_ascii(text),
        quote_ascii(RFC3339_NANO),
        quote_ascii(rest),
        quote_ascii(element)
    )]
    Time {
        /// What was given.
        text: String,
        /// What was left of it.
        rest: String,
        /// What was expected there.
        element: &'static str,
    },
    /// A time with a part out of its range.
    #[error("parsing time {}: {part} out of range", quote_ascii(text))]
    TimeRange {
        /// What was given.
        text: String,
        /// Which part.
        part: &'static str,
    },
    /// A time with something behind it.
    #[error("parsing time {}: extra text: {}", quote_ascii(text), quote_ascii(rest))]
    TimeExtra {
        /// What was given.
        text: String,
        /// What is behind the time.
        rest: String,
    },
}

/// Go's layout for times with a fraction of a second.
const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";

/// `strconv.ParseInt(text, 10, 64)`.
pub(crate) fn parse_i64(text: &str) -> Result<i64, GoParseError> {
    parse_signed("ParseInt", text)
}

/// `strconv.ParseInt(text, 10, 32)`.
pub(crate) fn parse_i32(text: &str) -> Result<i32, GoParseError> {
    let number = parse_signed("ParseInt", text)?;
    let out_of_range = |_| GoParseError::Range { function: "ParseInt", text: text.to_owned() };
    i32::try_from(number).map_err(out_of_range)
}

/// `strconv.Atoi(text)`.
pub(crate) fn parse_atoi(text: &str) -> Result<i64, GoParseError> {
    parse_signed("Atoi", text)
}

fn parse_signed(function: &'static str, text: &str) -> Result<i64, GoParseError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(GoParseError::Syntax { function, text: text.to_owned() });
    }
    text.parse().map_err(|_| GoParseError::Range { function, text: text.to_owned() })
}

/// `strconv.ParseUint(text, 16, 64)`.
pub(crate) fn parse_hex_u64(text: &str) -> Result<u64, GoParseError> {
    const FUNCTION: &str = "ParseUint";
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(GoParseError::Syntax { function: FUNCTION, text: text.to_owned() });
    }
    u64::from_str_radix(text, 16)
        .map_err(|_| GoParseError::Range { function: FUNCTION, text: text.to_owned() })
}

/// `strconv.ParseFloat(text, 64)`, without hexadecimal and underscored numbers.
pub(crate) fn parse_f64(text: &str) -> Result<f64, GoParseError> {
    text.parse().map_err(|_| GoParseError::Syntax { function: "ParseFloat", text: text.to_owned() })
}

/// `strconv.ParseBool(text)`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, GoParseError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(GoParseError::Syntax { function: "ParseBool", text: text.to_owned() }),
    }
}

/// `time.ParseDuration(text)`, in nanoseconds: signed decimal numbers with units, such as
/// `300ms`, `-1.5h` and `2h45m`.
pub(crate) fn parse_duration(text: &str) -> Result<i64, GoParseError> {
    const LIMIT: u64 = 1 << 63;
    let invalid = || GoParseError::Duration { text: text.to_owned() };
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest).ok_or_else(invalid)?;
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, behind) = after.split_at(unit_end);
        let unit_nanos = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(GoParseError::MissingUnit { text: text.to_owned() }),
            _ => {
                return Err(GoParseError::UnknownUnit {
                    unit: unit.to_owned(),
                    text: text.to_owned(),
                });
            }
        };
        let nanos = number.nanos(unit_nanos).filter(|nanos| *nanos <= LIMIT).ok_or_else(invalid)?;
        total = total.checked_add(nanos).filter(|sum| *sum <= LIMIT).ok_or_else(invalid)?;
        rest = behind;
    }
    if negative {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// A decimal number: its whole part, and its fraction as a count of `1 / scale`.
struct Decimal {
    whole: u64,
    fraction: u64,
    scale: f64,
}

impl Decimal {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction is below one unit, and rounding down is what Go does"
    )]
    fn nanos(&self, unit_nanos: u64) -> Option<u64> {
        let part = (self.fraction as f64 * (unit_nanos as f64 / self.scale)) as u64;
        self.whole.checked_mul(unit_nanos)?.checked_add(part)
    }
}

fn leading_number(text: &str) -> Option<(Decimal, &str)> {
    let whole_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole_text, after) = text.split_at(whole_end);
    let whole = if whole_text.is_empty() { 0 } else { whole_text.parse().ok()? };
    let mut number = Decimal { whole, fraction: 0, scale: 1.0 };
    let Some(behind_point) = after.strip_prefix('.') else {
        return (!whole_text.is_empty()).then_some((number, after));
    };
    let fraction_end =
        behind_point.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind_point.len());
    let (fraction_text, behind) = behind_point.split_at(fraction_end);
    if whole_text.is_empty() && fraction_text.is_empty() {
        return None;
    }
    for digit in fraction_text.bytes() {
        // Digits beyond what 63 bits hold are finer than a nanosecond of any unit.
        let longer = number.fraction.checked_mul(10);
        let Some(longer) = longer.and_then(|n| n.checked_add(u64::from(digit - b'0'))) else {
            break;
        };
        number.fraction = longer;
        number.scale *= 10.0;
    }
    Some((number, behind))
}

/// A text as `strconv.Quote` quotes it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\0'..' ' | '\u{7f}' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A text as Go's `time` package quotes it: everything but printable ASCII as bytes.
fn quote_ascii(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=0x7f => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("-5s", -5_000_000_000),
            ("1h15m30.918s", 4_530_918_000_000),
            ("1.5us", 1_500),
            ("3µs", 3_000),
            ("3μs", 3_000),
            ("100ms", 100_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1.0000000000000000000000001s", 1_000_000_000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(parse_duration(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn durations_are_refused_in_gos_words() {
        for (text, words) in [
            ("", r#"time: invalid duration """#),
            ("-", r#"time: invalid duration "-""#),
            (".", r#"time: invalid duration ".""#),
            (".s", r#"time: invalid duration ".s""#),
            ("abc", r#"time: invalid duration "abc""#),
            ("10", r#"time: missing unit in duration "10""#),
            ("1.2", r#"time: missing unit in duration "1.2""#),
            ("10xs", r#"time: unknown unit "xs" in duration "10xs""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("3 s", r#"time: unknown unit " s" in duration "3 s""#),
            ("1ä", r#"time: unknown unit "\xc3\xa4" in duration "1\xc3\xa4""#),
            ("\"", r#"time: invalid duration "\"""#),
            ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
            ("3000000h", r#"time: invalid duration "3000000h""#),
            ("99999999999999999999s", r#"time: invalid duration "99999999999999999999s""#),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn numbers_and_truth_values_are_read_as_go_reads_them() {
        assert_eq!(parse_i64("-12"), Ok(-12));
        assert_eq!(parse_i64("+12"), Ok(12));
        assert_eq!(parse_hex_u64("Ff"), Ok(255));
        assert_eq!(parse_bool("T"), Ok(true));
        assert_eq!(parse_bool("False"), Ok(false));
        for (error, words) in [
            (parse_i64("x").unwrap_err(), r#"strconv.ParseInt: parsing "x": invalid syntax"#),
            (parse_i64("").unwrap_err(), r#"strconv.ParseInt: parsing "": invalid syntax"#),
            (parse_i64("1_0").unwrap_err(), r#"strconv.ParseInt: parsing "1_0": invalid syntax"#),
            (
                parse_i64("9223372036854775808").unwrap_err(),
                r#"strconv.ParseInt: parsing "9223372036854775808": value out of range"#,
            ),
            (
                parse_i32("3000000000").unwrap_err(),
                r#"strconv.ParseInt: parsing "3000000000": value out of range"#,
            ),
            (parse_atoi("a\n").unwrap_err(), r#"strconv.Atoi: parsing "a\n": invalid syntax"#),
            (
                parse_hex_u64("+1").unwrap_err(),
                r#"strconv.ParseUint: parsing "+1": invalid syntax"#,
            ),
            (parse_bool("yes").unwrap_err(), r#"strconv.ParseBool: parsing "yes": invalid syntax"#),
            (parse_f64("").unwrap_err(), r#"strconv.ParseFloat: parsing "": invalid syntax"#),
        ] {
            assert_eq!(error.to_string(), words);
        }
    }
}
