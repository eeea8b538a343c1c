//! A tenant's part of a generation of the head: committed batches that are not sealed yet.
//!
//! Resident is what finds a batch and a trace; what is in a batch is read from the log again
//! ([`super::reader`]). Everything is kept by tenant (TEN-1), and a tenant's head is shared with
//! running reads, so that a purge takes it away from new reads only.
//!
//! Invariants: batches stand in the order of the log; among a trace's parts are all batches that
//! hold a row of it that is no repeat. There may be others: of a trace's id 32 bits of a hash are
//! kept, which tell some two of a hundred thousand traces not apart, and whoever reads a batch sees
//! whose rows it has. Nothing here is iterated in the order of a hash.

use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use model::batch::Index;
use model::{Timestamp, TraceId};

use super::catalog::Catalog;
use super::hash::Seeded;
use super::piece::{Piece, Place};
use super::rows::RowSet;
use crate::log::LogIndex;

/// No further part.
const NONE: u32 = u32::MAX;

/// In how many batches a trace lies; several is also said where one was added later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartCount {
    None,
    One,
    Several,
}

/// The batches of a trace. Eight bytes, because a head has hundreds of thousands of traces and its
/// table is half empty.
#[derive(Debug, Clone, Copy)]
struct Parts {
    /// What is kept of the trace's id.
    print: u32,
    /// The only one, by its place in [`Inner::batches`]; or with [`LINKED`] the latest link.
    at: u32,
}

/// There are several batches, and this is a place in [`Inner::links`].
const LINKED: u32 = 1 << 31;

impl Parts {
    /// The latest link, if there are several batches.
    fn latest_link(self) -> Option<u32> {
        (self.at & LINKED != 0).then_some(self.at & !LINKED)
    }
}

/// A table looks at both ends of a hash.
fn table_hash(print: u32) -> u64 {
    u64::from(print) << 32 | u64::from(print)
}

/// One of several batches of a trace.
#[derive(Debug, Clone, Copy)]
struct Link {
    batch: u32,
    /// The link before, or [`NONE`].
    earlier: u32,
}

#[derive(Debug, Default)]
struct Inner {
    batches: Vec<Arc<Piece>>,
    traces: HashTable<Parts>,
    hasher: Seeded,
    links: Vec<Link>,
    catalog: Catalog,
    spans: u64,
    bytes: u64,
}

/// The committed batches of one tenant. Written by apply alone.
#[derive(Debug, Default)]
pub(super) struct TenantHead {
    inner: RwLock<Inner>,
}

/// Sizes of a tenant's head.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeadSizes {
    pub(super) spans: u64,
    pub(super) batches: u64,
    pub(super) traces: u64,
    pub(super) bytes: u64,
    pub(super) resident_bytes: u64,
    /// The stamp of the earliest batch.
    pub(super) stamp_min: Option<Timestamp>,
}

impl TenantHead {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch. `counted` are its rows that are no repeats.
    pub(super) fn push(&self, batch: Piece, index: &Index, counted: &RowSet) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let place = u32::try_from(inner.batches.len()).unwrap_or(NONE);
        for trace in &index.traces {
            if counted.any_within(trace.rows()) {
                inner.add_part(trace.id, place);
            }
        }
        inner.catalog.add(index);
        inner.spans += counted.count() as u64;
        inner.bytes += u64::from(batch.length);
        inner.batches.push(Arc::new(batch));
    }

    /// All batches, in the order of the log.
    pub(super) fn batches(&self) -> Vec<Arc<Piece>> {
        self.read().batches.clone()
    }

    /// The places of a trace's batches below `end`, ascending.
    pub(super) fn parts(&self, id: TraceId, end: usize) -> Vec<u32> {
        self.read().parts(id, end)
    }

    /// In how many batches below `end` the trace lies: none, one, or several.
    pub(super) fn part_count(&self, id: TraceId, end: usize) -> PartCount {
        match self.read().known(id) {
            Some(parts) if parts.latest_link().is_some() => PartCount::Several,
            Some(parts) if (parts.at as usize) < end => PartCount::One,
            _ => PartCount::None,
        }
    }

    /// The entry of the first batch.
    pub(super) fn first_index(&self) -> Option<LogIndex> {
        match self.read().batches.first()?.place {
            Place::Log { index, .. } => Some(index),
            Place::Page { .. } => None,
        }
    }

    /// A copy of the catalog.
    pub(super) fn catalog(&self) -> Catalog {
        self.read().catalog.clone()
    }

    pub(super) fn sizes(&self) -> HeadSizes {
        let inner = self.read();
        let resident = inner.batches.len() * (size_of::<Piece>() + 32)
            + inner.traces.capacity() * (size_of::<Parts>() + 1)
            + inner.links.capacity() * size_of::<Link>()
            + inner.catalog.operation_count() * 96;
        HeadSizes {
            spans: inner.spans,
            batches: inner.batches.len() as u64,
            traces: inner.traces.len() as u64,
            bytes: inner.bytes,
            resident_bytes: resident as u64,
            stamp_min: inner.batches.first().and_then(|batch| batch.log_stamp()),
        }
    }
}

