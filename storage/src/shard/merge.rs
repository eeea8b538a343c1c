//! Merging: small blocks of a bucket become one.
//!
//! Every span is merged about once: a block is left alone once it has half of what a block is to
//! have. Which blocks are merged is a pure function of what there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Timestamp;
use model::budget::Budget;

use super::blocks::{Block, BlockRun};
use super::handle::Shard;
use super::limits::{
    HEAD_SEALS_MAX, MERGE_INPUTS, SEAL_AGE, SEAL_BYTES, SEAL_RESIDENT_BYTES, SEAL_SPANS,
};
use super::retention::bucket_of;
use super::seal::{Sealed, splits_of};
use crate::Error;
use crate::block::BlockInfo;
use crate::block::limits::{BLOCK_SPANS, RUN_PAGES_MAX};
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
    spans: u64,
    pages: usize,
}

/// The blocks to merge next, if any: those of one bucket, the oldest first. `is_past` says of a
/// bucket whether nothing will be added to it; `now` merges whatever can be.
fn plan(candidates: &[Candidate], is_past: impl Fn(u64) -> bool, now: bool) -> Vec<u64> {
    let mut buckets: BTreeMap<(u64, u8), Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates.iter().filter(|candidate| candidate.spans < BLOCK_SPANS / 2) {
        buckets.entry((candidate.bucket, candidate.class)).or_default().push(*candidate);
    }
    for ((bucket, _), mut blocks) in buckets {
        let is_due = blocks.len() >= MERGE_INPUTS || is_past(bucket) || now;
        blocks.sort_unstable_by_key(|block| block.number);
        let (mut spans, mut pages) = (0, 0);
        let fits = |block: &&Candidate| {
            spans += block.spans;
            pages += block.pages;
            spans <= BLOCK_SPANS && pages <= RUN_PAGES_MAX / 2
        };
        let inputs: Vec<u64> =
            blocks.iter().take(MERGE_INPUTS).take_while(fits).map(|block| block.number).collect();
        if is_due && inputs.len() >= 2 {
            return inputs;
        }
    }
    Vec::new()
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
        let stats = self.stats();
        let age = stats.head_stamp_min.map_or(model::Duration(0), |stamp| now.since(stamp));
        let is_unfinished = contents.generations.len() > 1;
        if is_unfinished
            || stats.head_spans >= SEAL_SPANS
            || stats.head_bytes >= SEAL_BYTES
            || stats.resident_bytes >= SEAL_RESIDENT_BYTES
            || age >= SEAL_AGE
        {
            return Upkeep::Seal;
        }
        if self.merge_inputs(now, false).is_empty() { Upkeep::Nothing } else { Upkeep::Merge }
    }

    /// Merges what is due, or whatever can be merged; nothing if nothing is.
    pub fn merge(
        &self,
        now: Timestamp,
        all: bool,
        budget: &Budget,
    ) -> Result<Option<Sealed>, Error> {
        let Some(store) = &self.store else { return Ok(None) };
        let Some(_upkeep) = self.upkeep_lock() else { return Ok(None) };
        if self.must_seal_first() {
            return Ok(None);
        }
        let inputs = self.merge_inputs(now, all);
        let Some(first) = inputs.first() else { return Ok(None) };
        let contents = self.contents().clone();
        let is_input = |block: &Arc<Block>| inputs.iter().any(|input| Arc::ptr_eq(input, block));
        let others: Vec<_> =
            contents.blocks.iter().filter(|block| !is_input(block)).cloned().collect();
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
        let mut merged = Sealed { blocks: 1, ..Sealed::default() };
        let built = self.build(store, info, &tenants, &others, budget, &mut merged);
        let block = built.inspect_err(|error| self.set_aside(&inputs, error))?;
        store.env.sync_directory(&store.shard_directory(self.id()))?;
        let splits = splits_of(std::slice::from_ref(&block))?;
        let mut edit = self.new_edit(store)?;
        self.name_block(&mut edit, &block);
        for input in &inputs {
            edit.delete(Family::Shards, &ShardKey::Block(input.number()).of(self.id()));
        }
        self.commit(store, edit)?;
        self.know_splits(splits);
        let mut contents = self.contents_mut();
        let mut left: Vec<_> =
            contents.blocks.iter().filter(|block| !is_input(block)).cloned().collect();
        left.push(Arc::clone(&block));
        contents.blocks = Arc::new(left);
        drop(contents);
        let mut state = self.state();
        state.merged_bytes += block.file().size_bytes();
        merged.cut = state.seal_cut.map_or(0, |cut| cut.0);
        drop(state);
        for input in &inputs {
            store.env.remove(input.file().path())?;
        }
        store.env.sync_directory(&store.shard_directory(self.id()))?;
        self.forget_splits_of(&inputs)?;
        let Sealed { spans, repeats, bytes, .. } = merged;
        let inputs = inputs.len();
        tracing::debug!(shard = %self.id(), inputs, spans, repeats, bytes, "merged");
        Ok(Some(merged))
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
        let contents = self.contents().clone();
        let usable = contents.blocks.iter().filter(|block| !block.is_damaged());
        let candidates: Vec<Candidate> = usable
            .map(|block| Candidate {
                number: block.number(),
                bucket: block.info().bucket,
                class: block.info().class,
                spans: block.span_count(),
                pages: block.file().directory().runs.iter().map(|run| run.pages.len()).sum(),
            })
            .collect();
        let numbers = plan(&candidates, |bucket| bucket < bucket_of(now), all);
        let is_chosen = |block: &&Arc<Block>| numbers.contains(&block.number());
        contents.blocks.iter().filter(is_chosen).cloned().collect()
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
            spans: *spans,
            pages: 10,
        };
        (0..).zip(spans).map(candidate).collect()
    }

    #[test]
    fn a_bucket_that_grows_waits_for_enough_blocks_and_one_that_is_past_does_not() {
        let few = candidates(&[100; 5]);
        assert!(plan(&few, |_| false, false).is_empty());
        assert_eq!(plan(&few, |_| true, false), [0, 1, 2, 3, 4]);
        assert_eq!(plan(&few, |_| false, true), [0, 1, 2, 3, 4]);
        let many = candidates(&[250_000; 17]);
        assert_eq!(plan(&many, |_| false, false).len(), MERGE_INPUTS);
        assert!(plan(&candidates(&[100]), |_| true, true).is_empty(), "one alone is merged");
    }

    #[test]
    fn large_blocks_stay_and_sums_are_bounded() {
        let large = candidates(&[BLOCK_SPANS, BLOCK_SPANS / 2, 7]);
        assert!(plan(&large, |_| true, true).is_empty());
        let half = candidates(&[BLOCK_SPANS / 2 - 1; 5]);
        assert_eq!(plan(&half, |_| true, false), [0, 1]);
        let other_bucket = [candidates(&[5])[0], Candidate { bucket: 6, ..candidates(&[5])[0] }];
        assert!(plan(&other_bucket, |_| true, true).is_empty());
    }
}
