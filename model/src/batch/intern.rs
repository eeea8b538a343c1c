//! Numbers for byte strings, in order of first appearance.

use hashbrown::HashTable;
use twox_hash::XxHash3_64;

use crate::hash_seed;

/// A dictionary under construction.
#[derive(Debug)]
pub(crate) struct Interner {
    seed: u64,
    table: HashTable<u32>,
    ranges: Vec<(u32, u32)>,
    arena: Vec<u8>,
}

impl Default for Interner {
    fn default() -> Self {
        let (ranges, arena) = (Vec::new(), Vec::new());
        Self { seed: hash_seed::get(), table: HashTable::new(), ranges, arena }
    }
}

impl Interner {
    /// The number of `bytes`, new or old.
    #[expect(clippy::cast_possible_truncation, reason = "a batch holds far less than 4 GiB")]
    pub(crate) fn intern(&mut self, bytes: &[u8]) -> u32 {
        let Self { seed, table, ranges, arena } = self;
        let hash_of = |bytes: &[u8]| XxHash3_64::oneshot_with_seed(*seed, bytes);
        let hash = hash_of(bytes);
        if let Some(number) = table.find(hash, |number| text(arena, ranges, *number) == bytes) {
            return *number;
        }
        let number = ranges.len() as u32;
        ranges.push((arena.len() as u32, bytes.len() as u32));
        arena.extend_from_slice(bytes);
        table.insert_unique(hash, number, |old| hash_of(text(arena, ranges, *old)));
        number
    }

    /// The bytes of a number that [`Interner::intern`] gave.
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        text(&self.arena, &self.ranges, number)
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..).map_while(|number| self.ranges.get(number as usize).map(|_| self.get(number)))
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.len()
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.ranges.clear();
        self.arena.clear();
    }
}

fn text<'a>(arena: &'a [u8], ranges: &[(u32, u32)], number: u32) -> &'a [u8] {
    let (start, length) = ranges.get(number as usize).copied().unwrap_or_default();
    arena.get(start as usize..(start + length) as usize).unwrap_or_default()
}

/// Spreads bits, into both ends of a word; the tables hashed with it live for one batch and decide
/// nothing but speed. Values that clients choose are first mixed with [`hash_seed`].
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a product")]
pub(super) fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ 0x2436_2a88_85a3_08d3) * 0x9E37_79B9_7F4A_7C15;
    product as u64 ^ (product >> 64) as u64
}
