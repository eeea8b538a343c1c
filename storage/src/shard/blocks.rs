//! The blocks of a shard that reads look into.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::batch::{Batch, BatchError};
use model::{Tenant, TraceId};

use super::cache::{CachedPart, Decoded, DecodedCache, Key, RunTable};
use super::piece::Piece;
use super::rows::RowSet;
use crate::block::{
    BlockError, BlockFile, BlockInfo, Names, OnFound, PageInfo, Rollup, Run, SortedIds,
    TableChecks, TablePrints, TraceTable, Zones,
};
use crate::env::Env;
use crate::mutant::{self, Mutant};

/// A block of the shard.
#[derive(Debug)]
pub(super) struct Block {
    /// Its number in this replica; in the file stands that of the replica that wrote it.
    number: u64,
    file: BlockFile,
    sizes: BlockSizes,
    /// By run: the number of its first page within the block.
    first_pages: Vec<u32>,
    /// By run: the pages with traces that lie elsewhere too, at a version of the shard's splits.
    cut_pages: Vec<Mutex<Option<CutPages>>>,
    /// By run: the checks of its table, once they were needed. They are a thousandth of it, and
    /// each lookup needs them.
    table_checks: Vec<OnceLock<Option<Arc<TableChecks>>>>,
    /// Something of it was found damaged: reads leave it out and say so.
    is_damaged: AtomicBool,
}

/// Sums and maxima over the runs of a block: its directory lists every page, and these are asked
/// for several times a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BlockSizes {
    pub(super) spans: u64,
    pub(super) traces: u64,
    /// Pages of the run that has most.
    pub(super) run_pages_max: usize,
    /// Traces of the run that has most.
    pub(super) run_traces_max: u64,
}

impl BlockSizes {
    fn of(runs: &[Run]) -> Self {
        let mut sizes = Self::default();
        for run in runs {
            sizes.spans += run.span_count();
            sizes.traces += run.trace_count;
            sizes.run_pages_max = sizes.run_pages_max.max(run.pages.len());
            sizes.run_traces_max = sizes.run_traces_max.max(run.trace_count);
        }
        sizes
    }
}

impl Block {
    pub(super) fn open(env: &dyn Env, path: &Path, number: u64) -> Result<Self, BlockError> {
        let file = BlockFile::open(env, path)?;
        let mut next = 0_u32;
        let mut first_pages = Vec::with_capacity(file.directory().runs.len());
        for run in &file.directory().runs {
            first_pages.push(next);
            next = next.saturating_add(u32::try_from(run.pages.len()).unwrap_or(u32::MAX));
        }
        let cut_pages = first_pages.iter().map(|_| Mutex::default()).collect();
        let table_checks = first_pages.iter().map(|_| OnceLock::new()).collect();
        let sizes = BlockSizes::of(&file.directory().runs);
        let is_damaged = AtomicBool::new(false);
        Ok(Self { number, file, sizes, first_pages, cut_pages, table_checks, is_damaged })
    }

