//! Protobuf's wire form, as far as a load generator needs it: fields by number and byte range,
//! and an appending writer.
//!
//! A [`Field`] borrows nothing, so a caller may change the bytes it names in place: trace and span
//! ids and `fixed64` times keep their length whatever their value. Nothing is interpreted here.
//! Groups (wire types 3 and 4), which OTLP never had, are refused.

use std::ops::Range;

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a protobuf message: {reason} at byte {offset}")]
pub struct WireError {
    /// Where in the message.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// The form of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireType {
    /// A variable-length integer.
    Varint,
    /// Eight bytes, little-endian.
    Fixed64,
    /// A length, then that many bytes; the field's range holds the bytes alone.
    Bytes,
    /// Four bytes, little-endian.
    Fixed32,
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// Its form.
    pub wire_type: WireType,
    /// Where its tag begins.
    pub tag: usize,
    /// Where its value begins.
    pub start: usize,
    /// Where its value ends.
    pub end: usize,
}

impl Field {
    /// The bytes of the value.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Tag, length and value.
    pub fn whole(&self) -> Range<usize> {
        self.tag..self.end
    }

    /// Whether this is field `number` with a length and bytes.
    pub fn is_bytes(&self, number: u32) -> bool {
        self.number == number && self.wire_type == WireType::Bytes
    }
}

/// The field at `*position`, which moves behind it; `None` at the end of the message.
pub fn next_field(message: &[u8], position: &mut usize) -> Result<Option<Field>, WireError> {
    let tag = *position;
    if tag >= message.len() {
        return Ok(None);
    }
    let key = read_varint(message, position)?;
    let number = u32::try_from(key >> 3).unwrap_or(0);
    if number == 0 || number >= 1 << 29 {
        return Err(WireError { offset: tag, reason: "a field number out of range" });
    }
    let (wire_type, length) = match key & 7 {
        0 => {
            let start = *position;
            read_varint(message, position)?;
            return Ok(Some(Field {
                number,
                wire_type: WireType::Varint,
                tag,
                start,
                end: *position,
            }));
        }
        1 => (WireType::Fixed64, 8),
        2 => (WireType::Bytes, read_varint(message, position)?),
        5 => (WireType::Fixed32, 4),
        _ => return Err(WireError { offset: tag, reason: "a wire type that OTLP does not use" }),
    };
    let start = *position;
    let end = usize::try_from(length)
        .ok()
        .and_then(|length| start.checked_add(length))
        .filter(|end| *end <= message.len())
        .ok_or(WireError { offset: start, reason: "a value longer than its message" })?;
    *position = end;
    Ok(Some(Field { number, wire_type, tag, start, end }))
}

/// All fields of a message, one after the other.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { message, position: 0 }
}

/// See [`fields`]. Ends after the first error.
#[derive(Debug)]
pub struct Fields<'a> {
    message: &'a [u8],
    position: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(Field, &'a [u8]), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        match next_field(self.message, &mut self.position) {
            Ok(field) => {
                field.map(|field| Ok((field, self.message.get(field.range()).unwrap_or_default())))
            }
            Err(error) => {
                self.position = self.message.len();
                Some(Err(error))
            }
        }
    }
}

/// The variable-length integer at `*position`, which moves behind it.
pub fn read_varint(bytes: &[u8], position: &mut usize) -> Result<u64, WireError> {
    let offset = *position;
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let Some(byte) = bytes.get(*position) else {
            return Err(WireError { offset, reason: "a cut integer" });
        };
        *position += 1;
        if shift == 63 && *byte > 1 {
            return Err(WireError { offset, reason: "an integer over 64 bits" });
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(WireError { offset, reason: "an integer over ten bytes" })
}

/// The eight little-endian bytes of a `fixed64`; zero where there are not eight.
pub fn fixed64(bytes: &[u8]) -> u64 {
    <[u8; 8]>::try_from(bytes).map_or(0, u64::from_le_bytes)
}

/// How many bytes `value` takes as a variable-length integer.
pub fn varint_len(value: usize) -> usize {
    let bits = (usize::BITS - (value | 1).leading_zeros()) as usize;
    bits.div_ceil(7)
}

/// How many bytes a field of up to number 15 takes with `length` bytes of value.
pub fn bytes_field_len(length: usize) -> usize {
    1 + varint_len(length) + length
}

/// Appends a variable-length integer.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends the tag and length of a field whose `length` bytes the caller appends next.
pub fn put_bytes_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, length as u64);
}

/// Appends a field of bytes.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_bytes_head(out, number, value.len());
    out.extend_from_slice(value);
}

/// Appends a field with an integer, zero too: inside a oneof zero is a value.
pub fn put_integer(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a field of eight bytes.
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of four bytes.
pub fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, b"id");
        put_integer(&mut message, 6, u64::MAX);
        put_fixed64(&mut message, 7, 77);
        put_fixed32(&mut message, 16, 5);
        let read: Vec<_> = fields(&message)
            .map(|field| field.map(|(field, value)| (field.number, value.to_vec())))
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(read[0], (1, b"id".to_vec()));
        assert_eq!(read[1].1.len(), 10);
        assert_eq!(fixed64(&read[2].1), 77);
        assert_eq!(read[3], (16, vec![5, 0, 0, 0]));
    }

    #[test]
    fn lengths_are_as_said() {
        for value in [0, 1, 127, 128, 16_383, 16_384, usize::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value as u64);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }

    #[test]
    fn broken_messages_are_errors() {
        for broken in [&[0x0a][..], &[0x0a, 5, 1], &[0x80; 11], &[0x00, 1], &[0x0b], &[0x09, 1]] {
            assert!(fields(broken).any(|field| field.is_err()), "{broken:?}");
        }
    }
}
