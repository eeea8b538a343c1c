//! Hashes: with the process's seed for sets and maps that are looked up and never iterated, with a
//! fixed one for what replicas remember alike.
//!
//! The keys of these maps are trace ids, batch ids and digests, and clients choose them. With a
//! published seed a request of a quarter million traces whose ids meet in one place would hold the
//! shard's lock for a minute; see [`model::hash_seed`]. Nothing that is answered or applied depends
//! on the seed: only how fast a lookup is.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};

use model::hash_seed;

/// A map that is looked up and never iterated.
pub(crate) type LookupMap<K, V> = HashMap<K, V, Seeded>;
/// A set that is looked up and never iterated.
pub(crate) type LookupSet<K> = HashSet<K, Seeded>;

/// Hashes that begin where nobody knows: [`FixedHasher`] from another state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self::of(hash_seed::get())
    }
}

impl Seeded {
    fn of(seed: u64) -> Self {
        Self(fold(seed))
    }
}

impl BuildHasher for Seeded {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher(self.0)
    }
}

/// Folds each word into the state by a multiplication of full width. From its default state it is
/// the same on all replicas, for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FixedHasher(u64);

/// Digits of pi: nothing up the sleeve.
const SEED: u64 = 0x2436_2a88_85a3_08d3;
const FACTOR: u64 = 0x1319_8a2e_0370_7345;

impl Default for FixedHasher {
    fn default() -> Self {
        Self(SEED)
    }
}

impl Hasher for FixedHasher {
    fn finish(&self) -> u64 {
        fold(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            if let Some(place) = word.get_mut(..chunk.len()) {
                place.copy_from_slice(chunk);
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0.rotate_left(23) ^ word);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a product")]
fn fold(word: u64) -> u64 {
    let product = u128::from(word ^ SEED) * u128::from(FACTOR);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_that_differ_little_spread() {
        let state = Seeded::default();
        let mut low = BTreeSet::new();
        let mut high = BTreeSet::new();
        for number in 0..1_000_u128 {
            let hash = state.hash_one(number.to_be_bytes());
            low.insert(hash & 0xffff);
            high.insert(hash >> 48);
        }
        assert!(low.len() > 950 && high.len() > 950, "{} {}", low.len(), high.len());
    }

    /// Whoever knows the state in which a hash begins makes ids that all end in one state.
    #[test]
    fn ids_that_are_made_to_meet_do_so_under_their_own_seed_alone() {
        let known = Seeded::of(0);
        let mut at_length = known.build_hasher();
        at_length.write_usize(16);
        let made = |first: u64| {
            let after = fold(at_length.0.rotate_left(23) ^ first);
            let second = after.rotate_left(23) ^ SEED;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&first.to_le_bytes());
            id[8..].copy_from_slice(&second.to_le_bytes());
            model::TraceId(id)
        };
        let ids: Vec<_> = (1..=10_000).map(made).collect();
        let hashes = |state: Seeded| -> BTreeSet<u64> {
            ids.iter().map(|id| state.hash_one(id) & 0xfff_ffff).collect()
        };
        assert_eq!(hashes(known).len(), 1, "the ids are made as they were meant to");
        for seed in 1..20 {
            assert!(hashes(Seeded::of(seed)).len() > 9_900, "seed {seed}");
        }
    }
}
