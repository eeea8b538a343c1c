//! The filters of all pages of a run, side by side: bit by bit instead of page by page, so that to
//! ask all pages for a value is to read as many rows of bits as the value has probes.
//!
//! A run of a thousand pages has four megabytes of filters; a value takes seven rows of 125 bytes
//! of them. They are read where they lie, each part verified, and nothing of them stays in memory.

use model::columns::ColumnError;

use super::Zones;
use super::filter::{insert, places};
use crate::block::BlockError;
use crate::block::limits::{RUN_PAGES_MAX, ZONE_FILTER_BITS_MAX};
use crate::block::raw_section::RawSection;
use crate::mutant::{self, Mutant};

/// Bytes of bits that have a checksum together; with it they are a kibibyte.
const PART_BYTES: usize = 1_020;
const CHECKSUM_BYTES: usize = 4;
/// Bits, pages, checksum.
const HEAD_BYTES: usize = 12;

const MALFORMED: ColumnError = ColumnError::new("a filter of values does not add up");

/// Where the rows of bits lie in the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueFilter {
    /// Bits of a page's filter, a power of two: rows.
    bits: usize,
    pages: usize,
}

impl ValueFilter {
    fn matrix_bytes(self) -> usize {
        (self.bits * self.pages).div_ceil(8)
    }

    /// How many pages it is of.
    pub(super) fn page_count(self) -> usize {
        self.pages
    }

    /// Bytes of the section.
    fn length(self) -> usize {
        let bytes = self.matrix_bytes();
        HEAD_BYTES + bytes + bytes.div_ceil(PART_BYTES) * CHECKSUM_BYTES
    }

    fn head(self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        let (numbers, checksum) = head.split_at_mut(HEAD_BYTES - CHECKSUM_BYTES);
        let (bits, pages) = numbers.split_at_mut(4);
        bits.copy_from_slice(&narrow(self.bits));
        pages.copy_from_slice(&narrow(self.pages));
        checksum.copy_from_slice(&crc32fast::hash(numbers).to_le_bytes());
        head
    }

    /// What the section's head says.
    pub(super) fn read(section: RawSection<'_>) -> Result<Self, BlockError> {
        let mut head = [0; HEAD_BYTES];
        section.read(0, &mut head)?;
        let [b0, b1, b2, b3, p0, p1, p2, p3, ..] = head;
        let bits = u32::from_le_bytes([b0, b1, b2, b3]) as usize;
        let pages = u32::from_le_bytes([p0, p1, p2, p3]) as usize;
        let filter = Self { bits, pages };
        if filter.head() != head && !mutant::is(Mutant::ChecksumIgnored) {
            return Err(section.damaged());
        }
        let is_sound = bits.is_power_of_two()
            && (8..=ZONE_FILTER_BITS_MAX).contains(&bits)
            && pages <= RUN_PAGES_MAX
            && filter.length() == section.length();
        if is_sound { Ok(filter) } else { Err(section.malformed(MALFORMED)) }
    }

    /// The pages on which a value may stand, by its hash: a bit each.
    pub(in crate::block) fn pages(
        self,
        zones: &Zones,
        section: RawSection<'_>,
        hash: u64,
    ) -> Result<Vec<u64>, BlockError> {
        let mut found = vec![u64::MAX; self.pages.div_ceil(64)];
        if let Some(last) = found.last_mut() {
            *last >>= (64 - self.pages % 64) % 64;
        }
        let probes = zones.pages.iter().map(|page| page.probes).max().unwrap_or(0);
        let mut row = Vec::new();
        for (probe, bit) in (0_u8..).zip(places(self.bits / 8, probes, hash)) {
            if found.iter().all(|word| *word == 0) {
                break;
            }
            self.read_row(section, bit, &mut row)?;
            // Of a page with fewer probes further rows say nothing.
            for (number, page) in zones.pages.iter().enumerate() {
                if page.probes <= probe
                    && let Some(word) = row.get_mut(number / 64)
                {
                    *word |= 1 << (number % 64);
                }
            }
            for (found, row) in found.iter_mut().zip(&row) {
                *found &= row;
            }
        }
        Ok(found)
    }

