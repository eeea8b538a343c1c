//! Sealing: a generation of the head becomes blocks, one for each class and bucket.
//!
//! A seal takes a whole prefix of the log: everything up to the index at which the generation was
//! closed. When its blocks are durable and named, that index is the seal cut, from which a start
//! re-applies the log. A seal that fails changes nothing; the next one takes the same generation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::batch::Rows;
use model::budget::Budget;
use model::{Tenant, Timestamp, TraceId};

use super::block_store::BlockStore;
use super::blocks::{Block, BlockRun};
use super::contents::{Contents, Generation};
use super::handle::{ChunkInfo, Shard, SplitMap};
use super::hash::{LookupMap, LookupSet};
use super::limits::{BATCH_IDS_MAX, DIGEST_WINDOW, DIGESTS_MAX, ELSEWHERE_TRACES_MAX};
use super::manifest::{StateRow, TenantState, WindowChunk};
use super::piece::Piece;
use super::reader::PieceReader;
use super::retention::{bucket_of, class_of};
use super::tally::Tally;
use crate::Error;
use crate::block::{
    BlockInfo, BlockWriter, SortedIds, Source, SourceTrace, Split, Splits, build_run,
};
use crate::keys::ShardKey;
use crate::kv::Family;
use crate::log::LogIndex;
use crate::mutant::{self, Mutant};

/// What a generation of the head ended with.
#[derive(Debug)]
pub(super) struct Closed {
    /// The last entry applied to it.
    upto: LogIndex,
    stamp: Timestamp,
    tenants: BTreeMap<Tenant, TenantState>,
    dropped: BTreeMap<u8, u64>,
    fenced: u32,
    window: WindowChunk,
}

/// What a seal made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    /// The new seal cut.
    pub cut: u64,
    /// Blocks.
    pub blocks: usize,
    /// Spans in them.
    pub spans: u64,
    /// Spans that were left out because others are equal to them.
    pub repeats: u64,
    /// Bytes of the blocks.
    pub bytes: u64,
}

/// The blocks beside those that are made into one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others<'a> {
    pub(super) blocks: &'a [Arc<Block>],
    /// Whether what is made comes out of blocks. Then only traces that the splits list have parts
    /// in others: of any two blocks with parts of a trace the one that was made later lists it.
    pub(super) come_from_blocks: bool,
}

/// Where a run may have parts of traces.
#[derive(Debug, Default)]
struct Places {
    traces: LookupSet<TraceId>,
    /// Pages on which they may begin.
    starts: BTreeSet<u32>,
}

impl Shard {
    /// Makes blocks of all that is applied and in no block yet; nothing if there is nothing, or no
    /// place for blocks. Runs on the caller's thread and takes a while; the budget can cancel it.
    pub fn seal(&self, budget: &Budget) -> Result<Option<Sealed>, Error> {
        let Some(store) = &self.store else { return Ok(None) };
        let Some(_upkeep) = self.upkeep_lock() else { return Ok(None) };
        self.settle(store)?;
        let is_full = self.head_is_full(store, &self.stats());
        let Some(generation) = self.generation_to_seal() else { return Ok(None) };
        let Some(closed) = generation.closed.get() else { return Ok(None) };
        let mut sealed = Sealed { cut: closed.upto.0, ..Sealed::default() };
        let contents = self.contents().clone();
        let mut blocks: Vec<Arc<Block>> = Vec::new();
        for ((class, bucket), batches) in by_bucket(&contents, &generation) {
            let known = || contents.blocks.iter().chain(&blocks);
            let known: Vec<Arc<Block>> = known().cloned().collect();
            let others = Others { blocks: &known, come_from_blocks: false };
            let info = BlockInfo {
                number: self.next_block(),
                shard: self.id(),
                bucket,
                class,
                last_index: closed.upto.0,
                stamp_min: batches.stamp_min,
                stamp_max: batches.stamp_max,
            };
            let tenants = &batches.tenants;
            let block =
                self.build(store, info, tenants, others, budget, &mut sealed, &mut || {})?;
            blocks.push(block);
        }
        if !blocks.is_empty() && !mutant::is(Mutant::DirectoryNotSynced) {
            store.env.sync_directory(&store.shard_directory(self.id()))?;
        }
        self.commit_seal(store, &generation, closed, &blocks)?;
        self.is_out_of_turn.store(!is_full, Ordering::Relaxed);
        sealed.blocks = blocks.len();
        let Sealed { cut, blocks, spans, repeats, bytes } = sealed;
        tracing::debug!(shard = %self.id(), cut, blocks, spans, repeats, bytes, "sealed");
        Ok(Some(sealed))
    }

