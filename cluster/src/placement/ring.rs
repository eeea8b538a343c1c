//! The consistent-hash ring of one epoch: 512 points a shard, xxh3 over big-endian bytes.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use hashring::HashRing;
use model::{ShardId, TraceId};
use twox_hash::XxHash3_64;

/// Points a shard has on the ring: shares stay within about 10 % of each other.
const POINTS_PER_SHARD: u32 = 512;

/// A ring over the shards of one epoch.
pub struct Ring {
    ring: HashRing<Point, FixedHash>,
    shard_count: u32,
}

impl Ring {
    /// The ring over shards `0..shard_count`.
    pub fn new(shard_count: u32) -> Self {
        let mut ring = HashRing::with_hasher(FixedHash);
        let points = (0..shard_count).flat_map(|shard| {
            (0..POINTS_PER_SHARD).map(move |number| Point { shard: ShardId(shard), number })
        });
        ring.batch_add(points.collect());
        Self { ring, shard_count }
    }

    /// The shard of a trace.
    pub fn shard_of(&self, trace_id: TraceId) -> ShardId {
        // An empty ring has no shards to choose from; shard 0 exists in every epoch.
        self.ring.get(&Key(trace_id)).map_or(ShardId(0), |point| point.shard)
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> u32 {
        self.shard_count
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ring")
            .field("shard_count", &self.shard_count)
            .finish_non_exhaustive()
    }
}

/// A point of a shard on the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    shard: ShardId,
    number: u32,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.shard.0.to_be_bytes());
        state.write(&self.number.to_be_bytes());
    }
}

struct Key(TraceId);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

/// xxh3 without a seed over exactly the bytes written.
#[derive(Clone, Copy)]
struct FixedHash;

impl BuildHasher for FixedHash {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher { bytes: [0; 16], length: 0 }
    }
}

/// Collects the few bytes that a key has and hashes them at once.
struct FixedHasher {
    bytes: [u8; 16],
    length: usize,
}

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn finish(&self) -> u64 {
        XxHash3_64::oneshot(self.bytes.get(..self.length).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TraceId {
        TraceId(u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_be_bytes())
    }

    /// Golden: a build that maps traces differently loses sight of stored ones (PLC-1).
    #[test]
    fn the_map_never_changes() {
        let ring = Ring::new(6);
        let shards: Vec<u32> = (0..24).map(|number| ring.shard_of(id(number)).0).collect();
        assert_eq!(
            shards,
            [0, 3, 5, 4, 1, 0, 4, 2, 2, 1, 2, 3, 5, 5, 0, 1, 1, 3, 2, 3, 5, 4, 4, 0],
            "the hash, the points or the crate changed"
        );
    }

    #[test]
    fn shares_are_even_and_growth_moves_only_to_new_shards() {
        let (small, large) = (Ring::new(4), Ring::new(5));
        let mut counts = [0_u32; 4];
        for number in 0..40_000 {
            let (before, after) = (small.shard_of(id(number)), large.shard_of(id(number)));
            counts[before.0 as usize] += 1;
            assert!(after == before || after == ShardId(4), "a trace moved between old shards");
        }
        assert!(counts.iter().all(|count| (8_500..11_500).contains(count)), "{counts:?}");
    }
}
