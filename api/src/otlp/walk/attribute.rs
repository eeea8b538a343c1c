//! Attributes and their values, for both passes.
//!
//! Nearly every attribute is a short key and a short string; [`usual_pair`] and [`usual_text`]
//! recognise that form without a loop.

use model::nested::DEPTH_MAX;
use model::value::ValueRef;

use crate::otlp::wire::{Reader, WireError};

/// What the check of a message found besides its being well-formed.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The message has to be brought into the usual form before it is told.
    pub(super) rare: bool,
    /// Attributes, those of events and links included.
    pub(super) attributes: usize,
    /// Length of the longest key.
    pub(super) key_bytes: usize,
}

/// Where fields of one kind stand in a message, and whether they stand in one piece.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Piece {
    start: usize,
    end: usize,
}

impl Piece {
    /// Notes a field from `start` to `end`; false if there is a gap before it.
    #[inline]
    pub(super) fn note(&mut self, start: usize, end: usize) -> bool {
        let joined = self.start == self.end || self.end == start;
        if self.start == self.end {
            self.start = start;
        }
        self.end = end;
        joined
    }

    /// The fields, if they stand in one piece.
    #[inline]
    pub(super) fn of<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        message.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn bounds(&self) -> (usize, usize) {
        (self.start, self.end)
    }
}

/// Key and value message of a pair in the usual form: both once, both under 128 bytes, in order.
#[inline]
fn usual_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = pair else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_length))?;
    let [0x12, value_length @ 0..0x80, value @ ..] = rest else { return None };
    (value.len() == usize::from(*value_length)).then_some((key, value))
}

/// The text of a value message that is one short string.
#[inline]
fn usual_text(value: &[u8]) -> Option<&[u8]> {
    let [0x0a, length @ 0..0x80, text @ ..] = value else { return None };
    (text.len() == usize::from(*length)).then_some(text)
}

/// Checks a `KeyValue`.
#[inline]
pub(super) fn check_attribute(pair: &[u8], notes: &mut Notes) -> Result<(), WireError> {
    notes.attributes += 1;
    if let Some((key, value)) = usual_pair(pair) {
        notes.key_bytes = notes.key_bytes.max(key.len());
        return if usual_text(value).is_some() { Ok(()) } else { check_value(value, 1, notes) };
    }
    check_pair(pair, 1, notes)
}

fn check_pair(pair: &[u8], depth: usize, notes: &mut Notes) -> Result<(), WireError> {
    let mut reader = Reader::new(pair);
    let (mut keys, mut values, mut unknown) = (0_usize, 0_usize, Piece::default());
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag()? {
            0x0a => {
                notes.key_bytes = notes.key_bytes.max(reader.bytes()?.len());
                // Nested pairs are kept as bytes: one order, so that equal ones are equal.
                notes.rare |= depth > 1 && values > 0;
                keys += 1;
            }
            0x12 => {
                check_value(reader.bytes()?, depth, notes)?;
                values += 1;
            }
            tag => {
                reader.skip(tag)?;
                notes.rare |= !unknown.note(start, reader.position());
            }
        }
    }
    notes.rare |= keys > 1 || values > 1;
    Ok(())
}

/// Checks an `AnyValue` at a depth counted from one.
fn check_value(value: &[u8], depth: usize, notes: &mut Notes) -> Result<(), WireError> {
    if depth > DEPTH_MAX {
        return Err(WireError::Depth);
    }
    let mut reader = Reader::new(value);
    let (mut members, mut unknown) = (0_usize, Piece::default());
    while !reader.is_at_end() {
        let start = reader.position();
        members += 1;
        match reader.tag()? {
            0x0a | 0x3a => drop(reader.bytes()?),
            // 0x40 belongs to profiles; it is unknown here, yet a member of the oneof.
            0x10 | 0x18 | 0x40 => drop(reader.varint()?),
            0x21 => drop(reader.fixed64()?),
            0x2a => check_list(reader.bytes()?, depth, notes, check_value)?,
            0x32 => check_list(reader.bytes()?, depth, notes, check_pair)?,
            tag => {
                members -= 1;
                reader.skip(tag)?;
                notes.rare |= !unknown.note(start, reader.position());
            }
        }
    }
    notes.rare |= members > 1;
    Ok(())
}

/// Checks an `ArrayValue` or a `KeyValueList`: both have their items in field 1.
fn check_list(
    list: &[u8],
    depth: usize,
    notes: &mut Notes,
    check_item: fn(&[u8], usize, &mut Notes) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut reader = Reader::new(list);
    let mut unknown = Piece::default();
    while !reader.is_at_end() {
        let start = reader.position();
        match reader.tag()? {
            0x0a => check_item(reader.bytes()?, depth + 1, notes)?,
            tag => {
                reader.skip(tag)?;
                notes.rare |= !unknown.note(start, reader.position());
            }
        }
    }
    Ok(())
}

/// The key and value of a checked `KeyValue` in the usual form.
#[inline]
pub(super) fn pair_of(pair: &[u8]) -> (&[u8], ValueRef<'_>) {
    if let Some((key, value)) = usual_pair(pair) {
        return match usual_text(value) {
            Some(text) => (key, ValueRef::String(text)),
            None => (key, value_of(value).unwrap_or(ValueRef::Empty)),
        };
    }
    long_pair(pair)
}

fn long_pair(pair: &[u8]) -> (&[u8], ValueRef<'_>) {
    let (mut key, mut found, mut is_known) = (&[][..], ValueRef::Missing, true);
    let mut reader = Reader::new(pair);
    while let Ok(tag) = reader.tag() {
        match tag {
            0x0a => key = reader.bytes().unwrap_or_default(),
            0x12 => found = value_of(reader.bytes().unwrap_or_default()).unwrap_or(ValueRef::Empty),
            tag => is_known &= reader.skip(tag).is_err(),
        }
    }
    (key, if is_known { found } else { ValueRef::OpaquePair(pair) })
}

/// The value in a checked `AnyValue` of at most one known member.
fn value_of(value: &[u8]) -> Result<ValueRef<'_>, WireError> {
    let mut found = ValueRef::Empty;
    let mut reader = Reader::new(value);
    while !reader.is_at_end() {
        found = match reader.tag()? {
            0x0a => ValueRef::String(reader.bytes()?),
            0x10 => ValueRef::Bool(reader.varint()? != 0),
            0x18 => ValueRef::Int(reader.varint()?.cast_signed()),
            0x21 => ValueRef::Double(f64::from_bits(reader.fixed64()?)),
            0x2a => ValueRef::Array(reader.bytes()?),
            0x32 => ValueRef::KeyValueList(reader.bytes()?),
            0x3a => ValueRef::Bytes(reader.bytes()?),
            _ => return Ok(ValueRef::Opaque(value)),
        };
    }
    Ok(found)
}
