//! The head: committed batches that are not sealed yet.
//!
//! Resident is what finds a batch and a trace; what is in a batch is read from the log again
//! ([`super::reader`]). Everything is kept by tenant (TEN-1), and a tenant's head is shared with
//! running reads, so that a purge takes it away from new reads only.
//!
//! Invariants: batches stand in the order of the log; a trace's parts are the batches that hold at
//! least one row of it that is no repeat. Nothing here is iterated in the order of a hash.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use model::batch::{Header, Index};
use model::{TimeRange, Timestamp, TraceId};

use super::catalog::Catalog;
use super::hash::LookupMap;
use super::rows::RowSet;
use crate::log::LogIndex;

/// A committed batch: where it lies, and what is known of it without reading it.
#[derive(Debug)]
pub(super) struct HeadBatch {
    /// Its number within the shard, ascending in the order of the log.
    pub(super) number: u64,
    /// The entry that holds it.
    pub(super) index: LogIndex,
    /// Where it begins in the entry.
    pub(super) offset: u32,
    /// Its length in the entry.
    pub(super) length: u32,
    /// The stamp of its entry; an hour of these is a bucket.
    pub(super) stamp: Timestamp,
    /// What its header says.
    pub(super) header: Header,
    /// The requests in it whose rows came before, ascending.
    pub(super) repeats: Box<[u32]>,
}

impl HeadBatch {
    /// Whether a span that starts within `window` may be in it.
    pub(super) fn overlaps(&self, window: TimeRange) -> bool {
        let own = TimeRange { start: self.header.start_min, end: self.header.start_max };
        own.overlaps(&window)
    }

    /// Whether a row counts: whether it is of no repeated request.
    pub(super) fn counts(&self, index: &Index, row: usize) -> bool {
        let request = index.row_requests.get(row);
        self.repeats.is_empty()
            || request.is_none_or(|request| self.repeats.binary_search(request).is_err())
    }

    /// The rows that count.
    pub(super) fn counted_rows(&self, index: &Index) -> RowSet {
        let row_count = index.row_classes.len();
        if self.repeats.is_empty() {
            return RowSet::full(row_count);
        }
        RowSet::from_test(row_count, |row| self.counts(index, row))
    }

    /// The rows that count and start within `window`.
    pub(super) fn counted_rows_within(&self, index: &Index, window: TimeRange) -> RowSet {
        let mut rows = self.counted_rows(index);
        if !window.contains(self.header.start_min) || !window.contains(self.header.start_max) {
            rows.intersect(&RowSet::from_test(index.starts.len(), |row| {
                index.starts.get(row).is_some_and(|start| window.contains(*start))
            }));
        }
        rows
    }
}

/// No further part.
const NONE: u32 = u32::MAX;

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
    batches: Vec<Arc<HeadBatch>>,
    traces: LookupMap<TraceId, Parts>,
    links: Vec<Link>,
    catalog: Catalog,
    spans: u64,
    bytes: u64,
}

/// The committed batches of one tenant. Written by apply alone.
#[derive(Debug)]
pub(super) struct TenantHead {
    /// Names the tenant among digests; another one after each purge.
    pub(super) number: u32,
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
    pub(super) fn new(number: u32) -> Self {
        Self { number, inner: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch. `counted` are its rows that are no repeats.
    pub(super) fn push(&self, batch: HeadBatch, index: &Index, counted: &RowSet) {
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
    pub(super) fn batches(&self) -> Vec<Arc<HeadBatch>> {
        self.read().batches.clone()
    }

    /// The places of a trace's batches below `end`, ascending.
    pub(super) fn parts(&self, id: TraceId, end: usize) -> Vec<u32> {
        self.read().parts(id, end)
    }

    /// [`Self::parts`] of several traces under one hold of the lock.
    pub(super) fn parts_of_all(
        &self,
        ids: &mut dyn Iterator<Item = TraceId>,
        end: usize,
    ) -> Vec<Vec<u32>> {
        let inner = self.read();
        ids.map(|id| inner.parts(id, end)).collect()
    }

    /// A copy of the catalog.
    pub(super) fn catalog(&self) -> Catalog {
        self.read().catalog.clone()
    }

    pub(super) fn sizes(&self) -> HeadSizes {
        let inner = self.read();
        let resident = inner.batches.len() * (size_of::<HeadBatch>() + 32)
            + inner.traces.capacity() * (size_of::<(TraceId, Parts)>() + 1)
            + inner.links.capacity() * size_of::<Link>()
            + inner.catalog.operation_count() * 96;
        HeadSizes {
            spans: inner.spans,
            batches: inner.batches.len() as u64,
            traces: inner.traces.len() as u64,
            bytes: inner.bytes,
            resident_bytes: resident as u64,
            stamp_min: inner.batches.first().map(|batch| batch.stamp),
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
