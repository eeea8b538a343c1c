//! Changes of a shard's manifest.
//!
//! A change that failed may be there all the same, and what is in memory does not follow it. A
//! snapshot of such a shard would mix both: a cut from the manifest with blocks from memory, and
//! whoever installed it would lack what lies between. So a shard whose last change failed gives no
//! snapshots, and its next change takes back what the failed one may have done.
//!
//! Invariants (BLK-1, REP-2):
//! - whatever can fail besides the change itself is done before it;
//! - after a change, the manifest names the blocks that are in memory, and no others;
//! - after a change, the manifest marks the blocks that are set aside (QRY-1): blocks that are made
//!   meanwhile do not count their parts of traces, so that no later start may read them as sound.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::block_store::BlockStore;
use super::blocks::Block;
use super::handle::Shard;
use super::limits::{BLOCKS_MAX, WINDOW_CHUNKS_MAX};
use super::manifest::BlockRow;
use crate::Error;
use crate::keys::ShardKey;
use crate::kv::{Family, WriteBatch};
use crate::mutant::{self, Mutant};

impl Shard {
    /// Whether the last change failed, so that nobody knows what the manifest says.
    pub(super) fn is_unsettled(&self) -> bool {
        self.is_unsettled.load(Ordering::Relaxed)
    }

    /// Whether a seal failed that may be in the manifest: only the same seal settles it.
    pub(super) fn must_seal_first(&self) -> bool {
        self.is_unsettled() && self.contents().generations.len() > 1
    }

    /// A change that only marks what is set aside, and takes back what a failed one may have done.
    /// Made after the blocks that it will name, so that it marks whatever they left out.
    pub(super) fn new_edit(&self, store: &BlockStore) -> Result<WriteBatch, Error> {
        let mut edit = WriteBatch::default();
        if self.is_unsettled() {
            self.take_back(store, &mut edit)?;
        }
        for block in self.contents().blocks.iter().filter(|block| block.is_damaged()) {
            self.name_block(&mut edit, block);
        }
        let lost = self.state().blocks_lost.clone();
        for number in lost {
            let key = ShardKey::Block(number).of(self.id());
            let known = store.kv.get(Family::Shards, &key)?.unwrap_or_default();
            let row = BlockRow { is_set_aside: true, ..BlockRow::decode(&known) };
            edit.put(Family::Shards, &key, &row.encode());
        }
        Ok(edit)
    }

    /// Adds what takes back a change that failed.
    fn take_back(&self, store: &BlockStore, edit: &mut WriteBatch) -> Result<(), Error> {
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
            self.name_block(edit, block);
        }
        Ok(())
    }

    /// Adds to a change that the manifest names a block, as what it is now.
    pub(super) fn name_block(&self, edit: &mut WriteBatch, block: &Block) {
        let row = BlockRow {
            file_bytes: block.file().size_bytes(),
            is_set_aside: block.is_damaged() && !mutant::is(Mutant::DamageForgotten),
        };
        edit.put(Family::Shards, &ShardKey::Block(block.number()).of(self.id()), &row.encode());
    }

    /// Makes a change durable.
    pub(super) fn commit(&self, store: &BlockStore, edit: WriteBatch) -> Result<(), Error> {
        let written = store.kv.write(edit).and_then(|()| store.kv.flush());
        self.is_unsettled.store(written.is_err(), Ordering::Relaxed);
        Ok(written?)
    }
}
