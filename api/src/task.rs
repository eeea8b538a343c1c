//! The one place in this crate where tasks begin: each has a name and an owner, and a panic in
//! one is logged, counted and ends nothing else.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::JoinSet;

/// Tasks that end with their owner: dropping this aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<()>,
}

impl Tasks {
    /// Begins a task, and forgets those that ended.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        while self.running.try_join_next().is_some() {}
        self.running.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                report_panic(name);
            }
        });
    }

    /// How many run, or ended and were not noticed yet.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits until all have ended.
    pub async fn join(&mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

/// The work panicked; the panic was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work panicked")]
pub struct Panicked;

/// Runs work that takes long on the blocking pool and waits for it. The work goes on if the
/// waiting ends early, so it has to be bounded by itself.
pub async fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        report_panic(name);
        Panicked
    })
}

/// Says and counts that a panic ended a piece of work.
pub(crate) fn report_panic(task: &'static str) {
    metrics::counter!("skua_task_panics_total", "task" => task).increment(1);
    tracing::error!(task, "a task panicked");
}
