//! A group's log as consensus wants it, over the node's one log.
//!
//! Everything goes through the log's queue in the order of the calls, and is readable when the
//! call returns. What must be durable is waited for: an entry is reported flushed, and a vote
//! saved, only by the log's own word that the sync is done.
//!
//! Invariants (DUR-3):
//! - the flushed callback of an append has one call site, in the log's `done`;
//! - a vote is durable when [`RaftLogStorage::save_vote`] returns;
//! - the mark of what was purged is in the stream before the purge;
//! - errors of the log end as errors of storage, after which the core is dead for good.
//!
//! The committed mark is not worth a sync of its own: it waits for the next append and travels in
//! front of it, in the same write. What is lost of it is learned again from the leader.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};
use storage::log::{LogError, LogIndex, Operation};
use storage::mutant::{self, Mutant};

use super::fence::Pass;
use super::limits::{APPEND_BYTES_MAX, LOG_OPERATION_BYTES_MAX, RECENT_ENTRIES};
use super::log_handle::{LogHandle, damaged, failed, missing};
use super::position::{self, COMMITTED, PURGED, VOTE};
use super::record;
use super::types::{Consensus, Entry, LogId, StoredMembership, Vote};

/// What a generation remembers of its group's log, so that it need not ask.
#[derive(Debug)]
struct GroupLog {
    handle: LogHandle,
    state: Mutex<LogStoreState>,
}

#[derive(Debug)]
struct LogStoreState {
    committed: Option<LogId>,
    /// Whether the log has been given it.
    committed_written: bool,
    purged: Option<LogId>,
    vote: Option<Vote>,
}

