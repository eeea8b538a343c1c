//! The encoding of nested values (lists and maps inside attributes): that of OTLP's
//! `ArrayValue`, `KeyValueList` and `AnyValue` messages, so that ingest keeps such a value by
//! copying its bytes and any part unknown to this version comes back.
//!
//! Reading is lazy, bounded in depth and never panics: what is malformed ends the iteration.
//! One reader call looks at one level only, so whoever descends counts levels himself and stops
//! at [`DEPTH_MAX`]. Field numbers: `opentelemetry/proto/common/v1/common.proto`.
//!
//! What this is not: a check. Receivers refuse malformed values before they are kept.

use crate::value::ValueRef;

/// Deepest nesting that readers follow; receivers refuse values nested deeper.
pub const DEPTH_MAX: usize = 64;

/// Field numbers of `AnyValue`.
mod any_value {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const KEY_VALUE_LIST: u32 = 6;
    pub(super) const BYTES: u32 = 7;
}

/// Field numbers of `KeyValue`.
mod key_value {
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}

/// The one field of `ArrayValue` and of `KeyValueList`.
const ITEMS: u32 = 1;

/// The value in one `AnyValue` message. The last of several values counts; a message with parts
/// that this version does not know (or that is malformed) is [`ValueRef::Opaque`].
pub fn value(message: &[u8]) -> ValueRef<'_> {
    let (known, complete) = read_value(message);
    if complete { known } else { ValueRef::Opaque(message) }
}

/// The items of an `ArrayValue` message.
pub fn array_items(message: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    messages(message).map(value)
}

/// The keys and values of a `KeyValueList` message. A pair without a value message is
/// [`ValueRef::Missing`]; one with unknown parts is [`ValueRef::OpaquePair`].
pub fn pairs(message: &[u8]) -> impl Iterator<Item = (&[u8], ValueRef<'_>)> {
    messages(message).map(pair)
}

/// The key and value in one `KeyValue` message; see [`pairs`].
pub fn pair(message: &[u8]) -> (&[u8], ValueRef<'_>) {
    let parts = read_pair(message);
    let value = match parts.value {
        _ if !parts.complete => ValueRef::OpaquePair(message),
        None => ValueRef::Missing,
        Some(inner) => value(inner),
    };
    (parts.key, value)
}

/// The value as a reader sees it who skips what this version does not know: for
/// [`ValueRef::Opaque`] and [`ValueRef::OpaquePair`] the part that is known, else the value.
pub fn known_part(value: ValueRef<'_>) -> ValueRef<'_> {
    match value {
        ValueRef::Opaque(message) => read_value(message).0,
        ValueRef::OpaquePair(message) => {
            read_pair(message).value.map_or(ValueRef::Missing, |inner| read_value(inner).0)
        }
        known => known,
    }
}

/// Appends `value` as an `AnyValue` message (without a length in front).
pub fn encode_value(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Missing | ValueRef::Empty => {}
        ValueRef::String(bytes) => put_bytes(any_value::STRING, bytes, out),
        ValueRef::Bool(truth) => {
            put_tag(any_value::BOOL, WireType::Varint, out);
            put_varint(u64::from(truth), out);
        }
        ValueRef::Int(number) => {
            put_tag(any_value::INT, WireType::Varint, out);
            put_varint(number.cast_unsigned(), out);
        }
        ValueRef::Double(number) => {
            put_tag(any_value::DOUBLE, WireType::Fixed64, out);
            out.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Array(bytes) => put_bytes(any_value::ARRAY, bytes, out),
        ValueRef::KeyValueList(bytes) => put_bytes(any_value::KEY_VALUE_LIST, bytes, out),
        ValueRef::Bytes(bytes) => put_bytes(any_value::BYTES, bytes, out),
        ValueRef::Opaque(message) => out.extend_from_slice(message),
        ValueRef::OpaquePair(message) => {
            out.extend_from_slice(read_pair(message).value.unwrap_or_default());
        }
    }
}

/// Appends `items` as an `ArrayValue` message.
pub fn encode_array<'a>(items: impl IntoIterator<Item = ValueRef<'a>>, out: &mut Vec<u8>) {
    for item in items {
        let mut message = Vec::new();
        encode_value(item, &mut message);
        put_bytes(ITEMS, &message, out);
    }
}

/// Appends `pairs` as a `KeyValueList` message.
pub fn encode_pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a [u8], ValueRef<'a>)>,
    out: &mut Vec<u8>,
) {
    for (key, value) in pairs {
        let mut message = Vec::new();
        encode_pair(key, value, &mut message);
        put_bytes(ITEMS, &message, out);
    }
}

