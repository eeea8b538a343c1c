//! How much room the disk has, as three marks, and what is kept back for the last of it.
//!
//! | free space | mark | what goes on |
//! |---|---|---|
//! | | [`SpaceMark::Enough`] | everything |
//! | below 5 %, at least 1 GiB | [`SpaceMark::Low`] | clients' batches are refused, retryably |
//! | below half of that | [`SpaceMark::Short`] | nor are data entries of leaders; merges wait |
//! | below an eighth of it | [`SpaceMark::Full`] | the ballast is given up; seals wait |
//!
//! A disk of less than 4 GiB has a quarter of it for the first mark. Whoever holds a [`Space`] asks
//! it as often as it likes; what it says changes with [`Space::refresh`], by itself in both
//! directions. A mark is left only when an eighth more than its bound is free, so that a node at
//! the edge does not take and refuse in turns.
//!
//! The *ballast* is a file that holds nothing. It is written while there is enough, and removed
//! when there is nothing else left: a full disk must still take what makes room on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::env::{DiskSpace, Env, EnvError};

/// The first mark in bytes, on disks that are not small.
const LOW_BYTES_MIN: u64 = 1 << 30;

/// The first mark as a part of the disk: one in twenty.
const LOW_FRACTION: u64 = 20;

/// On a small disk the first mark is one in so many.
const LOW_FRACTION_SMALL: u64 = 4;

/// Bytes of the ballast: some thousand entries that only make room.
pub const BALLAST_BYTES: u64 = 16 << 20;

/// The ballast is at most one in so many of the disk.
const BALLAST_FRACTION: u64 = 64;

/// Bytes of it that are written at once.
const BALLAST_CHUNK_BYTES: u64 = 1 << 20;

/// The ballast's name in the data directory.
pub const BALLAST_NAME: &str = "ballast";

/// How much room a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum SpaceMark {
    /// Enough.
    #[default]
    Enough = 0,
    /// Below the first mark.
    Low = 1,
    /// Below the second.
    Short = 2,
    /// Below the third.
    Full = 3,
}

impl SpaceMark {
    const ALL: [Self; 4] = [Self::Enough, Self::Low, Self::Short, Self::Full];

    /// Whether what clients send may be taken in.
    pub fn takes_client_batches(self) -> bool {
        self == Self::Enough
    }

    /// Whether entries with data may be appended, whoever proposes them.
    pub fn takes_data_entries(self) -> bool {
        self < Self::Short
    }

    /// Whether blocks may be merged, which takes room before it gives any.
    pub fn takes_merges(self) -> bool {
        self < Self::Short
    }

    /// Whether heads may be sealed, which lets the log be purged.
    pub fn takes_seals(self) -> bool {
        self < Self::Full
    }
}

/// Free bytes below which each mark holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    low: u64,
    short: u64,
    full: u64,
}

impl Marks {
    /// Of a disk of so many bytes; 0 if nobody knows.
    fn of(total_bytes: u64) -> Self {
        let low = (total_bytes / LOW_FRACTION).max(LOW_BYTES_MIN);
        let low = if total_bytes == 0 { low } else { low.min(total_bytes / LOW_FRACTION_SMALL) };
        Self { low, short: low / 2, full: low / 8 }
    }

    /// The mark at so many free bytes, after another one.
    fn mark(self, free_bytes: u64, before: SpaceMark) -> SpaceMark {
        let bounds = [(SpaceMark::Full, self.full), (SpaceMark::Short, self.short)];
        let bounds = bounds.into_iter().chain([(SpaceMark::Low, self.low)]);
        let holds = |(mark, bound): &(SpaceMark, u64)| {
            let margin = if before >= *mark { bound / 8 } else { 0 };
            free_bytes < bound.saturating_add(margin)
        };
        bounds.into_iter().find(holds).map_or(SpaceMark::Enough, |(mark, _)| mark)
    }
}

/// The room on the disk of a data directory. Shared by whoever has to know.
#[derive(Debug)]
pub struct Space {
    env: Arc<dyn Env>,
    directory: PathBuf,
    mark: AtomicU8,
    free_bytes: AtomicU64,
    total_bytes: AtomicU64,
}

impl Space {
    /// Looks at the disk below a directory that exists. If there is next to no room the ballast is
    /// given up at once, so that whoever opens what is there has some.
    pub fn open(env: Arc<dyn Env>, directory: &Path) -> Self {
        let space = Self {
            env,
            directory: directory.to_path_buf(),
            mark: AtomicU8::new(SpaceMark::Enough as u8),
            free_bytes: AtomicU64::new(u64::MAX),
            total_bytes: AtomicU64::new(0),
        };
        if let Ok(found) = space.look() {
            space.note(found);
            if space.mark() == SpaceMark::Full {
                space.give_up_ballast();
            }
        }
        space
    }

    /// What was found when the disk was last looked at.
    pub fn mark(&self) -> SpaceMark {
        let number = usize::from(self.mark.load(Ordering::Relaxed));
        SpaceMark::ALL.get(number).copied().unwrap_or(SpaceMark::Full)
    }

    /// Bytes that were free then.
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the whole disk; 0 if nobody knows.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Looks at the disk again; writes the ballast if there is enough room for it, gives it up if
    /// there is none for anything else. Where nobody knows the free space, there is enough.
    pub fn refresh(&self) -> SpaceMark {
        let Ok(found) = self.look() else { return self.mark() };
        let before = self.mark();
        let mark = self.note(found);
        if before != mark {
            let (free_bytes, total_bytes) = (found.free_bytes, found.total_bytes);
            tracing::warn!(?before, now = ?mark, free_bytes, total_bytes, "room on the disk");
        }
        match mark {
            SpaceMark::Full => self.give_up_ballast(),
            SpaceMark::Enough => self.keep_ballast(),
            SpaceMark::Low | SpaceMark::Short => {}
        }
        mark
    }

