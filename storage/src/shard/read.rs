//! Traces by id.

use std::sync::Arc;

use model::budget::Budget;
use model::store::{Revision, Trace, TraceColumns};
use model::{Tenant, TraceId};

use super::blocks::{Block, BlockRun};
use super::contents::Generation;
use super::handle::{Shard, SplitMap};
use super::hash::LookupSet;
use super::head::{PartCount, TenantHead};
use super::piece::Piece;
use super::retention::{bucket_of, class_of};
use crate::Error;
use crate::block::{BlockError, SortedIds};

/// A tenant's part of a generation of the head, as long as it was at one moment.
#[derive(Debug)]
struct HeadView {
    head: Arc<TenantHead>,
    batches: Vec<Arc<Piece>>,
    /// The first batch whose bucket is not gone.
    first_live: usize,
}

impl HeadView {
    fn live(&self) -> &[Arc<Piece>] {
        self.batches.get(self.first_live..).unwrap_or_default()
    }
}

/// What a tenant has at one moment. What is applied later is not in it, and what is sealed, merged
/// or dropped meanwhile stays readable.
#[derive(Debug)]
pub(super) struct View {
    /// By generation, the oldest first.
    heads: Vec<HeadView>,
    /// In the order of their numbers, those that are set aside left out.
    blocks: Vec<BlockRun>,
    /// The traces that are cut over pages of these blocks, perhaps with others.
    splits: Arc<SplitMap>,
    splits_version: u64,
    /// As long as one is held, the log keeps what it is read from.
    _generations: Vec<Arc<Generation>>,
}

/// A view with the shard that it is of: what can be asked of it.
#[derive(Debug)]
pub(super) struct Snapshot<'a> {
    shard: &'a Shard,
    view: View,
}

impl<'a> Snapshot<'a> {
    /// A view of the shard.
    pub(super) fn over(shard: &'a Shard, view: View) -> Self {
        Self { shard, view }
    }

    /// The view alone.
    pub(super) fn into_view(self) -> View {
        self.view
    }

    /// The pieces that may hold parts of a trace: those of blocks, then those of the head.
    pub(super) fn parts(&self, id: TraceId, budget: &Budget) -> Result<Vec<Arc<Piece>>, Error> {
        let mut parts = self.parts_in_blocks(id, budget)?;
        for view in &self.view.heads {
            let mut places = view.head.parts(id, view.batches.len());
            places.retain(|place| *place as usize >= view.first_live);
            let batch = |place: &u32| view.batches.get(*place as usize).cloned();
            parts.extend(places.iter().filter_map(batch));
        }
        Ok(parts)
    }

    /// Those of blocks alone.
    pub(super) fn parts_in_blocks(
        &self,
        id: TraceId,
        budget: &Budget,
    ) -> Result<Vec<Arc<Piece>>, Error> {
        let mut parts = Vec::new();
        let id = SortedIds::new(std::iter::once(id));
        for run in &self.view.blocks {
            self.parts_in_run(run, &id, &mut parts, budget)?;
        }
        Ok(parts)
    }

    /// Those of one run alone; `id` holds that one alone.
    pub(super) fn parts_in_run(
        &self,
        run: &BlockRun,
        id: &SortedIds,
        parts: &mut Vec<Arc<Piece>>,
        budget: &Budget,
    ) -> Result<(), Error> {
        // Its table may have to be read from the disk.
        budget.spend(0)?;
        let found = run.parts(id, &self.shard.cache, self.shard.cache_owner, parts);
        found.map_err(|error| self.shard.damaged_block(&run.block, error))
    }

    /// Tells on which pages of a run, by its number, parts of these traces may begin.
    pub(super) fn starts(
        &self,
        ids: &SortedIds,
        run: usize,
        budget: &Budget,
        on_start: &mut dyn FnMut(TraceId, u32),
    ) -> Result<(), Error> {
        budget.spend(0)?;
        let Some(run) = self.view.blocks.get(run) else { return Ok(()) };
        let told = run.starts(ids, &self.shard.cache, self.shard.cache_owner, on_start);
        told.map_err(|error| self.shard.damaged_block(&run.block, error))
    }

    /// Whether the rows of a trace that lie on a page are all there are of it. May deny it without
    /// need, and then the trace is looked up.
    pub(super) fn is_whole_on_page(&self, id: TraceId) -> bool {
        let in_head =
            |view: &HeadView| view.head.part_count(id, view.batches.len()) != PartCount::None;
        !self.view.splits.contains_key(&id) && !self.view.heads.iter().any(in_head)
    }

    /// The traces that are cut over pages.
    pub(super) fn splits(&self) -> &SplitMap {
        &self.view.splits
    }

    /// Names these splits: with the same number they are the same.
    pub(super) fn splits_version(&self) -> u64 {
        self.view.splits_version
    }

