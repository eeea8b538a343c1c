//! What goes: buckets that were dropped, tenants that were purged.
//!
//! Both are entries of the log, so that all replicas lose the same spans. Applying one only marks:
//! from then on reads pass over what is marked, wherever it lies. The files go later, in
//! [`Shard::sweep`].

use std::sync::Arc;

use model::{Tenant, Timestamp};

use super::handle::{Shard, State};
use super::limits::BUCKET_NANOSECONDS;
use crate::Error;
use crate::keys::ShardKey;
use crate::kv::Family;

/// The retention class of everything that was not set apart.
pub const CLASS_ORDINARY: u8 = 0;

/// The retention class of archives: nothing drops it, so it stays until its tenant is purged.
pub const CLASS_ARCHIVE: u8 = 1;

/// The retention class of a tenant's spans.
pub fn class_of(tenant: &Tenant) -> u8 {
    if tenant.is_archive() { CLASS_ARCHIVE } else { CLASS_ORDINARY }
}

/// The bucket of a stamp.
pub fn bucket_of(stamp: Timestamp) -> u64 {
    stamp.0 / BUCKET_NANOSECONDS
}

impl Shard {
    /// Marks the buckets of a class up to and including one as gone, and forgets the tenants of
    /// which nothing is left: there may be so many, and each that is remembered is one less that
    /// may come. One that was purged is remembered for another bucket: that its requests from
    /// before the purge do not count as known is part of it.
    ///
    /// Invariant (DUR-1): the hour of log time never goes, whatever clock asked for it. What would
    /// be applied and acknowledged in the rest of it would be gone at once.
    pub(super) fn apply_drop(&self, state: &mut State, class: u8, bucket: u64) {
        let Some(last) = bucket_of(state.stamp).checked_sub(1) else { return };
        let bucket = bucket.min(last);
        let mut contents = self.contents_mut();
        let dropped = contents.dropped.entry(class).or_default();
        *dropped = (*dropped).max(bucket);
        let purged = Arc::make_mut(&mut contents.purged);
        state.tenants.retain(|tenant, known| {
            if class_of(tenant) == class && known.last_bucket <= bucket {
                known.has_data = false;
                if known.purged_at == 0 || known.last_bucket < bucket {
                    purged.remove(tenant);
                    return false;
                }
            }
            true
        });
    }

    /// The oldest bucket of a class of which there are spans.
    pub fn oldest_bucket(&self, class: u8) -> Option<u64> {
        let contents = self.contents().clone();
        let blocks = contents.blocks.iter().map(|block| block.info());
        let blocks = blocks.filter(|info| info.class == class && !contents.is_dropped(info));
        let oldest = blocks.map(|info| info.bucket).min();
        let head = self.stats().head_stamp_min.map(bucket_of);
        match (oldest, head.filter(|_| class == CLASS_ORDINARY)) {
            (Some(block), Some(head)) => Some(block.min(head)),
            (block, head) => block.or(head),
        }
    }

    /// Bytes of its blocks, those that go soon included.
    pub fn block_bytes(&self) -> u64 {
        let blocks = Arc::clone(&self.contents().blocks);
        blocks.iter().map(|block| block.file().size_bytes()).sum()
    }

    /// Removes blocks of which everything is gone; returns how many.
    pub fn sweep(&self) -> Result<usize, Error> {
        let Some(store) = &self.store else { return Ok(0) };
        let Some(_upkeep) = self.upkeep_lock() else { return Ok(0) };
        let contents = self.contents().clone();
        let is_gone = |block: &&Arc<super::blocks::Block>| contents.is_gone(block);
        let gone: Vec<_> = contents.blocks.iter().filter(is_gone).cloned().collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let mut edit = self.new_edit(store)?;
        for block in &gone {
            edit.delete(Family::Shards, &ShardKey::Block(block.number()).of(self.id()));
        }
        let changing = self.commit(store, edit, &[])?;
        let stays = |block: &Arc<_>| !gone.iter().any(|gone| Arc::ptr_eq(gone, block));
        let mut contents = self.contents_mut();
        let left: Vec<_> = contents.blocks.iter().filter(|block| stays(block)).cloned().collect();
        contents.blocks = Arc::new(left);
        drop(contents);
        drop(changing);
        self.remove_blocks(store, &gone)?;
        Ok(gone.len())
    }
}
