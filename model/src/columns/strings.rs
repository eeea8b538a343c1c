//! Columns of byte strings.
//!
//! A column is a list of distinct values in order of first appearance and, unless every row
//! has its own, a code per row. The list itself takes one of these forms:
//!
//! - *plain*: lengths, then all bytes;
//! - *hex*: all values are lower-case hexadecimal of one even length: packed to half the bytes,
//!   which nothing shortens further (random ids), hence raw;
//! - *uuid*: all values are `8-4-4-4-12` lower-case hexadecimal: 16 raw bytes each;
//! - *decimal*: all values are decimal numbers as integers print: an integer column.

use bytes::Bytes;
use hashbrown::HashTable;
use twox_hash::XxHash3_64;

use super::cursor::{Cursor, put_varint};
use super::{ColumnError, Streams, integers};
use crate::hash_seed;

const FORM_PLAIN: u8 = 0;
const FORM_HEX: u8 = 1;
const FORM_UUID: u8 = 2;
const FORM_DECIMAL: u8 = 3;
/// Added to the form when every row has a value of its own, in row order.
const UNCODED: u8 = 0x80;

const UUID_LENGTH: usize = 36;
const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];

/// Finds equal values; kept between columns for its room.
#[derive(Debug)]
pub struct StringEncoder {
    /// See [`hash_seed`].
    seed: u64,
    table: HashTable<u32>,
    distinct: Vec<(u32, u32)>,
    codes: Vec<u32>,
}

impl Default for StringEncoder {
    fn default() -> Self {
        let (distinct, codes) = (Vec::new(), Vec::new());
        Self { seed: hash_seed::get(), table: HashTable::new(), distinct, codes }
    }
}

impl StringEncoder {
    /// Writes the column of `values`, each a (start, length) within `arena`.
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "ranges lie within the caller's arena; a column has at most u32::MAX rows"
    )]
    pub fn write(&mut self, out: &mut Streams, arena: &[u8], values: &[(u32, u32)]) {
        let text = |(start, length): (u32, u32)| &arena[start as usize..][..length as usize];
        let seed = self.seed;
        let hash_of = |bytes: &[u8]| XxHash3_64::oneshot_with_seed(seed, bytes);
        self.table.clear();
        self.distinct.clear();
        self.codes.clear();
        let mut previous = u32::MAX;
        for value in values {
            let bytes = text(*value);
            if previous == u32::MAX || text(self.distinct[previous as usize]) != bytes {
                let hash = hash_of(bytes);
                let distinct = &self.distinct;
                let found = self.table.find(hash, |code| text(distinct[*code as usize]) == bytes);
                previous = if let Some(code) = found {
                    *code
                } else {
                    let code = self.distinct.len() as u32;
                    self.distinct.push(*value);
                    let distinct = &self.distinct;
                    let rehash = |code: &u32| hash_of(text(distinct[*code as usize]));
                    self.table.insert_unique(hash, code, rehash);
                    code
                };
            }
            self.codes.push(previous);
        }
        let uncoded = self.distinct.len() == values.len();
        let form = form_of(self.distinct.iter().map(|value| text(*value)));
        out.packed.push(if uncoded { form | UNCODED } else { form });
        if !uncoded {
            put_varint(&mut out.packed, self.distinct.len() as u64);
            write_codes(&mut out.packed, &self.codes, self.distinct.len());
        }
        write_list(out, form, self.distinct.iter().map(|value| text(*value)));
    }
}

/// Writes codes below `distinct` in as few whole bytes as they need; none if there is one code.
#[expect(clippy::cast_possible_truncation, reason = "the width was chosen to fit")]
pub fn write_codes(out: &mut Vec<u8>, codes: &[u32], distinct: usize) {
    match code_width(distinct) {
        0 => {}
        1 => out.extend(codes.iter().map(|code| *code as u8)),
        // High bytes apart from low ones: the high ones are nearly constant.
        width => {
            for byte in 0..width {
                out.extend(codes.iter().map(|code| (code >> (8 * byte)) as u8));
            }
        }
    }
}

/// Reads `count` codes below `distinct`.
pub fn read_codes(
    packed: &mut Cursor<'_>,
    count: usize,
    distinct: usize,
) -> Result<Vec<u32>, ColumnError> {
    let mut codes = vec![0; count];
    for byte in 0..code_width(distinct) {
        for (code, part) in codes.iter_mut().zip(packed.take(count)?) {
            *code |= u32::from(*part) << (8 * byte);
        }
    }
    if codes.iter().all(|code| (*code as usize) < distinct) {
        Ok(codes)
    } else {
        Err(ColumnError::new("a code names no value"))
    }
}

