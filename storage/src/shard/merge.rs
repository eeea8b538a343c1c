//! Merging: small blocks of a bucket become one.
//!
//! Every span is merged about once: a block is left alone once it has half of what a block, or a
//! tenant's run in it, is to have. Which blocks are merged is a pure function of what there is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::budget::Budget;
use model::{Tenant, Timestamp};

use super::block_store::BlockStore;
use super::blocks::{Block, BlockRun, BlockSizes};
use super::handle::{Shard, ShardStats};
use super::limits::{
    HEAD_SEALS_MAX, MERGE_INPUTS, MERGE_PAGES_MAX, MERGE_TRACES_MAX, SEAL_AGE, SEAL_BYTES,
    SEAL_RESIDENT_BYTES, SEAL_SPANS,
};
use super::piece::Piece;
use super::retention::bucket_of;
use super::seal::{Others, Sealed, splits_of};
use crate::Error;
use crate::block::limits::{BLOCK_SPANS, BLOCK_TENANTS_MAX};
use crate::block::{BlockInfo, Run};
use crate::keys::ShardKey;
use crate::kv::Family;
use crate::mutant::{self, Mutant};

/// What a shard needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Nothing.
    Nothing,
    /// Its head is to be sealed.
    Seal,
    /// Blocks are to be merged.
    Merge,
    /// Blocks of which everything is gone are to be removed.
    Sweep,
}

/// What planning a merge looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    number: u64,
    bucket: u64,
    class: u8,
    sizes: BlockSizes,
}

impl Candidate {
    /// Whether it has half of what a block, or a tenant's run in it, is to have. Any two that have
    /// less can be merged, and what comes of several is left alone after a while.
    fn is_large(&self) -> bool {
        self.sizes.spans >= BLOCK_SPANS / 2
            || self.sizes.run_pages_max >= MERGE_PAGES_MAX / 2
            || self.sizes.run_traces_max >= MERGE_TRACES_MAX / 2
    }
}

/// What a tenant brings to a merge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RunSize {
    pages: usize,
    traces: u64,
}

/// The blocks to merge next, if any: those of one bucket, the oldest first. `runs_of` tells the
/// runs of a block by tenant; `is_past` says of a bucket whether nothing will be added to it; `now`
/// merges whatever can be.
fn plan<'a>(
    candidates: &[Candidate],
    runs_of: impl Fn(u64) -> Vec<(&'a Tenant, RunSize)>,
    is_past: impl Fn(u64) -> bool,
    now: bool,
) -> Vec<u64> {
    let mut buckets: BTreeMap<(u64, u8), Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_large()) {
        buckets.entry((candidate.bucket, candidate.class)).or_default().push(*candidate);
    }
    for ((bucket, _), mut blocks) in buckets {
        if blocks.len() < MERGE_INPUTS && !is_past(bucket) && !now {
            continue;
        }
        blocks.sort_unstable_by_key(|block| block.number);
        // One that goes with no other is in nobody's way.
        while blocks.len() >= 2 {
            let inputs = inputs_of(&blocks, &runs_of);
            if inputs.len() >= 2 {
                return inputs;
            }
            blocks.remove(0);
        }
    }
    Vec::new()
}

/// The first block, and those of the others that fit into one with it. Pages and traces are bounded
/// for each tenant: what they bound is a run.
fn inputs_of<'a>(
    blocks: &[Candidate],
    runs_of: impl Fn(u64) -> Vec<(&'a Tenant, RunSize)>,
) -> Vec<u64> {
    let mut inputs = Vec::new();
    let mut spans = 0;
    let mut runs: BTreeMap<&Tenant, RunSize> = BTreeMap::new();
    for block in blocks {
        if inputs.len() == MERGE_INPUTS {
            break;
        }
        if spans + block.sizes.spans > BLOCK_SPANS {
            continue;
        }
        let own = runs_of(block.number);
        let fits = |(tenant, size): &(&Tenant, RunSize)| {
            runs.get(tenant).is_none_or(|sum| {
                sum.pages + size.pages <= MERGE_PAGES_MAX
                    && sum.traces + size.traces <= MERGE_TRACES_MAX
            })
        };
        let new = own.iter().filter(|(tenant, _)| !runs.contains_key(tenant)).count();
        if runs.len() + new > BLOCK_TENANTS_MAX || !own.iter().all(fits) {
            continue;
        }
        for (tenant, size) in own {
            let sum = runs.entry(tenant).or_default();
            sum.pages += size.pages;
            sum.traces += size.traces;
        }
        spans += block.sizes.spans;
        inputs.push(block.number);
    }
    inputs
}

