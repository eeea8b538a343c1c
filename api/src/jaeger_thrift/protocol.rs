//! What Thrift's two encodings have in common: structures of numbered fields, lists, maps and
//! scalars, read where they lie.
//!
//! Invariants of every reader: nothing is allocated; a length or a count is believed only as far
//! as bytes are left (every element has at least one byte); nesting is bounded by
//! [`THRIFT_DEPTH_MAX`]; whatever the bytes are, the answer is a value or a [`ThriftError`].

use super::limits::THRIFT_DEPTH_MAX;

/// Why bytes are not the Thrift message that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThriftError {
    /// A value ends behind the end of the message.
    #[error("the thrift message ends early")]
    Truncated,
    /// A length or count is negative or larger than what is left of the message.
    #[error("a thrift length is larger than what is left of the message")]
    Length,
    /// A varint of more than 64 bits.
    #[error("a thrift varint has more than 64 bits")]
    Varint,
    /// A type that does not exist.
    #[error("unknown thrift type {0}")]
    Kind(u8),
    /// Structures, lists or maps nested too deep.
    #[error("thrift values are nested deeper than {THRIFT_DEPTH_MAX} levels")]
    Depth,
    /// The message does not begin as one of this protocol and version does.
    #[error("not a thrift message of this protocol")]
    Header,
    /// The message is an answer or an exception.
    #[error("not a thrift call")]
    NotACall,
    /// The message calls a method that is not served.
    #[error("unsupported thrift method")]
    Method,
    /// A list holds something else than it should.
    #[error("a thrift list of `{0}` holds another type")]
    Items(&'static str),
    /// A field that must be there is not.
    #[error("required field `{0}` is not set")]
    Missing(&'static str),
}

/// The type of a field or an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A truth value that follows as a byte.
    Bool,
    /// A truth value that was told by its type; nothing follows.
    Known(bool),
    /// One byte.
    Byte,
    /// 16 bits.
    I16,
    /// 32 bits; enums too.
    I32,
    /// 64 bits.
    I64,
    /// A floating-point number.
    Double,
    /// Text or bytes.
    Bytes,
    /// A structure.
    Struct,
    /// A list or a set.
    List,
    /// A map.
    Map,
    /// Sixteen bytes.
    Uuid,
}

/// The head of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its number.
    pub id: i16,
    /// Its type.
    pub kind: Kind,
}

/// The head of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// What it holds.
    pub kind: Kind,
    /// How many.
    pub count: usize,
}

/// The head of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The method.
    pub name: &'a [u8],
    /// Call, reply, exception or oneway.
    pub kind: u8,
}

impl Message<'_> {
    /// Whether somebody calls: with or without waiting for an answer.
    pub fn is_call(&self) -> bool {
        matches!(self.kind, 1 | 4)
    }
}

/// Reads one encoding of Thrift. Cloning is cheap and remembers the place.
pub trait Protocol<'a>: Clone {
    /// Reads `bytes` from their beginning.
    fn new(bytes: &'a [u8]) -> Self;

    /// The head of a message.
    fn message(&mut self) -> Result<Message<'a>, ThriftError>;

    /// The head of the next field of a structure whose previous field was `last_id` (0 at its
    /// beginning); nothing at its end.
    fn field(&mut self, last_id: i16) -> Result<Option<Field>, ThriftError>;

    /// A truth value of this type.
    fn bool(&mut self, kind: Kind) -> Result<bool, ThriftError>;

    /// 16 bits.
    fn i16(&mut self) -> Result<i16, ThriftError>;

    /// 32 bits.
    fn i32(&mut self) -> Result<i32, ThriftError>;

    /// 64 bits.
    fn i64(&mut self) -> Result<i64, ThriftError>;

    /// A floating-point number.
    fn double(&mut self) -> Result<f64, ThriftError>;

    /// Text or bytes.
    fn bytes(&mut self) -> Result<&'a [u8], ThriftError>;

    /// The head of a list.
    fn list(&mut self) -> Result<List, ThriftError>;

    /// The head of a map: types of keys and values, and how many pairs.
    fn map(&mut self) -> Result<(Kind, Kind, usize), ThriftError>;

    /// Passes over bytes.
    fn advance(&mut self, bytes: usize) -> Result<(), ThriftError>;

    /// Passes over a value.
    fn skip(&mut self, kind: Kind) -> Result<(), ThriftError> {
        self.skip_at(kind, 0)
    }

    /// Passes over a value that lies this deep.
    fn skip_at(&mut self, kind: Kind, depth: usize) -> Result<(), ThriftError> {
        if depth >= THRIFT_DEPTH_MAX {
            return Err(ThriftError::Depth);
        }
        match kind {
            Kind::Known(_) => Ok(()),
            Kind::Bool | Kind::Byte => self.advance(1),
            Kind::I16 => self.i16().map(drop),
            Kind::I32 => self.i32().map(drop),
            Kind::I64 => self.i64().map(drop),
            Kind::Double => self.advance(8),
            Kind::Uuid => self.advance(16),
            Kind::Bytes => self.bytes().map(drop),
            Kind::Struct => {
                let mut last_id = 0;
                while let Some(field) = self.field(last_id)? {
                    last_id = field.id;
                    self.skip_at(field.kind, depth + 1)?;
                }
                Ok(())
            }
            Kind::List => {
                let list = self.list()?;
                (0..list.count).try_for_each(|_| self.skip_at(list.kind, depth + 1))
            }
            Kind::Map => {
                let (key, value, count) = self.map()?;
                (0..count).try_for_each(|_| {
                    self.skip_at(key, depth + 1)?;
                    self.skip_at(value, depth + 1)
                })
            }
        }
    }
}

/// A count as it stands in a message, believed only if as many bytes are left.
pub(super) fn count(claimed: u64, left: usize) -> Result<usize, ThriftError> {
    let claimed = usize::try_from(claimed).map_err(|_| ThriftError::Length)?;
    if claimed <= left { Ok(claimed) } else { Err(ThriftError::Length) }
}