fn code_width(distinct: usize) -> u32 {
    match distinct {
        0 | 1 => 0,
        2..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

fn form_of<'a>(mut values: impl Iterator<Item = &'a [u8]> + Clone) -> u8 {
    let Some(first) = values.clone().next() else { return FORM_PLAIN };
    let length = first.len();
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if length >= 8
        && length.is_multiple_of(2)
        && values.clone().all(|value| value.len() == length && value.iter().all(is_hex))
    {
        FORM_HEX
    } else if values.clone().all(is_uuid) {
        FORM_UUID
    } else if values.all(|value| decimal(value).is_some()) {
        FORM_DECIMAL
    } else {
        FORM_PLAIN
    }
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == UUID_LENGTH
        && value.iter().enumerate().all(|(place, byte)| {
            if UUID_DASHES.contains(&place) {
                *byte == b'-'
            } else {
                matches!(byte, b'0'..=b'9' | b'a'..=b'f')
            }
        })
}

/// The number that prints as exactly these digits.
fn decimal(value: &[u8]) -> Option<u64> {
    let canonical = match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 19 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    canonical.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

fn write_list<'a>(out: &mut Streams, form: u8, values: impl Iterator<Item = &'a [u8]> + Clone) {
    match form {
        FORM_HEX => {
            let length = values.clone().next().map_or(0, <[u8]>::len);
            put_varint(&mut out.packed, length as u64);
            values.for_each(|value| pack_hex(&mut out.raw, value));
        }
        FORM_UUID => values.for_each(|value| pack_hex(&mut out.raw, value)),
        FORM_DECIMAL => integers::write(out, values.filter_map(decimal)),
        _ => {
            for value in values.clone() {
                put_varint(&mut out.packed, value.len() as u64);
            }
            values.for_each(|value| out.packed.extend_from_slice(value));
        }
    }
}

/// Packs hexadecimal digits two to a byte, passing over dashes.
fn pack_hex(out: &mut Vec<u8>, value: &[u8]) {
    let mut high = None;
    for character in value.iter().filter(|character| **character != b'-') {
        let digit = if *character <= b'9' { character - b'0' } else { character - b'a' + 10 };
        match high.take() {
            None => high = Some(digit << 4),
            Some(first) => out.push(first | digit),
        }
    }
}

/// A column of byte strings, read.
#[derive(Debug, Clone)]
pub struct StringColumn {
    /// A value per row, as a place in `ends`; empty if every row has its own.
    codes: Vec<u32>,
    /// Where each distinct value ends in `data`.
    ends: Vec<u32>,
    data: Bytes,
    count: usize,
}

impl StringColumn {
    /// Reads a column of `count` rows that takes all of `packed` and `raw`.
    pub fn read(packed: &[u8], raw: &[u8], count: usize) -> Result<Self, ColumnError> {
        let mut packed = Cursor::new(packed);
        let first = packed.byte()?;
        let (codes, distinct) = if first & UNCODED != 0 {
            (Vec::new(), count)
        } else {
            let distinct = packed.count(count)?;
            (read_codes(&mut packed, count, distinct)?, distinct)
        };
        let (ends, data) = read_list(first & !UNCODED, &mut packed, raw, distinct)?;
        Ok(Self { codes, ends, data: data.into(), count })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many distinct values there are.
    pub fn distinct_count(&self) -> usize {
        self.ends.len()
    }

    /// The place of a row's value among the distinct ones.
    #[expect(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits")]
    pub fn code(&self, row: usize) -> Option<u32> {
        if row >= self.count {
            None
        } else if self.codes.is_empty() && self.ends.len() == self.count {
            Some(row as u32)
        } else {
            self.codes.get(row).copied()
        }
    }

    /// A distinct value, sharing the column's memory.
    pub fn distinct(&self, code: u32) -> Option<Bytes> {
        let code = code as usize;
        let end = *self.ends.get(code)? as usize;
        let start = code.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        Some(self.data.slice(start.unwrap_or(0) as usize..end))
    }

    /// A row's value, sharing the column's memory.
    pub fn get(&self, row: usize) -> Option<Bytes> {
        self.distinct(self.code(row)?)
    }
}

/// Longest text a column's list may decode to: a batch never holds more, and hex doubles.
const DATA_BYTES_MAX: usize = 1 << 28;

fn read_list(
    form: u8,
    packed: &mut Cursor<'_>,
    raw: &[u8],
    count: usize,
) -> Result<(Vec<u32>, Vec<u8>), ColumnError> {
    let mut data = Vec::new();
    let mut ends = Vec::with_capacity(count.min(1 << 16));
    match form {
        FORM_HEX => {
            let length = packed.count(DATA_BYTES_MAX)?;
            if length == 0 || length % 2 != 0 {
                return Err(ColumnError::new("hexadecimal of an odd length"));
            }
            unpack_hex(&mut data, &mut ends, raw, count, length / 2, |_, _| {})?;
        }
        FORM_UUID => {
            unpack_hex(&mut data, &mut ends, raw, count, 16, |data, digits| {
                if matches!(digits, 8 | 12 | 16 | 20) {
                    data.push(b'-');
                }
            })?;
        }
        FORM_DECIMAL => {
            for number in integers::read(packed, raw, count)?.0 {
                data.extend_from_slice(number.to_string().as_bytes());
                push_end(&mut ends, &data)?;
            }
        }
        FORM_PLAIN => {
            let mut end = 0_usize;
            for _ in 0..count {
                end = end.saturating_add(packed.count(DATA_BYTES_MAX)?);
                let narrow = u32::try_from(end.min(DATA_BYTES_MAX + 1)).unwrap_or(u32::MAX);
                ends.push(narrow);
            }
            data.extend_from_slice(packed.take(end)?);
        }
        _ => return Err(ColumnError::new("no such form of a list")),
    }
    Ok((ends, data))
}

fn push_end(ends: &mut Vec<u32>, data: &[u8]) -> Result<(), ColumnError> {
    if data.len() > DATA_BYTES_MAX {
        return Err(ColumnError::new("a column is too large"));
    }
    ends.push(u32::try_from(data.len()).unwrap_or(u32::MAX));
    Ok(())
}

fn unpack_hex(
    data: &mut Vec<u8>,
    ends: &mut Vec<u32>,
    raw: &[u8],
    count: usize,
    value_bytes: usize,
    before_byte: impl Fn(&mut Vec<u8>, usize),
) -> Result<(), ColumnError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let expected = count.checked_mul(value_bytes);
    if expected != Some(raw.len()) {
        return Err(ColumnError::new("hexadecimal of another length"));
    }
    for value in raw.chunks_exact(value_bytes) {
        for (place, byte) in value.iter().enumerate() {
            before_byte(data, place * 2);
            data.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        push_end(ends, data)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(values: &[&[u8]]) -> Streams {
        let mut arena = Vec::new();
        let ranges: Vec<(u32, u32)> = values
            .iter()
            .map(|value| {
                let start = u32::try_from(arena.len()).unwrap();
                arena.extend_from_slice(value);
                (start, u32::try_from(value.len()).unwrap())
            })
            .collect();
        let mut out = Streams::default();
        StringEncoder::default().write(&mut out, &arena, &ranges);
        let column = StringColumn::read(&out.packed, &out.raw, values.len()).unwrap();
        for (row, value) in values.iter().enumerate() {
            assert_eq!(column.get(row).as_deref(), Some(*value), "row {row}");
        }
        assert_eq!(column.get(values.len()), None);
        out
    }

    #[test]
    fn every_form_comes_back() {
        round_trip(&[]);
        round_trip(&[b""]);
        round_trip(&[b"", b"", b"a"]);
        round_trip(&[b"GET", b"POST", b"GET", b"GET"]);
        round_trip(&[b"0", b"17", b"007"]);
        assert!(round_trip(&[b"0", b"17", b"9999999999999999999"]).packed.len() > 3);
        assert_eq!(round_trip(&[b"0123456789abcdef", b"fedcba9876543210"]).raw.len(), 16);
        let uuid = b"123e4567-e89b-12d3-a456-426614174000".as_slice();
        assert_eq!(round_trip(&[uuid, uuid, uuid]).raw.len(), 16);
        round_trip(&[uuid, b"123e4567-e89b-12d3-a456-42661417400G"]);
        let many: Vec<String> = (0..700).map(|number| format!("/item/{number}")).collect();
        let twice: Vec<&[u8]> = many.iter().chain(&many).map(String::as_bytes).collect();
        round_trip(&twice);
    }

    #[test]
    fn nonsense_is_refused() {
        for junk in [&[][..], &[9], &[0, 255, 255], &[1, 1, 3], &[0x82, 0], &[0, 2, 1, 1, 5]] {
            assert!(StringColumn::read(junk, &[1, 2, 3], 2).is_err(), "{junk:?}");
        }
    }
}
