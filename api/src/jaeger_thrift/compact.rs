//! Thrift's compact protocol: varints, and types in the same byte as field numbers.
//!
//! Used over UDP by most of Jaeger's clients. Doubles are little-endian, as every implementation
//! writes them.

use super::protocol::{Field, Kind, List, Message, Protocol, ThriftError, count};

/// The first byte of every message.
const PROTOCOL_ID: u8 = 0x82;
/// The low five bits of the second one.
const VERSION: u8 = 1;
/// A list of this many elements or more says its count in a varint.
const LONG_LIST: u8 = 15;

/// Reads the compact protocol.
#[derive(Debug, Clone, Copy)]
pub struct Compact<'a> {
    rest: &'a [u8],
}

impl<'a> Compact<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ThriftError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ThriftError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ThriftError> {
        let (byte, rest) = self.rest.split_first().ok_or(ThriftError::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn varint(&mut self) -> Result<u64, ThriftError> {
        let mut value = 0;
        for place in 0..10_u32 {
            let byte = self.byte()?;
            // The tenth byte holds the one bit that is left.
            if place == 9 && byte > 1 {
                return Err(ThriftError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ThriftError::Varint)
    }

    fn zigzag(&mut self) -> Result<i64, ThriftError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

/// A type as the compact protocol numbers it. `is_element` says that it stands in the head of a
/// list or map, where truth values follow as bytes.
fn kind_of(kind: u8, is_element: bool) -> Result<Kind, ThriftError> {
    Ok(match kind {
        1 | 2 if is_element => Kind::Bool,
        1 => Kind::Known(true),
        2 => Kind::Known(false),
        3 => Kind::Byte,
        4 => Kind::I16,
        5 => Kind::I32,
        6 => Kind::I64,
        7 => Kind::Double,
        8 => Kind::Bytes,
        9 | 10 => Kind::List,
        11 => Kind::Map,
        12 => Kind::Struct,
        13 => Kind::Uuid,
        other => return Err(ThriftError::Kind(other)),
    })
}

impl<'a> Protocol<'a> for Compact<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn message(&mut self) -> Result<Message<'a>, ThriftError> {
        if self.byte()? != PROTOCOL_ID {
            return Err(ThriftError::Header);
        }
        let version_and_kind = self.byte()?;
        if version_and_kind & 0x1f != VERSION {
            return Err(ThriftError::Header);
        }
        let _sequence = self.varint()?;
        Ok(Message { name: self.bytes()?, kind: version_and_kind >> 5 })
    }

    fn field(&mut self, last_id: i16) -> Result<Option<Field>, ThriftError> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let kind = kind_of(head & 0x0f, false)?;
        let id = match head >> 4 {
            0 => self.i16()?,
            step => last_id.wrapping_add(i16::from(step)),
        };
        Ok(Some(Field { id, kind }))
    }

    fn bool(&mut self, kind: Kind) -> Result<bool, ThriftError> {
        match kind {
            Kind::Known(value) => Ok(value),
            _ => Ok(self.byte()? == 1),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "thrift keeps the low bits")]
    fn i16(&mut self) -> Result<i16, ThriftError> {
        Ok(self.zigzag()? as i16)
    }

    #[expect(clippy::cast_possible_truncation, reason = "thrift keeps the low bits")]
    fn i32(&mut self) -> Result<i32, ThriftError> {
        Ok(self.zigzag()? as i32)
    }

    fn i64(&mut self) -> Result<i64, ThriftError> {
        self.zigzag()
    }

    fn double(&mut self) -> Result<f64, ThriftError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(ThriftError::Truncated)?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8], ThriftError> {
        let length = self.varint()?;
        self.take(count(length, self.rest.len())?)
    }

    fn list(&mut self) -> Result<List, ThriftError> {
        let head = self.byte()?;
        let kind = kind_of(head & 0x0f, true)?;
        let claimed = match head >> 4 {
            LONG_LIST => self.varint()?,
            short => u64::from(short),
        };
        Ok(List { kind, count: count(claimed, self.rest.len())? })
    }

    fn map(&mut self) -> Result<(Kind, Kind, usize), ThriftError> {
        let claimed = self.varint()?;
        if claimed == 0 {
            return Ok((Kind::Byte, Kind::Byte, 0));
        }
        let kinds = self.byte()?;
        let count = count(claimed, self.rest.len())?;
        Ok((kind_of(kinds >> 4, true)?, kind_of(kinds & 0x0f, true)?, count))
    }

    fn advance(&mut self, bytes: usize) -> Result<(), ThriftError> {
        self.take(bytes).map(drop)
    }
}
