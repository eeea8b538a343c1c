//! The protobuf wire format, read from and written to plain bytes.
//!
//! [`Reader`] hands out slices of what it reads and copies nothing; [`Writer`] appends to a
//! vector. Neither knows a message type. What is accepted is what protobuf accepts: over-long
//! varints of up to ten bytes, unknown fields of every wire type, groups. What is refused:
//! fields that end outside their message, varints beyond 64 bits, field number zero, reserved
//! wire types, groups without an end and groups nested too deep.

use model::nested::DEPTH_MAX;

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A field says that it is longer than what is left of its message.
    #[error("a field ends outside its message")]
    Truncated,
    /// A varint of more than ten bytes, or of more than 64 bits.
    #[error("a varint has more than 64 bits")]
    Varint,
    /// Field number zero, or one of more than 29 bits.
    #[error("a field has an impossible number")]
    FieldNumber,
    /// Wire type 6 or 7.
    #[error("a field has a reserved wire type")]
    WireType,
    /// A group ends that did not begin, or the other way round.
    #[error("a group has no beginning or no end")]
    Group,
    /// Values or groups nested deeper than [`DEPTH_MAX`].
    #[error("values are nested deeper than {DEPTH_MAX} levels")]
    Depth,
}

/// Wire type of a varint.
pub const VARINT: u32 = 0;
/// Wire type of eight bytes.
pub const FIXED64: u32 = 1;
/// Wire type of a length and that many bytes.
pub const LENGTH: u32 = 2;
/// Wire type of the beginning of a group.
pub const GROUP: u32 = 3;
/// Wire type of the end of a group.
pub const GROUP_END: u32 = 4;
/// Wire type of four bytes.
pub const FIXED32: u32 = 5;

/// The tag of a field: its number and wire type as they stand on the wire.
pub const fn tag(number: u32, wire_type: u32) -> u32 {
    (number << 3) | wire_type
}

/// Reads the fields of one message.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// What was not read yet: the end of `bytes`.
    rest: &'a [u8],
}

#[expect(
    clippy::inline_always,
    reason = "a few instructions each, several times for every attribute of every span"
)]
impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, rest: bytes }
    }

    /// Where the reader stands.
    #[inline(always)]
    pub fn position(&self) -> usize {
        self.bytes.len() - self.rest.len()
    }

    /// Passes over everything before `position`; never goes back.
    #[inline(always)]
    pub fn seek(&mut self, position: usize) {
        let position = position.max(self.position());
        self.rest = self.bytes.get(position..).unwrap_or_default();
    }

    /// Whether everything was read.
    #[inline(always)]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was read since `start`.
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.position()).unwrap_or_default()
    }

    /// The tag of the next field.
    #[inline(always)]
    pub fn tag(&mut self) -> Result<u32, WireError> {
        if let [byte @ 0x08..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u32::from(*byte));
        }
        self.long_tag()
    }

    #[inline(never)]
    fn long_tag(&mut self) -> Result<u32, WireError> {
        let tag = u32::try_from(self.varint()?).map_err(|_| WireError::FieldNumber)?;
        if tag >> 3 == 0 { Err(WireError::FieldNumber) } else { Ok(tag) }
    }

    /// A varint.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for place in 0..10_u32 {
            let [byte, rest @ ..] = self.rest else { return Err(WireError::Truncated) };
            self.rest = rest;
            // The tenth byte holds the one bit that is left.
            if place == 9 && *byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }

    /// A length and that many bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The bytes of the next field if it is the wanted one and both its tag and its length are
    /// a single byte; otherwise nothing is read.
    #[inline(always)]
    pub fn short(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let [tag, length @ 0..0x80, rest @ ..] = self.rest else { return None };
        if *tag != wanted {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
        self.rest = rest;
        Some(bytes)
    }

    /// Eight bytes, little-endian.
    #[inline(always)]
    pub fn fixed64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Four bytes, little-endian.
    #[inline(always)]
    pub fn fixed32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    /// Passes over the value of a field whose tag was just read.
    pub fn skip(&mut self, tag: u32) -> Result<(), WireError> {
        self.skip_at(tag, 0)
    }

    fn skip_at(&mut self, tag: u32, depth: usize) -> Result<(), WireError> {
        match tag & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            LENGTH => self.bytes().map(drop),
            FIXED32 => self.fixed32().map(drop),
            GROUP => self.skip_group(tag >> 3, depth),
            GROUP_END => Err(WireError::Group),
            _ => Err(WireError::WireType),
        }
    }

    fn skip_group(&mut self, number: u32, depth: usize) -> Result<(), WireError> {
        if depth >= DEPTH_MAX {
            return Err(WireError::Depth);
        }
        loop {
            if self.is_at_end() {
                return Err(WireError::Group);
            }
            let inner = self.tag()?;
            if inner & 7 == GROUP_END {
                return if inner >> 3 == number { Ok(()) } else { Err(WireError::Group) };
            }
            self.skip_at(inner, depth + 1)?;
        }
    }
}

