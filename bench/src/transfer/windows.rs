//! Walks a range of time in windows, each small enough that a search returns all of its traces.
//!
//! Pure. A search that returns as many traces as it was asked for may have left some out; the
//! window is halved and asked again. One that returns few makes the next window wider, so that a
//! quiet year costs no more questions than a busy minute. Times are inclusive on both ends, as
//! Jaeger's are.

/// The narrowest window: several of Jaeger's stores tell no shorter times apart.
const LENGTH_MIN: u64 = 1_000;

/// Windows that an empty range is walked in at most: the first answer that is not full widens the
/// next window, up to this part of the range.
const WINDOWS_OF_RANGE: u64 = 64;

/// The narrowest that the widest window may be: a day, which every store answers.
const WIDEST_MIN: u64 = 86_400 * 1_000_000_000;

/// The first window: an hour.
const LENGTH_FIRST: u64 = 3_600 * 1_000_000_000;

/// A search of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From, in nanoseconds since 1970, inclusive.
    pub from: u64,
    /// To, inclusive.
    pub to: u64,
    /// Traces to ask for.
    pub limit: u32,
}

/// What an answer means for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of its traces were returned; the walk went on.
    Whole,
    /// Some may be missing; the walk asks again for less.
    Again,
    /// Some are missing and nothing narrower can be asked; the walk went on.
    Overfull,
}

/// A walk over a range of time.
#[derive(Debug, Clone)]
pub struct WindowWalk {
    next: Option<u64>,
    until: u64,
    length: u64,
    length_max: u64,
    limit: u32,
    limit_first: u32,
    limit_max: u32,
}

impl WindowWalk {
    /// Over the times from `since` to `until`, both inclusive. Asks for `limit` traces, and for up
    /// to `limit_max` where a window cannot be narrower.
    pub fn new(since: u64, until: u64, limit: u32, limit_max: u32) -> Self {
        let range = until.saturating_sub(since);
        Self {
            next: (since <= until).then_some(since),
            until,
            length: LENGTH_FIRST,
            length_max: (range / WINDOWS_OF_RANGE).max(WIDEST_MIN),
            limit: limit.max(1),
            limit_first: limit.max(1),
            limit_max: limit_max.max(limit).max(1),
        }
    }

    /// The window to ask for; none at the end.
    pub fn window(&self) -> Option<Window> {
        let from = self.next?;
        let to = from.saturating_add(self.length - 1).min(self.until);
        Some(Window { from, to, limit: self.limit })
    }

    /// Up to where all is done, exclusive.
    pub fn position(&self) -> u64 {
        self.next.unwrap_or_else(|| self.until.saturating_add(1))
    }

    /// Takes the number of traces that the window's search returned.
    pub fn answered(&mut self, traces: u64) -> Verdict {
        let Some(Window { from, to, limit }) = self.window() else { return Verdict::Whole };
        let is_full = traces >= u64::from(limit);
        let width = to - from + 1;
        if is_full && width > LENGTH_MIN {
            self.length = (width / 2).max(LENGTH_MIN);
            return Verdict::Again;
        }
        if is_full && limit < self.limit_max {
            self.limit = limit.saturating_mul(10).min(self.limit_max);
            return Verdict::Again;
        }
        self.next = to.checked_add(1).filter(|next| *next <= self.until);
        self.limit = self.limit_first;
        if traces < u64::from(self.limit_first) / 4 {
            self.length = self.length.saturating_mul(2).min(self.length_max);
        }
        if is_full { Verdict::Overfull } else { Verdict::Whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks over traces at these times; the times seen, and how many questions that took.
    fn walk(times: &[u64], mut walk: WindowWalk) -> (Vec<u64>, usize, usize) {
        let (mut seen, mut questions, mut overfull) = (Vec::new(), 0, 0);
        while let Some(Window { from, to, limit }) = walk.window() {
            questions += 1;
            let within = times.iter().filter(|time| (from..=to).contains(*time));
            let found: Vec<u64> = within.copied().take(limit as usize).collect();
            let verdict = walk.answered(found.len() as u64);
            overfull += usize::from(verdict == Verdict::Overfull);
            if verdict != Verdict::Again {
                seen.extend(found);
            }
        }
        (seen, questions, overfull)
    }

    #[test]
    fn every_trace_is_seen_once() {
        let mut times: Vec<u64> = (0..5_000).map(|at| 1_700_000_000_000_000_000 + at * 7).collect();
        times.extend((0..500).map(|at| 1_600_000_000_000_000_000 + at * 86_400_000_000_000));
        times.sort_unstable();
        let (first, last) = (times[0], times[times.len() - 1]);
        let (seen, questions, overfull) = walk(&times, WindowWalk::new(first, last, 100, 1_000));
        assert_eq!((seen, overfull), (times, 0));
        assert!(questions < 1_500, "{questions} questions");
    }

    #[test]
    fn the_whole_of_time_is_walked_in_few_windows() {
        let (seen, questions, _) = walk(&[], WindowWalk::new(0, u64::MAX, 100, 100));
        assert!(seen.is_empty() && questions < 600, "{questions} questions");
        assert_eq!(walk(&[5], WindowWalk::new(7, 6, 1, 1)), (vec![], 0, 0));
        assert_eq!(walk(&[7], WindowWalk::new(7, 7, 2, 2)).0, [7]);
    }

    #[test]
    fn what_no_window_can_hold_is_said() {
        let times = [1_000_000; 50];
        assert_eq!(walk(&times, WindowWalk::new(0, 2_000_000, 10, 10)).2, 1);
        // A higher limit holds it.
        let (seen, _, overfull) = walk(&times, WindowWalk::new(0, 2_000_000, 10, 100));
        assert_eq!((seen.len(), overfull), (50, 0));
    }

    #[test]
    fn a_position_is_where_the_next_walk_begins() {
        let mut begun = WindowWalk::new(0, 10 * LENGTH_FIRST, 10, 10);
        assert_eq!(begun.position(), 0);
        assert_eq!(begun.answered(10), Verdict::Again);
        assert_eq!(begun.position(), 0);
        assert_eq!(begun.answered(9), Verdict::Whole);
        assert_eq!(begun.position(), LENGTH_FIRST / 2);
        let continued = WindowWalk::new(begun.position(), 10 * LENGTH_FIRST, 10, 10);
        assert_eq!(continued.window().unwrap().from, begun.window().unwrap().from);
    }
}
