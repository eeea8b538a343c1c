//! Which offsets of which partitions are done: the part that loses nothing.
//!
//! Pure. Messages of a partition come in the order of their offsets (with gaps, where a topic was
//! compacted) and are done in any order. An offset may be committed when its message and all before
//! it are done. A partition that was taken away and comes back begins a new term, so that what is
//! done late of the old one says nothing about the new one.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// The topic.
    pub topic: Arc<str>,
    /// Its number.
    pub number: i32,
}

/// A message that was consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub partition: Partition,
    /// Under which term of the partition.
    pub term: u64,
    /// Which.
    pub offset: i64,
}

/// What the ledger is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// A message was consumed; the answer to this is its place.
    Consumed {
        /// Where.
        partition: Partition,
        /// Which.
        offset: i64,
    },
    /// These messages are durable, or will never be.
    Done(Vec<Place>),
    /// The partition belongs to someone else now.
    Revoked(Partition),
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The message has this place.
    Placed(Place),
    /// Consumption of a partition may go on at this offset after a crash.
    Commit {
        /// Which partition.
        partition: Partition,
        /// The first offset that is not done.
        next: i64,
    },
}

/// All partitions that this consumer has.
#[derive(Debug, Default)]
pub struct Ledger {
    partitions: BTreeMap<Partition, Held>,
    terms: u64,
}

/// A partition that is held.
#[derive(Debug)]
struct Held {
    term: u64,
    /// By offset, whether it is done. Those before the first are.
    open: BTreeMap<i64, bool>,
}

impl Ledger {
    /// Takes one input.
    pub fn step(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Consumed { partition, offset } => {
                let terms = &mut self.terms;
                let held = self.partitions.entry(partition.clone()).or_insert_with(|| {
                    *terms += 1;
                    Held { term: *terms, open: BTreeMap::new() }
                });
                held.open.insert(offset, false);
                vec![Action::Placed(Place { partition, term: held.term, offset })]
            }
            Input::Done(places) => self.done(places),
            Input::Revoked(partition) => {
                self.partitions.remove(&partition);
                Vec::new()
            }
        }
    }

    fn done(&mut self, places: Vec<Place>) -> Vec<Action> {
        let mut commits: BTreeMap<Partition, i64> = BTreeMap::new();
        for place in places {
            let Some(held) = self.partitions.get_mut(&place.partition) else { continue };
            if held.term != place.term {
                continue;
            }
            if let Some(done) = held.open.get_mut(&place.offset) {
                *done = true;
            }
            while let Some(first) = held.open.first_entry()
                && *first.get()
            {
                let (offset, _) = first.remove_entry();
                commits.insert(place.partition.clone(), offset + 1);
            }
        }
        let commit = |(partition, next)| Action::Commit { partition, next };
        commits.into_iter().map(commit).collect()
    }

    /// Messages that were consumed and are not done, or wait for one before them.
    pub fn open(&self) -> usize {
        self.partitions.values().map(|held| held.open.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> Partition {
        Partition { topic: Arc::from("t"), number }
    }

    fn consume(ledger: &mut Ledger, number: i32, offset: i64) -> Place {
        let actions = ledger.step(Input::Consumed { partition: partition(number), offset });
        let [Action::Placed(place)] = &actions[..] else { panic!("{actions:?}") };
        place.clone()
    }

    fn done(ledger: &mut Ledger, places: &[&Place]) -> Vec<(i32, i64)> {
        let places = places.iter().map(|place| (*place).clone()).collect();
        let commit = |action| match action {
            Action::Commit { partition, next } => (partition.number, next),
            Action::Placed(place) => panic!("{place:?}"),
        };
        ledger.step(Input::Done(places)).into_iter().map(commit).collect()
    }

    #[test]
    fn nothing_is_committed_before_all_before_it_are_done() {
        let mut ledger = Ledger::default();
        // With a gap, as compaction leaves them.
        let [a, b, c] = [10, 12, 13].map(|offset| consume(&mut ledger, 0, offset));
        let other = consume(&mut ledger, 1, 7);
        assert_eq!(done(&mut ledger, &[&c]), []);
        assert_eq!(done(&mut ledger, &[&a, &other]), [(0, 11), (1, 8)]);
        assert_eq!(ledger.open(), 2);
        assert_eq!(done(&mut ledger, &[&b]), [(0, 14)]);
        assert_eq!(ledger.open(), 0);
        assert_eq!(done(&mut ledger, &[&b]), [], "what is done twice says nothing new");
    }

    #[test]
    fn what_is_done_after_a_partition_was_taken_away_says_nothing() {
        let mut ledger = Ledger::default();
        let old = consume(&mut ledger, 0, 5);
        assert_eq!(ledger.step(Input::Revoked(partition(0))), []);
        assert_eq!(done(&mut ledger, &[&old]), []);
        // It comes back, and the same message with it.
        let new = consume(&mut ledger, 0, 5);
        assert_eq!(done(&mut ledger, &[&old]), []);
        assert_eq!(done(&mut ledger, &[&new]), [(0, 6)]);
    }

    #[test]
    fn any_order_commits_each_offset_once_and_in_order() {
        let mut random = model::testing::Random::new(7);
        for _ in 0..200 {
            let mut ledger = Ledger::default();
            let mut places: Vec<_> = (0..20).map(|it| consume(&mut ledger, 0, it * 3)).collect();
            let mut finished = Vec::new();
            let mut last = 0;
            while !places.is_empty() {
                let at = usize::try_from(random.below(places.len() as u64)).unwrap();
                let place = places.swap_remove(at);
                finished.push(place.offset);
                for (_, next) in done(&mut ledger, &[&place]) {
                    assert!(next > last);
                    assert!(
                        (0..20)
                            .map(|it| it * 3)
                            .filter(|it| *it < next)
                            .all(|it| finished.contains(&it))
                    );
                    last = next;
                }
            }
            assert_eq!((last, ledger.open()), (58, 0));
        }
    }
}
