//! The generator's chance: small, seeded, and free to make anew for each value.

use twox_hash::XxHash3_64;

/// A sequence of numbers that look random (Weyl sequence through a 64-bit finalizer).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence that belongs to `what` under a seed.
    pub fn of(seed: u64, what: &[u8]) -> Self {
        Self(XxHash3_64::oneshot_with_seed(seed, what))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, evenly drawn; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// One of the elements, evenly drawn.
    pub fn pick<'a, T>(&mut self, elements: &'a [T]) -> Option<&'a T> {
        let at = self.below(elements.len() as u64);
        elements.get(usize::try_from(at).ok()?)
    }
}
