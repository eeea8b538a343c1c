//! A table of traces that is looked into where it lies.
//!
//! Tables take four bytes a trace, too many for the memory of a node with a hundred million spans,
//! and a lookup needs a few dozen bytes of each. So a table is stored as it is, with a checksum for
//! each slice of it: a lookup reads one slice, seldom two, and verifies them. What stays in memory,
//! as far as there is room ([`TablePrints`]), takes a byte and a quarter a trace and denies nearly
//! all traces that are not there; without it a lookup reads a slice more.

use std::ops::Range;
use std::sync::Arc;

use model::columns::ColumnError;

use super::BlockError;
use super::raw_section::RawSection;
use super::table::{
    BUCKET_BITS_MAX, HEAD_BYTES, OnFound, PAGE_BITS, REMAINDER_BITS, SortedIds, TraceTable,
    matching, pages_of, parts,
};
use crate::mutant::{self, Mutant};

/// Bytes of a slice: what a disk reads at once.
pub(super) const SLICE_BYTES: usize = 4_096;

/// Slices that are read at once where about each of them is needed. A whole table would take
/// megabytes, of each block in turn, whenever a head is sealed.
const SLICES_AT_ONCE: usize = 16;

/// With so many ids for each slice of a table about each slice is needed.
const IDS_PER_SLICE: usize = 1;

/// The same with prints, which deny most ids.
const IDS_PER_SLICE_WITH_PRINTS: usize = 8;

/// Bits of a print: the highest ones of a remainder.
const PRINT_BITS: u32 = 8;

const MALFORMED: ColumnError = ColumnError::new("checks of a table do not add up");

/// What is needed to read slices of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableChecks {
    bucket_bits: u32,
    entry_count: usize,
    /// By slice: its checksum.
    checks: Vec<u32>,
}

/// What of a table is kept in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TablePrints {
    checks: Arc<TableChecks>,
    /// By bucket: where it ends among the entries.
    ends: Vec<u32>,
    /// By entry: the highest bits of its remainder, ascending within a bucket.
    prints: Vec<u8>,
}

/// Tells which entries may have a remainder in a bucket; nothing if none has.
type RangeOf<'a> = &'a mut dyn FnMut(usize, u32) -> Result<Option<Range<usize>>, BlockError>;

impl TableChecks {
    /// The checks of a table as it is stored.
    pub(super) fn encode(table: &[u8]) -> Vec<u8> {
        let slices = table.chunks(SLICE_BYTES);
        let mut out = Vec::with_capacity(HEAD_BYTES + 4 * slices.len());
        out.extend_from_slice(table.get(..HEAD_BYTES).unwrap_or_default());
        for slice in slices {
            out.extend_from_slice(&crc32fast::hash(slice).to_le_bytes());
        }
        out
    }

    /// The checks of a table of so many bytes.
    pub(super) fn decode(bytes: &[u8], table_bytes: usize) -> Result<Self, ColumnError> {
        let mut numbers = numbers(bytes);
        let (Some(bucket_bits), Some(entry_count)) = (numbers.next(), numbers.next()) else {
            return Err(MALFORMED);
        };
        let checks: Vec<u32> = numbers.collect();
        if !bytes.len().is_multiple_of(4) || bucket_bits > BUCKET_BITS_MAX {
            return Err(MALFORMED);
        }
        let expected = HEAD_BYTES as u64 + (4_u64 << bucket_bits) + 4 * u64::from(entry_count);
        let is_sound =
            expected == table_bytes as u64 && checks.len() == table_bytes.div_ceil(SLICE_BYTES);
        let entry_count = entry_count as usize;
        if is_sound { Ok(Self { bucket_bits, entry_count, checks }) } else { Err(MALFORMED) }
    }

    /// [`TraceTable::among`], by slices.
    pub(super) fn among(
        &self,
        ids: &SortedIds,
        table: RawSection<'_>,
        on_found: OnFound<'_>,
    ) -> Result<(), BlockError> {
        let mut ends = Slices::of(&self.checks, table, self.at_once(ids, IDS_PER_SLICE));
        self.among_within(ids, IDS_PER_SLICE, table, on_found, &mut |bucket, _| {
            bucket_range(bucket, &mut ends).map(Some)
        })
    }

    /// Slices to read at once for so many ids.
    fn at_once(&self, ids: &SortedIds, ids_per_slice: usize) -> usize {
        if ids.len() > self.checks.len() * ids_per_slice { SLICES_AT_ONCE } else { 1 }
    }

