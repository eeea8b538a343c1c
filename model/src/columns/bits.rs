//! Streams of bits, least significant first.

use super::ColumnError;

/// Appends bits to bytes.
#[derive(Debug, Default)]
pub struct BitWriter {
    pending: u64,
    pending_count: u32,
}

impl BitWriter {
    /// Appends the low `count` bits of `value` (at most 64; higher bits must be zero).
    pub fn put(&mut self, out: &mut Vec<u8>, value: u64, count: u32) {
        debug_assert!(count == 64 || value >> count == 0, "bits beyond the count");
        self.pending |= value << self.pending_count;
        let total = self.pending_count + count;
        if total < 64 {
            self.pending_count = total;
            return;
        }
        out.extend_from_slice(&self.pending.to_le_bytes());
        let written = 64 - self.pending_count;
        self.pending = if written == 64 { 0 } else { value >> written };
        self.pending_count = total - 64;
    }

    /// Appends what is left, filled up with zero bits to a whole byte.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let byte_count = self.pending_count.div_ceil(8) as usize;
        out.extend(self.pending.to_le_bytes().into_iter().take(byte_count));
        *self = Self::default();
    }
}

/// Reads bits from bytes.
#[derive(Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next `count` bits (at most 64).
    #[expect(clippy::cast_possible_truncation, reason = "masked to at most 64 bits")]
    pub fn take(&mut self, count: u32) -> Result<u64, ColumnError> {
        if count == 0 {
            return Ok(0);
        }
        let end = self.position + count as usize;
        let (first, last) = (self.position / 8, end.div_ceil(8));
        let window = self.bytes.get(first..last).ok_or(ColumnError::new("bits are missing"))?;
        let mut wide = [0; 16];
        for (target, source) in wide.iter_mut().zip(window) {
            *target = *source;
        }
        let shifted = u128::from_le_bytes(wide) >> (self.position % 8);
        self.position = end;
        Ok(shifted as u64 & (u64::MAX >> (64 - count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_every_width_come_back_at_every_place() {
        let mut out = Vec::new();
        let mut writer = BitWriter::default();
        let widths: Vec<u32> = (0..=64).chain([1, 64, 3, 63, 64, 5]).collect();
        let value_of = |width: u32| if width == 0 { 0 } else { (u64::MAX / 3) >> (64 - width) };
        for width in &widths {
            writer.put(&mut out, value_of(*width), *width);
        }
        writer.finish(&mut out);
        let mut reader = BitReader::new(&out);
        for width in &widths {
            assert_eq!(reader.take(*width), Ok(value_of(*width)), "{width} bits");
        }
        assert!(reader.take(8).is_err());
    }
}
