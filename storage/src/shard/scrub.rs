//! Damage that nobody has met yet: blocks are read to their last byte, so that a flipped bit is
//! known while other replicas still have what it was.

use std::sync::Arc;

use super::blocks::Block;
use super::handle::Shard;
use crate::block::BlockError;

/// What a look at every byte of a block found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrubbed {
    /// Every checksum is right.
    Sound,
    /// Something is damaged; the block is set aside.
    Damaged,
    /// The file could not be read, which says nothing of what it holds.
    Unread,
}

impl Shard {
    /// The numbers of the blocks that are read, and their bytes.
    pub fn block_sizes(&self) -> Vec<(u64, u64)> {
        let blocks = Arc::clone(&self.contents().blocks);
        let usable = blocks.iter().filter(|block| !block.is_damaged());
        usable.map(|block| (block.number(), block.file().size_bytes())).collect()
    }

    /// Reads every byte of a block; nothing if there is no such block any more, or it is set aside.
    pub fn scrub(&self, number: u64) -> Option<Scrubbed> {
        let blocks = Arc::clone(&self.contents().blocks);
        let mut usable = blocks.iter().filter(|block| !block.is_damaged());
        usable.find(|block| block.number() == number).map(|block| self.scrub_block(block))
    }

    /// Reads every byte of a block, and sets it aside if something of it is damaged.
    pub(super) fn scrub_block(&self, block: &Block) -> Scrubbed {
        let mut found = Scrubbed::Sound;
        let mut on_error = |error: BlockError| {
            if error.is_corruption() {
                found = Scrubbed::Damaged;
                self.damaged_block(block, error);
            } else if found == Scrubbed::Sound {
                found = Scrubbed::Unread;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(shard = %self.id(), error, "a block could not be verified");
            }
        };
        block.file().verify(&mut on_error, &mut |_| {});
        found
    }
}