    /// The bits of all pages at one place of their filters.
    fn read_row(
        self,
        section: RawSection<'_>,
        bit: usize,
        row: &mut Vec<u64>,
    ) -> Result<(), BlockError> {
        let first_bit = bit * self.pages;
        let (first, last) = (first_bit / 8, (first_bit + self.pages).div_ceil(8));
        let parts = first / PART_BYTES..last.div_ceil(PART_BYTES);
        let start = HEAD_BYTES + parts.start * (PART_BYTES + CHECKSUM_BYTES);
        let end = HEAD_BYTES + parts.end * (PART_BYTES + CHECKSUM_BYTES);
        let mut stored = vec![0; end.min(self.length()).saturating_sub(start)];
        section.read(start, &mut stored)?;
        let mut bytes = Vec::with_capacity(stored.len());
        for part in stored.chunks(PART_BYTES + CHECKSUM_BYTES) {
            let (content, checksum) = part.split_at(part.len().saturating_sub(CHECKSUM_BYTES));
            let is_sound = crc32fast::hash(content).to_le_bytes() == checksum;
            if !is_sound && !mutant::is(Mutant::ChecksumIgnored) {
                return Err(section.damaged());
            }
            bytes.extend_from_slice(content);
        }
        let skipped = first_bit - parts.start * PART_BYTES * 8;
        row.clear();
        row.extend((0..self.pages.div_ceil(64)).map(|word| word_at(&bytes, skipped + word * 64)));
        Ok(())
    }
}

/// The 64 bits from a bit on; what is behind the end is zero.
fn word_at(bytes: &[u8], bit: usize) -> u64 {
    let mut window = [0; 16];
    let bytes = bytes.get(bit / 8..).unwrap_or_default();
    for (to, from) in window.iter_mut().zip(bytes).take(9) {
        *to = *from;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    {
        (u128::from_le_bytes(window) >> (bit % 8)) as u64
    }
}

/// The filters of the pages of a run under construction, page by page.
#[derive(Debug, Default)]
pub(crate) struct ValueFilterBuilder {
    pages: Vec<PageFilter>,
    bytes: Vec<u8>,
    /// Bits of the largest one.
    bits: usize,
}

#[derive(Debug, Clone, Copy)]
struct PageFilter {
    start: usize,
    /// What divides a row's number to make it that of a bit: filters are of different sizes, and a
    /// smaller one has each bit in several rows.
    bits: usize,
}

impl ValueFilterBuilder {
    /// Adds the next page: a filter of so many bits, a power of two from 8 on.
    pub(super) fn add(&mut self, bits: usize, probes: u8, hashes: impl Iterator<Item = u64>) {
        let start = self.bytes.len();
        self.bytes.resize(start + bits / 8, 0);
        let filter = self.bytes.get_mut(start..).unwrap_or_default();
        hashes.for_each(|hash| insert(filter, probes, hash));
        self.pages.push(PageFilter { start, bits });
        self.bits = self.bits.max(bits);
    }

    /// All pages are added.
    pub(super) fn finish(self) -> ValueFilterWriter {
        let filter = ValueFilter { bits: self.bits.max(8), pages: self.pages.len() };
        ValueFilterWriter { filter, pages: self, next_rows: None, packed: PackedBits::default() }
    }

    /// The bits of a page in eight rows, of `bits` in all.
    fn eight_rows(&self, page: PageFilter, rows: usize, bits: usize) -> u8 {
        let byte = |at: usize| self.bytes.get(page.start + at).copied().unwrap_or(0);
        let rows_per_bit = (bits / page.bits.max(1)).max(1);
        if rows_per_bit == 1 {
            return byte(rows);
        }
        (0..8).fold(0, |eight, row| {
            let bit = (rows * 8 + row) / rows_per_bit;
            eight | (byte(bit / 8) >> (bit % 8) & 1) << row
        })
    }
}

/// Tells the section of a filter, part by part.
#[derive(Debug)]
pub(crate) struct ValueFilterWriter {
    filter: ValueFilter,
    pages: ValueFilterBuilder,
    /// The next rows, in eights; nothing before the head.
    next_rows: Option<usize>,
    packed: PackedBits,
}

impl ValueFilterWriter {
    /// Appends the next part; false if there is none.
    pub(in crate::block) fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(mut rows) = self.next_rows else {
            out.extend_from_slice(&self.filter.head());
            self.next_rows = Some(0);
            return true;
        };
        while self.packed.bytes.len() < PART_BYTES && rows * 8 < self.filter.bits {
            self.add_rows(rows);
            rows += 1;
        }
        self.next_rows = Some(rows);
        if rows * 8 >= self.filter.bits {
            self.packed.end();
        }
        let length = self.packed.bytes.len().min(PART_BYTES);
        let rest = self.packed.bytes.split_off(length);
        let part = std::mem::replace(&mut self.packed.bytes, rest);
        if part.is_empty() {
            return false;
        }
        out.extend_from_slice(&part);
        out.extend_from_slice(&crc32fast::hash(&part).to_le_bytes());
        true
    }

    /// Packs eight rows: what is a byte of each page becomes a bit of each page in each row.
    fn add_rows(&mut self, rows: usize) {
        let pages = &self.pages;
        let mut turned: [Vec<u8>; 8] = Default::default();
        for eight in pages.pages.chunks(8) {
            let mut square = [0; 8];
            for (byte, page) in square.iter_mut().zip(eight) {
                *byte = pages.eight_rows(*page, rows, self.filter.bits);
            }
            for (row, byte) in turned.iter_mut().zip(transposed(square)) {
                row.push(byte);
            }
        }
        for row in &turned {
            self.packed.add(row, self.filter.pages);
        }
    }
}

