//! Calls between services from rollups: whole minutes of blocks from counts, the rest trace by
//! trace.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::budget::Budget;
use model::{Tenant, TimeRange, TraceId};

use super::apart::{Apart, Edges, block_of};
use super::asked::Minutes;
use super::blocks::BlockRun;
use super::handle::Shard;
use super::hash::LookupSet;
use super::piece::Piece;
use super::read::Snapshot;
use super::reader::PieceReader;
use crate::Error;
use crate::block::{BlockError, Rollup, SectionKind};

/// A run whose calls are counted.
struct CountedRun {
    run: BlockRun,
    /// Traces whose calls are not.
    left_out: Vec<TraceId>,
}

/// What rollups gave, and what is left to be done without them.
#[derive(Default)]
pub(super) struct RolledCalls {
    pub(super) edges: Edges,
    pub(super) minus: Edges,
    /// Traces that have been counted as a whole.
    pub(super) visited: LookupSet<TraceId>,
    pub(super) blocks: BTreeSet<u64>,
}

/// What is asked of whom.
struct Question<'a> {
    shard: &'a Shard,
    snapshot: &'a Snapshot<'a>,
    budget: &'a Budget,
    window: TimeRange,
    minutes: Minutes,
    runs: Vec<CountedRun>,
}

impl Shard {
    /// The calls of runs that have them counted; nothing if that does not help.
    pub(super) fn roll_up_calls(
        &self,
        tenant: &Tenant,
        snapshot: &Snapshot<'_>,
        window: TimeRange,
        budget: &Budget,
    ) -> Result<Option<RolledCalls>, Error> {
        let minutes = Minutes::within(window);
        let mut found = RolledCalls::default();
        let mut question =
            Question { shard: self, snapshot, budget, window, minutes, runs: Vec::new() };
        let mut apart = None;
        for run in snapshot.blocks() {
            budget.spend(0)?;
            let pages = run.run().map(|run| run.pages.as_slice()).unwrap_or_default();
            if !pages.iter().any(|page| minutes.of_page(page).has_whole) {
                continue;
            }
            let rollup = run.rollup(&self.cache, self.cache_owner);
            let rollup = rollup.map_err(|error| self.damaged_block(&run.block, error))?;
            let Some(rollup) = rollup.filter(|rollup| rollup.services().is_some()) else {
                continue;
            };
            if apart.is_none() {
                let Some(known) = self.apart(tenant, snapshot, budget)? else { return Ok(None) };
                apart = Some(known);
            }
            // One at a time: those of all runs need not fit the memory.
            question.add_rollup(run, &rollup, &mut found)?;
            let left_out = rollup.calls_left_out().to_vec();
            question.runs.push(CountedRun { run: run.clone(), left_out });
            found.blocks.insert(run.block.number());
        }
        let Some(apart) = apart else { return Ok(None) };
        question.add_head(&mut found)?;
        question.add_apart(&apart, &mut found)?;
        question.add_left_out(&mut found)?;
        question.add_cut_minutes(&mut found)?;
        Ok(Some(found))
    }
}

