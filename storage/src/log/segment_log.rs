//! The log on a disk: a handle over [`Shared`] that owns the two threads, or none.
//!
//! The writer's thread writes and confirms; the sweeper's thread removes files and makes room for
//! the next one, so that neither delays a sync. In manual mode the owner runs the steps itself,
//! which is how a simulation and the crash tests drive it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::open::{Opened, open_log};
use super::shared::{Drive, Shared, Work};
use super::state::State;
use super::writer::Writer;
use super::{
    Bounds, Done, GroupId, LogEngine, LogError, LogIndex, LogOptions, LogStats, Operation,
    RecoveryReport, Rejected, StateSlot,
};
use crate::env::{Env, EnvError};

/// The log of a node in a directory of its own.
#[derive(Debug)]
pub struct SegmentLog {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl SegmentLog {
    /// Opens or creates the log and starts its threads. The directory must be the log's alone;
    /// keeping other processes out is the caller's affair ([`Env::lock`]).
    pub fn open(
        env: Arc<dyn Env>,
        directory: &Path,
        options: &LogOptions,
    ) -> Result<(Self, RecoveryReport), LogError> {
        let (mut log, report) = Self::open_with(env, directory, options, Drive::Thread)?;
        log.start("skua-log", |shared| {
            loop {
                match shared.wait_for_work() {
                    Work::Write => {
                        shared.write_batch();
                    }
                    Work::Confirm => {
                        shared.confirm();
                    }
                    Work::Finish => return shared.finish(),
                    Work::Stop => return,
                }
            }
        })?;
        log.start("skua-log-sweep", |shared| {
            while shared.wait_for_chores() {
                shared.sweep();
            }
        })?;
        Ok((log, report))
    }

    /// As [`Self::open`], but without threads: nothing is written until [`Self::pump`] is called,
    /// or until a submission must wait for room.
    pub fn open_manual(
        env: Arc<dyn Env>,
        directory: &Path,
        options: &LogOptions,
    ) -> Result<(Self, RecoveryReport), LogError> {
        Self::open_with(env, directory, options, Drive::Manual)
    }

    /// Writes one batch of what is queued and tells its waiters. False if nothing was queued. For
    /// logs opened without threads.
    pub fn pump(&self) -> bool {
        self.shared.write_batch()
    }

    /// What the writer's thread does after half a second without work: confirms the last frames,
    /// announces dead segments. False if there was nothing to do. For logs without threads.
    pub fn confirm(&self) -> bool {
        self.shared.confirm()
    }

    /// What the sweeper's thread does: removes the files of dead segments, and makes the file that
    /// the next one takes. For logs without threads.
    pub fn sweep(&self) {
        self.shared.sweep();
    }

    /// Writes all that is queued, confirms it and ends the threads. Later calls are refused.
    pub fn close(mut self) {
        self.shared.begin_close();
        if self.shared.drive == Drive::Manual {
            self.shared.finish();
        }
        self.join();
    }

    fn open_with(
        env: Arc<dyn Env>,
        directory: &Path,
        options: &LogOptions,
        drive: Drive,
    ) -> Result<(Self, RecoveryReport), LogError> {
        let Opened { index, files, active, report } = open_log(env.as_ref(), directory, options)?;
        let state = State::new(directory.to_path_buf(), index, files, active.number);
        let writer = Writer::new(Arc::clone(&env), directory, options.segment_bytes, active);
        let shared = Shared::new(env, directory.to_path_buf(), options, drive, writer, state);
        Ok((Self { shared: Arc::new(shared), threads: Vec::new() }, report))
    }

    fn start(&mut self, name: &str, body: fn(&Shared)) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let alarm = PanicAlarm(&shared);
                body(&shared);
                drop(alarm);
            })
            .map_err(|error| {
                EnvError::new("start the threads of", &self.shared.directory, error)
            })?;
        self.threads.push(thread);
        Ok(())
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a callback, on the writer's thread itself.
            if thread.thread().id() != thread::current().id() {
                // A panic in there was reported by its alarm.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        self.shared.begin_close();
        self.join();
    }
}

/// Reports a panic of the thread it lives on.
struct PanicAlarm<'a>(&'a Shared);

impl Drop for PanicAlarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail_on_panic();
        }
    }
}

