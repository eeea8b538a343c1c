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
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::block_store::BlockStore;
use super::blocks::Block;
use super::handle::{Changing, Shard};
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

    /// Takes back a change that failed, before anything new is written: what it left takes room,
    /// and on a full disk there is none for the same again.
    pub(super) fn settle(&self, store: &BlockStore) -> Result<(), Error> {
        if self.is_unsettled() {
            let edit = self.new_edit(store)?;
            drop(self.commit(store, edit, &[])?);
        }
        Ok(())
    }

    /// A change that only marks what is set aside, takes back what a failed one may have done, and
    /// forgets chunks that the last seal needs no more. Made after the blocks that it will name, so
    /// that it marks whatever they left out.
    pub(super) fn new_edit(&self, store: &BlockStore) -> Result<WriteBatch, Error> {
        let mut edit = WriteBatch::default();
        if self.is_unsettled() {
            self.take_back(store, &mut edit)?;
        }
        for block in self.contents().blocks.iter().filter(|block| block.is_damaged()) {
            self.name_block(&mut edit, block);
        }
        let (lost, forgotten) = {
            let state = self.state();
            (state.blocks_lost.clone(), state.forgotten.clone())
        };
        for number in forgotten {
            edit.delete(Family::Shards, &ShardKey::Window(number).of(self.id()));
        }
        for number in lost {
            let key = ShardKey::Block(number).of(self.id());
            let known = store.kv.get(Family::Shards, &key)?.unwrap_or_default();
            let row = BlockRow { is_set_aside: true, ..BlockRow::decode(&known) };
            edit.put(Family::Shards, &key, &row.encode());
        }
        Ok(edit)
    }

    /// Adds what takes back a change that failed: the manifest says again what it said before. So
    /// no change puts anything in the place of what another could need, but for the row of the
    /// state, which is kept for this.
    fn take_back(&self, store: &BlockStore, edit: &mut WriteBatch) -> Result<(), Error> {
        let blocks = self.contents().blocks.clone();
        let state_key = ShardKey::State.of(self.id());
        let (named, chunks): (BTreeSet<u64>, BTreeSet<u64>) = {
            let state = self.state();
            match &state.row {
                Some(row) => edit.put(Family::Shards, &state_key, row),
                None => edit.delete(Family::Shards, &state_key),
            }
            let numbers = blocks.iter().map(|block| block.number());
            let chunks = state.chunks.iter().map(|chunk| chunk.number);
            (numbers.chain(state.blocks_lost.iter().copied()).collect(), chunks.collect())
        };
        for (first, last, keys_max, known) in [
            (ShardKey::Block(0), ShardKey::Block(u64::MAX), BLOCKS_MAX, named),
            (ShardKey::Window(0), ShardKey::Window(u64::MAX), WINDOW_CHUNKS_MAX, chunks),
        ] {
            let (first, last) = (first.of(self.id()), last.of(self.id()));
            for key in store.kv.keys(Family::Shards, &first..&last, keys_max)? {
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

    /// Makes a change durable. Blocks that it is the first to name are told, so that their files go
    /// when it failed and was taken back. What is returned is held until memory has followed.
    pub(super) fn commit(
        &self,
        store: &BlockStore,
        edit: WriteBatch,
        made: &[Arc<Block>],
    ) -> Result<Changing<'_>, Error> {
        let changing = self.changing();
        let written = store.kv.write(edit).and_then(|()| store.kv.flush());
        self.is_unsettled.store(written.is_err(), Ordering::Relaxed);
        let mut state = self.state();
        if let Err(error) = written {
            state.doubtful.extend(made.iter().cloned());
            return Err(error.into());
        }
        state.forgotten.clear();
        let taken_back = std::mem::take(&mut state.doubtful);
        drop(state);
        for block in taken_back {
            // What is left of them goes at the next start.
            let _ = store.env.remove(block.file().path());
        }
        Ok(changing)
    }

    /// Removes what the manifest names no more. One file that cannot be removed keeps no other; it
    /// goes at the next start.
    pub(super) fn remove_blocks(
        &self,
        store: &BlockStore,
        gone: &[Arc<Block>],
    ) -> Result<(), Error> {
        let mut removed = Ok(());
        for block in gone {
            removed = removed.and(store.env.remove(block.file().path()));
        }
        removed = removed.and(store.env.sync_directory(&store.shard_directory(self.id())));
        self.forget_splits_of(gone)?;
        Ok(removed?)
    }
}