impl Question<'_> {
    fn add_rollup(
        &self,
        run: &BlockRun,
        rollup: &Rollup,
        found: &mut RolledCalls,
    ) -> Result<(), Error> {
        self.budget.spend(rollup.memory_bytes() as u64)?;
        let services = rollup.services().unwrap_or_default();
        let told = rollup.calls(&mut |minute, parent, child, counts| {
            let parent = services.get(parent as usize);
            if self.minutes.bin(minute).is_some()
                && let (Some(parent), Some(child)) = (parent, services.get(child as usize))
            {
                found.edges.add(parent, child, counts);
            }
        });
        told.map_err(|reason| {
            let path = run.block.file().path().to_path_buf();
            let error = BlockError::Malformed { path, section: SectionKind::Rollup, reason };
            self.shard.damaged_block(&run.block, error)
        })?;
        found.edges.charge(self.budget)
    }

    /// Counts traces with parts in the head: their parents and children may lie on either side.
    fn add_head(&self, found: &mut RolledCalls) -> Result<(), Error> {
        let mut seen: LookupSet<TraceId> = LookupSet::default();
        for batch in self.snapshot.batches() {
            let index = PieceReader::new(self.shard, Arc::clone(batch), self.budget).index()?;
            let ids = index.traces.iter().map(|trace| trace.id);
            let new: Vec<TraceId> = ids.filter(|id| seen.insert(*id)).collect();
            let runs = &mut self.runs.iter().map(|counted| &counted.run);
            let counted = self.shard.may_be_in(runs, &mut new.iter().copied(), self.budget)?;
            for id in new.into_iter().filter(|id| counted.contains(id)) {
                self.count_whole(id, found)?;
            }
        }
        Ok(())
    }

    /// Takes out the calls that were counted of a trace's parts, and adds those of the whole.
    fn count_whole(&self, id: TraceId, found: &mut RolledCalls) -> Result<(), Error> {
        if !found.visited.insert(id) {
            return Ok(());
        }
        let pieces = self.snapshot.parts(id, self.budget)?;
        for of_block in pieces.chunk_by(|left, right| block_of(left) == block_of(right)) {
            if self.counts_part(id, of_block) {
                let outline = self.shard.outline(of_block, id, self.budget)?;
                let is_whole = |start| self.minutes.has(start);
                found.minus.add_outline(&outline, is_whole, self.budget)?;
            }
        }
        let outline = self.shard.outline(&pieces, id, self.budget)?;
        found.edges.add_outline(&outline, |start| self.window.contains(start), self.budget)
    }

    /// Whether the calls of a part are among those that were counted.
    fn counts_part(&self, id: TraceId, of_block: &[Arc<Piece>]) -> bool {
        let Some(block) = of_block.first().map(|piece| block_of(piece)) else { return false };
        self.counts_block(id, block)
    }

    fn counts_block(&self, id: TraceId, block: u64) -> bool {
        let run = self.runs.iter().find(|run| run.run.block.number() == block);
        run.is_some_and(|run| !run.left_out.contains(&id))
    }

    /// Counts traces with parts in several blocks.
    fn add_apart(&self, apart: &Apart, found: &mut RolledCalls) -> Result<(), Error> {
        let services = apart.services.things();
        for trace in apart.traces.values() {
            let is_counted = |block: u64| self.runs.iter().any(|r| r.run.block.number() == block);
            if !trace.parts.iter().any(|part| is_counted(part.block)) {
                continue;
            }
            if trace.is_long {
                self.count_whole(trace.id, found)?;
                continue;
            }
            if !found.visited.insert(trace.id) {
                continue;
            }
            for part in trace.parts.iter().filter(|part| self.counts_block(trace.id, part.block)) {
                found.minus.add_calls(&part.calls, services, |start| self.minutes.has(start));
            }
            let window = self.window;
            found.edges.add_calls(&trace.calls, services, |start| window.contains(start));
            found.minus.charge(self.budget)?;
            found.edges.charge(self.budget)?;
        }
        Ok(())
    }

    /// Counts traces of which rollups have left out the calls.
    fn add_left_out(&self, found: &mut RolledCalls) -> Result<(), Error> {
        for CountedRun { left_out, .. } in &self.runs {
            for id in left_out {
                if found.visited.insert(*id) {
                    let pieces = self.snapshot.parts(*id, self.budget)?;
                    let outline = self.shard.outline(&pieces, *id, self.budget)?;
                    let window = self.window;
                    let is_asked = |start| window.contains(start);
                    found.edges.add_outline(&outline, is_asked, self.budget)?;
                }
            }
        }
        Ok(())
    }

    /// Counts calls in minutes that are not whole, of traces that lie in one block.
    fn add_cut_minutes(&self, found: &mut RolledCalls) -> Result<(), Error> {
        for CountedRun { run, .. } in &self.runs {
            let mut seen: LookupSet<TraceId> = LookupSet::default();
            for (page, piece) in run.pieces() {
                self.budget.spend(0)?;
                if !self.minutes.of_page(page).has_cut {
                    continue;
                }
                let piece = Arc::new(piece);
                let reader = PieceReader::new(self.shard, Arc::clone(&piece), self.budget);
                let index = reader.index()?;
                for trace in &index.traces {
                    let is_cut = |row: usize| {
                        index.starts.get(row).is_some_and(|start| self.minutes.cuts(*start))
                    };
                    if found.visited.contains(&trace.id) || !trace.rows().any(is_cut) {
                        continue;
                    }
                    // On this page alone, unless the splits list it: then on some of the run.
                    let outline = if self.snapshot.splits().contains_key(&trace.id) {
                        if !seen.insert(trace.id) {
                            continue;
                        }
                        let pieces = self.snapshot.parts(trace.id, self.budget)?;
                        self.shard.outline(&pieces, trace.id, self.budget)?
                    } else {
                        self.shard.outline(std::slice::from_ref(&piece), trace.id, self.budget)?
                    };
                    let cuts = |start| self.minutes.cuts(start);
                    found.edges.add_outline(&outline, cuts, self.budget)?;
                }
            }
        }
        Ok(())
    }
}
