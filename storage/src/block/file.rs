//! A block that is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use model::batch::{Batch, BatchError};
use model::columns::ColumnError;
use model::columns::compress::decompress;

use super::directory::{Directory, HEADER_BYTES, PageInfo, Run, SectionKind, SectionRef};
use super::limits::{CHECKED_BYTES, DIRECTORY_BYTES_MAX, PAGE_BYTES_MAX, SECTION_BYTES_MAX};
use super::raw_section::RawSection;
use super::table::{OnFound, SortedIds};
use super::table_slices::{TableChecks, TablePrints};
use super::writer::{END_MAGIC, FOOTER_BYTES, MAGIC, VERSION};
use super::{BlockError, Names, Rollup, Splits, TraceTable, Zones};
use crate::env::{Env, ReadFile};
use crate::mutant::{self, Mutant};

/// A block's file, open, with its directory read. The file stays readable when its name goes.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    file: Arc<dyn ReadFile>,
    directory: Directory,
    size_bytes: u64,
    checksum: u32,
}

impl BlockFile {
    /// Opens a block and reads its directory.
    pub fn open(env: &dyn Env, path: &Path) -> Result<Self, BlockError> {
        let failed = |source| BlockError::Env { path: path.to_path_buf(), source };
        let not_a_block = |reason| BlockError::NotABlock { path: path.to_path_buf(), reason };
        let damaged = |offset| BlockError::Checksum {
            path: path.to_path_buf(),
            section: SectionKind::Directory,
            offset,
        };
        let file = env.open(path).map_err(failed)?;
        let size_bytes = file.size_bytes().map_err(failed)?;
        let mut header = [0; HEADER_BYTES];
        if file.read_at(0, &mut header).map_err(failed)? != header.len() {
            return Err(not_a_block("it is too short"));
        }
        let [m0, m1, m2, m3, version, z0, z1, z2, number @ ..] = header;
        if [m0, m1, m2, m3] != MAGIC || version == 0 {
            return Err(not_a_block("its first bytes are not a block's"));
        }
        if version > VERSION {
            return Err(BlockError::Version { path: path.to_path_buf(), version });
        }
        if [z0, z1, z2] != [0; 3] {
            return Err(not_a_block("its header is not a block's"));
        }
        let footer_at = size_bytes.checked_sub(FOOTER_BYTES as u64);
        let footer_at = footer_at.ok_or(not_a_block("it is too short"))?;
        let mut footer = [0; FOOTER_BYTES];
        if file.read_at(footer_at, &mut footer).map_err(failed)? != footer.len() {
            return Err(not_a_block("it is too short"));
        }
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3, l0, l1, l2, l3, rest @ ..] = footer;
        let [c0, c1, c2, c3, f0, f1, f2, f3, end_magic @ ..] = rest;
        let content = footer.get(..FOOTER_BYTES - 8).unwrap_or_default();
        if end_magic != END_MAGIC
            || crc32fast::hash(content) != u32::from_le_bytes([f0, f1, f2, f3])
        {
            return Err(damaged(footer_at));
        }
        let section = SectionRef {
            kind: SectionKind::Directory,
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            stored_length: u32::from_le_bytes([s0, s1, s2, s3]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            checksum: u32::from_le_bytes([c0, c1, c2, c3]),
        };
        let empty = Directory { info: super::BlockInfo::NONE, runs: Vec::new() };
        let checksum = section.checksum;
        let path = path.to_path_buf();
        let mut block = Self { path, file, directory: empty, size_bytes, checksum };
        let bytes = block.read_section(&section, DIRECTORY_BYTES_MAX)?;
        let directory = Directory::decode(&bytes);
        block.directory =
            directory.map_err(|reason| block.malformed(SectionKind::Directory, reason))?;
        if block.directory.info.number != u64::from_le_bytes(number) {
            return Err(damaged(section.offset));
        }
        Ok(block)
    }

    /// Its directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The checksum of its directory, in which the checksums of its sections stand.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// A page, its header read; its sections are verified as they are read.
    pub fn page(&self, page: &PageInfo) -> Result<Batch, BlockError> {
        let damaged =
            |source| BlockError::Page { path: self.path.clone(), offset: page.offset, source };
        if page.length as usize > PAGE_BYTES_MAX {
            return Err(damaged(BatchError::NotABatch));
        }
        let mut bytes = vec![0; page.length as usize];
        let read = self.file.read_at(page.offset, &mut bytes);
        let read = read.map_err(|source| BlockError::Env { path: self.path.clone(), source })?;
        if read != bytes.len() {
            return Err(damaged(BatchError::NotABatch));
        }
        let batch = Batch::open(Bytes::from(bytes)).map_err(damaged)?;
        let header = batch.header();
        let is_the_page = header.span_count == page.span_count
            && header.trace_count == page.trace_count
            && header.start_min == page.start_min
            && header.start_max == page.start_max;
        if is_the_page { Ok(batch) } else { Err(damaged(BatchError::Header)) }
    }