impl LogEngine for SegmentLog {
    fn try_submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        self.shared.submit(operation, done, false)
    }

    fn try_enqueue(&self, operation: Operation) -> Result<(), Rejected> {
        self.shared.enqueue(operation)
    }

    fn submit(&self, operation: Operation, done: Done) -> Result<(), Rejected> {
        self.shared.submit(operation, done, true)
    }

    fn submit_and_wait(&self, operation: Operation) -> Result<(), LogError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let done = Box::new(move |result| {
            // If the receiver is gone, so is the one who asked.
            let _ = sender.try_send(result);
        });
        self.submit(operation, done).map_err(|rejected| rejected.error)?;
        if self.shared.drive == Drive::Manual {
            while self.shared.write_batch() {}
        }
        receiver.recv().unwrap_or(Err(LogError::Closed))
    }

    fn read(
        &self,
        group: GroupId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<(LogIndex, Bytes)>, LogError> {
        self.shared.read(group, range, bytes_max)
    }

    fn entry(&self, group: GroupId, index: LogIndex) -> Result<Option<Bytes>, LogError> {
        let found = self.shared.read(group, index..index.next(), usize::MAX)?;
        Ok(found.into_iter().next().map(|(_, bytes)| bytes))
    }

    fn bounds(&self, group: GroupId) -> Bounds {
        let state = self.shared.state();
        state.view(group).map(|view| view.extent.bounds()).unwrap_or_default()
    }

    fn groups(&self) -> Vec<GroupId> {
        self.shared.state().groups()
    }

    fn state(&self, group: GroupId, slot: StateSlot) -> Option<Bytes> {
        self.shared.state().view(group)?.slots.get(&slot).cloned()
    }

    fn stats(&self) -> LogStats {
        self.shared.state().stats()
    }
}

#[cfg(test)]
mod tests {
    use super::super::SegmentNumber;
    use super::super::frame::{Decoded, FrameKind, Place, decode};
    use super::super::segment::segment_path;
    use super::*;
    use crate::env::FaultEnv;

    const GROUP: GroupId = GroupId(7);
    const SLOT: StateSlot = StateSlot(2);

    fn options() -> LogOptions {
        LogOptions::new(|| 0, |error| panic!("the log failed: {error}"))
    }

    fn entry(index: u64) -> Operation {
        Operation::Append { group: GROUP, entries: vec![(LogIndex(index), Bytes::new())] }
    }

    /// Kind of each frame, and up to where all was synced before it was written.
    fn frames(env: &FaultEnv, directory: &Path) -> Vec<(FrameKind, u64)> {
        let segment = SegmentNumber(1);
        let file = env.open(&segment_path(directory, segment)).unwrap();
        let mut bytes = vec![0; usize::try_from(file.size_bytes().unwrap()).unwrap()];
        assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
        let mut found = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let place = Place { segment, offset: (bytes.len() - rest.len()) as u64 };
            let Decoded::Frame(frame) = decode(rest, place) else { panic!("a frame at {place:?}") };
            found.push((frame.kind, frame.confirmed));
            rest = &rest[usize::try_from(frame.size_bytes()).unwrap()..];
        }
        found
    }

    #[test]
    fn what_nobody_waits_for_is_written_with_what_somebody_does() {
        let directory = Path::new("/log");
        let env = FaultEnv::new(1);
        let open_env: Arc<dyn Env> = Arc::new(env.clone());
        let (log, _) = SegmentLog::open(open_env, directory, &options()).unwrap();
        for index in 0..50 {
            let value = Bytes::from(vec![index; 9]);
            let state = Operation::PutState { group: GROUP, slot: SLOT, value: value.clone() };
            log.try_enqueue(state).unwrap();
            assert_eq!(log.state(GROUP, SLOT), Some(value));
            log.submit_and_wait(entry(u64::from(index))).unwrap();
        }
        log.try_enqueue(Operation::RemoveGroup { group: GROUP }).unwrap();
        log.close();
        let frames = frames(&env, directory);
        let states = frames.windows(2).filter(|pair| pair[0].0 == FrameKind::State);
        assert_eq!(states.clone().count(), 50);
        for pair in states {
            assert_eq!(pair[1], (FrameKind::Entry, pair[0].1), "one write");
        }
        let ends = |(kind, _): &&(FrameKind, u64)| *kind == FrameKind::RemoveGroup;
        assert_eq!(frames.iter().filter(ends).count(), 1, "the last of them is not lost");
    }
}
