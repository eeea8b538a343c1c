//! Attribute values: OpenTelemetry's `AnyValue`, kept so that every byte comes back.

use crate::Text;

/// A key and its value. Keys may repeat within one span, and their order is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The key as it came; may be empty.
    pub key: Text,
    /// The value as it came.
    pub value: AttributeValue,
}

impl Attribute {
    /// An attribute of the given key and value.
    pub fn new(key: impl Into<Text>, value: impl Into<AttributeValue>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// The value of an attribute.
///
/// Two values are equal when their bytes are (`f64` by its bits, so `NaN` equals itself and
/// `0.0` differs from `-0.0`): contents are a set, and set membership needs an equivalence.
#[derive(Debug, Clone)]
pub enum AttributeValue {
    /// The pair carried no value message at all.
    Missing,
    /// A value message without a value in it.
    Empty,
    /// Text; not necessarily UTF-8.
    String(Text),
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Raw bytes.
    Bytes(Text),
    /// A list of values in the encoding of [`crate::nested`].
    Array(Text),
    /// A list of pairs in the encoding of [`crate::nested`].
    KeyValueList(Text),
    /// A value message with parts this version does not know, whole, in the encoding of
    /// [`crate::nested`].
    Opaque(Text),
    /// A pair (key included) with parts this version does not know, whole.
    OpaquePair(Text),
}

/// The type of a value, as columns and shapes name it. Stable: these numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// [`AttributeValue::Missing`]
    Missing = 0,
    /// [`AttributeValue::Empty`]
    Empty = 1,
    /// [`AttributeValue::String`]
    String = 2,
    /// [`AttributeValue::Bool`]
    Bool = 3,
    /// [`AttributeValue::Int`]
    Int = 4,
    /// [`AttributeValue::Double`]
    Double = 5,
    /// [`AttributeValue::Bytes`]
    Bytes = 6,
    /// [`AttributeValue::Array`]
    Array = 7,
    /// [`AttributeValue::KeyValueList`]
    KeyValueList = 8,
    /// [`AttributeValue::Opaque`]
    Opaque = 9,
    /// [`AttributeValue::OpaquePair`]
    OpaquePair = 10,
}

impl ValueType {
    /// Every type, in the order of its number.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::Empty,
        Self::String,
        Self::Bool,
        Self::Int,
        Self::Double,
        Self::Bytes,
        Self::Array,
        Self::KeyValueList,
        Self::Opaque,
        Self::OpaquePair,
    ];

    /// The type of this number, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A borrowed [`AttributeValue`]: what a receiver hands to a [`crate::SpanVisitor`].
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// See [`AttributeValue::Missing`].
    Missing,
    /// See [`AttributeValue::Empty`].
    Empty,
    /// See [`AttributeValue::String`].
    String(&'a [u8]),
    /// See [`AttributeValue::Bool`].
    Bool(bool),
    /// See [`AttributeValue::Int`].
    Int(i64),
    /// See [`AttributeValue::Double`].
    Double(f64),
    /// See [`AttributeValue::Bytes`].
    Bytes(&'a [u8]),
    /// See [`AttributeValue::Array`].
    Array(&'a [u8]),
    /// See [`AttributeValue::KeyValueList`].
    KeyValueList(&'a [u8]),
    /// See [`AttributeValue::Opaque`].
    Opaque(&'a [u8]),
    /// See [`AttributeValue::OpaquePair`].
    OpaquePair(&'a [u8]),
}

impl ValueRef<'_> {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Missing => ValueType::Missing,
            Self::Empty => ValueType::Empty,
            Self::String(_) => ValueType::String,
            Self::Bool(_) => ValueType::Bool,
            Self::Int(_) => ValueType::Int,
            Self::Double(_) => ValueType::Double,
            Self::Bytes(_) => ValueType::Bytes,
            Self::Array(_) => ValueType::Array,
            Self::KeyValueList(_) => ValueType::KeyValueList,
            Self::Opaque(_) => ValueType::Opaque,
            Self::OpaquePair(_) => ValueType::OpaquePair,
        }
    }

    /// An owned copy.
    pub fn to_owned(&self) -> AttributeValue {
        match *self {
            Self::Missing => AttributeValue::Missing,
            Self::Empty => AttributeValue::Empty,
            Self::String(bytes) => AttributeValue::String(Text::copy_from(bytes)),
            Self::Bool(value) => AttributeValue::Bool(value),
            Self::Int(value) => AttributeValue::Int(value),
            Self::Double(value) => AttributeValue::Double(value),
            Self::Bytes(bytes) => AttributeValue::Bytes(Text::copy_from(bytes)),
            Self::Array(bytes) => AttributeValue::Array(Text::copy_from(bytes)),
            Self::KeyValueList(bytes) => AttributeValue::KeyValueList(Text::copy_from(bytes)),
            Self::Opaque(bytes) => AttributeValue::Opaque(Text::copy_from(bytes)),
            Self::OpaquePair(bytes) => AttributeValue::OpaquePair(Text::copy_from(bytes)),
        }
    }
}

impl AttributeValue {
    /// The value, borrowed.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Missing => ValueRef::Missing,
            Self::Empty => ValueRef::Empty,
            Self::String(text) => ValueRef::String(text.as_bytes()),
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Int(value) => ValueRef::Int(*value),
            Self::Double(value) => ValueRef::Double(*value),
            Self::Bytes(text) => ValueRef::Bytes(text.as_bytes()),
            Self::Array(text) => ValueRef::Array(text.as_bytes()),
            Self::KeyValueList(text) => ValueRef::KeyValueList(text.as_bytes()),
            Self::Opaque(text) => ValueRef::Opaque(text.as_bytes()),
            Self::OpaquePair(text) => ValueRef::OpaquePair(text.as_bytes()),
        }
    }

    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        self.as_ref().value_type()
    }

    /// The text of a string value; nothing for every other type.
    pub fn as_text(&self) -> Option<&Text> {
        if let Self::String(text) = self { Some(text) } else { None }
    }
}

impl PartialEq for AttributeValue {
    fn eq(&self, other: &Self) -> bool {
        match (self.as_ref(), other.as_ref()) {
            (ValueRef::Missing, ValueRef::Missing) | (ValueRef::Empty, ValueRef::Empty) => true,
            (ValueRef::Bool(left), ValueRef::Bool(right)) => left == right,
            (ValueRef::Int(left), ValueRef::Int(right)) => left == right,
            (ValueRef::Double(left), ValueRef::Double(right)) => left.to_bits() == right.to_bits(),
            (ValueRef::String(left), ValueRef::String(right))
            | (ValueRef::Bytes(left), ValueRef::Bytes(right))
            | (ValueRef::Array(left), ValueRef::Array(right))
            | (ValueRef::KeyValueList(left), ValueRef::KeyValueList(right))
            | (ValueRef::Opaque(left), ValueRef::Opaque(right))
            | (ValueRef::OpaquePair(left), ValueRef::OpaquePair(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for AttributeValue {}

impl From<&str> for AttributeValue {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}
