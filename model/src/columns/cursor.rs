//! Reading little-endian and variable-length numbers from bytes that may be anything.

use super::ColumnError;

const ENDED: ColumnError = ColumnError::new("it ends too early");

/// Appends `value` as LEB128.
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Maps signed to unsigned so that small magnitudes stay small.
#[expect(clippy::cast_sign_loss, reason = "the mapping is a bijection on 64 bits")]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[expect(clippy::cast_possible_wrap, reason = "the mapping is a bijection on 64 bits")]
pub fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// A place in some bytes.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ColumnError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ENDED)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ColumnError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ENDED)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, ColumnError> {
        let (first, rest) = self.rest.split_first().ok_or(ENDED)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A little-endian number of four bytes.
    pub fn u32(&mut self) -> Result<u32, ColumnError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, ColumnError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A LEB128 number.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, ColumnError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ColumnError::new("a number is too long"))
    }

    /// A LEB128 number below or equal to `max`, as a count of things in memory.
    pub fn count(&mut self, max: usize) -> Result<usize, ColumnError> {
        match usize::try_from(self.varint()?) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(ColumnError::new("a count is out of bounds")),
        }
    }

    /// A LEB128 number that fits in 32 bits.
    pub fn varint_u32(&mut self) -> Result<u32, ColumnError> {
        u32::try_from(self.varint()?).map_err(|_| ColumnError::new("a number is out of bounds"))
    }

    /// A length and as many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], ColumnError> {
        let length = self.count(self.rest.len())?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut out = Vec::new();
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        for number in numbers {
            put_varint(&mut out, number);
        }
        let mut cursor = Cursor::new(&out);
        for number in numbers {
            assert_eq!(cursor.varint(), Ok(number));
        }
        assert!(cursor.is_empty() && cursor.varint().is_err());
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
    }
}