/// Appends one pair as a `KeyValue` message (without a length in front).
pub fn encode_pair(key: &[u8], value: ValueRef<'_>, out: &mut Vec<u8>) {
    if let ValueRef::OpaquePair(message) = value {
        out.extend_from_slice(message);
        return;
    }
    if !key.is_empty() {
        put_bytes(key_value::KEY, key, out);
    }
    if !matches!(value, ValueRef::Missing) {
        let mut message = Vec::new();
        encode_value(value, &mut message);
        put_bytes(key_value::VALUE, &message, out);
    }
}

/// The known value of an `AnyValue` message, and whether that is all of the message.
fn read_value(message: &[u8]) -> (ValueRef<'_>, bool) {
    let mut known = ValueRef::Empty;
    let mut complete = true;
    let mut fields = Fields::new(message);
    for field in &mut fields {
        known = match (field.number, field.content) {
            (any_value::STRING, Content::Bytes(bytes)) => ValueRef::String(bytes),
            (any_value::BOOL, Content::Varint(number)) => ValueRef::Bool(number != 0),
            (any_value::INT, Content::Varint(number)) => ValueRef::Int(number.cast_signed()),
            (any_value::DOUBLE, Content::Fixed64(bits)) => ValueRef::Double(f64::from_bits(bits)),
            (any_value::ARRAY, Content::Bytes(bytes)) => ValueRef::Array(bytes),
            (any_value::KEY_VALUE_LIST, Content::Bytes(bytes)) => ValueRef::KeyValueList(bytes),
            (any_value::BYTES, Content::Bytes(bytes)) => ValueRef::Bytes(bytes),
            _ => {
                complete = false;
                known
            }
        };
    }
    (known, complete && fields.is_well_formed())
}

/// The parts of a `KeyValue` message.
struct PairParts<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
    /// Whether `key` and `value` are all of the message.
    complete: bool,
}

/// Two value fields in one pair would have to be merged; such a pair counts as incomplete, so
/// that it is kept whole.
fn read_pair(message: &[u8]) -> PairParts<'_> {
    let mut parts = PairParts { key: b"", value: None, complete: true };
    let mut fields = Fields::new(message);
    for field in &mut fields {
        match (field.number, field.content) {
            (key_value::KEY, Content::Bytes(bytes)) => parts.key = bytes,
            (key_value::VALUE, Content::Bytes(bytes)) => {
                parts.complete &= parts.value.is_none();
                parts.value = Some(bytes);
            }
            _ => parts.complete = false,
        }
    }
    parts.complete &= fields.is_well_formed();
    parts
}

/// The messages in the items field of `ArrayValue` or `KeyValueList`; other fields are skipped.
fn messages(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter_map(|field| match (field.number, field.content) {
        (ITEMS, Content::Bytes(bytes)) => Some(bytes),
        _ => None,
    })
}

/// Protobuf's wire types that are in use.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}

/// One field of a protobuf message.
struct Field<'a> {
    number: u32,
    content: Content<'a>,
}

/// What stands in a field.
#[derive(Clone, Copy)]
enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// Four bytes or a group: no field of ours, so what is in it does not matter.
    Other,
}

/// Walks the fields of one protobuf message; ends at its end or at the first malformed field.
struct Fields<'a> {
    rest: &'a [u8],
    malformed: bool,
}

impl<'a> Fields<'a> {
    fn new(message: &'a [u8]) -> Self {
        Self { rest: message, malformed: false }
    }

    /// Whether every field so far could be read.
    fn is_well_formed(&self) -> bool {
        !self.malformed
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let (number, wire_type) = take_tag(&mut self.rest)?;
        let content = match wire_type {
            0 => Content::Varint(take_varint(&mut self.rest)?),
            1 => Content::Fixed64(u64::from_le_bytes(*take_array(&mut self.rest)?)),
            2 => Content::Bytes(take_bytes(&mut self.rest)?),
            3 => skip_group(number, &mut self.rest).map(|()| Content::Other)?,
            5 => take_array::<4>(&mut self.rest).map(|_| Content::Other)?,
            _ => return None,
        };
        Some(Field { number, content })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || self.malformed {
            return None;
        }
        let field = self.field();
        self.malformed = field.is_none();
        field
    }
}

/// Skips a group up to its end mark, counting the groups open inside it.
fn skip_group(number: u32, rest: &mut &[u8]) -> Option<()> {
    let mut open = vec![number];
    while !open.is_empty() {
        let (number, wire_type) = take_tag(rest)?;
        match wire_type {
            0 => take_varint(rest).map(drop)?,
            1 => take_array::<8>(rest).map(drop)?,
            2 => take_bytes(rest).map(drop)?,
            3 if open.len() < DEPTH_MAX => open.push(number),
            4 if open.pop() == Some(number) => {}
            5 => take_array::<4>(rest).map(drop)?,
            _ => return None,
        }
    }
    Some(())
}