    pub(super) fn info(&self) -> &BlockInfo {
        &self.file.directory().info
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn file(&self) -> &BlockFile {
        &self.file
    }

    pub(super) fn sizes(&self) -> BlockSizes {
        self.sizes
    }

    pub(super) fn page(&self, page: &PageInfo) -> Result<Batch, BlockError> {
        self.file.page(page)
    }

    pub(super) fn damaged_page(&self, page: &PageInfo, source: BatchError) -> BlockError {
        BlockError::Page { path: self.file.path().to_path_buf(), offset: page.offset, source }
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// Sets the block aside; true the first time.
    pub(super) fn set_damaged(&self) -> bool {
        !self.is_damaged.swap(true, Ordering::Relaxed)
    }
}

/// Pages of a run, and the version of the shard's splits that they were found with.
type CutPages = (u64, Arc<RowSet>);

/// A tenant's run of a block.
#[derive(Debug, Clone)]
pub(super) struct BlockRun {
    pub(super) block: Arc<Block>,
    place: usize,
}

impl BlockRun {
    /// The tenant's run, if the block has one.
    pub(super) fn of(block: &Arc<Block>, tenant: &Tenant) -> Option<Self> {
        let place = block.file.directory().run(tenant).map(|(place, _)| place);
        let place = place.or_else(|| mutant::is(Mutant::TenantIgnored).then_some(0))?;
        Some(Self { block: Arc::clone(block), place })
    }

    pub(super) fn run(&self) -> Option<&Run> {
        self.block.file.directory().runs.get(self.place)
    }

    /// Its pages as pieces.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&PageInfo, Piece)> + '_ {
        let first = self.block.first_pages.get(self.place).copied().unwrap_or(0);
        let pages = self.run().map(|run| run.pages.as_slice()).unwrap_or_default();
        pages
            .iter()
            .zip(first..)
            .map(|(page, number)| (page, Piece::of_page(&self.block, number, page)))
    }

    /// The pages on which parts of a trace may lie; `id` holds that one alone.
    pub(super) fn parts(
        &self,
        id: &SortedIds,
        cache: &DecodedCache,
        owner: u64,
        out: &mut Vec<Arc<Piece>>,
    ) -> Result<(), BlockError> {
        let mut starts: Vec<u32> = Vec::new();
        self.among(id, cache, owner, &mut |ids, pages| {
            // One trace in sixteen.
            let is_hidden = |id: TraceId| id.0.last().is_some_and(|byte| byte % 16 == 1);
            if !mutant::is(Mutant::FilterLies) || !ids.next().is_some_and(is_hidden) {
                starts.extend(pages);
            }
        })?;
        self.pieces_from(&mut starts, out);
        Ok(())
    }

    /// Tells on which pages parts of these traces may begin.
    pub(super) fn starts(
        &self,
        ids: &SortedIds,
        cache: &DecodedCache,
        owner: u64,
        on_start: &mut dyn FnMut(TraceId, u32),
    ) -> Result<(), BlockError> {
        self.among(ids, cache, owner, &mut |ids, pages| {
            let pages: Vec<u32> = pages.collect();
            ids.for_each(|id| pages.iter().for_each(|page| on_start(id, *page)));
        })
    }

    /// The pages on which a trace may lie that may begin on these.
    pub(super) fn pieces_from(&self, starts: &mut [u32], out: &mut Vec<Arc<Piece>>) {
        // However many traces have the same remainder, each page comes once.
        starts.sort_unstable();
        let pages = self.run().map(|run| run.pages.as_slice()).unwrap_or_default();
        let first = self.block.first_pages.get(self.place).copied().unwrap_or(0);
        let mut next = 0;
        for start in starts.iter().copied() {
            for number in start.max(next).. {
                let Some(page) = pages.get(number as usize) else { break };
                if number > start && !page.continues {
                    break;
                }
                out.push(Arc::new(Piece::of_page(&self.block, first + number, page)));
                next = number + 1;
            }
        }
    }

    /// What is needed to read slices of the table; nothing if it has no checks.
    fn table_checks(&self, run: &Run) -> Result<Option<Arc<TableChecks>>, BlockError> {
        let slot = self.block.table_checks.get(self.place);
        if let Some(known) = slot.and_then(OnceLock::get) {
            return Ok(known.clone());
        }
        let checks = self.block.file.table_checks(run)?.map(Arc::new);
        Ok(slot.map_or_else(|| checks.clone(), |slot| slot.get_or_init(|| checks.clone()).clone()))
    }

    /// How many pages it has.
    pub(super) fn page_count(&self) -> usize {
        self.run().map_or(0, |run| run.pages.len())
    }

    /// Tells of these ids those that may be in the run, and the pages on which they may begin.
    ///
    /// What memory has of the run's table answers; what it has not is read where it lies, slice by
    /// slice. Tables of all runs together need not fit the memory.
    pub(super) fn among(
        &self,
        ids: &SortedIds,
        cache: &DecodedCache,
        owner: u64,
        on_found: OnFound<'_>,
    ) -> Result<(), BlockError> {
        let Some(run) = self.run() else { return Ok(()) };
        let file = &self.block.file;
        let key = self.key(owner, CachedPart::Table);
        let table = if let Some((Decoded::Table(table), _)) = cache.get(key) {
            table
        } else {
            let checks = self.table_checks(run)?;
            let bytes_max = match checks {
                Some(_) => TablePrints::memory_bytes_max(run.trace_count),
                None => TraceTable::memory_bytes_max(run.trace_count),
            };
            let is_admitted = cache.admits(CachedPart::Table, bytes_max);
            let table = match checks {
                Some(checks) if !is_admitted => return file.among(run, &checks, ids, on_found),
                Some(checks) => RunTable::Prints(file.table_prints(run, checks)?),
                None => RunTable::Whole(file.trace_table(run)?),
            };
            let table = Arc::new(table);
            if is_admitted {
                let bytes = table.memory_bytes();
                cache.put(key, Decoded::Table(Arc::clone(&table)), bytes);
            }
            table
        };
        match table.as_ref() {
            RunTable::Whole(table) => table.among(ids, on_found),
            RunTable::Prints(prints) => file.among_prints(run, prints, ids, on_found)?,
        }
        Ok(())
    }

    /// The names in the run; nothing if it lists none.
    pub(super) fn names(
        &self,
        cache: &DecodedCache,
        owner: u64,
    ) -> Result<Option<Arc<Names>>, BlockError> {
        let key = self.key(owner, CachedPart::Names);
        if let Some((Decoded::Names(names), _)) = cache.get(key) {
            return Ok(Some(names));
        }
        let Some(run) = self.run() else { return Ok(None) };
        let Some(names) = self.block.file.names(run)? else { return Ok(None) };
        let (names, bytes) = (Arc::new(names), names_bytes(run));
        cache.offer(key, Decoded::Names(Arc::clone(&names)), bytes);
        Ok(Some(names))
    }

    /// What rules out pages of the run; nothing if it says nothing of them.
    pub(super) fn zones(
        &self,
        cache: &DecodedCache,
        owner: u64,
    ) -> Result<Option<Arc<Zones>>, BlockError> {
        let key = self.key(owner, CachedPart::Zones);
        if let Some((Decoded::Zones(zones), _)) = cache.get(key) {
            return Ok(Some(zones));
        }
        let Some(run) = self.run() else { return Ok(None) };
        let Some(zones) = self.block.file.zones(run)? else { return Ok(None) };
        let zones = Arc::new(zones);
        cache.offer(key, Decoded::Zones(Arc::clone(&zones)), zones.memory_bytes());
        Ok(Some(zones))
    }

    /// The pages on which a value may stand under a key that is filtered, by its hash; nothing if
    /// no filter lies in the file.
    pub(super) fn pages_with_value(
        &self,
        zones: &Zones,
        hash: u64,
    ) -> Result<Option<RowSet>, BlockError> {
        let Some(run) = self.run() else { return Ok(None) };
        let words = self.block.file.pages_with_value(run, zones, hash)?;
        Ok(words.map(|words| RowSet::from_words(run.pages.len(), words)))
    }

    /// The figures of the run; nothing if it has none.
    pub(super) fn rollup(
        &self,
        cache: &DecodedCache,
        owner: u64,
    ) -> Result<Option<Arc<Rollup>>, BlockError> {
        let key = self.key(owner, CachedPart::Rollup);
        if let Some((Decoded::Rollup(rollup), _)) = cache.get(key) {
            return Ok(Some(rollup));
        }
        let Some(run) = self.run() else { return Ok(None) };
        let Some(rollup) = self.block.file.rollup(run)? else { return Ok(None) };
        let rollup = Arc::new(rollup);
        cache.offer(key, Decoded::Rollup(Arc::clone(&rollup)), rollup.memory_bytes());
        Ok(Some(rollup))
    }

    /// The pages on which a trace of these lies; remembered for this version of them.
    pub(super) fn cut_pages(
        &self,
        splits: &mut dyn Iterator<Item = TraceId>,
        version: u64,
        cache: &DecodedCache,
        owner: u64,
    ) -> Result<Arc<RowSet>, BlockError> {
        let pages = self.run().map(|run| run.pages.as_slice()).unwrap_or_default();
        let Some(slot) = self.block.cut_pages.get(self.place) else {
            return Ok(Arc::new(RowSet::full(pages.len())));
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = slot.as_ref().filter(|(known, _)| *known == version) {
            return Ok(Arc::clone(known));
        }
        let mut cut = RowSet::empty(pages.len());
        self.among(&SortedIds::new(splits), cache, owner, &mut |_, starts| {
            starts.for_each(|start| cut.insert(start as usize));
        })?;
        for (number, page) in pages.iter().enumerate() {
            if page.continues && number > 0 && cut.contains(number - 1) {
                cut.insert(number);
            }
        }
        let cut = Arc::new(cut);
        *slot = Some((version, Arc::clone(&cut)));
        Ok(cut)
    }

    fn key(&self, owner: u64, part: CachedPart) -> Key {
        let first = self.block.first_pages.get(self.place).copied().unwrap_or(0);
        Key { owner, batch: Piece::page_number(&self.block, first), part }
    }
}

/// What names take in memory, estimated: each is copied into a text of its own.
fn names_bytes(run: &Run) -> usize {
    let stored: u64 = run.section_lengths().map(|(_, length)| length).max().unwrap_or(0);
    usize::try_from(stored).unwrap_or(usize::MAX).saturating_mul(8)
}
