//! The only place that spawns tasks: each has a name and an owner, and ends with it.
#![expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A task that is aborted when its owner drops this.
#[derive(Debug)]
pub struct Task {
    handle: JoinHandle<()>,
}

impl Task {
    /// Runs `work` until it ends or the task is dropped. A panic in it is logged and counted. Call
    /// it within a runtime.
    pub fn spawn(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::spawn_on(&Handle::current(), name, work)
    }

    /// The same on a runtime, from wherever it is called.
    pub fn spawn_on(
        runtime: &Handle,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let handle = runtime.spawn(async move {
            let guard = PanicGuard { name };
            work.await;
            std::mem::drop(guard);
        });
        Self { handle }
    }

    /// Waits for the end of the task.
    pub async fn join(mut self) {
        // A panic has been reported by the guard.
        let _ = (&mut self.handle).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Runs work within the task that asks for it; nothing if it panicked, which is logged and counted.
pub(crate) async fn caught<T>(name: &'static str, work: impl Future<Output = T>) -> Option<T> {
    let guarded = async move {
        let guard = PanicGuard { name };
        let done = work.await;
        std::mem::drop(guard);
        done
    };
    // What it may have left half done is the handler's own, which lives on after other errors too.
    AssertUnwindSafe(guarded).catch_unwind().await.ok()
}

struct PanicGuard {
    name: &'static str,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            metrics::counter!("skua_task_panics_total", "task" => self.name).increment(1);
            tracing::error!(task = self.name, "a task panicked");
        }
    }
}
