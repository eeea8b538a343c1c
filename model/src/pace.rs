//! Long work in short stretches: whoever does it is asked again and again whether it goes on.
//!
//! A trace may have a million rows, and to put them in order or to find their parents takes long
//! enough that a caller who left must not have to wait for the end of it. So such work is done in
//! stretches of [`STRETCH_ROWS`], and before each one a [`Pace`] is asked. A [`Budget`] is a pace;
//! [`Unhurried`] is that of work which nobody stops.
//!
//! What this is not: a way to yield. The thread works on, or it ends.

use std::convert::Infallible;

use crate::budget::{Budget, Exhausted};

/// Rows that are worked on between two questions: about a quarter of a millisecond of the slowest
/// work on a row, and so many that a question costs nothing beside them.
pub const STRETCH_ROWS: usize = 4_096;

/// Says before each stretch of long work whether it goes on.
pub trait Pace {
    /// Why it does not.
    type Stop;

    /// Whether the next stretch may begin.
    fn go_on(&self) -> Result<(), Self::Stop>;
}

impl Pace for Budget {
    type Stop = Exhausted;

    fn go_on(&self) -> Result<(), Exhausted> {
        self.spend(0)
    }
}

/// Goes on as long as the caller is there, whatever the budget has left: what was found is to be
/// shown, also where the budget ended the search for more.
#[derive(Debug, Clone)]
pub struct WhileAwaited(pub Budget);

impl Pace for WhileAwaited {
    type Stop = Exhausted;

    fn go_on(&self) -> Result<(), Exhausted> {
        if self.0.is_cancelled() { Err(Exhausted::Cancelled) } else { Ok(()) }
    }
}

/// Goes on to the end.
#[derive(Debug, Clone, Copy)]
pub struct Unhurried;

impl Pace for Unhurried {
    type Stop = Infallible;

