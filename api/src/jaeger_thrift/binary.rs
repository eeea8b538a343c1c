//! Thrift's binary protocol: everything big-endian and of fixed size.
//!
//! Used over HTTP, and over UDP by Jaeger's client for Node.js. Message heads are read with a
//! version (strict) and without, as old writers leave it out.

use super::protocol::{Field, Kind, List, Message, Protocol, ThriftError, count};

/// The high half of the first word of a strict message.
const VERSION: u32 = 0x8001;

/// Reads the binary protocol.
#[derive(Debug, Clone, Copy)]
pub struct Binary<'a> {
    rest: &'a [u8],
}

impl<'a> Binary<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ThriftError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ThriftError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ThriftError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(ThriftError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, ThriftError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn count(&mut self) -> Result<usize, ThriftError> {
        let claimed = u64::try_from(self.i32()?).map_err(|_| ThriftError::Length)?;
        count(claimed, self.rest.len())
    }
}

fn kind_of(kind: u8) -> Result<Kind, ThriftError> {
    Ok(match kind {
        2 => Kind::Bool,
        3 => Kind::Byte,
        4 => Kind::Double,
        6 => Kind::I16,
        8 => Kind::I32,
        10 => Kind::I64,
        11 => Kind::Bytes,
        12 => Kind::Struct,
        13 => Kind::Map,
        14 | 15 => Kind::List,
        16 => Kind::Uuid,
        other => return Err(ThriftError::Kind(other)),
    })
}

/// The type of elements, which may be nothing at all where there are no elements.
fn element_kind(kind: u8, count: usize) -> Result<Kind, ThriftError> {
    if count == 0 { Ok(Kind::Byte) } else { kind_of(kind) }
}

impl<'a> Protocol<'a> for Binary<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn message(&mut self) -> Result<Message<'a>, ThriftError> {
        let first = u32::from_be_bytes(self.array()?);
        if first >> 31 == 0 {
            // Without a version: the length of the name.
            let name = self.take(count(u64::from(first), self.rest.len())?)?;
            let kind = self.byte()?;
            self.i32()?;
            return Ok(Message { name, kind });
        }
        if first >> 16 != VERSION {
            return Err(ThriftError::Header);
        }
        let name = self.bytes()?;
        let _sequence = self.i32()?;
        let [.., kind] = first.to_be_bytes();
        Ok(Message { name, kind })
    }

    fn field(&mut self, _last_id: i16) -> Result<Option<Field>, ThriftError> {
        match self.byte()? {
            0 => Ok(None),
            kind => Ok(Some(Field { kind: kind_of(kind)?, id: self.i16()? })),
        }
    }

    fn bool(&mut self, _kind: Kind) -> Result<bool, ThriftError> {
        Ok(self.byte()? == 1)
    }

    fn i16(&mut self) -> Result<i16, ThriftError> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, ThriftError> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, ThriftError> {
        self.array().map(i64::from_be_bytes)
    }

    fn double(&mut self) -> Result<f64, ThriftError> {
        self.array().map(f64::from_be_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], ThriftError> {
        let length = self.count()?;
        self.take(length)
    }

    fn list(&mut self) -> Result<List, ThriftError> {
        let kind = self.byte()?;
        let count = self.count()?;
        Ok(List { kind: element_kind(kind, count)?, count })
    }

    fn map(&mut self) -> Result<(Kind, Kind, usize), ThriftError> {
        let [key, value] = self.array()?;
        let count = self.count()?;
        Ok((element_kind(key, count)?, element_kind(value, count)?, count))
    }

    fn advance(&mut self, bytes: usize) -> Result<(), ThriftError> {
        self.take(bytes).map(drop)
    }
}
