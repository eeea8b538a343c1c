//! Writes a block, page by page; what finds them follows at the end.

use std::path::{Path, PathBuf};

use model::Tenant;
use model::columns::compress::Compressor;

use super::directory::{Directory, HEADER_BYTES, PageInfo, Run, SectionKind, SectionRef};
use super::table_slices::{SLICE_BYTES, TableChecks};
use super::{BlockError, BlockInfo};
use crate::env::{AppendFile, Env, EnvError};
use crate::mutant::{self, Mutant};

pub(super) const MAGIC: [u8; 4] = *b"SkuK";
pub(super) const END_MAGIC: [u8; 4] = *b"SkuL";
pub(super) const VERSION: u8 = 1;
/// Bytes behind the directory.
pub(super) const FOOTER_BYTES: usize = 28;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 * 1024;

/// Bytes after which the file is synced on the way. A block of some megabytes that is synced at its
/// end alone keeps the disk from the log for that long, and acknowledgements wait: a sync of the
/// log took 250 ms where each took 0.3 before.
const SYNC_BYTES: u64 = 256 << 10;

/// A block under construction. Dropped before [`Self::finish`], it leaves a file that nobody
/// names, which the next open removes.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    path: PathBuf,
    file: Box<dyn AppendFile>,
    buffer: Vec<u8>,
    offset: u64,
    synced: u64,
    directory: Directory,
    compressor: Compressor,
}

impl BlockWriter {
    /// Begins a file that must not exist.
    pub(crate) fn create(env: &dyn Env, path: &Path, info: BlockInfo) -> Result<Self, BlockError> {
        let failed = |source| BlockError::Env { path: path.to_path_buf(), source };
        let file = env.create(path).map_err(failed)?;
        let mut writer = Self {
            path: path.to_path_buf(),
            file,
            buffer: Vec::with_capacity(WRITE_BYTES),
            offset: 0,
            synced: 0,
            directory: Directory { info, runs: Vec::new() },
            compressor: Compressor::default(),
        };
        let mut header = [0; HEADER_BYTES];
        let (magic, rest) = header.split_at_mut(4);
        let (version, number) = rest.split_at_mut(4);
        magic.copy_from_slice(&MAGIC);
        version.copy_from_slice(&[VERSION, 0, 0, 0]);
        number.copy_from_slice(&info.number.to_le_bytes());
        writer.put(&header)?;
        Ok(writer)
    }

    /// The pages that follow are this tenant's. Tenants come in the order of their names.
    pub(crate) fn begin_run(&mut self, tenant: Tenant) {
        let run = Run { tenant, pages: Vec::new(), trace_count: 0, sections: Vec::new() };
        self.directory.runs.push(run);
    }

    /// Adds a page to the current run. Where it lies and how long it is, is filled in here.
    pub(crate) fn page(&mut self, page: PageInfo, bytes: &[u8]) -> Result<(), BlockError> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let page = PageInfo { offset: self.offset, length, ..page };
        self.put(bytes)?;
        if let Some(run) = self.directory.runs.last_mut() {
            run.pages.push(page);
        }
        Ok(())
    }

    /// How many pages the current run has.
    pub(crate) fn run_pages(&self) -> usize {
        self.directory.runs.last().map_or(0, |run| run.pages.len())
    }

    /// Sets how many traces the current run has.
    pub(crate) fn set_trace_count(&mut self, trace_count: u64) {
        if let Some(run) = self.directory.runs.last_mut() {
            run.trace_count = trace_count;
        }
    }

    /// Adds a section to the current run.
    pub(crate) fn section(&mut self, kind: SectionKind, bytes: &[u8]) -> Result<(), BlockError> {
        let mut stored = Vec::new();
        let is_packed = self.compressor.append(&mut stored, bytes);
        let narrow = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let section = SectionRef {
            kind,
            offset: self.offset,
            stored_length: narrow(stored.len()),
            length: if is_packed { narrow(bytes.len()) } else { 0 },
            checksum: crc32fast::hash(&stored),
        };
        self.put(&stored)?;
        if let Some(run) = self.directory.runs.last_mut() {
            run.sections.push(section);
        }
        Ok(())
    }

    /// Adds the table of traces; with what verifies slices of it if there are several.
    pub(crate) fn table(&mut self, table: &[u8]) -> Result<(), BlockError> {
        if table.len() <= SLICE_BYTES {
            return self.section(SectionKind::TraceTable, table);
        }
        let mut whole = Some(table);
        self.raw_section(SectionKind::TraceTable, &mut |out| {
            whole.take().is_some_and(|table| {
                out.extend_from_slice(table);
                true
            })
        })?;
        self.section(SectionKind::TableChecks, &TableChecks::encode(table))
    }

    /// Adds a section that is stored as it is: what `next` appends, until it says that there is
    /// nothing more.
    pub(crate) fn raw_section(
        &mut self,
        kind: SectionKind,
        next: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), BlockError> {
        let offset = self.offset;
        let mut checksum = crc32fast::Hasher::new();
        let mut part = Vec::new();
        while next(&mut part) {
            checksum.update(&part);
            self.put(&part)?;
            part.clear();
        }
        let stored_length = u32::try_from(self.offset - offset).unwrap_or(u32::MAX);
        let checksum = checksum.finalize();
        let section = SectionRef { kind, offset, stored_length, length: 0, checksum };
        if let Some(run) = self.directory.runs.last_mut() {
            run.sections.push(section);
        }
        Ok(())
    }

    /// Writes directory and footer, and makes the file durable. Its name is durable after the
    /// directory it lies in was synced, which is the caller's.
    pub(crate) fn finish(mut self) -> Result<(Directory, u64), BlockError> {
        let content = self.directory.encode();
        let mut stored = Vec::new();
        let is_packed = self.compressor.append(&mut stored, &content);
        let narrow = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(&self.offset.to_le_bytes());
        footer.extend_from_slice(&narrow(stored.len()).to_le_bytes());
        let length = if is_packed { narrow(content.len()) } else { 0 };
        footer.extend_from_slice(&length.to_le_bytes());
        footer.extend_from_slice(&crc32fast::hash(&stored).to_le_bytes());
        let checksum = crc32fast::hash(&footer);
        footer.extend_from_slice(&checksum.to_le_bytes());
        footer.extend_from_slice(&END_MAGIC);
        self.put(&stored)?;
        self.put(&footer)?;
        self.flush()?;
        self.sync()?;
        Ok((self.directory, self.offset))
    }

    fn sync(&mut self) -> Result<(), BlockError> {
        let failed = |source| BlockError::Env { path: self.path.clone(), source };
        if !mutant::is(Mutant::BlockNotSynced) {
            self.file.sync().map_err(failed)?;
        }
        self.synced = self.offset;
        Ok(())
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes so far.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.offset
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), BlockError> {
        self.offset += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        let failed = |source: EnvError| BlockError::Env { path: self.path.clone(), source };
        self.file.append(&self.buffer).map_err(failed)?;
        self.buffer.clear();
        if self.offset - self.synced >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }
}