/// What a merge is about.
struct Planned {
    inputs: Vec<Arc<Block>>,
    /// The other blocks.
    others: Vec<Arc<Block>>,
    /// What is to be said of the new block.
    info: BlockInfo,
    /// By tenant: the pages of the inputs.
    tenants: BTreeMap<Tenant, Vec<Arc<Piece>>>,
}

/// Whether it is one of these, not one that is equal.
fn is_among(block: &Arc<Block>, blocks: &[Arc<Block>]) -> bool {
    blocks.iter().any(|other| Arc::ptr_eq(other, block))
}

impl Shard {
    /// Whether the head is so far beyond what it is sealed at that no more may come in until it
    /// was: sealing has fallen behind, and what is not sealed takes memory and log.
    pub fn is_behind(&self) -> bool {
        if self.store.is_none() {
            return false;
        }
        self.pressure.is_behind(|| {
            let stats = self.stats();
            stats.head_spans >= HEAD_SEALS_MAX * SEAL_SPANS
                || stats.head_bytes >= HEAD_SEALS_MAX * SEAL_BYTES
                || stats.resident_bytes >= HEAD_SEALS_MAX * SEAL_RESIDENT_BYTES
        })
    }

    /// What is due at a moment, by the clock of this node.
    pub fn due(&self, now: Timestamp) -> Upkeep {
        if self.store.is_none() {
            return Upkeep::Nothing;
        }
        let contents = self.contents().clone();
        if contents.blocks.iter().any(|block| contents.is_gone(block)) {
            return Upkeep::Sweep;
        }
        if self.is_seal_due(now) {
            return Upkeep::Seal;
        }
        if self.merge_inputs(now, false).is_empty() { Upkeep::Nothing } else { Upkeep::Merge }
    }

    /// Whether the head is to be sealed, by the clock of this node.
    pub fn is_seal_due(&self, now: Timestamp) -> bool {
        let Some(store) = &self.store else { return false };
        let stats = self.stats();
        let age = stats.head_stamp_min.map_or(model::Duration(0), |stamp| now.since(stamp));
        let is_unfinished = self.contents().generations.len() > 1;
        is_unfinished || self.head_is_full(store, &stats) || age >= SEAL_AGE
    }

    /// Whether there is enough in the head to be sealed.
    pub(super) fn head_is_full(&self, store: &BlockStore, stats: &ShardStats) -> bool {
        let is_out_of_turn =
            stats.seal_cut.is_none() || self.is_out_of_turn.load(Ordering::Relaxed);
        let at = |full| if is_out_of_turn { store.first_seal(self.id(), full) } else { full };
        stats.head_spans >= at(SEAL_SPANS)
            || stats.head_bytes >= at(SEAL_BYTES)
            || stats.resident_bytes >= at(SEAL_RESIDENT_BYTES)
    }

    /// Merges what is due, or whatever can be merged; nothing if nothing is.
    pub fn merge(
        &self,
        now: Timestamp,
        all: bool,
        budget: &Budget,
    ) -> Result<Option<Sealed>, Error> {
        self.merge_with_pauses(now, all, budget, &mut || {})
    }

