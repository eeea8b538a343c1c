//! The contract of a log, whoever keeps it.

use std::fmt;
use std::ops::Range;
use std::sync::mpsc;

use bytes::Bytes;

use super::{GroupId, LogError, LogIndex, LogStats, StateSlot};

/// Called once, when the operation is durable or the log has failed. It runs on the log's writer
/// thread and must not block: it hands the news on and returns.
pub type Done = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// A log of entries and small state values for many groups.
///
/// All operations of all groups take effect in the order of their submission, in memory at once
/// (what was submitted is read back immediately) and on the disk in the same order, so `done` of
/// one operation implies that every earlier one is durable. After a crash the log is what some
/// prefix of the submitted operations made of it, and never a shorter one than was reported done.
///
/// Callers must serialise operations of one group among themselves; groups need not know of each
/// other. A log that failed keeps failing: every waiting and later operation gets the error.
pub trait LogEngine: fmt::Debug + Send + Sync {
    /// Queues an operation, or hands it back: with [`LogError::Busy`] if the queue is full, with a
    /// permanent error if it cannot be taken. `done` is not called for what is handed back.
    fn try_submit(&self, operation: Operation, done: Done) -> Result<(), Rejected>;

    /// As [`Self::try_submit`] of an operation that nobody waits for: it causes no write of its
    /// own, but is written in front of the next one that is submitted, in one batch with it.
    fn try_enqueue(&self, operation: Operation) -> Result<(), Rejected> {
        self.try_submit(operation, Box::new(drop))
    }

    /// As [`Self::try_submit`], but waits for room. For threads that may block.
    fn submit(&self, operation: Operation, done: Done) -> Result<(), Rejected>;

    /// Entries of a range in order, as many as fit `bytes_max`, at least one if there is one. The
    /// range is clipped to what the group holds, so the first entry may lie behind its start.
    fn read(
        &self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Bytes)>, LogError>;

    /// One entry, if the group holds it.
    fn entry(&self, group: GroupId, index: LogIndex) -> Result<Option<Bytes>, LogError>;

    /// What the group holds, submitted operations included.
    fn bounds(&self, group: GroupId) -> Bounds;

    /// The groups of which anything is known, in order.
    fn groups(&self) -> Vec<GroupId>;

    /// The value last put into a slot.
    fn state(&self, group: GroupId, slot: StateSlot) -> Option<Bytes>;

    /// Counters since the start.
    fn stats(&self) -> LogStats;

    /// [`Self::try_submit`] of [`Operation::Append`].
    fn try_append(
        &self,
        group: GroupId,
        entries: Vec<(LogIndex, Bytes)>,
        done: Done,
    ) -> Result<(), Rejected> {
        self.try_submit(Operation::Append { group, entries }, done)
    }

    /// [`Self::submit`] of [`Operation::Append`].
    fn append(
        &self,
        group: GroupId,
        entries: Vec<(LogIndex, Bytes)>,
        done: Done,
    ) -> Result<(), Rejected> {
        self.submit(Operation::Append { group, entries }, done)
    }

    /// [`Self::submit`] of [`Operation::PutState`].
    fn put_state(
        &self,
        group: GroupId,
        slot: StateSlot,
        value: Bytes,
        done: Done,
    ) -> Result<(), Rejected> {
        self.submit(Operation::PutState { group, slot, value }, done)
    }

    /// [`Self::submit`] of [`Operation::TruncateAfter`].
    fn truncate_after(
        &self,
        group: GroupId,
        after: Option<LogIndex>,
        done: Done,
    ) -> Result<(), Rejected> {
        self.submit(Operation::TruncateAfter { group, after }, done)
    }

    /// [`Self::submit`] of [`Operation::Purge`].
    fn purge(&self, group: GroupId, upto: LogIndex, done: Done) -> Result<(), Rejected> {
        self.submit(Operation::Purge { group, upto }, done)
    }

    /// [`Self::submit`] of [`Operation::RemoveGroup`].
    fn remove_group(&self, group: GroupId, done: Done) -> Result<(), Rejected> {
        self.submit(Operation::RemoveGroup { group }, done)
    }

    /// Submits and waits until the operation is durable. Never call it from a `done`.
    fn submit_and_wait(&self, operation: Operation) -> Result<(), LogError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let done = Box::new(move |result| {
            // The receiver waits below; if it is gone, so is the one who asked.
            let _ = sender.try_send(result);
        });
        self.submit(operation, done).map_err(|rejected| rejected.error)?;
        receiver.recv().unwrap_or(Err(LogError::Closed))
    }

    /// Waits until all that was submitted before is durable. Never call it from a `done`.
    fn barrier(&self) -> Result<(), LogError> {
        self.submit_and_wait(Operation::Barrier)
    }
}

/// One change of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Entries with consecutive indexes that follow what the group holds; a group that holds
    /// nothing and purged nothing takes any first index.
    Append {
        /// The group.
        group: GroupId,
        /// The entries.
        entries: Vec<(LogIndex, Bytes)>,
    },
    /// A small value that replaces the slot's former one.
    PutState {
        /// The group.
        group: GroupId,
        /// The slot.
        slot: StateSlot,
        /// The value.
        value: Bytes,
    },
    /// Removes the entries after an index, or all; what is purged stays purged.
    TruncateAfter {
        /// The group.
        group: GroupId,
        /// The last index that stays.
        after: Option<LogIndex>,
    },
    /// Removes the entries up to and including an index, which may lie behind the last one.
    Purge {
        /// The group.
        group: GroupId,
        /// The last index that goes.
        upto: LogIndex,
    },
    /// Forgets a group: entries, purge mark and state.
    RemoveGroup {
        /// The group.
        group: GroupId,
    },
    /// Changes nothing; done when all before it is durable.
    Barrier,
}

/// What the log did not take, for another attempt.
pub struct Rejected {
    /// Why.
    pub error: LogError,
    /// The operation, as it was given.
    pub operation: Operation,
    /// The callback, not called.
    pub done: Done,
}

impl Rejected {
    /// Gives up: calls the callback with the error.
    pub fn give_up(self) {
        (self.done)(Err(self.error));
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rejected").field("error", &self.error).finish_non_exhaustive()
    }
}

/// What a group holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The last purged index.
    pub purged: Option<LogIndex>,
    /// The first entry held.
    pub first: Option<LogIndex>,
    /// The last entry held; none if the group holds no entry, even if it purged some.
    pub last: Option<LogIndex>,
}

impl Bounds {
    /// The index that must come next; none if any may.
    pub fn expected(&self) -> Option<LogIndex> {
        self.last.or(self.purged).map(LogIndex::next)
    }
}
