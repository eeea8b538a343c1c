//! Threads for the work on large requests: as many as there are processors, and always the same.
//!
//! The blocking pool of the runtime gives each request to the thread that has rested longest, some
//! ten in turn. What their allocations leave behind stays with each of them until its next turn.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::task::{Panicked, report_panic};

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that have been handed over and not begun: whoever comes behind waits with its request.
const JOBS_WAITING_MAX: usize = 1;

/// The threads. They start with the first job, and end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Walkers {
    jobs: OnceLock<mpsc::Sender<Job>>,
}

impl Walkers {
    /// Runs work when its turn has come. It goes on if the waiting ends early, so it has to be
    /// bounded by itself.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may have left.
            let _ = done.send(work());
        });
        self.jobs.get_or_init(start).send(job).await.map_err(|_| Panicked)?;
        result.await.map_err(|_| Panicked)
    }
}

fn start() -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel(JOBS_WAITING_MAX);
    let jobs = Arc::new(Mutex::new(jobs));
    for number in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
        let jobs = Arc::clone(&jobs);
        let started =
            std::thread::Builder::new().name(format!("walk-{number}")).spawn(move || walk(&jobs));
        if let Err(error) = started {
            tracing::error!(%error, "a thread for requests cannot be started");
        }
    }
    sender
}

fn walk(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
            report_panic("walk");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_ends_nothing_else() {
        let walkers = Walkers::default();
        for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
            assert_eq!(walkers.run(|| panic!("on purpose")).await, Err::<(), _>(Panicked));
        }
        let name = walkers.run(|| std::thread::current().name().map(str::to_owned)).await;
        assert!(name.unwrap().unwrap().starts_with("walk-"));
    }
}
