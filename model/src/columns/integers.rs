//! Integers as a compressible class byte and incompressible low bits.
//!
//! A number is `mantissa * 1000^exponent` with the largest exponent of 0, 1 or 2 that divides it
//! (clocks tick in micro- or milliseconds more often than not), and its class byte is
//! `exponent * 65 + bit length of the mantissa`. The class byte goes to the packed stream, where
//! neighbours resemble each other; the mantissa's bits below the leading one go to the raw
//! stream, where nothing would shorten them.

use super::bits::{BitReader, BitWriter};
use super::cursor::Cursor;
use super::{ColumnError, Streams};

const LENGTHS: u32 = 65;
const EXPONENT_MAX: u32 = 2;

/// Writes numbers one by one; the raw bits are complete after [`IntegerWriter::finish`].
#[derive(Debug, Default)]
pub struct IntegerWriter {
    bits: BitWriter,
}

impl IntegerWriter {
    /// Appends one number.
    #[expect(clippy::cast_possible_truncation, reason = "at most 2 * 65 + 64")]
    pub fn put(&mut self, out: &mut Streams, number: u64) {
        let mut mantissa = number;
        let mut exponent = 0;
        while exponent < EXPONENT_MAX && mantissa != 0 && mantissa.is_multiple_of(1000) {
            mantissa /= 1000;
            exponent += 1;
        }
        let length = u64::BITS - mantissa.leading_zeros();
        out.packed.push((exponent * LENGTHS + length) as u8);
        if length > 1 {
            self.bits.put(&mut out.raw, mantissa & !(1 << (length - 1)), length - 1);
        }
    }

    /// Ends the column.
    pub fn finish(&mut self, out: &mut Streams) {
        self.bits.finish(&mut out.raw);
    }
}

/// Writes a whole column.
pub fn write(out: &mut Streams, numbers: impl IntoIterator<Item = u64>) {
    let mut writer = IntegerWriter::default();
    for number in numbers {
        writer.put(out, number);
    }
    writer.finish(out);
}

/// Reads a column of `count` numbers: class bytes from `packed`, bits from all of `raw`.
pub fn read(
    packed: &mut Cursor<'_>,
    raw: &[u8],
    count: usize,
) -> Result<(Vec<u64>, usize), ColumnError> {
    let classes = packed.take(count)?;
    let mut bits = BitReader::new(raw);
    let mut bit_count = 0;
    let mut numbers = Vec::with_capacity(count);
    for class in classes {
        let (exponent, length) = (u32::from(*class) / LENGTHS, u32::from(*class) % LENGTHS);
        if exponent > EXPONENT_MAX {
            return Err(ColumnError::new("no such integer class"));
        }
        let low_count = length.saturating_sub(1);
        let low = bits.take(low_count)?;
        bit_count += low_count as usize;
        let mantissa = if length == 0 { 0 } else { low | (1 << (length - 1)) };
        let number = mantissa.checked_mul(1000_u64.pow(exponent));
        numbers.push(number.ok_or(ColumnError::new("an integer overflows"))?);
    }
    Ok((numbers, bit_count.div_ceil(8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        let mut numbers: Vec<u64> = (0..64).map(|shift| 1 << shift).collect();
        numbers.extend([0, 1, 999, 1_000, 1_000_000, 123_000_000_000, u64::MAX, u64::MAX - 1]);
        let mut out = Streams::default();
        write(&mut out, numbers.iter().copied());
        let mut packed = Cursor::new(&out.packed);
        let (found, raw_bytes) = read(&mut packed, &out.raw, numbers.len()).unwrap();
        assert_eq!(found, numbers);
        assert_eq!(raw_bytes, out.raw.len());
        assert!(read(&mut Cursor::new(&out.packed), &[], numbers.len()).is_err());
        assert!(read(&mut Cursor::new(&[255]), &[0; 8], 1).is_err());
    }
}
