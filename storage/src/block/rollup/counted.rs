//! Counts of numbers, gathered in bulk: sorted now and then instead of looked up each time.

/// Numbers that wait to be sorted.
const PENDING_MAX: usize = 1 << 15;

/// How often each number was added; nothing if there are more different ones than it may hold.
#[derive(Debug)]
pub(super) struct Counted {
    pending: Vec<(u64, u32)>,
    /// Ascending.
    sorted: Vec<(u64, u32)>,
    distinct_max: usize,
    has_overflowed: bool,
}

impl Counted {
    pub(super) fn new(distinct_max: usize) -> Self {
        Self { pending: Vec::new(), sorted: Vec::new(), distinct_max, has_overflowed: false }
    }

    /// Adds a number so many times.
    pub(super) fn add(&mut self, number: u64, count: u32) {
        if self.has_overflowed {
            return;
        }
        self.pending.push((number, count));
        if self.pending.len() >= PENDING_MAX {
            self.sort();
        }
    }

    /// The numbers, ascending, with their counts; nothing if there were too many.
    pub(super) fn finish(mut self) -> Option<Vec<(u64, u32)>> {
        self.sort();
        (!self.has_overflowed).then_some(self.sorted)
    }

    fn sort(&mut self) {
        self.pending.sort_unstable_by_key(|(number, _)| *number);
        let mut merged: Vec<(u64, u32)> = Vec::with_capacity(self.sorted.len() + 64);
        let mut add = |(number, count): (u64, u32)| match merged.last_mut() {
            Some((last, sum)) if *last == number => *sum = sum.saturating_add(count),
            _ => merged.push((number, count)),
        };
        let mut old = self.sorted.drain(..).peekable();
        for new in self.pending.drain(..) {
            while let Some(before) = old.next_if(|old| old.0 <= new.0) {
                add(before);
            }
            add(new);
        }
        old.for_each(add);
        self.sorted = merged;
        if self.sorted.len() > self.distinct_max {
            self.has_overflowed = true;
            self.sorted = Vec::new();
            self.pending = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_up_to_a_bound() {
        let mut counted = Counted::new(1_000);
        for round in 0..200_u64 {
            for number in 0..1_000 {
                counted.add((number * 7 + round) % 1_000, 1 + u32::from(number % 2 == 0));
            }
        }
        let found = counted.finish().unwrap();
        assert_eq!(found.len(), 1_000);
        assert_eq!(found.iter().map(|(_, count)| u64::from(*count)).sum::<u64>(), 300_000);
        assert!(found.is_sorted());
        let mut counted = Counted::new(3);
        (0..4).for_each(|number| counted.add(number, 1));
        assert_eq!(counted.finish(), None);
    }
}