    fn among_within(
        &self,
        ids: &SortedIds,
        ids_per_slice: usize,
        table: RawSection<'_>,
        on_found: OnFound<'_>,
        range_of: RangeOf<'_>,
    ) -> Result<(), BlockError> {
        let mut slices = Slices::of(&self.checks, table, self.at_once(ids, ids_per_slice));
        let mut entries: Vec<u32> = Vec::new();
        for (hash, alike) in ids.alike(self.bucket_bits) {
            let (bucket, remainder) = parts(hash, self.bucket_bits);
            let Some(range) = range_of(bucket, remainder)? else { continue };
            if range.start > range.end || range.end > self.entry_count {
                return Err(table.malformed(MALFORMED));
            }
            let at = self.entries_at();
            let bytes = slices.read(at + 4 * range.start..at + 4 * range.end)?;
            entries.clear();
            entries.extend(numbers(bytes));
            // They are found by their order.
            if !entries.is_sorted_by_key(|entry| entry >> PAGE_BITS) {
                return Err(table.malformed(MALFORMED));
            }
            let found = matching(&entries, remainder);
            if !found.is_empty() {
                on_found(&mut alike.iter().map(|(_, id)| *id), &mut pages_of(found));
            }
        }
        Ok(())
    }

    /// Where the entries begin in the table.
    fn entries_at(&self) -> usize {
        HEAD_BYTES + (4 << self.bucket_bits)
    }
}

/// The entries of a bucket, as the table says.
fn bucket_range(bucket: usize, slices: &mut Slices<'_>) -> Result<Range<usize>, BlockError> {
    // The first bucket begins where the entries do.
    let first = bucket.saturating_sub(1);
    let ends = slices.read(HEAD_BYTES + 4 * first..HEAD_BYTES + 4 * (bucket + 1))?;
    let mut ends = numbers(ends).map(|end| end as usize);
    let start = if bucket == 0 { Some(0) } else { ends.next() };
    Ok(start.unwrap_or(0)..ends.next().unwrap_or(0))
}

impl TablePrints {
    /// What is kept of a table.
    pub(super) fn of(table: &TraceTable, checks: Arc<TableChecks>) -> Self {
        let prints = table.entries().iter().map(|entry| print_of(entry >> PAGE_BITS)).collect();
        Self { checks, ends: table.ends().to_vec(), prints }
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(self.ends.as_slice()) + size_of_val(self.prints.as_slice())
    }

    /// The most that this may be of a run with so many traces.
    pub(crate) fn memory_bytes_max(trace_count: u64) -> usize {
        usize::try_from(trace_count.saturating_mul(2)).unwrap_or(usize::MAX).saturating_add(64)
    }

    /// [`TraceTable::among`], by slices where prints do not deny.
    pub(super) fn among(
        &self,
        ids: &SortedIds,
        table: RawSection<'_>,
        on_found: OnFound<'_>,
    ) -> Result<(), BlockError> {
        let per_slice = IDS_PER_SLICE_WITH_PRINTS;
        self.checks.among_within(ids, per_slice, table, on_found, &mut |bucket, remainder| {
            Ok(self.alike(bucket, remainder))
        })
    }

    /// The entries of a bucket that have the print of a remainder; nothing if none has.
    fn alike(&self, bucket: usize, remainder: u32) -> Option<Range<usize>> {
        let start = bucket.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0) as usize;
        let end = self.ends.get(bucket).copied().unwrap_or(0) as usize;
        let prints = self.prints.get(start..end)?;
        let print = print_of(remainder);
        let first = prints.partition_point(|other| *other < print);
        let count = prints.get(first..)?.partition_point(|other| *other == print);
        (count > 0).then_some(start + first..start + first + count)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the bits of a print")]
fn print_of(remainder: u32) -> u8 {
    (remainder >> (REMAINDER_BITS - PRINT_BITS)) as u8
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).filter_map(|chunk| chunk.try_into().ok().map(u32::from_le_bytes))
}

/// Slices of a table. What was read last is kept: ids come in the order of the table.
struct Slices<'a> {
    checks: &'a [u32],
    table: RawSection<'a>,
    /// Slices to read at once, if not more are asked for.
    at_once: usize,
    /// The first slice that is kept.
    first: usize,
    bytes: Vec<u8>,
}

impl<'a> Slices<'a> {
    fn of(checks: &'a [u32], table: RawSection<'a>, at_once: usize) -> Self {
        Self { checks, table, at_once, first: 0, bytes: Vec::new() }
    }

