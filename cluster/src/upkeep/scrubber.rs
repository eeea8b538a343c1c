//! Looks for damage before a read meets it: every block is read to its last byte once in a while,
//! as long as other replicas have what it was.
//!
//! One block at a time, when nothing else is to do, and a long rest after each: the whole costs a
//! small share of a core and of the disk, whatever the disk holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::time::{Clock, Monotonic};
use model::{Duration, ShardId};
use storage::shard::{Scrubbed, Shard};

/// The rest after a block, in times of what it took: a fiftieth of a core, and of the disk.
const REST: u64 = 49;

/// How often blocks are listed; those that came and went in between are not looked at.
const LIST_EVERY: Duration = Duration::from_secs(60);

/// The first look at a block comes after this part of the time between two: a small block is
/// merged away by then, and a node that is often restarted looks at its blocks all the same.
const FIRST_LOOK_PART: u64 = 10;

/// Knows when each block is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Scrubber {
    due: BTreeMap<(ShardId, u64), Monotonic>,
    lists_at: Monotonic,
    rests_until: Monotonic,
}

impl Scrubber {
    /// Looks at the block that is due longest, if one is and the rest is over.
    pub(super) fn step(&mut self, shards: &[Arc<Shard>], every: Duration, clock: &dyn Clock) {
        let now = clock.monotonic();
        if now < self.rests_until {
            return;
        }
        if now >= self.lists_at {
            self.list(shards, every, now);
        }
        let due = self.due.iter().filter(|(_, due)| **due <= now);
        let Some((&(id, number), _)) = due.min_by_key(|(_, due)| **due) else { return };
        self.due.insert((id, number), now.plus(every));
        let Some(shard) = shards.iter().find(|shard| shard.id() == id) else { return };
        let sizes = shard.block_sizes();
        let bytes = sizes.into_iter().find(|(other, _)| *other == number).map(|(_, bytes)| bytes);
        let Some(scrubbed) = shard.scrub(number) else { return };
        let found = match scrubbed {
            Scrubbed::Sound => "sound",
            Scrubbed::Damaged => "damaged",
            Scrubbed::Unread => "unread",
        };
        metrics::counter!("skua_scrubbed_blocks_total", "found" => found).increment(1);
        metrics::counter!("skua_scrubbed_bytes_total").increment(bytes.unwrap_or_default());
        let ended = clock.monotonic();
        self.rests_until = ended.plus(Duration(ended.since(now).0.saturating_mul(REST)));
    }

    fn list(&mut self, shards: &[Arc<Shard>], every: Duration, now: Monotonic) {
        let first = now.plus(Duration(every.0 / FIRST_LOOK_PART));
        let blocks = shards.iter().flat_map(|shard| {
            shard.block_sizes().into_iter().map(|(number, _)| (shard.id(), number))
        });
        let known = std::mem::take(&mut self.due);
        let due = |block: &(ShardId, u64)| known.get(block).copied().unwrap_or(first);
        self.due = blocks.map(|block| (block, due(&block))).collect();
        self.lists_at = now.plus(LIST_EVERY.min(Duration(every.0 / FIRST_LOOK_PART)));
    }
}
