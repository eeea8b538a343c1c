//! How far the log of each group may be forgotten.
//!
//! A replica that lags gets entries as long as they are there, and a whole snapshot when they are
//! not. So what was written last is kept whoever needs it, up to a bound for the whole node; what
//! is older goes as soon as it is in blocks. Pure.

use std::collections::{BTreeMap, VecDeque};

use storage::log::{GroupId, LogIndex};

use super::limits::TRIM_MARKS_MAX;

/// Remembers where each group's log ended when so many bytes had been written.
#[derive(Debug)]
pub(crate) struct Trim {
    kept_bytes: u64,
    marks: VecDeque<Mark>,
}

#[derive(Debug)]
struct Mark {
    written_bytes: u64,
    ends: BTreeMap<GroupId, LogIndex>,
}

impl Trim {
    /// One that keeps what is in the last so many bytes of the node's log.
    pub(crate) fn new(kept_bytes: u64) -> Self {
        Self { kept_bytes, marks: VecDeque::new() }
    }

    /// Notes where the groups end now, and tells up to where each may be forgotten.
    pub(crate) fn step(
        &mut self,
        written_bytes: u64,
        ends: BTreeMap<GroupId, LogIndex>,
    ) -> BTreeMap<GroupId, LogIndex> {
        let kept = self.kept_bytes;
        let distance = kept.div_ceil(TRIM_MARKS_MAX as u64);
        let is_apart = |mark: &Mark| written_bytes >= mark.written_bytes.saturating_add(distance);
        if self.marks.back().is_none_or(is_apart) {
            self.marks.push_back(Mark { written_bytes, ends });
        }
        // The newest mark behind which enough was written counts; older ones say less.
        let is_old = |mark: &Mark| mark.written_bytes.saturating_add(kept) <= written_bytes;
        while self.marks.get(1).is_some_and(is_old) {
            self.marks.pop_front();
        }
        let oldest = self.marks.front().filter(|mark| is_old(mark));
        oldest.map(|mark| mark.ends.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(3);

    fn step(trim: &mut Trim, written: u64, end: u64) -> Option<u64> {
        let ends = BTreeMap::from([(GROUP, LogIndex(end))]);
        trim.step(written, ends).get(&GROUP).map(|index| index.0)
    }

    #[test]
    fn what_was_written_last_is_kept() {
        let mut trim = Trim::new(1_000);
        assert_eq!(step(&mut trim, 0, 1), None);
        assert_eq!(step(&mut trim, 600, 7), None);
        assert_eq!(step(&mut trim, 999, 9), None);
        assert_eq!(step(&mut trim, 1_000, 10), Some(1));
        assert_eq!(step(&mut trim, 1_599, 15), Some(1));
        assert_eq!(step(&mut trim, 1_700, 17), Some(7));
        assert_eq!(step(&mut trim, 9_000, 90), Some(17));
        assert_eq!(step(&mut trim, 10_000, 91), Some(90));
    }

    #[test]
    fn marks_are_bounded() {
        let mut trim = Trim::new(1_000);
        for written in 0..100_000 {
            let upto = step(&mut trim, written, written);
            assert!(trim.marks.len() <= TRIM_MARKS_MAX + 2, "{}", trim.marks.len());
            let kept = upto.map_or(0, |upto| written - upto);
            assert!(upto.is_none() || (1_000..1_100).contains(&kept), "{written}: {kept}");
        }
    }
}