    /// Of the traces of one batch of the head those of which that batch may not have all rows: they
    /// lie in other batches or, as far as tables say, in blocks. Each table is asked once, for all
    /// of them.
    pub(super) fn beyond_batch(
        &self,
        ids: &mut dyn Iterator<Item = TraceId>,
        budget: &Budget,
    ) -> Result<LookupSet<TraceId>, Error> {
        let mut beyond = LookupSet::default();
        let mut alone = Vec::new();
        for id in ids {
            let mut batches = 0;
            for view in &self.view.heads {
                batches += match view.head.part_count(id, view.batches.len()) {
                    PartCount::None => 0,
                    PartCount::One => 1,
                    PartCount::Several => 2,
                };
            }
            match batches {
                // All its rows in the batch are repeats: the head does not have it at all, and
                // whoever finds it in blocks finds it there alone.
                0 => {}
                1 => alone.push(id),
                _ => {
                    beyond.insert(id);
                }
            }
        }
        let runs = &mut self.view.blocks.iter();
        beyond.extend(self.shard.may_be_in(runs, &mut alone.into_iter(), budget)?);
        Ok(beyond)
    }

    /// The batches of the head, in the order of the log.
    pub(super) fn batches(&self) -> impl DoubleEndedIterator<Item = &Arc<Piece>> {
        self.view.heads.iter().flat_map(HeadView::live)
    }

    /// The runs of blocks, in the order of their numbers.
    pub(super) fn blocks(&self) -> &[BlockRun] {
        &self.view.blocks
    }

    /// The generations' heads.
    pub(super) fn heads(&self) -> impl Iterator<Item = &TenantHead> {
        self.view.heads.iter().map(|view| view.head.as_ref())
    }
}

impl Shard {
    /// Those of these traces that may have rows in one of these runs.
    pub(super) fn may_be_in(
        &self,
        runs: &mut dyn Iterator<Item = &BlockRun>,
        ids: &mut dyn Iterator<Item = TraceId>,
        budget: &Budget,
    ) -> Result<LookupSet<TraceId>, Error> {
        let mut found = LookupSet::default();
        let mut runs = runs.peekable();
        if runs.peek().is_none() {
            return Ok(found);
        }
        let ids = SortedIds::new(ids);
        if ids.is_empty() {
            return Ok(found);
        }
        for run in runs {
            budget.spend(0)?;
            let asked = run.among(&ids, &self.cache, self.cache_owner, &mut |ids, _| {
                found.extend(ids);
            });
            asked.map_err(|error| self.damaged_block(&run.block, error))?;
        }
        Ok(found)
    }

    /// What the tenant has now; nothing if it has nothing.
    pub(super) fn snapshot(&self, tenant: &Tenant) -> Option<Snapshot<'_>> {
        self.view(tenant).map(|view| Snapshot::over(self, view))
    }

    /// The same, for whoever keeps it longer than the shard can be borrowed.
    pub(super) fn view(&self, tenant: &Tenant) -> Option<View> {
        let (contents, splits, splits_version) = {
            // Together, so that the splits are those of the blocks.
            let contents = self.contents();
            let splits = self.splits();
            let of_tenant = splits.get(tenant).cloned().unwrap_or_default();
            (contents.clone(), of_tenant, self.splits_version())
        };
        let of_tenant = |generation: &Arc<Generation>| {
            let head = generation.tenants().get(tenant).cloned()?;
            let batches = head.batches();
            let is_dropped = |piece: &Arc<Piece>| {
                let bucket = bucket_of(piece.log_stamp().unwrap_or_default());
                contents.is_bucket_dropped(class_of(tenant), bucket)
            };
            // Stamps ascend, so that what is dropped is a beginning.
            let first_live = batches.partition_point(is_dropped);
            Some(HeadView { head, batches, first_live })
        };
        let heads: Vec<_> = contents.generations.iter().filter_map(of_tenant).collect();
        let live = contents
            .blocks
            .iter()
            .filter(|block| !block.is_damaged() && contents.is_live(block, tenant));
        let blocks: Vec<_> = live.filter_map(|block| BlockRun::of(block, tenant)).collect();
        (!heads.is_empty() || !blocks.is_empty()).then(|| View {
            heads,
            blocks,
            splits,
            splits_version,
            _generations: contents.generations.clone(),
        })
    }

    /// The error of a read that met damage; the block is set aside, so that the next read answers
    /// without it and says so.
    pub(super) fn damaged_block(&self, block: &Block, error: BlockError) -> Error {
        if error.is_corruption() && block.set_damaged() {
            self.report_damage(&error);
        }
        error.into()
    }

    /// The trace with all its distinct spans, cut off after `spans_max`; nothing if no span of it
    /// is known.
    pub fn trace(
        &self,
        tenant: &Tenant,
        id: TraceId,
        spans_max: usize,
        budget: &Budget,
    ) -> Result<Option<Trace>, Error> {
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(None) };
        self.assemble_trace(&snapshot.parts(id, budget)?, id, spans_max, budget)
    }

    /// The structure of a trace in columns; nothing if no span of it is known. A trace without
    /// doubtful repeats is answered from indexes alone.
    pub fn trace_columns(
        &self,
        tenant: &Tenant,
        id: TraceId,
        budget: &Budget,
    ) -> Result<Option<TraceColumns>, Error> {
        let applied = self.applied().map_or(0, |index| index.0);
        let Some(snapshot) = self.snapshot(tenant) else { return Ok(None) };
        let parts = snapshot.parts(id, budget)?;
        let part_count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let revision = Revision { shard: self.id().0, applied, parts: part_count };
        self.structure(&parts, id, revision, budget)
    }
}