    fn go_on(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The result of work that nothing could stop.
pub fn unstopped<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Calls `work` with each item, and asks the pace before every stretch.
pub fn for_each<T, P: Pace>(
    items: impl IntoIterator<Item = T>,
    pace: &P,
    mut work: impl FnMut(T),
) -> Result<(), P::Stop> {
    let mut items = items.into_iter();
    loop {
        pace.go_on()?;
        let mut worked = 0;
        for item in items.by_ref().take(STRETCH_ROWS) {
            work(item);
            worked += 1;
        }
        if worked < STRETCH_ROWS {
            return Ok(());
        }
    }
}

/// Whether the test holds of any item; the pace is asked before every stretch.
pub fn any<T, P: Pace>(
    items: impl IntoIterator<Item = T>,
    pace: &P,
    mut test: impl FnMut(T) -> bool,
) -> Result<bool, P::Stop> {
    let mut items = items.into_iter();
    loop {
        pace.go_on()?;
        let mut tested = 0;
        for item in items.by_ref().take(STRETCH_ROWS) {
            if test(item) {
                return Ok(true);
            }
            tested += 1;
        }
        if tested < STRETCH_ROWS {
            return Ok(false);
        }
    }
}

/// Collects the items, and asks the pace before every stretch.
pub fn collect<T, P: Pace>(
    items: impl IntoIterator<Item = T>,
    pace: &P,
) -> Result<Vec<T>, P::Stop> {
    let items = items.into_iter();
    let mut collected = Vec::with_capacity(items.size_hint().0);
    for_each(items, pace, |item| collected.push(item))?;
    Ok(collected)
}

/// Rows that are sorted at once: a few milliseconds. With fewer there is more to merge.
const SORTED_ROWS: usize = 1 << 16;

/// Sorts by a key; the order of items with equal keys is not kept. Parts are sorted each for itself
/// and then merged, so that what lies in order already is only moved.
pub fn sort_by_key<T: Copy, K: Ord, P: Pace>(
    mut items: Vec<T>,
    key: impl Fn(&T) -> K,
    pace: &P,
) -> Result<Vec<T>, P::Stop> {
    for part in items.chunks_mut(SORTED_ROWS) {
        pace.go_on()?;
        part.sort_unstable_by_key(&key);
    }
    let mut merged = Vec::new();
    let mut width = SORTED_ROWS;
    while width < items.len() {
        merged.clear();
        merged.reserve_exact(items.len());
        for pair in items.chunks(width.saturating_mul(2)) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(left, right, &key, &mut merged, pace)?;
        }
        std::mem::swap(&mut items, &mut merged);
        width = width.saturating_mul(2);
    }
    Ok(items)
}

/// Appends both in order; each of them is in order.
#[expect(clippy::indexing_slicing, reason = "both places are looked at before they are used")]
fn merge<T: Copy, K: Ord, P: Pace>(
    left: &[T],
    right: &[T],
    key: &impl Fn(&T) -> K,
    out: &mut Vec<T>,
    pace: &P,
) -> Result<(), P::Stop> {
    let (mut at, mut other_at) = (0, 0);
    let is_behind = match (left.last(), right.first()) {
        (Some(last), Some(first)) => key(last) <= key(first),
        _ => true,
    };
    while !is_behind && at < left.len() && other_at < right.len() {
        pace.go_on()?;
        for _ in 0..STRETCH_ROWS {
            if at == left.len() || other_at == right.len() {
                break;
            }
            // Of equal ones the left. Without a branch, which nobody could foresee.
            let takes_other = key(&right[other_at]) < key(&left[at]);
            out.push(if takes_other { right[other_at] } else { left[at] });
            other_at += usize::from(takes_other);
            at += usize::from(!takes_other);
        }
    }
    let (left, right) = (&left[at..], &right[other_at..]);
    for stretch in left.chunks(STRETCH_ROWS).chain(right.chunks(STRETCH_ROWS)) {
        pace.go_on()?;
        out.extend_from_slice(stretch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::CountingPace;

    fn mixed(rows: u64) -> Vec<u64> {
        (0..rows).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).collect()
    }

    #[test]
    fn long_lists_are_sorted_in_stretches() {
        for rows in [0, 1, 65_536, 65_537, 200_000, 300_000] {
            let mut expected = mixed(rows);
            expected.sort_unstable();
            let pace = CountingPace::endless();
            assert_eq!(sort_by_key(mixed(rows), |item| *item, &pace), Ok(expected.clone()));
            let parts = mixed(rows).len().div_ceil(SORTED_ROWS);
            assert!(pace.asked() >= parts, "{rows}: {}", pace.asked());
            assert_eq!(unstopped(sort_by_key(expected.clone(), |it| *it, &Unhurried)), expected);
        }
    }

    #[test]
    fn work_ends_at_the_first_question_that_is_denied() {
        let whole = CountingPace::endless();
        sort_by_key(mixed(150_000), |item| *item, &whole).unwrap();
        assert!(whole.asked() > 150_000 / STRETCH_ROWS);
        for asked_max in 0..whole.asked() {
            let pace = CountingPace::new(asked_max);
            assert_eq!(sort_by_key(mixed(150_000), |item| *item, &pace), Err(()));
            assert_eq!(pace.asked(), asked_max + 1);
        }
        let pace = CountingPace::new(2);
        let mut worked = 0;
        assert_eq!(for_each(0..100_000, &pace, |_| worked += 1), Err(()));
        assert_eq!(worked, 2 * STRETCH_ROWS);
    }

    #[test]
    fn any_finds_the_first_and_looks_no_further() {
        let pace = CountingPace::endless();
        assert_eq!(super::any(0..50_000, &pace, |item| item == 5_000), Ok(true));
        assert_eq!(pace.asked(), 2);
        assert_eq!(super::any(0..50_000, &pace, |_| false), Ok(false));
        assert_eq!(pace.asked(), 2 + 50_000_usize.div_ceil(STRETCH_ROWS));
    }

    #[test]
    fn everything_is_collected() {
        for rows in [0, 1, 4_096, 10_000] {
            assert_eq!(unstopped(collect(mixed(rows), &Unhurried)), mixed(rows));
        }
    }

    proptest! {
        #[test]
        fn merged_lists_are_in_order(
            mut left in proptest::collection::vec(0_u32..20, 0..30),
            mut right in proptest::collection::vec(0_u32..20, 0..30),
        ) {
            left.sort_unstable();
            right.sort_unstable();
            let mut merged = Vec::new();
            unstopped(merge(&left, &right, &|item| *item, &mut merged, &Unhurried));
            let mut expected = [left, right].concat();
            expected.sort_unstable();
            prop_assert_eq!(merged, expected);
        }
    }
}
