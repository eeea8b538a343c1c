//! Keeps what is left of a dead core from touching what its successor uses.
//!
//! A core that panicked leaves tasks behind: its state machine's worker still has entries to
//! apply, a replication task still reads. The successor must neither race with them nor trust that
//! they are gone. So everything that touches a replica's state carries a [`Pass`] of its
//! generation: once a generation has ended its passes are refused, and [`Generation::ended`] tells
//! when the last of them, running work included, is gone.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::mutant::{self, Mutant};
use tokio::sync::mpsc;

/// Which generation of a replica's parts is in force.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    current: Mutex<u64>,
}

/// Leave to touch the replica's state, as long as the generation lasts.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    fence: Arc<Fence>,
    generation: u64,
    _held: mpsc::Sender<()>,
}

/// One generation, as its owner sees it.
#[derive(Debug)]
pub(crate) struct Generation {
    held: mpsc::Receiver<()>,
}

impl Fence {
    /// Ends the generation in force and begins the next.
    pub(crate) fn advance(self: &Arc<Self>) -> (Pass, Generation) {
        let (sender, held) = mpsc::channel(1);
        let mut current = self.lock();
        *current += 1;
        let pass = Pass { fence: Arc::clone(self), generation: *current, _held: sender };
        (pass, Generation { held })
    }

    /// Ends the generation in force; none follows until [`Self::advance`].
    pub(crate) fn close(&self) {
        *self.lock() += 1;
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        // A panic under the lock left the number as it was.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Does `work` unless the generation has ended. It cannot end while `work` runs, so `work`
    /// must be short.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let current = self.fence.lock();
        if *current != self.generation && !mutant::is(Mutant::FenceSkipped) {
            return Err(stale());
        }
        let result = work();
        drop(current);
        Ok(result)
    }

    /// Refuses if the generation has ended. For work that is long: the successor waits for it.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.enter(|| ())
    }
}

impl Generation {
    /// Waits until no pass of the generation is left.
    pub(crate) async fn ended(&mut self) {
        // Nothing is ever sent.
        while self.held.recv().await.is_some() {}
    }
}

fn stale() -> io::Error {
    io::Error::other("these parts of the replica have been replaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_generation_ends_when_its_passes_are_gone_and_refuses_before() {
        let fence = Arc::new(Fence::default());
        let (old, mut generation) = fence.advance();
        let copy = old.clone();
        old.check().unwrap();
        let (new, _successor) = fence.advance();
        copy.check().unwrap_err();
        new.check().unwrap();
        drop(old);
        let mut ended = std::pin::pin!(generation.ended());
        assert!(futures_util::poll!(ended.as_mut()).is_pending());
        drop(copy);
        ended.await;
        fence.close();
        new.check().unwrap_err();
    }
}