    fn look(&self) -> Result<DiskSpace, EnvError> {
        self.env.space(&self.directory)
    }

    fn note(&self, found: DiskSpace) -> SpaceMark {
        let mark = Marks::of(found.total_bytes).mark(found.free_bytes, self.mark());
        self.mark.store(mark as u8, Ordering::Relaxed);
        self.free_bytes.store(found.free_bytes, Ordering::Relaxed);
        self.total_bytes.store(found.total_bytes, Ordering::Relaxed);
        mark
    }

    fn ballast(&self) -> PathBuf {
        self.directory.join(BALLAST_NAME)
    }

    fn has_ballast(&self) -> bool {
        let names = self.env.list(&self.directory).unwrap_or_default();
        names.iter().any(|name| name == BALLAST_NAME)
    }

    fn give_up_ballast(&self) {
        if !self.has_ballast() {
            return;
        }
        match self.env.remove(&self.ballast()) {
            Ok(()) => tracing::warn!("the ballast was given up: the disk is full"),
            Err(error) => tracing::warn!(%error, "the ballast could not be given up"),
        }
    }

    fn keep_ballast(&self) {
        let total_bytes = self.total_bytes();
        let bytes = BALLAST_BYTES.min(total_bytes / BALLAST_FRACTION);
        let low = Marks::of(total_bytes).low;
        let has_room = self.free_bytes() >= low.saturating_add(low / 8).saturating_add(bytes);
        if bytes == 0 || !has_room || self.has_ballast() {
            return;
        }
        if let Err(error) = self.write_ballast(bytes) {
            tracing::warn!(%error, "the ballast could not be written");
            // A part of it is of no use; whether it goes is tried again with the next look.
            let _ = self.env.remove(&self.ballast());
        }
    }

    fn write_ballast(&self, bytes: u64) -> Result<(), EnvError> {
        let mut file = self.env.create(&self.ballast())?;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut left = bytes;
        while left > 0 {
            let length = left.min(BALLAST_CHUNK_BYTES);
            // Nothing that a file system would store as nothing.
            let words = (0..length.div_ceil(8)).flat_map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            });
            file.append(&words.collect::<Vec<u8>>())?;
            left -= length;
        }
        file.sync()?;
        self.env.sync_directory(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::FaultEnv;

    const GIBIBYTE: u64 = 1 << 30;

    #[test]
    fn marks_follow_the_size_of_the_disk() {
        assert_eq!(Marks::of(0).low, GIBIBYTE);
        assert_eq!(Marks::of(8 * GIBIBYTE).low, GIBIBYTE);
        assert_eq!(Marks::of(100 * GIBIBYTE).low, 5 * GIBIBYTE);
        assert_eq!(Marks::of(GIBIBYTE).low, GIBIBYTE / 4);
    }

    #[test]
    fn a_disk_fills_and_recovers_by_itself() {
        let env = FaultEnv::new(1);
        let directory = Path::new("/data");
        env.create_directory(directory).unwrap();
        env.set_total_bytes(100 * GIBIBYTE);
        env.set_free_bytes(50 * GIBIBYTE);
        let space = Space::open(Arc::new(env.clone()), directory);
        assert_eq!(space.refresh(), SpaceMark::Enough);
        let has_ballast = || env.content(&directory.join(BALLAST_NAME)).is_some();
        assert!(has_ballast());
        let at = |free_bytes: u64| {
            env.set_free_bytes(free_bytes);
            space.refresh()
        };
        assert_eq!(at(5 * GIBIBYTE - 1), SpaceMark::Low);
        assert!(!SpaceMark::Low.takes_client_batches() && SpaceMark::Low.takes_data_entries());
        assert_eq!(at(5 * GIBIBYTE + 1), SpaceMark::Low, "a little more is not yet enough");
        assert_eq!(at(2 * GIBIBYTE), SpaceMark::Short);
        assert!(!SpaceMark::Short.takes_data_entries() && SpaceMark::Short.takes_seals());
        assert!(has_ballast());
        assert_eq!(at(1000), SpaceMark::Full);
        assert!(!has_ballast(), "the last of the room is for what makes room");
        assert_eq!(at(3 * GIBIBYTE), SpaceMark::Low);
        assert!(!has_ballast());
        assert_eq!(at(9 * GIBIBYTE), SpaceMark::Enough);
        assert!(has_ballast());
    }

    #[test]
    fn starting_on_a_full_disk_gives_up_the_ballast_first() {
        let env = FaultEnv::new(1);
        let directory = Path::new("/data");
        env.create_directory(directory).unwrap();
        env.set_total_bytes(100 * GIBIBYTE);
        env.create(&directory.join(BALLAST_NAME)).unwrap().append(b"some").unwrap();
        env.set_free_bytes(0);
        let space = Space::open(Arc::new(env.clone()), directory);
        assert_eq!(space.mark(), SpaceMark::Full);
        assert_eq!(env.content(&directory.join(BALLAST_NAME)), None);
    }

    #[test]
    fn a_ballast_that_cannot_be_written_leaves_nothing() {
        for failing in 0..6 {
            let env = FaultEnv::new(1);
            let directory = Path::new("/data");
            env.create_directory(directory).unwrap();
            env.set_total_bytes(256 << 20);
            env.set_free_bytes(200 << 20);
            env.fail_at(env.operations() + failing, crate::env::Fault::OutOfSpace);
            let space = Space::open(Arc::new(env.clone()), directory);
            assert_eq!(space.refresh(), SpaceMark::Enough);
            let content = env.content(&directory.join(BALLAST_NAME));
            assert!(content.is_none_or(|content| content.len() == 4 << 20));
        }
    }
}
