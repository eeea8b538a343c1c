//! Shards that are searched side by side for one answer tell each other where their hits stand.

use std::sync::{Mutex, PoisonError};

use model::ShardId;
use model::query::OrderKey;

/// Where the first hits stand that the shards of one search have told so far.
///
/// Of all that is asked for one answer the first hits count, not those of each shard. A shard whose
/// next trace comes behind as many hits as are asked for stops there: nothing that it has left is
/// among the first. Its cursor then names the last of these hits, up to which it has told
/// everything.
///
/// What a shard told and somebody threw away (a replica that turned out to be behind) may have
/// stopped others too early. So whoever puts the answers together looks whether the cursors of all
/// of them cover as many hits as were asked for, and asks again without this if they do not.
#[derive(Debug)]
pub struct FirstHits {
    limit: usize,
    /// In order, at most `limit`.
    told: Mutex<Vec<(OrderKey, ShardId)>>,
}

impl FirstHits {
    /// Nothing was told yet; so many hits are asked for.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit: limit as usize, told: Mutex::new(Vec::new()) }
    }

    /// A shard begins. What it told before, if it begins anew, counts no longer.
    pub(super) fn begin(&self, shard: ShardId) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(_, other)| *other != shard);
    }

    /// A shard tells a hit.
    pub(super) fn tell(&self, shard: ShardId, key: OrderKey) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let place = told.partition_point(|(other, _)| *other < key);
        if place < self.limit {
            told.insert(place, (key, shard));
            told.truncate(self.limit);
        }
    }

    /// The last of the hits that are asked for, once there are so many.
    pub(super) fn last(&self) -> Option<OrderKey> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(self.limit.checked_sub(1)?).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use model::TraceId;

    use super::*;

    fn key(rank: u64) -> OrderKey {
        OrderKey { rank, trace_id: TraceId::default() }
    }

    #[test]
    fn the_last_of_the_first_is_known_once_there_are_enough() {
        let first = FirstHits::new(3);
        for (shard, rank) in [(0, 50), (1, 10)] {
            first.tell(ShardId(shard), key(rank));
            assert_eq!(first.last(), None);
        }
        first.tell(ShardId(0), key(70));
        assert_eq!(first.last(), Some(key(70)));
        first.tell(ShardId(1), key(20));
        assert_eq!(first.last(), Some(key(50)));
        first.tell(ShardId(1), key(60));
        assert_eq!(first.last(), Some(key(50)));
    }

    #[test]
    fn a_shard_that_begins_anew_has_told_nothing() {
        let first = FirstHits::new(2);
        for rank in [10, 20] {
            first.tell(ShardId(0), key(rank));
        }
        first.tell(ShardId(1), key(5));
        first.begin(ShardId(0));
        assert_eq!(first.last(), None);
        first.tell(ShardId(0), key(30));
        assert_eq!(first.last(), Some(key(30)));
    }
}
