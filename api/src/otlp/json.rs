//! OTLP/JSON: turned into protobuf in one pass, so that there is one way in.
//!
//! The text is read as a stream and written field by field into one vector, the request's own
//! arena, which [`super::walk`] then walks. No value of it is ever held. Which keys exist comes
//! from [`super::schema`].
//!
//! What is tolerated, because writers do it: `snake_case` keys beside `lowerCamelCase`; 64-bit
//! integers as numbers or strings; enums as numbers or names; `null` for an absent field;
//! unknown keys; of a key that stands twice, the last one. Ids are hexadecimal in either case,
//! byte values are base64 in either alphabet, padded or not. Half a surrogate pair (JavaScript
//! cuts text between the halves) becomes invalid UTF-8, which is kept like any other.
//!
//! Nesting is bounded by the JSON reader, at 128 levels of braces and brackets.

use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::schema::{Field, Kind, Message, REQUEST};
use super::wire::Writer;

/// The text is not OTLP/JSON; says where.
#[derive(Debug, thiserror::Error)]
#[error("not a well-formed OTLP/JSON request: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// The protobuf form of an `ExportTraceServiceRequest` in JSON.
pub fn to_protobuf(json: &[u8]) -> Result<Vec<u8>, JsonError> {
    // Protobuf is smaller: its keys are a byte, its ids half as long.
    let mut writer = Writer { bytes: Vec::with_capacity(json.len() / 2) };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    MessageSeed { message: &REQUEST, writer: &mut writer }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(writer.bytes)
}

/// Most fields of one message type; the place of each is noted while its message is written.
const FIELDS_MAX: usize = 16;

struct MessageSeed<'w> {
    message: &'static Message,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut places = [(0_usize, 0_usize); FIELDS_MAX];
        while let Some(found) = map.next_key_seed(KeySeed { message: self.message })? {
            let Some(field) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            forget(&mut places, field, self.writer);
            let start = self.writer.bytes.len();
            map.next_value_seed(FieldSeed { field, writer: self.writer })?;
            if let Some(place) = places.get_mut(index_of(field)) {
                *place = (start, self.writer.bytes.len());
            }
        }
        Ok(())
    }
}

fn index_of(field: &Field) -> usize {
    (field.number as usize).saturating_sub(1)
}

/// Takes back what an earlier key of the same name wrote.
fn forget(places: &mut [(usize, usize); FIELDS_MAX], field: &Field, writer: &mut Writer) {
    let Some(&(start, end)) = places.get(index_of(field)) else { return };
    if start == end {
        return;
    }
    writer.bytes.drain(start..end);
    for place in places.iter_mut() {
        if place.0 >= end {
            place.0 -= end - start;
            place.1 -= end - start;
        } else if place.0 == start {
            *place = (0, 0);
        }
    }
}

/// Reads a key: the field it names, if it names one.
struct KeySeed {
    message: &'static Message,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<&'static Field>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let is_named = |field: &&Field| field.json_name == key || field.proto_name == key;
        Ok(self.message.fields.iter().find(is_named))
    }
}

/// Reads the value of a field and writes the field; for `null`, nothing.
struct FieldSeed<'w> {
    field: &'static Field,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a value for `{}`", self.field.json_name)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { field, writer } = self;
        match field.kind {
            Kind::Text => deserializer.deserialize_bytes(TextVisitor { field, writer }),
            Kind::Hex | Kind::Base64 => {
                deserializer.deserialize_str(BytesVisitor { field, writer })
            }
            Kind::One(message) => {
                let nested = writer.begin(field.number);
                MessageSeed { message, writer }.deserialize(deserializer)?;
                writer.end(nested);
                Ok(())
            }
            Kind::Many(message) => {
                deserializer.deserialize_seq(ListVisitor { field, message, writer })
            }
            _ => deserializer.deserialize_any(ScalarVisitor { field, writer }),
        }
    }
}

struct ListVisitor<'w> {
    field: &'static Field,
    message: &'static Message,
    writer: &'w mut Writer,
}

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list for `{}`", self.field.json_name)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        loop {
            let start = self.writer.bytes.len();
            let nested = self.writer.begin(self.field.number);
            let seed = MessageSeed { message: self.message, writer: self.writer };
            if items.next_element_seed(seed)?.is_none() {
                self.writer.bytes.truncate(start);
                return Ok(());
            }
            self.writer.end(nested);
        }
    }
}

