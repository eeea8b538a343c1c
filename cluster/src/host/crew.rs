//! Work that nobody waits for in place: batches and calls on their way, all driven by one task.
//!
//! Whoever hands something over may be on a thread without a runtime. What does not fit is dropped,
//! and whoever waits for it learns that.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use super::limits::WRITES_MAX;

/// Takes work.
#[derive(Debug, Clone)]
pub(crate) struct Crew {
    jobs: mpsc::Sender<BoxFuture<'static, ()>>,
}

impl Crew {
    /// A crew, and what has to run for it to work.
    pub(crate) fn new() -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (jobs, inbox) = mpsc::channel(WRITES_MAX);
        (Self { jobs }, run(inbox))
    }

    /// Hands work over. False if there is too much already, or the crew has ended.
    pub(crate) fn take(&self, job: impl Future<Output = ()> + Send + 'static) -> bool {
        self.jobs.try_send(job.boxed()).is_ok()
    }
}

async fn run(mut inbox: mpsc::Receiver<BoxFuture<'static, ()>>) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            job = inbox.recv(), if running.len() < WRITES_MAX => match job {
                Some(job) => running.push(AssertUnwindSafe(job).catch_unwind()),
                None => return,
            },
            Some(ended) = running.next(), if !running.is_empty() => if ended.is_err() {
                // Our bug, reported by the hook; the others go on.
                let task = "cluster writes";
                metrics::counter!("skua_task_panics_total", "task" => task).increment(1);
            },
        }
    }
}