    /// The index up to which the log may be purged: everything up to it is in blocks, and no read
    /// that is still running may look for it in the log.
    pub fn purgeable(&self) -> Option<LogIndex> {
        let mut state = self.state();
        state.retired.retain(|(_, generation)| generation.strong_count() > 0);
        if mutant::is(Mutant::PurgePastSealCut) {
            return state.applied;
        }
        let cut = state.seal_cut?;
        match state.retired.first() {
            // What came before the oldest generation in use is used by nobody.
            Some((_, generation)) => {
                let first = generation.upgrade().and_then(|in_use| in_use.first_index());
                Some(first.map_or(cut, |first| LogIndex(first.0.saturating_sub(1)).min(cut)))
            }
            None => Some(cut),
        }
    }

    /// The oldest closed generation; or the active one, closed now, if anything was applied to it.
    fn generation_to_seal(&self) -> Option<Arc<Generation>> {
        let mut state = self.state();
        let mut contents = self.contents_mut();
        let first = contents.generations.first()?.clone();
        if first.closed.get().is_some() {
            return Some(first);
        }
        let upto = state.applied.filter(|applied| state.rotated < Some(*applied))?;
        let after = state.rotated;
        let window = WindowChunk {
            batch_ids: state.batch_ids.after(after),
            digests: state.digests.after(after),
        };
        let closed = Closed {
            upto,
            stamp: state.stamp,
            tenants: state.tenants.clone(),
            dropped: contents.dropped.clone(),
            fenced: state.fenced,
            window,
        };
        // Set once, here, under the lock.
        let _ = first.closed.set(closed);
        contents.generations.push(Arc::default());
        state.rotated = Some(upto);
        Some(first)
    }

    pub(super) fn next_block(&self) -> u64 {
        let mut state = self.state();
        state.next_block += 1;
        state.next_block
    }

    /// Writes a block of these pieces, by tenant, and opens it; pauses now and then.
    #[expect(clippy::too_many_arguments, reason = "all that a block is made of")]
    pub(super) fn build(
        &self,
        store: &BlockStore,
        info: BlockInfo,
        tenants: &BTreeMap<Tenant, Vec<Arc<Piece>>>,
        others: Others<'_>,
        budget: &Budget,
        sealed: &mut Sealed,
        pause: &mut dyn FnMut(),
    ) -> Result<Arc<Block>, Error> {
        // Only what is finished has a block's name, so that whoever looks meanwhile is not misled.
        let unfinished = store.unfinished_path(self.id(), info.number);
        let written = self.write(store, &unfinished, info, tenants, others, budget, sealed, pause);
        if let Err(error) = written {
            // Retries must not fill the disk; if this fails too, the next start removes it.
            let _ = store.env.remove(&unfinished);
            return Err(error);
        }
        let path = store.path(self.id(), info.number);
        store.env.rename(&unfinished, &path)?;
        Ok(Arc::new(Block::open(store.env.as_ref(), &path, info.number)?))
    }