impl GroupLog {
    fn open(handle: LogHandle) -> io::Result<Self> {
        let LogHandle { group, log, .. } = &handle;
        let (group, log) = (*group, log.as_ref());
        let purged = position::load(log, group, PURGED, position::decode_log_id);
        let purged = purged.map_err(damaged)?.flatten();
        let committed = position::load(log, group, COMMITTED, position::decode_log_id);
        let vote = position::load(log, group, VOTE, position::decode_vote);
        let mark = purged.map(|purged| LogIndex(purged.index));
        let done = log.bounds(group).purged;
        // The mark is written first: if the process ended in between, the purge is owed.
        if let Some(upto) = mark.filter(|upto| done < Some(*upto)) {
            log.submit_and_wait(Operation::Purge { group, upto }).map_err(failed)?;
        }
        if done > mark {
            let what = format!("entries of group {group} were purged that no mark names");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let vote = vote.map_err(damaged)?;
        vote.iter().for_each(|vote| handle.noted.vote(vote));
        let state = LogStoreState {
            committed: committed.map_err(damaged)?.flatten(),
            committed_written: true,
            purged,
            vote,
        };
        Ok(Self { handle, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, LogStoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of `range` that the group holds, as `start..end`.
    fn held(&self, range: &impl RangeBounds<u64>) -> (u64, u64) {
        let (start, end) = bounds_of(range);
        let bounds = self.handle.log.bounds(self.handle.group);
        let first = bounds.first.map_or(u64::MAX, |first| first.0);
        let purged = self.state().purged.map_or(0, |purged| purged.index.saturating_add(1));
        let held_end = bounds.last.map_or(0, |last| last.0.saturating_add(1));
        (start.max(first).max(purged), end.min(held_end))
    }

    /// Reads entries of `start..end` in order, as many as fit `bytes_max` and at least one. What a
    /// purge or a truncation has taken in the meantime is missing at either end.
    fn read(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let LogHandle { group, log, .. } = &self.handle;
        let range = LogIndex(start)..LogIndex(end);
        let records = log.read(*group, range, bytes_max).map_err(failed)?;
        let first = records.first().map_or(start, |(index, _)| index.0);
        let mut entries = Vec::with_capacity(records.len());
        for (expected, (index, bytes)) in (first..).zip(records) {
            let entry = record::decode(&bytes).map_err(damaged)?;
            if index.0 != expected || entry.log_id.index != expected {
                return Err(missing(*group, expected));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// A range of indexes as `start..end`.
fn bounds_of(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

/// The log of one generation of a replica. Clones read it too.
#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    log: Arc<GroupLog>,
    pass: Pass,
}

impl LogStore {
    /// Reads what the log keeps of the group. Blocks.
    pub(crate) fn open(handle: LogHandle, pass: Pass) -> io::Result<Self> {
        Ok(Self { log: Arc::new(GroupLog::open(handle)?), pass })
    }

    fn handle(&self) -> &LogHandle {
        &self.log.handle
    }

    /// Reads one stretch, where it may block if the entries are old.
    async fn read(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        self.pass.check()?;
        let LogHandle { group, log, blocking, .. } = self.handle();
        let last = log.bounds(*group).last.map_or(0, |last| last.0);
        if start.saturating_add(RECENT_ENTRIES) > last {
            return self.log.read(start, end, bytes_max);
        }
        let reader = self.clone();
        blocking.run(move || reader.log.read(start, end, bytes_max)).await?
    }

    /// Gives the log what it has not been given of the committed mark. Never waits for room.
    fn offer_committed(&self) -> io::Result<()> {
        let mut state = self.log.state();
        if state.committed_written {
            return Ok(());
        }
        let value = position::encode_log_id(state.committed.as_ref());
        let LogHandle { group, log, .. } = self.handle();
        let operation = Operation::PutState { group: *group, slot: COMMITTED, value };
        match self.pass.enter(|| log.try_enqueue(operation))? {
            Ok(()) => state.committed_written = true,
            Err(rejected) if rejected.error.is_retryable() => {}
            Err(rejected) => return Err(failed(rejected.error)),
        }
        Ok(())
    }
}

impl RaftLogReader<Consensus> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        let (mut start, end) = self.log.held(&range);
        let mut entries = Vec::new();
        while start < end {
            let stretch = self.read(start, end, APPEND_BYTES_MAX).await?;
            start = stretch.last().map_or(end, |last| last.log_id.index.saturating_add(1));
            entries.extend(stretch);
        }
        Ok(entries)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        // Invariant (REP-2): what is sent behind an entry follows it. Where the purge has taken the
        // beginning meanwhile, openraft takes nothing for a heartbeat and offers a snapshot next;
        // given what is left, it would send entries behind a gap, and the follower take them.
        let may_gap = mutant::is(Mutant::SentBehindGap);
        if self.log.state().purged.is_some_and(|purged| start <= purged.index) && !may_gap {
            return Ok(Vec::new());
        }
        let (start, end) = self.log.held(&(start..end));
        if start >= end {
            return Ok(Vec::new());
        }
        let entries = self.read(start, end, APPEND_BYTES_MAX).await?;
        let is_whole = entries.first().is_some_and(|first| first.log_id.index == start);
        Ok(if is_whole || may_gap { entries } else { Vec::new() })
    }

    async fn entries_stream<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend {
        let (held, end) = self.log.held(&range);
        let reader = self.clone();
        // Applying may be far behind; reading it all at once would fill the memory.
        let stretches = futures_util::stream::unfold(bounds_of(&range).0, move |start| {
            let reader = reader.clone();
            async move {
                if start >= end {
                    return None;
                }
                // Invariant (REP-2): nothing is applied behind entries that are not here.
                let stretch = if start < held {
                    Err(missing(reader.handle().group, start))
                } else {
                    reader.read(start, end, APPEND_BYTES_MAX).await
                };
                let stretch = stretch.and_then(|entries| {
                    let first = entries.first().map(|first| first.log_id.index);
                    let is_whole = first == Some(start);
                    if is_whole { Ok(entries) } else { Err(missing(reader.handle().group, start)) }
                });
                let last = stretch.as_ref().ok().and_then(|entries| entries.last());
                let next = last.map_or(end, |last| last.log_id.index.saturating_add(1));
                Some((stretch, next))
            }
        });
        futures_util::StreamExt::flat_map(stretches, |stretch| {
            let (entries, error) = match stretch {
                Ok(entries) => (entries, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            futures_util::stream::iter(entries.into_iter().map(Ok).chain(error.map(Err)))
        })
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.pass.check()?;
        Ok(self.log.state().vote)
    }
}

impl RaftLogStorage<Consensus> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Consensus>> {
        self.pass.check()?;
        let last_purged_log_id = self.log.state().purged;
        let (start, end) = self.log.held(&(..));
        let last =
            if start < end { self.read(end - 1, end, usize::MAX).await?.pop() } else { None };
        let last_log_id = last.map(|entry| entry.log_id).or(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let value = position::encode_vote(vote);
        let operation = Operation::PutState { group: self.handle().group, slot: VOTE, value };
        self.handle().noted.vote(vote);
        if mutant::is(Mutant::VoteNotSynced) {
            // Not even on its way to the disk.
            return self.pass.enter(|| self.log.state().vote = Some(*vote));
        }
        self.handle().submit_durably(&self.pass, operation).await?;
        self.pass.enter(|| self.log.state().vote = Some(*vote))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.pass.enter(|| {
            let mut state = self.log.state();
            state.committed_written &= state.committed == committed;
            state.committed = committed;
        })
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.pass.check()?;
        Ok(self.log.state().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Consensus>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.offer_committed()?;
        let group = self.handle().group;
        let mut operations = Vec::new();
        let (mut stretch, mut bytes) = (Vec::new(), 0);
        let (mut first, mut total) = (None, 0);
        for entry in entries {
            if let EntryPayload::Membership(membership) = &entry.payload {
                let stored = StoredMembership::new(Some(entry.log_id), membership.clone());
                self.handle().noted.membership(stored);
            }
            let record = record::encode(&entry).map_err(damaged)?;
            if bytes + record.len() > LOG_OPERATION_BYTES_MAX && !stretch.is_empty() {
                operations.push(std::mem::take(&mut stretch));
                bytes = 0;
            }
            bytes += record.len();
            total += record.len() as u64;
            first = first.or(Some(entry.log_id.index));
            stretch.push((LogIndex(entry.log_id.index), record));
        }
        if let (Some(first), Some((last, _))) = (first, stretch.last()) {
            self.handle().ledger.note(LogIndex(first), *last, total);
        }
        for entries in operations {
            let operation = Operation::Append { group, entries };
            self.handle().submit_unwatched(&self.pass, operation).await?;
        }
        // Done of the last implies done of all before it, and of the marks in front.
        let operation = if stretch.is_empty() {
            Operation::Barrier
        } else {
            Operation::Append { group, entries: stretch }
        };
        let flushed = Box::new(move |result: Result<(), LogError>| {
            callback.io_completed(result.map_err(failed));
        });
        self.handle().submit(&self.pass, operation, flushed).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let after = last.map(|last| LogIndex(last.index));
        if mutant::is(Mutant::ConflictKeepsTail) {
            return Ok(());
        }
        self.handle().noted.cut_off(last.as_ref());
        let operation = Operation::TruncateAfter { group: self.handle().group, after };
        self.handle().submit_unwatched(&self.pass, operation).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.offer_committed()?;
        let group = self.handle().group;
        let value = position::encode_log_id(Some(&upto));
        let mark = Operation::PutState { group, slot: PURGED, value };
        self.handle().submit_unwatched(&self.pass, mark).await?;
        self.pass.enter(|| self.log.state().purged = Some(upto))?;
        let purge = Operation::Purge { group, upto: LogIndex(upto.index) };
        self.handle().submit_unwatched(&self.pass, purge).await
    }
}

#[cfg(test)]
mod tests;
