//! A log that panics once when told to, in the hands of whoever appends: which is a core.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use storage::log::{
    Bounds, Done, GroupId, LogEngine, LogError, LogIndex, LogStats, Operation, Rejected, StateSlot,
};

pub(crate) struct FaultyLog {
    inner: Arc<dyn LogEngine>,
    is_armed: AtomicBool,
    fails: AtomicBool,
}

impl FaultyLog {
    pub(crate) fn over(inner: Arc<dyn LogEngine>) -> Self {
        Self { inner, is_armed: AtomicBool::new(false), fails: AtomicBool::new(false) }
    }

    /// The next append panics.
    pub(crate) fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    /// Every append fails from now on.
    pub(crate) fn fail(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }
}

impl fmt::Debug for FaultyLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FaultyLog")
    }
}

impl LogEngine for FaultyLog {
    fn try_submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        if matches!(operation, Operation::Append { .. }) {
            assert!(!self.is_armed.swap(false, Ordering::SeqCst), "an injected panic");
            if self.fails.load(Ordering::SeqCst) {
                return Err(Rejected { error: LogError::WriterPanicked, operation, done });
            }
        }
        self.inner.try_submit(operation, done)
    }

    fn submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        self.inner.submit(operation, done)
    }

    fn read(
        &self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Bytes)>, LogError> {
        self.inner.read(group, range, bytes_max)
    }

    fn entry(&self, group: GroupId, index: LogIndex) -> Result<Option<Bytes>, LogError> {
        self.inner.entry(group, index)
    }

    fn bounds(&self, group: GroupId) -> Bounds {
        self.inner.bounds(group)
    }

    fn groups(&self) -> Vec<GroupId> {
        self.inner.groups()
    }

    fn state(&self, group: GroupId, slot: StateSlot) -> Option<Bytes> {
        self.inner.state(group, slot)
    }

    fn stats(&self) -> LogStats {
        self.inner.stats()
    }
}
