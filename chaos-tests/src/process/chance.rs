//! Chance from a seed: the same seed draws the same faults, victims and contents.

use crate::history::identity::mix;

/// A generator of numbers (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    /// A generator of its own for a part of the run, so that parts do not disturb each other.
    pub(crate) fn part(seed: u64, part: u64) -> Self {
        Self::new(seed ^ mix(part.wrapping_add(0x5eed)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(1);
        mix(self.state)
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or_default()
    }

    /// An index into something of this length.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or_default())).unwrap_or_default()
    }

    /// One of them; nothing of none.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }

    /// Brings them into an order.
    pub(crate) fn shuffle<T>(&mut self, of: &mut [T]) {
        for end in (1..of.len()).rev() {
            of.swap(end, self.index(end + 1));
        }
    }
}
