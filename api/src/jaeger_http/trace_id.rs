//! Trace ids as Jaeger reads and prints them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::TraceId;

use super::go_parse::{GoParseError, parse_hex_u64};

/// Hexadecimal digits of a whole id.
const DIGITS_MAX: usize = 32;
/// Hexadecimal digits of the lower half.
const DIGITS_LOW: usize = 16;
/// Characters of a whole id in base64 with padding.
const BASE64_LENGTH_MAX: usize = 24;

const PADDING_OPTIONAL: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING_OPTIONAL);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING_OPTIONAL);

/// Why a text is not a trace id, in Jaeger's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TraceIdError {
    /// Too many digits.
    #[error("TraceID cannot be longer than 32 hex characters: {text}")]
    TooLong {
        /// What was given.
        text: String,
    },
    /// Not digits.
    #[error(transparent)]
    NotHexadecimal(#[from] GoParseError),
    /// Base64 of neither 8 nor 16 bytes.
    #[error("invalid length for TraceID")]
    Length,
}

/// Reads up to 32 hexadecimal digits; fewer mean zeros on the left.
pub(crate) fn parse_hex(text: &str) -> Result<TraceId, TraceIdError> {
    if text.len() > DIGITS_MAX {
        return Err(TraceIdError::TooLong { text: text.to_owned() });
    }
    let low_at = text.len().saturating_sub(DIGITS_LOW);
    let (high_text, low_text) = text.split_at_checked(low_at).unwrap_or(("", text));
    let high = if high_text.is_empty() { 0 } else { parse_hex_u64(high_text)? };
    let low = parse_hex_u64(low_text)?;
    Ok(TraceId((u128::from(high) << 64 | u128::from(low)).to_be_bytes()))
}

/// Reads hexadecimal digits, or else base64 of 8 or 16 bytes in any of its four forms.
pub(crate) fn parse(text: &str) -> Result<TraceId, TraceIdError> {
    let refusal = match parse_hex(text) {
        Ok(id) => return Ok(id),
        Err(refusal) => refusal,
    };
    if text.len() > BASE64_LENGTH_MAX {
        return Err(refusal);
    }
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    let Ok(bytes) = decoded else { return Err(refusal) };
    match (TraceId::from_slice(&bytes), <[u8; 8]>::try_from(bytes.as_slice())) {
        (Some(id), _) => Ok(id),
        (None, Ok(low)) => Ok(TraceId(u128::from(u64::from_be_bytes(low)).to_be_bytes())),
        (None, Err(_)) => Err(TraceIdError::Length),
    }
}

/// Prints an id as Jaeger does: 16 digits if its upper half is zero, else 32.
pub(crate) fn print(id: TraceId) -> String {
    if id.high() == 0 { format!("{:016x}", id.low()) } else { id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_hexadecimal_and_in_base64() {
        for (text, printed) in [
            ("1", "0000000000000001"),
            ("ABCDEF", "0000000000abcdef"),
            ("10000000000000001", "00000000000000010000000000000001"),
            ("AAAAAAAAAAAAAAAAAAAAAQ==", "0000000000000001"),
            ("AAAAAAAAAAAAAAAAAAAAAQ", "0000000000000001"),
            ("AAAAAAAA__8=", "000000000000ffff"),
            ("AAAAAAAA//8", "000000000000ffff"),
        ] {
            assert_eq!(parse(text).map(print), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_in_jaegers_words() {
        for (text, words) in [
            ("", "invalid length for TraceID"),
            ("xyz", r#"strconv.ParseUint: parsing "xyz": invalid syntax"#),
            (
                "not-an-id-at-all-not-an-id-at",
                r#"strconv.ParseUint: parsing "not-an-id-at-": invalid syntax"#,
            ),
            (
                "000000000000000000000000000000001",
                "TraceID cannot be longer than 32 hex characters: \
                 000000000000000000000000000000001",
            ),
            ("Zm9v", "invalid length for TraceID"),
            ("äöüäöüäöüä", r#"strconv.ParseUint: parsing "äö": invalid syntax"#),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), words, "{text}");
        }
    }
}
