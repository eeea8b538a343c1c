//! Where work runs that may block: disks and state machines are synchronous, consensus is not.

use std::io;
use std::sync::LazyLock;

use super::limits::APPLY_THREADS_MAX;
use crate::limits::POOL_QUEUE_JOBS_MAX;
use crate::pool::Pool;
use crate::wire::limits::SHARDS_MAX;

/// The thread of [`Blocking::run_alone`]. Should there be none, threads of the runtime do.
static ALONE: LazyLock<Option<Pool>> = LazyLock::new(|| Pool::new("receive", 1).ok());

/// The threads of [`Blocking::run_brief`]. Should there be none, threads of the runtime do.
static BRIEF: LazyLock<Option<Pool>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Pool::new("apply", processors.min(APPLY_THREADS_MAX)).ok()
});

// A replica of each shard, and that of the meta group: at least one of them is not waiting.
const _: () = assert!(POOL_QUEUE_JOBS_MAX >= SHARDS_MAX);

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

    /// The same for work that takes moments and is asked for all the time: on a few threads that do
    /// nothing else. The runtime wakes a thread for each such call, and on a machine of few
    /// processors those who wait for an answer then wait for them. For one call of a replica at a
    /// time.
    pub(crate) async fn run_brief<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.run_on(BRIEF.as_ref(), work).await
    }

    /// The same, one after another on a thread of its own. Every thread that was ever busy keeps
    /// some of the memory that its work took: a node that lost its disk receives all of its shards
    /// at once, and on the runtime's threads would keep that of each.
    pub(crate) async fn run_alone<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.run_on(ALONE.as_ref(), work).await
    }

    async fn run_on<T: Send + 'static>(
        self,
        pool: Option<&Pool>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match (self, pool) {
            (Self::Threads, Some(pool)) => pool.run(work).await.map_err(io::Error::other),
            _ => self.run(work).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn brief_work_has_threads_of_its_own_and_outlives_a_panic() {
        let name = || std::thread::current().name().map(str::to_owned).unwrap_or_default();
        assert!(Blocking::Threads.run_brief(|| panic!("on purpose")).await.is_err());
        let ran_on = Blocking::Threads.run_brief(name).await.unwrap();
        assert!(ran_on.starts_with("apply-"), "{ran_on}");
        assert_eq!(Blocking::Inline.run_brief(name).await.unwrap(), name());
    }
}
