//! The log in memory: what [`SegmentLog`](super::SegmentLog) must equal, and what a node with
//! ephemeral data may use. Operations are done when they are submitted.
//!
//! It is not a cache and forgets nothing but what it is told to; it is bounded by its callers'
//! purges.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::frame::FRAME_HEADER_BYTES;
use super::view::Views;
use super::{
    Bounds, Done, GroupId, LogEngine, LogError, LogIndex, LogStats, Operation, Rejected, StateSlot,
};

/// A log that ends with its value.
#[derive(Debug, Default)]
pub struct MemoryLog {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    views: Views,
    entries: u64,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogEngine for MemoryLog {
    fn try_submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        let mut inner = self.inner();
        if let Err(error) = inner.views.check(&operation) {
            return Err(Rejected { error, operation, done });
        }
        inner.views.apply(&operation);
        if let Operation::Append { entries, .. } = &operation {
            inner.entries += entries.len() as u64;
        }
        drop(inner);
        done(Ok(()));
        Ok(())
    }

    fn submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        self.try_submit(operation, done)
    }

    fn read(
        &self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Bytes)>, LogError> {
        let inner = self.inner();
        let mut found = Vec::new();
        let mut bytes_left = bytes_max;
        let Some(view) = inner.views.groups.get(&group) else { return Ok(found) };
        let Some(live) = view.extent.live else { return Ok(found) };
        let mut index = range.start.max(live.first);
        while index < range.end && index <= live.last {
            let Some(bytes) = view.cached(index) else { break };
            let cost = bytes.len() + FRAME_HEADER_BYTES;
            if !found.is_empty() && cost > bytes_left {
                break;
            }
            bytes_left = bytes_left.saturating_sub(cost);
            found.push((index, bytes.clone()));
            index = index.next();
        }
        Ok(found)
    }

    fn entry(&self, group: GroupId, index: LogIndex) -> Result<Option<Bytes>, LogError> {
        let inner = self.inner();
        let view = inner.views.groups.get(&group);
        Ok(view.and_then(|view| view.cached(index)).cloned())
    }

    fn bounds(&self, group: GroupId) -> Bounds {
        let inner = self.inner();
        inner.views.groups.get(&group).map(|view| view.extent.bounds()).unwrap_or_default()
    }

    fn groups(&self) -> Vec<GroupId> {
        self.inner().views.groups.keys().copied().collect()
    }

    fn state(&self, group: GroupId, slot: StateSlot) -> Option<Bytes> {
        self.inner().views.groups.get(&group)?.slots.get(&slot).cloned()
    }

    fn stats(&self) -> LogStats {
        let inner = self.inner();
        LogStats {
            entries: inner.entries,
            tail_bytes: inner.views.tail_bytes,
            ..LogStats::default()
        }
    }
}
