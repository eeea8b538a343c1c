//! Where work runs that may block: disks and state machines are synchronous, consensus is not.

use std::io;
use std::sync::LazyLock;

use crate::pool::Pool;

/// The thread of [`Blocking::run_alone`]. Should there be none, threads of the runtime do.
static ALONE: LazyLock<Option<Pool>> = LazyLock::new(|| Pool::new("receive", 1).ok());

/// Where work that may block is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// On threads of the runtime that are there for it. Production.
    Threads,
    /// At once, on the task that asks. For simulations and tests, where nothing blocks and no
    /// thread may come in between.
    Inline,
}

impl Blocking {
    /// Runs `work` and waits for it. It runs to its end even if nobody waits any more. A panic in
    /// it comes back as an error.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let panicked = || io::Error::other("work that may block panicked");
        match self {
            Self::Threads => tokio::task::spawn_blocking(work).await.map_err(|_| panicked()),
            Self::Inline => {
                let work = std::panic::AssertUnwindSafe(work);
                std::panic::catch_unwind(work).map_err(|_| panicked())
            }
        }
    }

    /// The same, one after another on a thread of its own. Every thread that was ever busy keeps
    /// some of the memory that its work took: a node that lost its disk receives all of its shards
    /// at once, and on the runtime's threads would keep that of each.
    pub(crate) async fn run_alone<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match (self, ALONE.as_ref()) {
            (Self::Threads, Some(thread)) => thread.run(work).await.map_err(io::Error::other),
            _ => self.run(work).await,
        }
    }
}
