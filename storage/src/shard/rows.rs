//! Sets of a batch's rows, and what is known of a predicate on them.

use std::ops::Range;

/// A set of rows of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowSet {
    words: Vec<u64>,
    length: usize,
}

impl RowSet {
    pub(crate) fn empty(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)], length }
    }

    pub(crate) fn full(length: usize) -> Self {
        let mut set = Self { words: vec![u64::MAX; length.div_ceil(64)], length };
        set.clear_tail();
        set
    }

    /// The rows whose bits are set; those behind the last row are left out.
    pub(crate) fn from_words(length: usize, mut words: Vec<u64>) -> Self {
        words.resize(length.div_ceil(64), 0);
        let mut set = Self { words, length };
        set.clear_tail();
        set
    }

    /// The rows of which the test holds.
    pub(crate) fn from_test(length: usize, mut test: impl FnMut(usize) -> bool) -> Self {
        let mut set = Self::empty(length);
        for row in 0..length {
            if test(row) {
                set.insert(row);
            }
        }
        set
    }

    pub(crate) fn insert(&mut self, row: usize) {
        if row < self.length
            && let Some(word) = self.words.get_mut(row / 64)
        {
            *word |= 1 << (row % 64);
        }
    }

    pub(crate) fn contains(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether any row of the range is in the set.
    pub(crate) fn any_within(&self, rows: Range<usize>) -> bool {
        let end = rows.end.min(self.length);
        let mut row = rows.start;
        while row < end {
            let Some(word) = self.words.get(row / 64) else { return false };
            let rest = word >> (row % 64);
            if rest != 0 {
                return row + (rest.trailing_zeros() as usize) < end;
            }
            row = (row / 64 + 1) * 64;
        }
        false
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        for (own, word) in self.words.iter_mut().zip(&other.words) {
            *own &= word;
        }
    }

    pub(crate) fn unite(&mut self, other: &Self) {
        for (own, word) in self.words.iter_mut().zip(&other.words) {
            *own |= word;
        }
    }

    pub(crate) fn complement(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        self.clear_tail();
    }

    /// Invariant: bits behind the last row are zero.
    fn clear_tail(&mut self) {
        let used = self.length % 64;
        if used != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

/// What is known of a predicate on one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    /// It does not hold.
    No,
    /// It may hold.
    Maybe,
    /// It holds.
    Yes,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Truth {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

/// What is known of a predicate on the rows of a batch: the rows of which it may hold, and among
/// these the rows of which it holds.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    pub(super) may: RowSet,
    pub(super) must: RowSet,
}

impl Marks {
    /// Holds of exactly these rows.
    pub(super) fn exactly(rows: RowSet) -> Self {
        Self { must: rows.clone(), may: rows }
    }

    /// Holds of no row.
    pub(super) fn none(length: usize) -> Self {
        Self::exactly(RowSet::empty(length))
    }

    pub(super) fn and(&mut self, other: &Self) {
        self.may.intersect(&other.may);
        self.must.intersect(&other.must);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.may.unite(&other.may);
        self.must.unite(&other.must);
    }

    pub(super) fn negate(&mut self) {
        std::mem::swap(&mut self.may, &mut self.must);
        self.may.complement();
        self.must.complement();
    }

    /// The rows of which it may hold, and is not known to.
    pub(super) fn undecided(&self) -> RowSet {
        let mut rows = self.must.clone();
        rows.complement();
        rows.intersect(&self.may);
        rows
    }

    /// Leaves only rows of this set.
    pub(super) fn restrict(&mut self, rows: &RowSet) {
        self.may.intersect(rows);
        self.must.intersect(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_asked_across_words() {
        for length in [1, 63, 64, 65, 200] {
            for row in 0..length {
                let set = RowSet::from_test(length, |other| other == row);
                assert_eq!(set.count(), 1);
                assert!(set.contains(row) && set.any_within(0..length));
                assert!(set.any_within(row..row + 1));
                assert!(!set.any_within(0..row) && !set.any_within(row + 1..length));
            }
            let mut set = RowSet::full(length);
            assert_eq!(set.count(), length);
            set.complement();
            assert!(set.is_empty());
        }
    }

    #[test]
    fn truth_is_kleene_s() {
        use Truth::{Maybe, No, Yes};
        assert_eq!((No.or(Maybe), Yes.or(Maybe), No.or(No)), (Maybe, Yes, No));
        assert_eq!((No.and(Maybe), Yes.and(Maybe), Yes.and(Yes)), (No, Maybe, Yes));
        let mut marks = Marks { may: RowSet::full(3), must: RowSet::from_test(3, |row| row == 0) };
        marks.negate();
        assert_eq!(marks.may.count(), 2);
        assert!(marks.must.is_empty());
    }
}
