//! Changes of a shard's manifest.
//!
//! A change that failed may be there all the same, and what is in memory does not follow it. A
//! snapshot of such a shard would mix both: a cut from the manifest with blocks from memory, and
//! whoever installed it would lack what lies between. So a shard whose last change failed gives no
//! snapshots, and its next change takes back what the failed one may have done.
//!
//! Invariants (BLK-1, REP-2):
//! - whatever can fail besides the change itself is done before it;
//! - after a change, the manifest names the blocks that are in memory, and no others.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::block_store::BlockStore;
use super::handle::Shard;
use super::limits::{BLOCKS_MAX, WINDOW_CHUNKS_MAX};
use crate::Error;
use crate::keys::ShardKey;
use crate::kv::{Family, WriteBatch};

impl Shard {
    /// Whether the last change failed, so that nobody knows what the manifest says.
    pub(super) fn is_unsettled(&self) -> bool {
        self.is_unsettled.load(Ordering::Relaxed)
    }

    /// Whether a seal failed that may be in the manifest: only the same seal settles it.
    pub(super) fn must_seal_first(&self) -> bool {
        self.is_unsettled() && self.contents().generations.len() > 1
    }

    /// An empty change, or one that takes back what a failed one may have done.
    pub(super) fn new_edit(&self, store: &BlockStore) -> Result<WriteBatch, Error> {
        let mut edit = WriteBatch::default();
        if !self.is_unsettled() {
            return Ok(edit);
        }
        let blocks = self.contents().blocks.clone();
        let (named, chunks): (BTreeSet<u64>, BTreeSet<u64>) = {
            let state = self.state();
            let numbers = blocks.iter().map(|block| block.number());
            let chunks = state.chunks.iter().map(|chunk| chunk.number);
            (numbers.chain(state.blocks_lost.iter().copied()).collect(), chunks.collect())
        };
        for (first, last, keys_max, known) in [
            (ShardKey::Block(0), ShardKey::Block(u64::MAX), BLOCKS_MAX, named),
            (ShardKey::Window(0), ShardKey::Window(u64::MAX), WINDOW_CHUNKS_MAX, chunks),
        ] {
            let (first, last) = (first.of(self.id()), last.of(self.id()));
            for (key, _) in store.kv.scan(Family::Shards, &first..&last, keys_max)? {
                if ShardKey::number(&key).is_none_or(|number| !known.contains(&number)) {
                    edit.delete(Family::Shards, &key);
                }
            }
        }
        for block in blocks.iter() {
            let length = block.file().size_bytes().to_be_bytes();
            edit.put(Family::Shards, &ShardKey::Block(block.number()).of(self.id()), &length);
        }
        Ok(edit)
    }

    /// Makes a change durable.
    pub(super) fn commit(&self, store: &BlockStore, edit: WriteBatch) -> Result<(), Error> {
        let written = store.kv.write(edit).and_then(|()| store.kv.flush());
        self.is_unsettled.store(written.is_err(), Ordering::Relaxed);
        Ok(written?)
    }
}