/// The low 32 bits of a varint as protobuf reads an `int32` or an enum.
#[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
pub fn low_i32(value: u64) -> i32 {
    value as i32
}

/// The low 32 bits of a varint as protobuf reads a `uint32`.
#[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
pub fn low_u32(value: u64) -> u32 {
    value as u32
}

/// Appends fields to a vector.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was written.
    pub bytes: Vec<u8>,
}

impl Writer {
    /// A varint.
    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// The tag of a field.
    pub fn tag(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(tag(number, wire_type)));
    }

    /// A varint field.
    pub fn varint_field(&mut self, number: u32, value: u64) {
        self.tag(number, VARINT);
        self.varint(value);
    }

    /// An eight-byte field.
    pub fn fixed64_field(&mut self, number: u32, value: u64) {
        self.tag(number, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A four-byte field.
    pub fn fixed32_field(&mut self, number: u32, value: u32) {
        self.tag(number, FIXED32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A field of bytes.
    pub fn bytes_field(&mut self, number: u32, value: &[u8]) {
        self.tag(number, LENGTH);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Begins a nested message; [`Self::end`] writes its length.
    pub fn begin(&mut self, number: u32) -> Nested {
        self.tag(number, LENGTH);
        // One byte is enough for most messages; `end` makes room when it is not.
        self.bytes.push(0);
        Nested { body: self.bytes.len() }
    }

    /// Ends a nested message that began at `nested`.
    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    #[expect(clippy::needless_pass_by_value, reason = "what is ended cannot be ended again")]
    pub fn end(&mut self, nested: Nested) {
        let mut length = self.bytes.len().saturating_sub(nested.body) as u64;
        let mut prefix = [0_u8; 10];
        let mut used = 0;
        for byte in &mut prefix {
            used += 1;
            *byte = length as u8 & 0x7f;
            length >>= 7;
            if length == 0 {
                break;
            }
            *byte |= 0x80;
        }
        let prefix = prefix.iter().take(used).copied();
        self.bytes.splice(nested.body.saturating_sub(1)..nested.body, prefix);
    }
}

/// The place of a nested message that was begun.
#[derive(Debug)]
#[must_use = "a message that is begun has to be ended"]
pub struct Nested {
    body: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_as_protobuf_reads_them() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::default();
            writer.varint(value);
            assert_eq!(Reader::new(&writer.bytes).varint(), Ok(value));
        }
        assert_eq!(Reader::new(&[0x80, 0x00]).varint(), Ok(0));
        assert_eq!(Reader::new(&[0x80]).varint(), Err(WireError::Truncated));
        let mut long = [0xff_u8; 10];
        long[9] = 2;
        assert_eq!(Reader::new(&long).varint(), Err(WireError::Varint));
        assert_eq!(Reader::new(&[0x80; 11]).varint(), Err(WireError::Varint));
    }

    #[test]
    fn lengths_of_nested_messages_grow_as_needed() {
        for length in [0, 1, 127, 128, 16_384, 3_000_000] {
            let mut writer = Writer::default();
            let nested = writer.begin(3);
            writer.bytes.resize(writer.bytes.len() + length, 7);
            writer.end(nested);
            let mut reader = Reader::new(&writer.bytes);
            assert_eq!(reader.tag(), Ok(tag(3, LENGTH)));
            assert_eq!(reader.bytes().map(<[u8]>::len), Ok(length));
            assert!(reader.is_at_end());
        }
    }

    #[test]
    fn groups_are_passed_over_if_they_end() {
        let skip = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let tag = reader.tag()?;
            reader.skip(tag)
        };
        // Group 5 with a varint and an empty group 6.
        assert_eq!(skip(&[0x2b, 0x08, 0x01, 0x33, 0x34, 0x2c]), Ok(()));
        assert_eq!(skip(&[0x2b, 0x08, 0x01]), Err(WireError::Group));
        assert_eq!(skip(&[0x2b, 0x34]), Err(WireError::Group));
        assert_eq!(skip(&[0x2c]), Err(WireError::Group));
        assert_eq!(skip(&[0x2e]), Err(WireError::WireType));
        assert_eq!(skip(&[0x2b; 100]), Err(WireError::Depth));
        assert_eq!(skip(&[0x00]), Err(WireError::FieldNumber));
    }
}
