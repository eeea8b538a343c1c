//! One group's part of the node's log, and how operations get into it.
//!
//! Submitting takes microseconds as long as the log has room. When it has none, the waiting is done
//! on a thread that may block, and in the order of the calls: each group has one caller that waits
//! for its own call to return.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use storage::log::{Done, GroupId, LogEngine, LogError, LogIndex, Operation};
use tokio::sync::oneshot;

use super::blocking::Blocking;
use super::codec::DecodeError;
use super::fence::Pass;
use super::ledger::Ledger;
use super::vouch::Noted;

/// A group's part of the node's log.
#[derive(Clone, Debug)]
pub(crate) struct LogHandle {
    pub(crate) group: GroupId,
    pub(crate) log: Arc<dyn LogEngine>,
    pub(crate) blocking: Blocking,
    /// Told of every append.
    pub(crate) ledger: Arc<Ledger>,
    /// Told of votes and memberships, before anybody else is.
    pub(crate) noted: Arc<Noted>,
}

impl LogHandle {
    pub(crate) fn new(group: GroupId, log: Arc<dyn LogEngine>, blocking: Blocking) -> Self {
        Self { group, log, blocking, ledger: Arc::default(), noted: Arc::default() }
    }

    /// The record at an index, if the log holds it.
    pub(crate) fn record(&self, index: LogIndex) -> io::Result<Option<Bytes>> {
        self.log.entry(self.group, index).map_err(failed)
    }

    /// Hands an operation to the log; waits, where that harms nobody, if there is no room.
    pub(crate) async fn submit(
        &self,
        pass: &Pass,
        operation: Operation,
        done: Done,
    ) -> io::Result<()> {
        let rejected = match pass.enter(|| self.log.try_submit(operation, done))? {
            Ok(()) => return Ok(()),
            Err(rejected) if rejected.error.is_retryable() => rejected,
            Err(rejected) => return Err(failed(rejected.error)),
        };
        let (log, pass) = (Arc::clone(&self.log), pass.clone());
        let submitted = self.blocking.run(move || {
            let result = log.submit(rejected.operation, rejected.done);
            // Held until here: a successor waits for what is still on its way into the log.
            drop(pass);
            result
        });
        submitted.await?.map_err(|rejected| failed(rejected.error))
    }

    /// As [`Self::submit`] where nobody waits for the end: a log that fails then fails all that
    /// comes after, which is how it is noticed.
    pub(crate) async fn submit_unwatched(
        &self,
        pass: &Pass,
        operation: Operation,
    ) -> io::Result<()> {
        self.submit(pass, operation, Box::new(drop)).await
    }

    /// As [`Self::submit`], and waits until it is durable.
    pub(crate) async fn submit_durably(&self, pass: &Pass, operation: Operation) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |result| {
            // Whoever asked may have left.
            let _ = sender.send(result);
        });
        self.submit(pass, operation, done).await?;
        receiver.await.map_err(|_| failed(LogError::Closed))?.map_err(failed)
    }
}

/// The log refused or failed; openraft takes it for the end of this replica's storage.
pub(crate) fn failed(error: LogError) -> io::Error {
    io::Error::other(error)
}

/// Bytes of the log, sound by their checksums, are not what we write.
pub(crate) fn damaged(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// An entry that must be there is not.
pub(crate) fn missing(group: GroupId, index: u64) -> io::Error {
    let what = format!("entry {index} of group {group} is not there");
    io::Error::new(io::ErrorKind::InvalidData, what)
}