    /// Bytes of the file as they are, for a copy of it.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, BlockError> {
        let failed = |source| BlockError::Env { path: self.path.clone(), source };
        self.file.read_at(offset, buffer).map_err(failed)
    }

    /// The traces of a run.
    pub fn trace_table(&self, run: &Run) -> Result<TraceTable, BlockError> {
        self.decoded(run, SectionKind::TraceTable, TraceTable::decode)?.ok_or_else(|| {
            BlockError::NotABlock { path: self.path.clone(), reason: "it has no table of traces" }
        })
    }

    /// What is needed to look into the table of a run where it lies; nothing if it has no checks of
    /// its slices.
    pub(crate) fn table_checks(&self, run: &Run) -> Result<Option<TableChecks>, BlockError> {
        let Some(table) = self.raw(run, SectionKind::TraceTable) else { return Ok(None) };
        self.decoded(run, SectionKind::TableChecks, |bytes| {
            TableChecks::decode(bytes, table.length())
        })
    }

    /// What of a run's table is kept in memory.
    pub(crate) fn table_prints(
        &self,
        run: &Run,
        checks: Arc<TableChecks>,
    ) -> Result<TablePrints, BlockError> {
        Ok(TablePrints::of(&self.trace_table(run)?, checks))
    }

    /// [`TraceTable::among`], read in slices.
    pub(crate) fn among(
        &self,
        run: &Run,
        checks: &TableChecks,
        ids: &SortedIds,
        on_found: OnFound<'_>,
    ) -> Result<(), BlockError> {
        match self.raw(run, SectionKind::TraceTable) {
            Some(table) => checks.among(ids, table, on_found),
            None => Ok(()),
        }
    }

    /// The same with what is in memory of the table.
    pub(crate) fn among_prints(
        &self,
        run: &Run,
        prints: &TablePrints,
        ids: &SortedIds,
        on_found: OnFound<'_>,
    ) -> Result<(), BlockError> {
        match self.raw(run, SectionKind::TraceTable) {
            Some(table) => prints.among(ids, table, on_found),
            None => Ok(()),
        }
    }

    /// The pages of a run on which a value may stand, by its hash; nothing if all of them may have
    /// it as far as the filter knows.
    pub(crate) fn pages_with_value(
        &self,
        run: &Run,
        zones: &Zones,
        hash: u64,
    ) -> Result<Option<Vec<u64>>, BlockError> {
        let filter = zones.value_filter().zip(self.raw(run, SectionKind::ValueFilter));
        filter.map(|(filter, section)| filter.pages(zones, section, hash)).transpose()
    }

    /// The splits of a run.
    pub(crate) fn splits(&self, run: &Run) -> Result<Splits, BlockError> {
        Ok(self.decoded(run, SectionKind::Splits, Splits::decode)?.unwrap_or_default())
    }

    /// The names in a run; nothing if it lists none.
    pub(crate) fn names(&self, run: &Run) -> Result<Option<Names>, BlockError> {
        self.decoded(run, SectionKind::Names, Names::decode)
    }

    /// The zones of a run; nothing if it has none.
    pub(crate) fn zones(&self, run: &Run) -> Result<Option<Zones>, BlockError> {
        let Some(mut zones) = self.decoded(run, SectionKind::Zones, Zones::decode)? else {
            return Ok(None);
        };
        self.decoded(run, SectionKind::ClassKeys, |bytes| zones.decode_class_keys(bytes))?;
        self.decoded(run, SectionKind::KeyValues, |bytes| zones.decode_key_values(bytes))?;
        if let Some(filter) = self.raw(run, SectionKind::ValueFilter) {
            zones.read_value_filter(filter)?;
        }
        Ok(Some(zones))
    }

    /// The figures of a run; nothing if it has none.
    pub(crate) fn rollup(&self, run: &Run) -> Result<Option<Rollup>, BlockError> {
        self.decoded(run, SectionKind::Rollup, Rollup::decode)
    }

    /// Reads everything, verifies every checksum and unpacks every page; tells each thing that is
    /// wrong, and how many bytes are done.
    pub fn verify(&self, on_error: &mut dyn FnMut(BlockError), on_progress: &mut dyn FnMut(u64)) {
        let read = |file: &Self, section: &SectionRef| {
            file.read_section(section, SECTION_BYTES_MAX).map(|_| ())
        };
        self.verify_parts(Batch::verify, read, on_error, on_progress);
    }

    /// The first byte that is not what was written: reads everything and verifies every checksum,
    /// and unpacks nothing. Of a copy that is enough: it says what the original said.
    pub fn first_damage(&self) -> Option<BlockError> {
        let mut damage = None;
        let mut on_error = |error| {
            damage.get_or_insert(error);
        };
        self.verify_parts(Batch::check, Self::check_section, &mut on_error, &mut |_| {});
        damage
    }

    fn verify_parts(
        &self,
        verify: fn(&Batch) -> Result<(), BatchError>,
        verify_section: fn(&Self, &SectionRef) -> Result<(), BlockError>,
        on_error: &mut dyn FnMut(BlockError),
        on_progress: &mut dyn FnMut(u64),
    ) {
        for run in &self.directory.runs {
            for page in &run.pages {
                let verified = self.page(page).and_then(|batch| {
                    verify(&batch).map_err(|source| BlockError::Page {
                        path: self.path.clone(),
                        offset: page.offset,
                        source,
                    })
                });
                if let Err(error) = verified {
                    on_error(error);
                }
                on_progress(u64::from(page.length));
            }
            for section in &run.sections {
                if let Err(error) = verify_section(self, section) {
                    on_error(error);
                }
                on_progress(u64::from(section.stored_length));
            }
        }
    }

    /// A section that is read in parts.
    fn raw<'a>(&'a self, run: &'a Run, kind: SectionKind) -> Option<RawSection<'a>> {
        RawSection::new(self, run.section(kind)?)
    }

    fn decoded<T>(
        &self,
        run: &Run,
        kind: SectionKind,
        decode: impl FnOnce(&[u8]) -> Result<T, ColumnError>,
    ) -> Result<Option<T>, BlockError> {
        let Some(section) = run.section(kind) else { return Ok(None) };
        let bytes = self.read_section(section, SECTION_BYTES_MAX)?;
        decode(&bytes).map(Some).map_err(|reason| self.malformed(kind, reason))
    }

    fn read_section(&self, section: &SectionRef, bytes_max: usize) -> Result<Vec<u8>, BlockError> {
        self.check_bounds(section, bytes_max)?;
        let mut stored = vec![0; section.stored_length as usize];
        let read = self.read_at(section.offset, &mut stored)?;
        let is_sound = crc32fast::hash(&stored) == section.checksum;
        if read != stored.len() || !(is_sound || mutant::is(Mutant::ChecksumIgnored)) {
            return Err(self.damaged(section));
        }
        if section.length == 0 {
            return Ok(stored);
        }
        decompress(&stored, section.length as usize)
            .map_err(|reason| self.malformed(section.kind, reason))
    }

    /// Verifies a section's checksum with a little of it in memory at a time.
    fn check_section(&self, section: &SectionRef) -> Result<(), BlockError> {
        self.check_bounds(section, SECTION_BYTES_MAX)?;
        let (mut offset, mut left) = (section.offset, section.stored_length as usize);
        let mut buffer = vec![0; left.min(CHECKED_BYTES)];
        let mut hasher = crc32fast::Hasher::new();
        while left > 0 {
            buffer.truncate(left);
            if self.read_at(offset, &mut buffer)? != buffer.len() {
                return Err(self.damaged(section));
            }
            hasher.update(&buffer);
            offset += buffer.len() as u64;
            left -= buffer.len();
        }
        let is_sound = hasher.finalize() == section.checksum;
        if is_sound || mutant::is(Mutant::ChecksumIgnored) {
            Ok(())
        } else {
            Err(self.damaged(section))
        }
    }

    fn check_bounds(&self, section: &SectionRef, bytes_max: usize) -> Result<(), BlockError> {
        let end = section.offset.saturating_add(u64::from(section.stored_length));
        let is_within = end <= self.size_bytes
            && section.stored_length as usize <= bytes_max
            && section.length as usize <= bytes_max;
        if is_within { Ok(()) } else { Err(self.damaged(section)) }
    }

    fn damaged(&self, section: &SectionRef) -> BlockError {
        BlockError::Checksum {
            path: self.path.clone(),
            section: section.kind,
            offset: section.offset,
        }
    }

    fn malformed(&self, section: SectionKind, reason: ColumnError) -> BlockError {
        BlockError::Malformed { path: self.path.clone(), section, reason }
    }
}
