//! Events and links of OpenTelemetry inside Zipkin's texts, as its Zipkin exporter writes them:
//! `name|attributes|dropped` in an annotation, `trace|span|state|attributes|dropped` in a tag
//! `otlp.link.0`, the attributes in JSON.
//!
//! People write bars too: what does not decode stays the text it is.

use serde_json::{Map, Value as Json};

use crate::jaeger_thrift::arena::{Attributes, Value};
use crate::jaeger_thrift::limits::ENCODED_BYTES_MAX;

/// Attributes in JSON and how many were dropped.
pub(super) struct Encoded {
    attributes: Map<String, Json>,
    /// How many attributes its writer left out.
    pub(super) dropped: u64,
}

impl Encoded {
    /// The last two parts of a text: JSON (which may hold bars itself) and a count.
    fn parse(text: &str) -> Option<Self> {
        if text.len() > ENCODED_BYTES_MAX {
            return None;
        }
        let (json, dropped) = text.rsplit_once('|')?;
        let dropped: u32 = dropped.parse().ok()?;
        Some(Self { attributes: serde_json::from_str(json).ok()?, dropped: dropped.into() })
    }

    /// Puts the attributes that are text, numbers or truth values.
    pub(super) fn put(&self, attributes: &mut Attributes<'_>) {
        for (key, value) in &self.attributes {
            let value = match value {
                Json::String(text) => Value::Text(text.as_bytes()),
                Json::Bool(truth) => Value::Bool(*truth),
                Json::Number(number) => number_value(number),
                Json::Null | Json::Array(_) | Json::Object(_) => continue,
            };
            attributes.put(key.as_bytes(), value);
        }
    }
}

/// Whole numbers are integers, however they are written.
fn number_value(number: &serde_json::Number) -> Value<'static> {
    if let Some(integer) = number.as_i64() {
        return Value::Int(integer);
    }
    let double = number.as_f64().unwrap_or(f64::NAN);
    match whole(double) {
        Some(integer) => Value::Int(integer),
        None => Value::Double(double),
    }
}

/// A floating-point number as the integer that it is exactly.
pub(super) fn whole(double: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
    let integer = double as i64;
    #[expect(clippy::float_cmp, reason = "exactly the same or not an integer")]
    let is_same = integer as f64 == double && integer.checked_abs().is_some_and(|it| it < 1 << 53);
    is_same.then_some(integer)
}

/// The event in an annotation: its name, and its attributes if it has some.
pub(super) fn event(value: &[u8]) -> (&[u8], Option<Encoded>) {
    let parts = std::str::from_utf8(value).ok().and_then(|text| text.split_once('|'));
    match parts.and_then(|(name, rest)| Some((name, Encoded::parse(rest)?))) {
        Some((name, encoded)) => (name.as_bytes(), Some(encoded)),
        None => (value, None),
    }
}

/// A link in a tag.
pub(super) struct EncodedLink<'a> {
    pub(super) trace_id: Vec<u8>,
    pub(super) span_id: Vec<u8>,
    pub(super) trace_state: &'a [u8],
    pub(super) encoded: Encoded,
}

/// The link in a tag, if the tag is one.
pub(super) fn link<'a>(key: &[u8], value: &'a [u8]) -> Option<EncodedLink<'a>> {
    let number = key.strip_prefix(b"otlp.link.")?;
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut parts = std::str::from_utf8(value).ok()?.splitn(4, '|');
    let (trace_id, span_id) = (id(parts.next()?, 16)?, id(parts.next()?, 8)?);
    let trace_state = parts.next()?.as_bytes();
    Some(EncodedLink { trace_id, span_id, trace_state, encoded: Encoded::parse(parts.next()?)? })
}

/// An id in hexadecimal, complete or left out.
fn id(text: &str, length: usize) -> Option<Vec<u8>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|bytes| rest.is_empty() && bytes.len() == length)
}