    /// These bytes of the table.
    fn read(&mut self, range: Range<usize>) -> Result<&[u8], BlockError> {
        if range.end > self.table.length() {
            return Err(self.table.malformed(MALFORMED));
        }
        let slices = range.start / SLICE_BYTES..range.end.div_ceil(SLICE_BYTES);
        let kept = self.first..self.first + self.bytes.len().div_ceil(SLICE_BYTES);
        if slices.start < kept.start || slices.end > kept.end {
            self.load(slices.start..slices.end.max(slices.start + self.at_once))?;
        }
        let start = range.start - self.first * SLICE_BYTES;
        Ok(self.bytes.get(start..start + range.len()).unwrap_or_default())
    }

    fn load(&mut self, slices: Range<usize>) -> Result<(), BlockError> {
        let slices = slices.start..slices.end.min(self.checks.len());
        // There is one for each slice: nothing is served that was not verified.
        let checks = self.checks.get(slices.clone());
        let checks = checks.ok_or_else(|| self.table.malformed(MALFORMED))?;
        let start = slices.start * SLICE_BYTES;
        let end = (slices.end * SLICE_BYTES).min(self.table.length());
        self.bytes.clear();
        self.bytes.resize(end.saturating_sub(start), 0);
        self.first = slices.start;
        self.table.read(start, &mut self.bytes)?;
        let sound = |(slice, check): (&[u8], &u32)| crc32fast::hash(slice) == *check;
        let are_sound = self.bytes.chunks(SLICE_BYTES).zip(checks).all(sound);
        if are_sound || mutant::is(Mutant::ChecksumIgnored) {
            Ok(())
        } else {
            self.bytes.clear();
            Err(self.table.damaged())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use model::{ShardId, Tenant, Timestamp, TraceId};

    use super::*;
    use crate::block::table::tests::{id, table};
    use crate::block::{BlockFile, BlockInfo, BlockWriter, SectionKind};
    use crate::env::FaultEnv;

    /// A block that has a table and nothing else.
    fn block(env: &FaultEnv, table: &TraceTable) -> BlockFile {
        let path = Path::new("/b/1.block");
        let info = BlockInfo { shard: ShardId(0), stamp_max: Timestamp(1), ..BlockInfo::NONE };
        let mut writer = BlockWriter::create(env, path, info).unwrap();
        writer.begin_run(Tenant::default());
        writer.table(&table.encode()).unwrap();
        writer.finish().unwrap();
        BlockFile::open(env, path).unwrap()
    }

    type Found = BTreeMap<TraceId, Vec<u32>>;

    fn found(among: impl FnOnce(OnFound<'_>) -> Result<(), BlockError>) -> Found {
        let mut found = BTreeMap::new();
        among(&mut |ids, pages| {
            let mut pages: Vec<u32> = pages.collect();
            pages.sort_unstable();
            pages.dedup();
            found.extend(ids.map(|id| (id, pages.clone())));
        })
        .unwrap();
        found
    }

    #[test]
    fn slices_tell_what_the_table_does() {
        for count in [1_000, 3_000, 50_000] {
            let table = table(count);
            let block = block(&FaultEnv::new(1), &table);
            let run = &block.directory().runs[0];
            let checks = block.table_checks(run).unwrap().unwrap();
            let prints = block.table_prints(run, Arc::new(checks.clone())).unwrap();
            assert_eq!(block.trace_table(run).unwrap(), table);
            let asked: Vec<TraceId> = (count / 2..count + 20_000).map(id).collect();
            let asked = SortedIds::new(asked.into_iter());
            let whole = found(|on_found| {
                table.among(&asked, on_found);
                Ok(())
            });
            assert!(whole.len() as u64 >= count - count / 2);
            let by_checks = |on_found: OnFound<'_>| block.among(run, &checks, &asked, on_found);
            assert_eq!(found(by_checks), whole, "{count}");
            let by_prints =
                |on_found: OnFound<'_>| block.among_prints(run, &prints, &asked, on_found);
            assert_eq!(found(by_prints), whole, "{count}");
            assert!(prints.memory_bytes() <= TablePrints::memory_bytes_max(count));
        }
    }

    #[test]
    fn shares_of_ids_find_together_what_all_do_at_once() {
        let table = table(3_000);
        let asked = || (1_000..6_000).map(id);
        let whole = found(|on_found| {
            table.among(&SortedIds::new(asked()), on_found);
            Ok(())
        });
        for shares in [1, 2, 16] {
            let (mut of_shares, mut most) = (Found::new(), 0);
            for share in 0..shares {
                let ids = SortedIds::share_of(asked(), share, shares);
                most = most.max(ids.len());
                of_shares.extend(found(|on_found| {
                    table.among(&ids, on_found);
                    Ok(())
                }));
            }
            assert_eq!(of_shares, whole, "{shares}");
            assert!(most <= 5_000 / shares + 200, "{most} of one share of {shares}");
        }
    }

    #[test]
    fn most_that_is_not_there_is_denied_without_reading() {
        let table = table(50_000);
        let block = block(&FaultEnv::new(1), &table);
        let run = &block.directory().runs[0];
        let checks = block.table_checks(run).unwrap().unwrap();
        let prints = block.table_prints(run, Arc::new(checks.clone())).unwrap();
        let absent = (1_000_000..1_010_000_u64).filter(|number| {
            let hash = crate::block::table::hash(id(*number));
            let (bucket, remainder) = parts(hash, checks.bucket_bits);
            prints.alike(bucket, remainder).is_some()
        });
        let passed = absent.count();
        assert!(passed < 800, "{passed} of 10,000");
    }

    #[test]
    fn a_slice_with_a_flipped_bit_is_damage_and_the_others_are_not() {
        let env = FaultEnv::new(1);
        let table = table(5_000);
        let block = block(&env, &table);
        let run = &block.directory().runs[0];
        let checks = block.table_checks(run).unwrap().unwrap();
        let section = *run.section(SectionKind::TraceTable).unwrap();
        // In the middle of the entries.
        let damaged = section.stored_length as usize / 2;
        let offset = usize::try_from(section.offset).unwrap();
        assert!(env.flip(block.path(), offset + damaged, 1));
        let slice = damaged / SLICE_BYTES;
        let (mut sound, mut errors) = (0, 0);
        for number in 0..5_000 {
            let hash = crate::block::table::hash(id(number));
            let (bucket, _) = parts(hash, checks.bucket_bits);
            let ends = table.ends();
            let start = if bucket == 0 { 0 } else { ends[bucket - 1] as usize };
            let entries =
                checks.entries_at() + 4 * start..checks.entries_at() + 4 * ends[bucket] as usize;
            let is_touched =
                entries.start / SLICE_BYTES <= slice && entries.end.div_ceil(SLICE_BYTES) > slice;
            let ids = SortedIds::new(std::iter::once(id(number)));
            let mut count = 0;
            match block.among(run, &checks, &ids, &mut |ids, _| count += ids.count()) {
                Ok(()) => {
                    assert_eq!(count, 1);
                    sound += 1;
                }
                Err(error) => {
                    assert!(is_touched && error.is_corruption(), "{number}: {error}");
                    errors += 1;
                }
            }
        }
        assert!(sound > 2_000 && errors > 100, "{sound} {errors}");
    }

    #[test]
    fn who_asks_for_all_ids_meets_every_flipped_bit() {
        let env = FaultEnv::new(1);
        let block = block(&env, &table(50_000));
        let run = &block.directory().runs[0];
        let checks = block.table_checks(run).unwrap().unwrap();
        let prints = block.table_prints(run, Arc::new(checks.clone())).unwrap();
        let section = *run.section(SectionKind::TraceTable).unwrap();
        let offset = usize::try_from(section.offset).unwrap();
        let length = section.stored_length as usize;
        let all = SortedIds::new((0..50_000).map(id));
        assert_eq!(checks.at_once(&all, IDS_PER_SLICE_WITH_PRINTS), SLICES_AT_ONCE);
        let entries = checks.entries_at().next_multiple_of(SLICE_BYTES);
        for at in (0..length).step_by(SLICE_BYTES).chain([length - 1]) {
            assert!(env.flip(block.path(), offset + at, 1));
            let error = block.among(run, &checks, &all, &mut |_, _| {}).unwrap_err();
            assert!(error.is_corruption(), "{at}: {error}");
            let by_prints = block.among_prints(run, &prints, &all, &mut |_, _| {});
            assert!(by_prints.is_err() || at < entries, "{at}");
            assert!(env.flip(block.path(), offset + at, 1));
        }
        block.among(run, &checks, &all, &mut |_, _| {}).unwrap();
    }

    #[test]
    fn checks_that_do_not_fit_the_table_are_refused() {
        let table = table(3_000).encode();
        let bytes = TableChecks::encode(&table);
        assert!(TableChecks::decode(&bytes, table.len()).is_ok());
        assert!(TableChecks::decode(&bytes, table.len() + 4).is_err());
        for length in 0..bytes.len() {
            assert!(TableChecks::decode(&bytes[..length], table.len()).is_err(), "{length}");
        }
        let mut hostile = bytes.clone();
        hostile[0] = 63;
        assert!(TableChecks::decode(&hostile, table.len()).is_err());
        hostile[0] = bytes[0] + 1;
        assert!(TableChecks::decode(&hostile, table.len()).is_err());
    }
}
