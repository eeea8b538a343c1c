//! Numbers for byte strings, in order of first appearance.

use hashbrown::HashTable;
use twox_hash::XxHash3_64;

/// A dictionary under construction.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    table: HashTable<u32>,
    ranges: Vec<(u32, u32)>,
    arena: Vec<u8>,
}

impl Interner {
    /// The number of `bytes`, new or old.
    #[expect(clippy::cast_possible_truncation, reason = "a batch holds far less than 4 GiB")]
    pub(crate) fn intern(&mut self, bytes: &[u8]) -> u32 {
        let hash = XxHash3_64::oneshot(bytes);
        let Self { table, ranges, arena } = self;
        if let Some(number) = table.find(hash, |number| text(arena, ranges, *number) == bytes) {
            return *number;
        }
        let number = ranges.len() as u32;
        ranges.push((arena.len() as u32, bytes.len() as u32));
        arena.extend_from_slice(bytes);
        table.insert_unique(hash, number, |old| XxHash3_64::oneshot(text(arena, ranges, *old)));
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

/// Spreads bits; the tables hashed with it are small, live for one batch and decide nothing but
/// speed.
pub(super) fn mix(value: u64) -> u64 {
    let product = value.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    product ^ (product >> 29)
}