fn take_tag(rest: &mut &[u8]) -> Option<(u32, u32)> {
    let tag = u32::try_from(take_varint(rest)?).ok()?;
    let number = tag >> 3;
    (number != 0).then_some((number, tag & 7))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        // Invariant: the tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_array<'a, const LENGTH: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; LENGTH]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(rest)?).ok()?;
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn put_tag(number: u32, wire_type: WireType, out: &mut Vec<u8>) {
    put_varint(u64::from(number << 3 | wire_type as u32), out);
}

fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, WireType::Bytes, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[expect(clippy::cast_possible_truncation, reason = "the seven low bits are what is written")]
fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::AttributeValue;

    /// Field 200 with the varint 1: legal, and unknown to this version.
    const UNKNOWN_FIELD: [u8; 3] = [0xc0, 0x0c, 0x01];

    fn encoded(value: ValueRef<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        encode_value(value, &mut out);
        out
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let mut list = Vec::new();
        encode_array([ValueRef::Int(-1), ValueRef::Empty], &mut list);
        for value in [
            ValueRef::Empty,
            ValueRef::String(b""),
            ValueRef::String(b"\xff"),
            ValueRef::Bool(false),
            ValueRef::Int(i64::MIN),
            ValueRef::Double(f64::NAN),
            ValueRef::Bytes(b"\0"),
            ValueRef::Array(&list),
            ValueRef::KeyValueList(b""),
            ValueRef::Opaque(&UNKNOWN_FIELD),
        ] {
            assert_eq!(super::value(&encoded(value)).to_owned(), value.to_owned());
        }
    }

    #[test]
    fn known_bytes_of_the_wire_format() {
        assert_eq!(encoded(ValueRef::String(b"ab")), b"\x0a\x02ab");
        assert_eq!(encoded(ValueRef::Bool(true)), b"\x10\x01");
        assert_eq!(encoded(ValueRef::Int(300)), b"\x18\xac\x02");
        assert_eq!(encoded(ValueRef::Double(1.0)), b"\x21\0\0\0\0\0\0\xf0\x3f");
        let mut pairs = Vec::new();
        encode_pairs([(b"k".as_slice(), ValueRef::Int(1))], &mut pairs);
        assert_eq!(pairs, b"\x0a\x07\x0a\x01k\x12\x02\x18\x01");
    }

    #[test]
    fn the_last_value_counts_and_unknown_parts_make_it_opaque() {
        let mut message = encoded(ValueRef::Int(1));
        encode_value(ValueRef::String(b"x"), &mut message);
        assert_eq!(value(&message).to_owned(), AttributeValue::from("x"));
        message.extend(UNKNOWN_FIELD);
        assert!(matches!(value(&message), ValueRef::Opaque(whole) if whole == message));
        assert_eq!(known_part(value(&message)).to_owned(), AttributeValue::from("x"));
    }

    #[test]
    fn pairs_without_value_and_pairs_with_more_than_that() {
        let mut unknown = Vec::new();
        encode_pair(b"k", ValueRef::Int(7), &mut unknown);
        unknown.extend(UNKNOWN_FIELD);
        let mut list = Vec::new();
        encode_pairs(
            [
                (b"".as_slice(), ValueRef::Missing),
                (b"e".as_slice(), ValueRef::Empty),
                (b"k".as_slice(), ValueRef::OpaquePair(&unknown)),
            ],
            &mut list,
        );
        let found: Vec<_> = pairs(&list).map(|(key, value)| (key, value.to_owned())).collect();
        assert_eq!(
            found,
            [
                (b"".as_slice(), AttributeValue::Missing),
                (b"e".as_slice(), AttributeValue::Empty),
                (b"k".as_slice(), AttributeValue::OpaquePair(unknown.clone().into())),
            ]
        );
        let known = known_part(ValueRef::OpaquePair(&unknown));
        assert_eq!(known.to_owned(), AttributeValue::Int(7));
    }

    #[test]
    fn groups_are_skipped_and_malformed_bytes_end_the_iteration() {
        // Group 1 { group 2 { varint } }, then one item.
        let grouped = b"\x0b\x13\x08\x01\x14\x0c\x0a\x02\x18\x05";
        let items: Vec<_> = array_items(grouped).map(|item| item.to_owned()).collect();
        assert_eq!(items, [AttributeValue::Int(5)]);
        assert_eq!(array_items(b"\x0a\x02\x18\x05\x0a\x7f").count(), 1);
        assert_eq!(array_items(b"\x0b\x14").count(), 0, "a group closed by another's end");
        assert!(matches!(value(b"\x0a\x7f"), ValueRef::Opaque(_)));
        assert!(matches!(value(b"\x00"), ValueRef::Opaque(_)));
    }

    proptest! {
        #[test]
        fn reading_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = value(&bytes);
            prop_assert!(array_items(&bytes).count() <= bytes.len());
            prop_assert!(pairs(&bytes).count() <= bytes.len());
        }

        #[test]
        fn integers_come_back(number: i64) {
            let message = encoded(ValueRef::Int(number));
            prop_assert_eq!(value(&message).to_owned(), AttributeValue::Int(number));
        }
    }
}
