//! The disk cap: when data take more than they may, the oldest hour goes, before its retention.

use std::sync::Arc;

use model::time::Timestamp;
use storage::shard::{CLASS_ORDINARY, Shard, Upkeep, bucket_of};

/// The part of a disk that data may take unless said otherwise: four fifths.
const DEFAULT_FIFTHS: u64 = 4;

/// How much data may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskCap {
    /// Four fifths of the disk.
    #[default]
    MostOfTheDisk,
    /// So many bytes.
    Bytes(u64),
}

impl DiskCap {
    /// In bytes, on a disk of so many; nothing if nobody knows its size.
    pub fn bytes(self, total_bytes: u64) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::MostOfTheDisk => (total_bytes > 0).then(|| total_bytes / 5 * DEFAULT_FIFTHS),
        }
    }
}

/// Finds what has to go for the cap, one bucket after another.
#[derive(Debug, Default)]
pub(super) struct CapKeeper {
    /// The bucket whose drop was proposed last.
    dropping: Option<u64>,
}

impl CapKeeper {
    /// The bucket up to which everything is to be dropped, given what data take and may take. The
    /// hour that is being written never goes: without room for that, writes are refused.
    pub(super) fn due(
        &mut self,
        used_bytes: u64,
        bytes_max: u64,
        oldest: Option<u64>,
        now: Timestamp,
    ) -> Option<u64> {
        if used_bytes <= bytes_max {
            self.dropping = None;
            return None;
        }
        let oldest = oldest.filter(|bucket| *bucket < bucket_of(now))?;
        self.dropping = Some(oldest);
        Some(oldest)
    }

    /// Whether what was proposed has gone, so that bytes may be counted again.
    pub(super) fn has_settled(&self, shards: &[Arc<Shard>], now: Timestamp) -> bool {
        let is_there = |shard: &Arc<Shard>| {
            let oldest = shard.oldest_bucket(CLASS_ORDINARY);
            self.dropping.is_some_and(|bucket| oldest.is_some_and(|oldest| oldest <= bucket))
                || shard.due(now) == Upkeep::Sweep
        };
        self.dropping.is_none() || !shards.iter().any(is_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn the_oldest_hour_goes_and_the_one_being_written_stays() {
        let mut keeper = CapKeeper::default();
        let now = Timestamp(100 * HOUR + 7);
        assert_eq!(keeper.due(99, 100, Some(3), now), None, "there is room");
        assert_eq!(keeper.due(101, 100, Some(3), now), Some(3));
        assert_eq!(keeper.due(101, 100, Some(99), now), Some(99));
        assert_eq!(keeper.due(101, 100, Some(100), now), None, "that hour is being written");
        assert_eq!(keeper.due(101, 100, None, now), None);
    }

    #[test]
    fn the_cap_is_most_of_the_disk_unless_said_otherwise() {
        assert_eq!(DiskCap::MostOfTheDisk.bytes(1_000), Some(800));
        assert_eq!(DiskCap::MostOfTheDisk.bytes(0), None);
        assert_eq!(DiskCap::Bytes(7).bytes(0), Some(7));
    }
}
