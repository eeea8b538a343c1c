//! A column of attribute values, read.

use super::class::ColumnKey;
use crate::columns::cursor::{Cursor, unzigzag};
use crate::columns::strings::{StringColumn, read_codes};
use crate::columns::{ColumnError, integers};
use crate::value::ValueType;
use crate::{AttributeValue, Text};

/// The values of one column, in row order.
#[derive(Debug, Clone)]
pub enum Column {
    /// So many missing or empty values.
    Unit(usize),
    /// Truth values.
    Bool(Vec<bool>),
    /// Integers.
    Int(Vec<i64>),
    /// Doubles, as eight little-endian bytes each.
    Double(StringColumn),
    /// Everything that is bytes.
    Bytes(StringColumn),
}

impl Column {
    pub(super) fn read(
        value_type: ValueType,
        packed: &[u8],
        raw: &[u8],
        count: usize,
    ) -> Result<Self, ColumnError> {
        Ok(match value_type {
            ValueType::Missing | ValueType::Empty => Self::Unit(count),
            ValueType::Bool => {
                let bytes = Cursor::new(packed).take(count)?;
                Self::Bool(bytes.iter().map(|byte| *byte != 0).collect())
            }
            ValueType::Int => Self::Int(read_integers(packed, raw, count)?),
            ValueType::Double => Self::Double(StringColumn::read(packed, raw, count)?),
            _ => Self::Bytes(StringColumn::read(packed, raw, count)?),
        })
    }

    /// The value at a place, if there is one.
    pub fn value(&self, key: ColumnKey, place: usize) -> Option<AttributeValue> {
        match self {
            Self::Unit(count) if place >= *count => None,
            Self::Unit(_) if key.value_type == ValueType::Missing => Some(AttributeValue::Missing),
            Self::Unit(_) => Some(AttributeValue::Empty),
            Self::Bool(values) => values.get(place).copied().map(AttributeValue::Bool),
            Self::Int(values) => values.get(place).copied().map(AttributeValue::Int),
            Self::Double(column) => {
                let bytes = column.get(place)?;
                let bits = u64::from_le_bytes(bytes.as_ref().try_into().ok()?);
                Some(AttributeValue::Double(f64::from_bits(bits)))
            }
            Self::Bytes(column) => bytes_value(key.value_type, column.get(place)?.into()),
        }
    }
}

/// The value of a type that is kept as bytes.
pub(super) fn bytes_value(value_type: ValueType, text: Text) -> Option<AttributeValue> {
    Some(match value_type {
        ValueType::String => AttributeValue::String(text),
        ValueType::Bytes => AttributeValue::Bytes(text),
        ValueType::Array => AttributeValue::Array(text),
        ValueType::KeyValueList => AttributeValue::KeyValueList(text),
        ValueType::Opaque => AttributeValue::Opaque(text),
        ValueType::OpaquePair => AttributeValue::OpaquePair(text),
        ValueType::Double => {
            let bits = u64::from_le_bytes(text.as_bytes().try_into().ok()?);
            AttributeValue::Double(f64::from_bits(bits))
        }
        ValueType::Missing | ValueType::Empty | ValueType::Bool | ValueType::Int => return None,
    })
}

fn read_integers(packed: &[u8], raw: &[u8], count: usize) -> Result<Vec<i64>, ColumnError> {
    let mut packed = Cursor::new(packed);
    let distinct = packed.count(count)?;
    if distinct == 0 {
        let (numbers, _) = integers::read(&mut packed, raw, count)?;
        return Ok(numbers.into_iter().map(unzigzag).collect());
    }
    let codes = read_codes(&mut packed, count, distinct)?;
    let (numbers, _) = integers::read(&mut packed, raw, distinct)?;
    let missing = ColumnError::new("a code names no integer");
    codes
        .into_iter()
        .map(|code| numbers.get(code as usize).copied().map(unzigzag).ok_or(missing))
        .collect()
}
