//! A tenant's part of a generation of the head: committed batches that are not sealed yet.
//!
//! Resident is what finds a batch and a trace; what is in a batch is read from the log again
//! ([`super::reader`]). Everything is kept by tenant (TEN-1), and a tenant's head is shared with
//! running reads, so that a purge takes it away from new reads only.
//!
//! Invariants: batches stand in the order of the log; a trace's parts are the batches that hold at
//! least one row of it that is no repeat. Nothing here is iterated in the order of a hash.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use model::batch::Index;
use model::{Timestamp, TraceId};

use super::catalog::Catalog;
use super::hash::LookupMap;
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

/// The batches of a trace, by their place in [`Inner::batches`]: the first one, and a chain.
#[derive(Debug, Clone, Copy)]
struct Parts {
    first: u32,
    /// The latest link of the chain in [`Inner::links`], or [`NONE`].
    latest: u32,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    batch: u32,
    /// The link before, or [`NONE`].
    earlier: u32,
}

#[derive(Debug, Default)]
struct Inner {
    batches: Vec<Arc<Piece>>,
    traces: LookupMap<TraceId, Parts>,
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
        let inner = self.read();
        match inner.traces.get(&id) {
            Some(parts) if parts.latest != NONE => PartCount::Several,
            Some(parts) if (parts.first as usize) < end => PartCount::One,
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
            + inner.traces.capacity() * (size_of::<(TraceId, Parts)>() + 1)
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
    fn add_part(&mut self, id: TraceId, batch: u32) {
        let next = u32::try_from(self.links.len()).unwrap_or(NONE);
        let Some(parts) = self.traces.get_mut(&id) else {
            self.traces.insert(id, Parts { first: batch, latest: NONE });
            return;
        };
        let latest = self.links.get(parts.latest as usize).map_or(parts.first, |link| link.batch);
        if latest != batch {
            self.links.push(Link { batch, earlier: parts.latest });
            parts.latest = next;
        }
    }

    fn parts(&self, id: TraceId, end: usize) -> Vec<u32> {
        let Some(parts) = self.traces.get(&id) else { return Vec::new() };
        let mut found = Vec::new();
        let mut at = parts.latest;
        while let Some(link) = self.links.get(at as usize) {
            found.push(link.batch);
            at = link.earlier;
        }
        found.push(parts.first);
        found.reverse();
        found.retain(|batch| (*batch as usize) < end);
        found
    }
}