    #[expect(clippy::too_many_arguments, reason = "the inner half of `build`")]
    fn write(
        &self,
        store: &BlockStore,
        path: &Path,
        info: BlockInfo,
        tenants: &BTreeMap<Tenant, Vec<Arc<Piece>>>,
        others: Others<'_>,
        budget: &Budget,
        sealed: &mut Sealed,
        pause: &mut dyn FnMut(),
    ) -> Result<(), Error> {
        let mut writer = BlockWriter::create(store.env.as_ref(), path, info)?;
        let contents = self.contents().clone();
        for (tenant, pieces) in tenants {
            // What is damaged is missing from answers anyway; it must not keep others from blocks.
            let counts =
                |block: &&Arc<Block>| !block.is_damaged() && contents.is_live(block, tenant);
            let known = others.blocks.iter().filter(counts);
            let known: Vec<BlockRun> =
                known.filter_map(|block| BlockRun::of(block, tenant)).collect();
            let listed = others
                .come_from_blocks
                .then(|| self.splits().get(tenant).cloned().unwrap_or_default());
            let mut sources = self.sources(pieces, budget)?;
            let elsewhere = self.parts_elsewhere(&known, listed.as_deref(), &sources, budget)?;
            let sizes = store.sizes;
            let built =
                build_run(&mut writer, tenant, &mut sources, sizes, &elsewhere, budget, pause)?;
            sealed.spans += built.spans;
            sealed.repeats += built.repeats;
        }
        let (_, bytes) = writer.finish()?;
        sealed.bytes += bytes;
        Ok(())
    }