/// Bits behind one another.
#[derive(Debug, Default)]
struct PackedBits {
    bytes: Vec<u8>,
    /// Those that do not fill a byte yet, and how many.
    open: u16,
    open_bits: usize,
}

impl PackedBits {
    /// Adds the first `count` bits; those behind them in the last byte are zero.
    fn add(&mut self, bytes: &[u8], count: usize) {
        let mut left = count;
        for byte in bytes {
            self.open |= u16::from(*byte) << self.open_bits;
            self.open_bits += left.min(8);
            left = left.saturating_sub(8);
            if self.open_bits >= 8 {
                let [full, rest] = self.open.to_le_bytes();
                self.bytes.push(full);
                self.open = rest.into();
                self.open_bits -= 8;
            }
        }
    }

    /// The last byte is filled up.
    fn end(&mut self) {
        if self.open_bits > 0 {
            let [last, _] = self.open.to_le_bytes();
            self.bytes.push(last);
            (self.open, self.open_bits) = (0, 0);
        }
    }
}

/// Bit `i` of byte `j` becomes bit `j` of byte `i`: by halves, quarters and eighths of the square
/// (Warren, *Hacker's Delight*, section 7-3).
fn transposed(square: [u8; 8]) -> [u8; 8] {
    let mut bits = u64::from_le_bytes(square);
    for (shift, mask) in
        [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)]
    {
        let swapped = (bits ^ bits >> shift) & mask;
        bits ^= swapped ^ swapped << shift;
    }
    bits.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::Tenant;
    use model::testing::Random;

    use super::*;
    use crate::block::zones::filter::{may_contain, probes_for, value_hash};
    use crate::block::zones::{Page, Stretch};
    use crate::block::{BlockFile, BlockInfo, BlockWriter, SectionKind};
    use crate::env::FaultEnv;

    fn hash(page: usize, number: usize) -> u64 {
        value_hash(page as u64, &number.to_le_bytes())
    }

    /// Filters of these sizes, each with some values of its own, and a block that has them.
    fn filters(env: &FaultEnv, sizes: &[usize]) -> (Vec<Vec<u8>>, Zones, BlockFile) {
        let (mut builder, mut zones, mut filters) =
            (ValueFilterBuilder::default(), Zones::default(), Vec::new());
        for (page, bits) in sizes.iter().enumerate() {
            let values = bits / (8 + page % 7) + 1;
            let probes = probes_for(*bits, values);
            builder.add(*bits, probes, (0..values).map(|number| hash(page, number)));
            let mut filter = vec![0; bits / 8];
            (0..values).for_each(|number| insert(&mut filter, probes, hash(page, number)));
            filters.push(filter);
            let none = Stretch { start: 0, end: 0 };
            zones.pages.push(Page { flags: 0, classes: none, keys: none, filter: none, probes });
        }
        let path = Path::new("/b/1.block");
        let mut writer = BlockWriter::create(env, path, BlockInfo::NONE).unwrap();
        writer.begin_run(Tenant::default());
        let mut section = builder.finish();
        let next = &mut |out: &mut Vec<u8>| section.next(out);
        writer.raw_section(SectionKind::ValueFilter, next).unwrap();
        writer.finish().unwrap();
        (filters, zones, BlockFile::open(env, path).unwrap())
    }

    fn section(block: &BlockFile) -> RawSection<'_> {
        let run = &block.directory().runs[0];
        RawSection::new(block, run.section(SectionKind::ValueFilter).unwrap()).unwrap()
    }

    #[test]
    fn side_by_side_they_say_what_each_of_them_does() {
        let mixed: Vec<usize> = (0..131).map(|page| 8 << (page % 11)).collect();
        let cases = [vec![], vec![8], vec![1 << 15], vec![1 << 12; 64], vec![1 << 13; 700], mixed];
        for sizes in cases {
            let (filters, zones, block) = filters(&FaultEnv::new(1), &sizes);
            let section = section(&block);
            let filter = ValueFilter::read(section).unwrap();
            for asked in (0..=sizes.len()).step_by(sizes.len() / 16 + 1) {
                for number in [0, 3, 1_000_000] {
                    let hash = hash(asked, number);
                    let found = filter.pages(&zones, section, hash).unwrap();
                    for (number, bits) in filters.iter().enumerate() {
                        let may_be = found[number / 64] >> (number % 64) & 1 != 0;
                        let expected = may_contain(bits, zones.pages[number].probes, hash);
                        assert_eq!(may_be, expected, "page {number} of {}", sizes.len());
                    }
                    let count: u32 = found.iter().map(|word| word.count_ones()).sum();
                    assert!(count as usize <= sizes.len());
                }
            }
        }
    }

    #[test]
    fn what_was_not_written_is_damage() {
        let env = FaultEnv::new(1);
        let (_, zones, block) = filters(&env, &[1 << 12; 100]);
        let section = section(&block);
        let filter = ValueFilter::read(section).unwrap();
        let at = block.directory().runs[0].section(SectionKind::ValueFilter).unwrap().offset;
        let mut random = Random::new(1);
        let mut noticed = 0;
        for _ in 0..200 {
            let place = usize::try_from(at).unwrap() + random.index(section.length());
            assert!(env.flip(block.path(), place, 1 << random.index(8)));
            let asked = hash(random.index(100), 1);
            let is_damage = |error: BlockError| error.is_corruption();
            let head = ValueFilter::read(section).map(|_| ()).map_err(is_damage);
            let rows = filter.pages(&zones, section, asked).map(|_| ()).map_err(is_damage);
            assert!(head != Err(false) && rows != Err(false));
            noticed += usize::from(rows.is_err());
        }
        assert!(noticed > 100, "each flip stays, and a value reads seven parts of fifty");
    }

    #[test]
    fn a_square_is_turned() {
        let mut random = Random::new(1);
        for _ in 0..100 {
            let square: [u8; 8] = std::array::from_fn(|_| u8::try_from(random.index(256)).unwrap());
            let turned = transposed(square);
            for (i, row) in turned.iter().enumerate() {
                for (j, byte) in square.iter().enumerate() {
                    assert_eq!(row >> j & 1, byte >> i & 1);
                }
            }
        }
    }
}