impl Inner {
    fn print(&self, id: TraceId) -> u32 {
        u32::try_from(self.hasher.hash_one(id) >> 32).unwrap_or_default()
    }

    fn known(&self, id: TraceId) -> Option<Parts> {
        let print = self.print(id);
        self.traces.find(table_hash(print), |parts| parts.print == print).copied()
    }

    fn add_part(&mut self, id: TraceId, batch: u32) {
        let print = self.print(id);
        let known = self.traces.find_mut(table_hash(print), |parts| parts.print == print);
        let Some(parts) = known else {
            self.traces.insert_unique(table_hash(print), Parts { print, at: batch }, |parts| {
                table_hash(parts.print)
            });
            return;
        };
        let earlier = match parts.latest_link() {
            Some(link) if self.links.get(link as usize).is_some_and(|it| it.batch == batch) => {
                return;
            }
            Some(link) => link,
            None if parts.at == batch => return,
            None => push_link(&mut self.links, Link { batch: parts.at, earlier: NONE }),
        };
        parts.at = LINKED | push_link(&mut self.links, Link { batch, earlier });
    }

    fn parts(&self, id: TraceId, end: usize) -> Vec<u32> {
        let Some(parts) = self.known(id) else { return Vec::new() };
        let mut found = Vec::new();
        match parts.latest_link() {
            None => found.push(parts.at),
            Some(latest) => {
                let mut at = latest;
                while let Some(link) = self.links.get(at as usize) {
                    found.push(link.batch);
                    at = link.earlier;
                }
            }
        }
        found.reverse();
        found.retain(|batch| (*batch as usize) < end);
        found
    }
}

/// Adds a link and gives its place back.
fn push_link(links: &mut Vec<Link>, link: Link) -> u32 {
    links.push(link);
    u32::try_from(links.len() - 1).unwrap_or(NONE) & !LINKED
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::testing::Random;

    use super::*;

    #[test]
    fn the_batches_of_a_trace_are_those_it_came_in() {
        let mut random = Random::new(1);
        let mut inner = Inner::default();
        let mut wanted: BTreeMap<TraceId, Vec<u32>> = BTreeMap::new();
        for batch in 0..300 {
            for _ in 0..100 {
                // Some come in many batches, most in one, and the same may come twice.
                let number: u128 = if random.one_in(10) {
                    random.below(20).into()
                } else {
                    random.next_u64().into()
                };
                let id = TraceId((number << 1).to_be_bytes());
                inner.add_part(id, batch);
                let batches = wanted.entry(id).or_default();
                if batches.last() != Some(&batch) {
                    batches.push(batch);
                }
            }
        }
        let mut strangers = 0;
        for (id, batches) in &wanted {
            let found = inner.parts(*id, usize::MAX);
            assert!(found.is_sorted() && batches.iter().all(|batch| found.contains(batch)));
            strangers += found.len() - batches.len();
            let below: Vec<u32> = found.iter().copied().filter(|batch| *batch < 150).collect();
            assert_eq!(inner.parts(*id, 150), below);
        }
        // Two of thirty thousand meet once in ten runs.
        assert!(strangers < 4, "{strangers} batches too many");
        let odd = |number: u128| TraceId((number << 1 | 1).to_be_bytes());
        let taken = (0..1_000).filter(|number| !inner.parts(odd(*number), 300).is_empty()).count();
        assert!(taken < 3, "{taken} traces that never came");
    }
}
