//! A hash with a fixed seed for sets and maps that are looked up and never iterated.
//!
//! Nothing that is answered or applied depends on it: only how fast a lookup is. Not for keys that
//! an enemy may choose freely and in great numbers to slow a node down: trace ids and batch ids are
//! bounded by the sizes of the maps they stand in.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map that is looked up and never iterated.
pub(crate) type LookupMap<K, V> = HashMap<K, V, BuildHasherDefault<FixedHasher>>;
/// A set that is looked up and never iterated.
pub(crate) type LookupSet<K> = HashSet<K, BuildHasherDefault<FixedHasher>>;

/// Folds each word into the state by a multiplication of full width.
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
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::*;

    #[test]
    fn keys_that_differ_little_spread() {
        let state = BuildHasherDefault::<FixedHasher>::default();
        let mut low = std::collections::BTreeSet::new();
        let mut high = std::collections::BTreeSet::new();
        for number in 0..1_000_u128 {
            let hash = state.hash_one(number.to_be_bytes());
            low.insert(hash & 0xffff);
            high.insert(hash >> 48);
        }
        assert!(low.len() > 950 && high.len() > 950, "{} {}", low.len(), high.len());
    }
}
