//! Tasks that come and go, in a bounded number, and end with their owner.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::task::Task;

/// Owns the tasks that were started through it. Dropping the last clone does not end them; only
/// [`TaskSet::close`] and dropping the [`TaskOwner`] do.
#[derive(Debug, Clone)]
pub(crate) struct TaskSet {
    tasks: Arc<Mutex<Tasks>>,
    runtime: Option<Handle>,
}

#[derive(Debug)]
struct Tasks {
    running: BTreeMap<u64, Task>,
    next: u64,
    max: usize,
    is_closed: bool,
}

impl TaskSet {
    /// An empty set of at most `max` tasks at a time, each on the runtime that starts it.
    pub(crate) fn new(max: usize) -> Self {
        let tasks = Tasks { running: BTreeMap::new(), next: 0, max, is_closed: false };
        Self { tasks: Arc::new(Mutex::new(tasks)), runtime: None }
    }

    /// The same with all tasks on one runtime, whoever starts them.
    pub(crate) fn on(runtime: Handle, max: usize) -> Self {
        Self { runtime: Some(runtime), ..Self::new(max) }
    }

    /// Starts a task. False if there are too many already or the set was closed; `work` is dropped.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.is_closed || tasks.running.len() >= tasks.max {
            return false;
        }
        let _entered = self.runtime.as_ref().map(Handle::enter);
        let number = tasks.next;
        tasks.next += 1;
        let seat = Seat { set: self.clone(), number };
        // The lock is held: the task cannot give up its seat before it has one.
        let task = Task::spawn(name, async move {
            let seat = seat;
            work.await;
            drop(seat);
        });
        tasks.running.insert(number, task);
        true
    }

    /// Ends every task and takes no more.
    pub(crate) fn close(&self) {
        let running = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.is_closed = true;
            std::mem::take(&mut tasks.running)
        };
        // Outside the lock: what a task held is dropped with it and may want the lock itself.
        drop(running);
    }

    /// How many tasks run.
    pub(crate) fn len(&self) -> usize {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).running.len()
    }
}

/// A task's place in the set, free again however the task ends.
struct Seat {
    set: TaskSet,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut tasks = self.set.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tasks.running.remove(&self.number);
        drop(tasks);
        drop(task);
    }
}

/// Closes a set when dropped.
#[derive(Debug)]
pub(crate) struct TaskOwner(pub(crate) TaskSet);

impl Drop for TaskOwner {
    fn drop(&mut self) {
        self.0.close();
    }
}
