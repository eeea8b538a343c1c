//! Threads for work that takes processor time, so that none of it holds up the runtime's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::Error;
use crate::limits::POOL_QUEUE_JOBS_MAX;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a bounded queue of jobs before them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// Starts the threads. Without any, work is done where it is asked for: for simulations, in
    /// which no thread may come in between.
    pub(crate) fn new(name: &str, threads: usize) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { queue: Mutex::new(Queue::default()), arrived: Condvar::new() });
        let threads = (0..threads)
            .map(|number| {
                let shared = Arc::clone(&shared);
                let builder = std::thread::Builder::new().name(format!("{name}-{number}"));
                builder.spawn(move || work(&shared))
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self { shared, threads })
    }

    /// Whether work is done on the thread that asks for it.
    pub(crate) fn is_inline(&self) -> bool {
        self.threads.is_empty()
    }

    /// Queues a job, or refuses it if too many wait.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        if self.is_inline() {
            run_caught(Box::new(job));
            return Ok(());
        }
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.jobs.len() >= POOL_QUEUE_JOBS_MAX {
            return Err(Error::Busy { what: "the queue for processor time" });
        }
        queue.jobs.push_back(Box::new(job));
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// Runs `work` on the pool and waits for its result without holding a runtime thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.submit(move || {
            // Whoever asked may have left.
            let _ = sender.send(work());
        })?;
        receiver.await.map_err(|_| Error::Unknown { reason: "the work panicked".into() })
    }
}

fn work(shared: &Shared) {
    loop {
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let job = loop {
            if let Some(job) = queue.jobs.pop_front() {
                break job;
            }
            if queue.closed {
                return;
            }
            queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        drop(queue);
        run_caught(job);
    }
}

/// A panic is our bug and is reported by the hook; the thread goes on for the others.
fn run_caught(job: Job) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
        metrics::counter!("skua_task_panics_total", "task" => "pool").increment(1);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.arrived.notify_all();
        let own = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != own) {
            // A job's panic was caught; nothing else ends a thread early.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}