    fn sources<'a>(
        &'a self,
        pieces: &[Arc<Piece>],
        budget: &'a Budget,
    ) -> Result<Vec<Source<'a>>, Error> {
        let mut sources = Vec::with_capacity(pieces.len());
        for piece in pieces {
            budget.spend(0)?;
            let reader = PieceReader::new(self, Arc::clone(piece), budget);
            let batch = reader.read()?;
            let index = batch.index().map_err(|source| reader.damaged(source))?;
            let starts = |rows: std::ops::Range<usize>| index.starts.get(rows).unwrap_or_default();
            let traces = index.traces.iter().map(|trace| SourceTrace {
                id: trace.id,
                start_min: starts(trace.rows()).iter().copied().min().unwrap_or_default(),
                first: trace.first,
                count: trace.count,
            });
            let counted = (!piece.repeats.is_empty()).then(|| piece.counted_rows(&index));
            let traces = traces.collect();
            drop(batch);
            let read = Box::new(move || {
                Rows::read(&reader.read()?).map_err(|source| reader.damaged(source))
            });
            sources.push(Source { traces, counted, read });
        }
        Ok(sources)
    }

    /// Figures over the parts in other blocks of those traces of the sources that have any: of all
    /// traces, or of those that are listed.
    ///
    /// Tables are asked for many traces at once, because they need not fit the memory; nor do the
    /// ids of all traces of a large merge, so that these come in shares.
    fn parts_elsewhere(
        &self,
        known: &[BlockRun],
        listed: Option<&SplitMap>,
        sources: &[Source<'_>],
        budget: &Budget,
    ) -> Result<LookupMap<TraceId, Split>, Error> {
        let mut found: LookupMap<TraceId, Split> = LookupMap::default();
        if known.is_empty() {
            return Ok(found);
        }
        let is_asked = |id: &TraceId| listed.is_none_or(|listed| listed.contains_key(id));
        let traces = || {
            let traces = sources.iter().flat_map(|source| &source.traces);
            traces.map(|trace| trace.id).filter(is_asked)
        };
        let count = traces().count();
        if count == 0 {
            return Ok(found);
        }
        let shares = count.div_ceil(ELSEWHERE_TRACES_MAX).next_power_of_two();
        let mut places: Vec<Option<Places>> =
            known.iter().map(|_| Some(Places::default())).collect();
        for share in 0..shares {
            let ids = SortedIds::share_of(traces(), share, shares);
            for (run, slot) in known.iter().zip(&mut places) {
                budget.spend(0)?;
                let Some(places) = slot else { continue };
                let asked = run.among(&ids, &self.cache, self.cache_owner, &mut |ids, pages| {
                    places.traces.extend(ids);
                    places.starts.extend(pages);
                });
                match asked.map_err(|error| self.damaged_block(&run.block, error)) {
                    Ok(()) => {}
                    // The block is set aside by now, and its parts are missing from answers.
                    Err(error) if error.is_corruption() => *slot = None,
                    Err(error) => return Err(error),
                }
            }
        }
        for (run, places) in known.iter().zip(places) {
            budget.spend(0)?;
            let Some(places) = places else { continue };
            let tallies = match self.tallies_in(run, &places, budget) {
                Ok(tallies) => tallies,
                Err(error) if error.is_corruption() => continue,
                Err(error) => return Err(error),
            };
            for (id, tally) in tallies {
                let split = tally.split(id);
                found.entry(id).and_modify(|known| *known = known.merged(split)).or_insert(split);
            }
        }
        Ok(found)
    }

    /// Figures over the parts of traces in a block, each page of it read once.
    fn tallies_in(
        &self,
        run: &BlockRun,
        Places { traces: here, starts }: &Places,
        budget: &Budget,
    ) -> Result<BTreeMap<TraceId, Tally>, Error> {
        let mut found = BTreeMap::new();
        if here.is_empty() {
            return Ok(found);
        }
        let is_start =
            |number: usize| u32::try_from(number).is_ok_and(|number| starts.contains(&number));
        let mut is_before = false;
        for (number, (page, piece)) in run.pieces().enumerate() {
            // Traces that begin on a page go on on those that continue it.
            is_before = is_start(number) || is_before && page.continues;
            if !is_before {
                continue;
            }
            let index = PieceReader::new(self, Arc::new(piece), budget).index_once()?;
            for trace in index.traces.iter().filter(|trace| here.contains(&trace.id)) {
                // All rows of a page count.
                let tally =
                    Tally::both(found.remove(&trace.id), Tally::of(&index, trace, |_| true));
                found.extend(tally.map(|tally| (trace.id, tally)));
            }
        }
        Ok(found)
    }

    /// Names the blocks, then lets reads have them in the place of the generation.
    ///
    /// Invariant (DUR-3): the log is durable up to the seal cut before the cut is named. A majority
    /// commits, and this replica applies, what its own disk may not have yet; after a power cut its
    /// blocks would be ahead of its log, which no replica can start with.
    fn commit_seal(
        &self,
        store: &BlockStore,
        generation: &Arc<Generation>,
        closed: &Closed,
        blocks: &[Arc<Block>],
    ) -> Result<(), Error> {
        if !mutant::is(Mutant::SealBeforeLog) {
            self.log.barrier()?;
        }
        let splits = splits_of(blocks)?;
        let mut edit = self.new_edit(store)?;
        for block in blocks {
            self.name_block(&mut edit, block);
        }
        let row = StateRow {
            cut: closed.upto.0,
            stamp: closed.stamp,
            next_block: self.state().next_block,
            dropped: closed.dropped.clone(),
            tenants: closed.tenants.clone(),
            fenced: closed.fenced,
        };
        let row = row.encode();
        edit.put(Family::Shards, &ShardKey::State.of(self.id()), &row);
        let added = closed.window.put(&mut edit, self.id(), closed.upto);
        let forgotten = self.forgotten_chunks(&added, closed.stamp);
        let changing = self.commit(store, edit, blocks)?;
        self.thaw();
        // Before reads can meet the blocks.
        self.know_splits(splits);
        let mut state = self.state();
        let mut contents = self.contents_mut();
        contents.generations.retain(|other| !Arc::ptr_eq(other, generation));
        Arc::make_mut(&mut contents.blocks).extend(blocks.iter().cloned());
        drop(contents);
        state.seal_cut = Some(closed.upto);
        state.retired.push((closed.upto, Arc::downgrade(generation)));
        state.chunks.retain(|chunk| !forgotten.contains(&chunk.number));
        state.chunks.extend(added);
        state.forgotten = forgotten;
        state.row = Some(row);
        state.sealed_bytes += blocks.iter().map(|block| block.file().size_bytes()).sum::<u64>();
        drop(state);
        drop(changing);
        Ok(())
    }

    /// Chunks of which nothing is remembered any more once a seal is written that adds some and
    /// is of a moment.
    fn forgotten_chunks(&self, added: &[ChunkInfo], stamp: Timestamp) -> BTreeSet<u64> {
        let state = self.state();
        let mut batch_ids: usize = added.iter().map(|chunk| chunk.batch_ids).sum();
        let mut digests: usize = added.iter().map(|chunk| chunk.digests).sum();
        let mut forgotten = BTreeSet::new();
        for chunk in state.chunks.iter().rev() {
            let too_old = chunk.stamp_max.saturating_add(DIGEST_WINDOW) < stamp;
            if batch_ids >= BATCH_IDS_MAX && (too_old || digests >= DIGESTS_MAX) {
                forgotten.insert(chunk.number);
            }
            batch_ids += chunk.batch_ids;
            digests += chunk.digests;
        }
        forgotten
    }

    /// Reads the splits of all blocks.
    pub(super) fn add_splits_of_blocks(&self) -> Result<(), Error> {
        let blocks = Arc::clone(&self.contents().blocks);
        blocks.iter().try_for_each(|block| {
            self.read_splits(block, &mut |tenant, splits| {
                cover(self.splits_mut().entry(tenant.clone()).or_default(), splits);
            })
        })
    }

    /// Adds splits to those known.
    pub(super) fn know_splits(&self, splits: Vec<(Tenant, Splits)>) {
        for (tenant, splits) in splits {
            cover(self.splits_mut().entry(tenant).or_default(), splits);
        }
    }

    /// Tells the splits of each tenant of a block; nothing more of one that is damaged.
    fn read_splits(
        &self,
        block: &Arc<Block>,
        tell: &mut dyn FnMut(&Tenant, Splits),
    ) -> Result<(), Error> {
        for run in &block.file().directory().runs {
            let splits = match block.file().splits(run) {
                Ok(splits) => splits,
                Err(error) if error.is_corruption() => {
                    block.set_damaged();
                    self.report_damage(&error);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            tell(&run.tenant, splits);
        }
        Ok(())
    }

    /// Reads the splits anew without those of blocks that went.
    pub(super) fn forget_splits_of(&self, gone: &[Arc<Block>]) -> Result<(), Error> {
        let had_splits =
            gone.iter().any(|block| {
                block.file().directory().runs.iter().any(|run| {
                    self.splits().get(&run.tenant).is_some_and(|splits| !splits.is_empty())
                })
            });
        if had_splits {
            let blocks = Arc::clone(&self.contents().blocks);
            let mut left: BTreeMap<Tenant, Arc<SplitMap>> = BTreeMap::new();
            for block in blocks.iter() {
                self.read_splits(block, &mut |tenant, splits| {
                    cover(left.entry(tenant.clone()).or_default(), splits);
                })?;
            }
            // At once: a read that begins meanwhile must not miss any.
            *self.splits_mut() = left;
        }
        Ok(())
    }
}

/// The splits of blocks that nothing names yet. Damage in them is an error: they do not take the
/// place of what is sound.
pub(super) fn splits_of(blocks: &[Arc<Block>]) -> Result<Vec<(Tenant, Splits)>, Error> {
    let mut all = Vec::new();
    for block in blocks {
        for run in &block.file().directory().runs {
            all.push((run.tenant.clone(), block.file().splits(run)?));
        }
    }
    Ok(all)
}

/// Adds splits to those known. The later block knew of more parts; none is forgotten.
fn cover(known: &mut Arc<SplitMap>, splits: Splits) {
    let known = Arc::make_mut(known);
    for split in splits.0 {
        let known = known.entry(split.id).or_insert(split);
        *known = known.covering(split);
    }
}

/// The batches of a generation that go into one block: those of a class and bucket.
struct Bucket {
    stamp_min: Timestamp,
    stamp_max: Timestamp,
    tenants: BTreeMap<Tenant, Vec<Arc<Piece>>>,
}

fn by_bucket(contents: &Contents, generation: &Generation) -> BTreeMap<(u8, u64), Bucket> {
    let mut buckets: BTreeMap<(u8, u64), Bucket> = BTreeMap::new();
    for (tenant, head) in generation.tenants().iter() {
        let class = class_of(tenant);
        for piece in head.batches() {
            let stamp = piece.log_stamp().unwrap_or_default();
            if contents.is_bucket_dropped(class, bucket_of(stamp)) {
                continue;
            }
            let bucket = buckets.entry((class, bucket_of(stamp))).or_insert_with(|| Bucket {
                stamp_min: stamp,
                stamp_max: stamp,
                tenants: BTreeMap::new(),
            });
            bucket.stamp_min = bucket.stamp_min.min(stamp);
            bucket.stamp_max = bucket.stamp_max.max(stamp);
            bucket.tenants.entry(tenant.clone()).or_default().push(piece);
        }
    }
    buckets
}