struct TextVisitor<'w> {
    field: &'static Field,
    writer: &'w mut Writer,
}

impl Visitor<'_> for TextVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a string for `{}`", self.field.json_name)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.visit_bytes(text.as_bytes())
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<(), E> {
        self.writer.bytes_field(self.field.number, text);
        Ok(())
    }
}

struct BytesVisitor<'w> {
    field: &'static Field,
    writer: &'w mut Writer,
}

impl Visitor<'_> for BytesVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = if matches!(self.field.kind, Kind::Hex) { "hexadecimal" } else { "base64" };
        write!(formatter, "a string of {encoding} for `{}`", self.field.json_name)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let decoded = match self.field.kind {
            Kind::Hex => decode_hex(text),
            _ => decode_base64(text),
        };
        match decoded {
            Some(bytes) => self.writer.bytes_field(self.field.number, &bytes),
            None => return Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
        Ok(())
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let is_url_safe = text.bytes().any(|byte| byte == b'-' || byte == b'_');
    let alphabet = if is_url_safe { URL_SAFE } else { STANDARD };
    GeneralPurpose::new(&alphabet, LENIENT).decode(text).ok()
}

struct ScalarVisitor<'w> {
    field: &'static Field,
    writer: &'w mut Writer,
}

impl ScalarVisitor<'_> {
    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        let number = self.field.number;
        let written = match self.field.kind {
            Kind::Int64 => {
                i64::try_from(value).map(|it| self.writer.varint_field(number, it.cast_unsigned()))
            }
            // As protobuf writes a negative enum: with the sign in all 64 bits.
            Kind::Enum(_) => i32::try_from(value)
                .map(|it| self.writer.varint_field(number, i64::from(it).cast_unsigned())),
            Kind::Uint32 => {
                u32::try_from(value).map(|it| self.writer.varint_field(number, u64::from(it)))
            }
            Kind::Fixed64 => u64::try_from(value).map(|it| self.writer.fixed64_field(number, it)),
            Kind::Fixed32 => u32::try_from(value).map(|it| self.writer.fixed32_field(number, it)),
            _ => return self.double(value as f64),
        };
        written.map_err(|_| E::custom(format_args!("{value} is out of range")))
    }

    fn double<E: Error>(self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            self.writer.fixed64_field(self.field.number, value.to_bits());
            return Ok(());
        }
        // `1.0e3` is an integer too, as long as it is exactly one.
        #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number below")]
        let whole = value as i128;
        #[expect(clippy::float_cmp, reason = "exactly the same or not an integer")]
        let is_whole = whole as f64 == value;
        if is_whole && !matches!(self.field.kind, Kind::Bool) {
            return self.integer(whole);
        }
        Err(E::invalid_type(Unexpected::Float(value), &self))
    }

    fn text<E: Error>(self, text: &str) -> Result<(), E> {
        if let Kind::Enum(names) = self.field.kind
            && let Some((_, value)) = names.iter().find(|(name, _)| *name == text)
        {
            return self.integer(i128::from(*value));
        }
        let is_double = matches!(self.field.kind, Kind::Double);
        match (text.parse::<i128>(), text.parse::<f64>()) {
            (Ok(value), _) if !is_double => self.integer(value),
            (_, Ok(value)) if is_double || value.is_finite() => self.double(value),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

impl<'de> Visitor<'de> for ScalarVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.field.kind {
            Kind::Bool => "true or false",
            Kind::Double => "a number",
            Kind::Enum(_) => "an integer or one of its names",
            _ => "an integer",
        };
        write!(formatter, "{what} for `{}`", self.field.json_name)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        }
        self.writer.varint_field(self.field.number, u64::from(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Unsigned(value), &self));
        }
        self.integer(i128::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Signed(value), &self));
        }
        self.integer(i128::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.double(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        self.text(text)
    }

    /// How the JSON reader hands over a number that is neither `i64` nor `u64` when it is built
    /// to keep every digit: a map of one private key to the digits.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match map.next_entry::<String, String>()? {
            Some((key, digits)) if key == "$serde_json::private::Number" => self.visit_str(&digits),
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}