    /// The same; `pause` is called a few times a second, and may seal this shard and others. Heads
    /// go on filling while a merge takes its seconds.
    ///
    /// Nothing but other merges is kept away meanwhile. If an input is gone at the end, or set
    /// aside, what was merged is of no use.
    pub fn merge_with_pauses(
        &self,
        now: Timestamp,
        all: bool,
        budget: &Budget,
        pause: &mut dyn FnMut(),
    ) -> Result<Option<Sealed>, Error> {
        let Some(store) = &self.store else { return Ok(None) };
        let Some(_merging) = self.merge_lock() else { return Ok(None) };
        let Some(planned) = self.plan_merge(store, now, all)? else { return Ok(None) };
        let mut merged = Sealed { blocks: 1, ..Sealed::default() };
        let Planned { inputs, others, info, tenants } = planned;
        let others = Others { blocks: &others, come_from_blocks: true };
        let built = self.build(store, info, &tenants, others, budget, &mut merged, pause);
        let block = built.inspect_err(|error| self.set_aside(&inputs, error))?;
        store.env.sync_directory(&store.shard_directory(self.id()))?;
        if !self.put_in_place(store, &block, &inputs)? {
            return Ok(None);
        }
        merged.cut = self.seal_cut().map_or(0, |cut| cut.0);
        let Sealed { spans, repeats, bytes, .. } = merged;
        let inputs = inputs.len();
        tracing::debug!(shard = %self.id(), inputs, spans, repeats, bytes, "merged");
        Ok(Some(merged))
    }

    /// What is to be merged now, if anything is.
    fn plan_merge(
        &self,
        store: &BlockStore,
        now: Timestamp,
        all: bool,
    ) -> Result<Option<Planned>, Error> {
        let Some(_upkeep) = self.upkeep_lock() else { return Ok(None) };
        self.settle(store)?;
        let inputs = self.merge_inputs(now, all);
        let Some(first) = inputs.first() else { return Ok(None) };
        let contents = self.contents().clone();
        let others = contents.blocks.iter().filter(|block| !is_among(block, &inputs));
        let infos = || inputs.iter().map(|block| block.info());
        let info = BlockInfo {
            number: self.next_block(),
            last_index: infos().map(|info| info.last_index).max().unwrap_or_default(),
            stamp_min: infos().map(|info| info.stamp_min).min().unwrap_or_default(),
            stamp_max: infos().map(|info| info.stamp_max).max().unwrap_or_default(),
            ..*first.info()
        };
        let mut tenants: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let forgotten = usize::from(mutant::is(Mutant::MergeDropsInput));
        for block in inputs.iter().skip(forgotten) {
            for run in &block.file().directory().runs {
                if contents.is_live(block, &run.tenant)
                    && let Some(run_of_block) = BlockRun::of(block, &run.tenant)
                {
                    let pieces = tenants.entry(run.tenant.clone()).or_default();
                    pieces.extend(run_of_block.pieces().map(|(_, piece)| Arc::new(piece)));
                }
            }
        }
        let others = others.cloned().collect();
        Ok(Some(Planned { inputs, others, info, tenants }))
    }

    /// Lets a block take the place of those that it was made of; false if it cannot any more.
    ///
    /// Invariant (QRY-1): a trace with parts in it and in a block that was sealed meanwhile is
    /// listed by that one, which met its parts in the inputs. It did not count those of an input
    /// that was set aside by then.
    fn put_in_place(
        &self,
        store: &BlockStore,
        block: &Arc<Block>,
        inputs: &[Arc<Block>],
    ) -> Result<bool, Error> {
        let upkeep = self.upkeep_lock();
        let now = Arc::clone(&self.contents().blocks);
        let is_sound = |input: &Arc<Block>| !input.is_damaged() && is_among(input, &now);
        if upkeep.is_none() || !inputs.iter().all(is_sound) {
            store.env.remove(block.file().path())?;
            return Ok(false);
        }
        let splits = splits_of(std::slice::from_ref(block))?;
        let mut edit = self.new_edit(store)?;
        self.name_block(&mut edit, block);
        for input in inputs {
            edit.delete(Family::Shards, &ShardKey::Block(input.number()).of(self.id()));
        }
        let changing = self.commit(store, edit, std::slice::from_ref(block))?;
        self.know_splits(splits);
        let mut contents = self.contents_mut();
        let left = contents.blocks.iter().filter(|block| !is_among(block, inputs));
        contents.blocks = Arc::new(left.chain([block]).cloned().collect());
        drop(contents);
        drop(changing);
        self.state().merged_bytes += block.file().size_bytes();
        self.remove_blocks(store, inputs)?;
        Ok(true)
    }

