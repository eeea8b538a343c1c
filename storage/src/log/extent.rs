//! Which indexes a group holds: pure arithmetic, shared by the picture in memory, the picture of
//! the disk and the replay, so that the three cannot disagree.

use super::{Bounds, LogIndex};

/// Purge mark and live range of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) purged: Option<LogIndex>,
    pub(crate) live: Option<Live>,
}

/// First and last index, both inclusive. Invariant: first <= last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) first: LogIndex,
    pub(crate) last: LogIndex,
}

impl Extent {
    /// The index that must come next; none if any may.
    pub(crate) fn expected(&self) -> Option<LogIndex> {
        self.live.map(|live| live.last).or(self.purged).map(LogIndex::next)
    }

    /// Takes one entry; false if it does not follow, or if none could follow it.
    #[must_use]
    pub(crate) fn append(&mut self, index: LogIndex) -> bool {
        let follows = self.expected().is_none_or(|expected| expected == index);
        if !follows || index.next() == index {
            return false;
        }
        let first = self.live.map_or(index, |live| live.first);
        self.live = Some(Live { first, last: index });
        true
    }

    /// Removes all entries from an index on.
    pub(crate) fn truncate_from(&mut self, from: LogIndex) {
        self.live = self.live.and_then(|Live { first, last }| match from.0.checked_sub(1) {
            Some(kept) if from > first => Some(Live { first, last: last.min(LogIndex(kept)) }),
            _ => None,
        });
    }

    /// Removes all entries up to and including an index.
    pub(crate) fn purge(&mut self, upto: LogIndex) {
        self.purged = self.purged.max(Some(upto));
        self.live = self
            .live
            .filter(|live| live.last > upto)
            .map(|Live { first, last }| Live { first: first.max(upto.next()), last });
    }

    pub(crate) fn contains(&self, index: LogIndex) -> bool {
        self.live.is_some_and(|live| live.first <= index && index <= live.last)
    }

    /// How many entries are live.
    pub(crate) fn count(&self) -> u64 {
        self.live.map_or(0, |live| (live.last.0 - live.first.0).saturating_add(1))
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            purged: self.purged,
            first: self.live.map(|live| live.first),
            last: self.live.map(|live| live.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(first: u64, last: u64) -> Extent {
        Extent { purged: None, live: Some(Live { first: LogIndex(first), last: LogIndex(last) }) }
    }

    #[test]
    fn entries_follow_each_other() {
        let mut group = Extent::default();
        assert!(group.append(LogIndex(7)));
        assert!(!group.append(LogIndex(7)));
        assert!(!group.append(LogIndex(9)));
        assert!(group.append(LogIndex(8)));
        assert_eq!(group, extent(7, 8));
        assert_eq!(group.count(), 2);
    }

    #[test]
    fn truncation_removes_the_end() {
        for (from, left) in [(0, None), (3, None), (4, Some((3, 3))), (9, Some((3, 5)))] {
            let mut group = extent(3, 5);
            group.truncate_from(LogIndex(from));
            assert_eq!(group, left.map_or(Extent::default(), |(a, b)| extent(a, b)), "{from}");
        }
        let mut whole = extent(0, u64::MAX);
        whole.truncate_from(LogIndex(0));
        assert_eq!(whole.live, None);
    }

    #[test]
    fn a_purge_removes_the_beginning_and_never_goes_back() {
        let mut group = extent(3, 5);
        group.purge(LogIndex(3));
        assert_eq!(group.live, Some(Live { first: LogIndex(4), last: LogIndex(5) }));
        group.purge(LogIndex(1));
        assert_eq!(group.purged, Some(LogIndex(3)));
        group.purge(LogIndex(100));
        assert_eq!(group.live, None);
        assert_eq!(group.expected(), Some(LogIndex(101)));
        group.purge(LogIndex(u64::MAX));
        assert_eq!(group.count(), 0);
    }
}
