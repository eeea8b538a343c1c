//! The last things that came, each once, in the order in which they came.
//!
//! A queue has them, and a table their places in it: beside a set of its own each would stand in
//! memory twice, in a table that is mostly empty. Every shard has two of these, with tens of
//! thousands of things.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use super::hash::Seeded;

/// Something that is told apart by a key.
pub(super) trait Keyed {
    /// What tells it apart.
    type Key: Hash + Eq;

    /// Its key.
    fn key(&self) -> &Self::Key;
}

/// The last things that came.
#[derive(Debug)]
pub(super) struct Recent<T> {
    things: VecDeque<T>,
    /// How many are gone, modulo 2^32; the place of a thing is this plus where it stands.
    gone: u32,
    places: HashTable<u32>,
    hasher: Seeded,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        let (things, places) = (VecDeque::new(), HashTable::new());
        Self { things, gone: 0, places, hasher: Seeded::default() }
    }
}

impl<T: Keyed> Recent<T> {
    /// Nothing yet, and room for so many: growing to it would leave as much behind as it takes.
    pub(super) fn with_room(count: usize) -> Self {
        Self { things: VecDeque::with_capacity(count), ..Self::default() }
    }

    /// Whether something with this key is among them.
    pub(super) fn contains(&self, key: &T::Key) -> bool {
        let Self { things, gone, places, hasher } = self;
        let is_it = |place: &u32| at(things, *gone, *place).is_some_and(|thing| thing.key() == key);
        places.find(hasher.hash_one(key), is_it).is_some()
    }

    /// Adds a thing as the newest, and lets the oldest go if there are so many; false if it was
    /// known.
    pub(super) fn insert(&mut self, thing: T, count_max: usize) -> bool {
        if self.contains(thing.key()) {
            return false;
        }
        if self.things.len() >= count_max {
            self.forget_oldest();
        }
        let hash = self.hasher.hash_one(thing.key());
        let place = self.gone.wrapping_add(u32::try_from(self.things.len()).unwrap_or(u32::MAX));
        self.things.push_back(thing);
        let Self { things, gone, places, hasher } = self;
        places.insert_unique(hash, place, |place| {
            at(things, *gone, *place).map_or(0, |thing| hasher.hash_one(thing.key()))
        });
        true
    }

    /// Lets the oldest things go as long as the test holds.
    pub(super) fn forget_while(&mut self, is_old: impl Fn(&T) -> bool) {
        while self.things.front().is_some_and(&is_old) {
            self.forget_oldest();
        }
    }

    /// All of them, the oldest first.
    pub(super) fn things(&self) -> &VecDeque<T> {
        &self.things
    }

    fn forget_oldest(&mut self) {
        let Self { things, gone, places, hasher } = self;
        let Some(oldest) = things.front() else { return };
        let hash = hasher.hash_one(oldest.key());
        if let Ok(entry) = places.find_entry(hash, |place| place == gone) {
            entry.remove();
        }
        things.pop_front();
        *gone = gone.wrapping_add(1);
    }
}

fn at<T>(things: &VecDeque<T>, gone: u32, place: u32) -> Option<&T> {
    things.get(place.wrapping_sub(gone) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use model::testing::Random;

    use super::*;

    impl Keyed for (u64, u64) {
        type Key = u64;

        fn key(&self) -> &u64 {
            &self.0
        }
    }

    #[test]
    fn they_are_what_a_list_would_say_whatever_comes() {
        let mut random = Random::new(1);
        // Places begin anew on the way.
        let mut recent = Recent { gone: u32::MAX - 500, ..Recent::<(u64, u64)>::default() };
        let mut list: VecDeque<(u64, u64)> = VecDeque::new();
        for time in 0..20_000 {
            let key = random.index(400) as u64;
            let is_new = !list.iter().any(|(known, _)| *known == key);
            assert_eq!(recent.contains(&key), !is_new);
            assert_eq!(recent.insert((key, time), 100), is_new);
            if is_new {
                list.push_back((key, time));
            }
            if list.len() > 100 {
                list.pop_front();
            }
            if random.index(500) == 0 {
                let oldest = time.saturating_sub(random.index(100) as u64);
                recent.forget_while(|(_, time)| *time < oldest);
                list.retain(|(_, time)| *time >= oldest);
            }
            assert_eq!(recent.things(), &list);
            assert_eq!(recent.places.len(), list.len());
        }
    }
}