    /// A merge found damage: the block that has it is left alone from now on.
    fn set_aside(&self, inputs: &[Arc<Block>], error: &Error) {
        let Error::Block(error) = error else { return };
        if !error.is_corruption() {
            return;
        }
        for input in inputs.iter().filter(|input| Some(input.file().path()) == error.path()) {
            if input.set_damaged() {
                self.report_damage(error);
            }
        }
    }

    fn merge_inputs(&self, now: Timestamp, all: bool) -> Vec<Arc<Block>> {
        let blocks = Arc::clone(&self.contents().blocks);
        let usable = blocks.iter().filter(|block| !block.is_damaged());
        let candidates: Vec<Candidate> = usable
            .map(|block| Candidate {
                number: block.number(),
                bucket: block.info().bucket,
                class: block.info().class,
                sizes: block.sizes(),
            })
            .collect();
        let runs_of = |number: u64| {
            let of_number = blocks.iter().find(|block| block.number() == number);
            let runs = of_number.into_iter().flat_map(|block| &block.file().directory().runs);
            let size = |run: &Run| RunSize { pages: run.pages.len(), traces: run.trace_count };
            runs.map(|run| (&run.tenant, size(run))).collect()
        };
        let numbers = plan(&candidates, runs_of, |bucket| bucket < bucket_of(now), all);
        let is_chosen = |block: &&Arc<Block>| numbers.contains(&block.number());
        blocks.iter().filter(is_chosen).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(spans: &[u64]) -> Vec<Candidate> {
        let candidate = |(number, spans): (u64, &u64)| Candidate {
            number,
            bucket: 5,
            class: 0,
            sizes: BlockSizes { spans: *spans, ..BlockSizes::default() },
        };
        (0..).zip(spans).map(candidate).collect()
    }

    fn plan_of(blocks: &[Candidate], is_past: bool, now: bool) -> Vec<u64> {
        plan(blocks, |_| Vec::new(), |_| is_past, now)
    }

    fn tenants(count: usize) -> Vec<Tenant> {
        (0..count).map(|number| Tenant::new(&format!("t{number}")).unwrap()).collect()
    }

    #[test]
    fn a_bucket_that_grows_waits_for_enough_blocks_and_one_that_is_past_does_not() {
        let few = candidates(&[100; 5]);
        assert!(plan_of(&few, false, false).is_empty());
        assert_eq!(plan_of(&few, true, false), [0, 1, 2, 3, 4]);
        assert_eq!(plan_of(&few, false, true), [0, 1, 2, 3, 4]);
        let many = candidates(&[250_000; 17]);
        assert_eq!(plan_of(&many, false, false).len(), MERGE_INPUTS);
        assert!(plan_of(&candidates(&[100]), true, true).is_empty(), "one alone is merged");
    }

    #[test]
    fn large_blocks_stay_and_sums_are_bounded() {
        let large = candidates(&[BLOCK_SPANS, BLOCK_SPANS / 2, 7]);
        assert!(plan_of(&large, true, true).is_empty());
        let half = candidates(&[BLOCK_SPANS / 2 - 1; 5]);
        assert_eq!(plan_of(&half, true, false), [0, 1]);
        let other_bucket = [candidates(&[5])[0], Candidate { bucket: 6, ..candidates(&[5])[0] }];
        assert!(plan_of(&other_bucket, true, true).is_empty());
    }

    /// A page for each tenant is the least there is, and a bound on their sum merged a thousand
    /// tenants two by two, and more of them never.
    #[test]
    fn many_tenants_are_merged_like_one() {
        for count in [1, 1_000, 1_500, BLOCK_TENANTS_MAX] {
            let tenants = tenants(count);
            let blocks = candidates(&[200_000; MERGE_INPUTS]);
            let size = RunSize { pages: 1, traces: 20 };
            let runs_of = |_| tenants.iter().map(|tenant| (tenant, size)).collect();
            let inputs = plan(&blocks, runs_of, |_| false, false);
            assert_eq!(inputs.len(), MERGE_INPUTS, "{count} tenants");
        }
    }

    #[test]
    fn one_run_is_bounded_and_what_does_not_fit_is_passed_over() {
        let (pages, traces) = (MERGE_PAGES_MAX / 2 - 1, MERGE_TRACES_MAX / 2 - 1);
        let tenants = tenants(2 * BLOCK_TENANTS_MAX);
        let blocks = candidates(&[1_000; 6]);
        for size in [RunSize { pages, traces: 1 }, RunSize { pages: 1, traces }] {
            let runs_of = |_| vec![(&tenants[0], size)];
            assert_eq!(plan(&blocks, runs_of, |_| true, false), [0, 1], "{size:?}");
            // Tenants of their own do not add up.
            let number = |number| usize::try_from(number).unwrap();
            let runs_of = |block| vec![(&tenants[number(block)], size)];
            assert_eq!(plan(&blocks, runs_of, |_| true, false).len(), 6, "{size:?}");
        }
        // The first has no room for tenants beside its own.
        let runs_of = |block| {
            let own = if block == 0 { ..BLOCK_TENANTS_MAX } else { ..0 };
            let last = &tenants[BLOCK_TENANTS_MAX + 1];
            let all = tenants[own].iter().chain((block > 0).then_some(last));
            all.map(|tenant| (tenant, RunSize { pages: 1, traces: 1 })).collect()
        };
        assert_eq!(plan(&blocks, runs_of, |_| true, false), [1, 2, 3, 4, 5]);
        let large = |sizes| candidates(&[7, 7]).into_iter().map(move |c| Candidate { sizes, ..c });
        let sizes = BlockSizes { run_traces_max: MERGE_TRACES_MAX / 2, ..BlockSizes::default() };
        assert!(plan_of(&large(sizes).collect::<Vec<_>>(), true, true).is_empty());
    }

    /// How often a span is written by seals and merges of an hour, with the real plan.
    #[test]
    fn a_span_is_merged_about_once_however_many_tenants_there_are() {
        for (count, seal_spans) in
            [(1, 262_144), (500, 262_144), (1_000, 150_000), (1_500, 262_144)]
        {
            let tenants = tenants(count);
            let of_spans = |number: u64, spans: u64| Candidate {
                number,
                bucket: 5,
                class: 0,
                sizes: BlockSizes {
                    spans,
                    traces: spans / 10,
                    run_pages_max: pages_of(spans, count),
                    run_traces_max: spans / 10 / count as u64,
                },
            };
            let (mut blocks, mut merged, mut sealed) = (Vec::new(), 0, 0);
            let mut number = 0;
            while sealed < 18_000_000 {
                number += 1;
                sealed += seal_spans;
                blocks.push(of_spans(number, seal_spans));
                let is_last = sealed >= 18_000_000;
                loop {
                    let runs_of = |number: u64| {
                        let found = blocks.iter().find(|block| block.number == number);
                        let sizes = found.map(|block| block.sizes).unwrap_or_default();
                        let pages = sizes.run_pages_max;
                        let size = RunSize { pages, traces: sizes.run_traces_max };
                        tenants.iter().map(|tenant| (tenant, size)).collect()
                    };
                    let inputs = plan(&blocks, runs_of, |_| is_last, false);
                    if inputs.is_empty() {
                        break;
                    }
                    let is_input = |block: &Candidate| inputs.contains(&block.number);
                    let spans =
                        blocks.iter().filter(|b| is_input(b)).map(|b| b.sizes.spans).sum::<u64>();
                    merged += spans;
                    blocks.retain(|block| !is_input(block));
                    number += 1;
                    blocks.push(of_spans(number, spans));
                }
            }
            let tenths = (sealed + merged) * 10 / sealed;
            assert!(tenths <= 23, "{count} tenants: {tenths} tenths written for each sealed");
            assert!(blocks.len() <= 8, "{count} tenants: {} blocks are left", blocks.len());
        }
    }

    fn pages_of(spans: u64, tenants: usize) -> usize {
        usize::try_from(spans).unwrap().div_ceil(tenants).div_ceil(4_096)
    }
}
