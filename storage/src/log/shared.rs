//! The engine of the segment log, between its callers, its writer and its files.
//!
//! Two locks, always taken in this order: the writer (held over a write and a sync) and the state
//! (held for moments, never over IO). Callers change the state and queue records; a writing step
//! drains a batch, writes and syncs it, applies it to the index, and then tells the waiters. The
//! steps are plain calls, so that a thread or a simulation can drive them.

use std::fmt;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::open::{Fatal, Now};
use super::segment::{Carried, read_entry, segment_path, spare_path};
use super::spare::Spare;
use super::state::{Piece, Queued, State};
use super::writer::Writer;
use super::{Done, GroupId, LogError, LogIndex, LogOptions, LogStats, Operation, Rejected};
use crate::env::{Env, EnvError};
use crate::limits::LOG_CLOSE_AFTER_MILLISECONDS;

/// Who runs the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drive {
    /// A thread; a caller that must wait sleeps.
    Thread,
    /// The caller; one that must wait runs steps itself.
    Manual,
}

/// What the writer's thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Write,
    Confirm,
    Finish,
    Stop,
}

pub(crate) struct Shared {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) directory: PathBuf,
    pub(crate) drive: Drive,
    segment_bytes: u64,
    now: Now,
    fatal: Fatal,
    writer: Mutex<Writer>,
    state: Mutex<State>,
    /// Signalled when there is something to write, or an end.
    work: Condvar,
    /// Signalled when the queue has room, or an end.
    room: Condvar,
    /// Signalled when there are files to remove or to make, or an end.
    chores: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("directory", &self.directory)
            .field("drive", &self.drive)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        env: Arc<dyn Env>,
        directory: PathBuf,
        options: &LogOptions,
        drive: Drive,
        writer: Writer,
        state: State,
    ) -> Self {
        Self {
            env,
            directory,
            drive,
            segment_bytes: options.segment_bytes,
            now: options.now(),
            fatal: options.fatal(),
            writer: Mutex::new(writer),
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            chores: Condvar::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What callers do.

    /// Takes an operation into the picture and the queue, or hands it back.
    pub(crate) fn submit(
        &self,
        operation: Operation,
        done: Done,
        may_wait: bool,
    ) -> Result<(), Rejected> {
        let mut state = self.state();
        loop {
            match state.check(&operation) {
                Ok(()) => break,
                Err(error) if error.is_retryable() && may_wait => {}
                Err(error) => return Err(Rejected { error, operation, done }),
            }
            state = match self.drive {
                Drive::Thread => self.room.wait(state).unwrap_or_else(PoisonError::into_inner),
                Drive::Manual => {
                    drop(state);
                    self.write_batch();
                    self.state()
                }
            };
        }
        state.push(operation, Some(done));
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Takes an operation that waits for the next one, or hands it back.
    pub(crate) fn enqueue(&self, operation: Operation) -> Result<(), Rejected> {
        let mut state = self.state();
        match state.check(&operation) {
            Ok(()) => state.push(operation, None),
            Err(error) => return Err(Rejected { error, operation, done: Box::new(drop) }),
        }
        if state.is_hurried() {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Reads a range; see [`LogEngine::read`](super::LogEngine::read).
    pub(crate) fn read(
        &self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Bytes)>, LogError> {
        let plan = self.state().plan_read(group, range, bytes_max)?;
        let mut found = Vec::with_capacity(plan.len());
        for (index, piece) in plan {
            let bytes = match piece {
                Piece::Memory(bytes) => bytes,
                Piece::Disk(location, file) => {
                    let path = segment_path(&self.directory, location.segment);
                    read_entry(file.as_ref(), &path, location, group, index)
                        .inspect_err(|error| self.fail_on_io(error))?
                }
            };
            found.push((index, bytes));
        }
        Ok(found)
    }

    // The steps.

    /// Writes what is queued, up to one batch. False if there was nothing to write.
    pub(crate) fn write_batch(&self) -> bool {
        let mut writer = self.writer();
        let batch = self.state().next_batch();
        batch.map(|batch| self.write(&mut writer, batch)).is_some()
    }

    /// What an idle log does: announces segments that may go, and confirms its last frames. False
    /// if there was nothing to do.
    pub(crate) fn confirm(&self) -> bool {
        let mut writer = self.writer();
        let batch = self.state().closing_batch();
        batch.map(|batch| self.write(&mut writer, batch)).is_some()
    }

    /// What need not be done between two syncs: removes the files of segments that are announced
    /// and confirmed to be dead, and makes the file that the next segment takes.
    pub(crate) fn sweep(&self) {
        if let Err(error) = self.remove_garbage().and_then(|()| self.make_spare()) {
            self.fail(&LogError::from(error), Vec::new());
        }
    }

    fn remove_garbage(&self) -> Result<(), EnvError> {
        let garbage = std::mem::take(&mut self.state().garbage);
        for segment in garbage {
            // A removal that a crash undoes is repeated at the next start: no directory sync.
            self.env.remove(&segment_path(&self.directory, segment))?;
        }
        Ok(())
    }

    fn make_spare(&self) -> Result<(), EnvError> {
        if !self.state().spare.begin() {
            return Ok(());
        }
        let path = spare_path(&self.directory);
        let spare = match self.env.create_with_room(&path, self.segment_bytes) {
            Ok(file) => Spare::Ready(file),
            // The log does without. What was written goes, for the disk needs it.
            Err(error) if error.is_out_of_space() => match self.env.remove(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => Spare::Refused,
            },
            Err(error) => return Err(error),
        };
        self.state().spare = spare;
        Ok(())
    }

    fn write(&self, writer: &mut Writer, batch: Vec<Queued>) {
        let started = (self.now)();
        self.state().stats.sync_started_nanoseconds = Some(started);
        let start = writer.end();
        let mut records = batch.iter().filter_map(|queued| queued.record.as_ref()).peekable();
        let written = if records.peek().is_none() {
            // Only barriers: all before them is durable.
            Ok(Vec::new())
        } else {
            writer.write(records)
        };
        let elapsed = (self.now)().saturating_sub(started);
        let committed = written.and_then(|places| {
            let mut state = self.state();
            state.commit(&batch, &places, writer.end())?;
            count(&mut state.stats, writer.end() - start, elapsed);
            if writer.wants_spare() {
                state.spare.want();
            }
            Ok(state.has_chores())
        });
        let has_chores = match committed {
            Ok(has_chores) => has_chores,
            Err(error) => {
                self.fail(&error, batch);
                return;
            }
        };
        self.room.notify_all();
        // Not for nothing: it would wake while the waiters are told.
        if has_chores {
            self.chores.notify_one();
        }
        complete(batch, &Ok(()));
        if self.is_change_due(writer)
            && let Err(error) = self.begin_segment(writer)
        {
            self.fail(&error, Vec::new());
        }
    }

    /// The next segment begins when this one is full, or as soon as one with room can follow one
    /// without.
    fn is_change_due(&self, writer: &Writer) -> bool {
        let state = self.state();
        let is_due = writer.is_full() || writer.lacks_room() && state.spare.is_ready();
        is_due && state.failed.is_none()
    }

    /// Changes to the next segment, and carries over what keeps old ones alive for little.
    fn begin_segment(&self, writer: &mut Writer) -> Result<(), LogError> {
        let plan = {
            let mut state = self.state();
            state.stats.sync_started_nanoseconds = Some((self.now)());
            state.plan_segment()?
        };
        let mut carried = Vec::with_capacity(plan.moves.len());
        for (group, index, location, file) in plan.moves {
            let path = segment_path(&self.directory, location.segment);
            let bytes = read_entry(file.as_ref(), &path, location, group, index)?;
            carried.push(Carried { group, index, bytes });
        }
        let spare = self.state().spare.take();
        let born = writer.next_segment(plan.header, &carried, spare)?;
        let mut state = self.state();
        state.adopt(&born, &carried)?;
        state.stats.syncs += 1;
        state.stats.written_bytes += born.end;
        state.stats.sync_started_nanoseconds = None;
        drop(state);
        self.chores.notify_one();
        writer.switch_to(born);
        Ok(())
    }

    /// Ends the log: nothing is written after this, and every waiter gets the error.
    fn fail(&self, error: &LogError, mut waiting: Vec<Queued>) {
        let mut state = self.state();
        let is_first = state.failed.is_none();
        let (queued, failure) = state.fail(error);
        drop(state);
        waiting.extend(queued);
        self.work.notify_all();
        self.room.notify_all();
        self.chores.notify_all();
        if is_first {
            (self.fatal)(error);
        }
        complete(waiting, &Err(failure));
    }

    /// A panic in a thread of the log is as final as a failed sync.
    pub(crate) fn fail_on_panic(&self) {
        self.fail(&LogError::WriterPanicked, Vec::new());
    }

    /// A read that the device refused ends the log too; a checksum that does not match is the
    /// affair of the group whose entry it is.
    fn fail_on_io(&self, error: &LogError) {
        if matches!(error, LogError::Env(_)) {
            self.fail(error, Vec::new());
        }
    }

    // What threads wait for.

    pub(crate) fn wait_for_work(&self) -> Work {
        let pause = Duration::from_millis(LOG_CLOSE_AFTER_MILLISECONDS);
        let mut state = self.state();
        loop {
            if state.failed.is_some() {
                return Work::Stop;
            }
            if state.is_hurried() {
                return Work::Write;
            }
            if state.is_closing {
                return Work::Finish;
            }
            if !state.needs_confirmation() {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (next, timeout) =
                self.work.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if timeout.timed_out() && !state.is_hurried() && !state.is_closing {
                return Work::Confirm;
            }
        }
    }

    /// False when there will be no more to sweep.
    pub(crate) fn wait_for_chores(&self) -> bool {
        let mut state = self.state();
        while !state.has_chores() {
            if state.is_closing || state.failed.is_some() {
                return false;
            }
            state = self.chores.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.failed.is_none()
    }

    /// Refuses what comes from now on; what is queued is still written.
    pub(crate) fn begin_close(&self) {
        self.state().is_closing = true;
        self.work.notify_all();
        self.room.notify_all();
        self.chores.notify_all();
    }

    /// Writes all that is queued and confirms it.
    pub(crate) fn finish(&self) {
        while self.write_batch() {}
        // Once to announce what may go, once to confirm that; what is left the next start removes.
        let _ = self.confirm() && self.confirm();
    }
}

/// Tells the waiters of a batch what became of it. The only place that does.
fn complete(batch: Vec<Queued>, result: &Result<(), LogError>) {
    for done in batch.into_iter().filter_map(|queued| queued.done) {
        done(result.clone());
    }
}

fn count(stats: &mut LogStats, written_bytes: u64, elapsed_nanoseconds: u64) {
    stats.sync_started_nanoseconds = None;
    if written_bytes > 0 {
        stats.syncs += 1;
        stats.written_bytes += written_bytes;
        stats.sync_last_nanoseconds = elapsed_nanoseconds;
        stats.sync_max_nanoseconds = stats.sync_max_nanoseconds.max(elapsed_nanoseconds);
    }
}
