//! Watch channels that wake in the order of asking, with the calls of tokio's.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, Waker};

/// A channel with an initial value.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// There is no sender any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// There is no receiver; the value comes back.
#[derive(Debug)]
pub struct NoReceiver<T>(pub T);

/// A value that is watched, and those who wait for it.
#[derive(Debug)]
struct Shared<T> {
    value: RwLock<T>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    version: u64,
    senders: usize,
    receivers: usize,
    next: u64,
    wakers: VecDeque<(u64, Waker)>,
}

impl<T> Shared<T> {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Ref<'_, T> {
        Ref(self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn wake(&self, has_changed: bool) {
        let mut waiting = self.waiting();
        waiting.version += u64::from(has_changed);
        let wakers = std::mem::take(&mut waiting.wakers);
        drop(waiting);
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Changes the value.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sender")
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.waiting().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting();
        waiting.senders -= 1;
        let is_last = waiting.senders == 0;
        drop(waiting);
        if is_last {
            self.shared.wake(false);
        }
    }
}

impl<T> Sender<T> {
    /// A value that nobody watches yet.
    pub fn new(value: T) -> Self {
        let waiting = Waiting { senders: 1, ..Waiting::default() };
        let shared = Shared { value: RwLock::new(value), waiting: Mutex::new(waiting) };
        Self { shared: Arc::new(shared) }
    }

    /// Somebody who has seen the value as it is.
    pub fn subscribe(&self) -> Receiver<T> {
        let mut waiting = self.shared.waiting();
        waiting.receivers += 1;
        Receiver { shared: Arc::clone(&self.shared), seen: waiting.version }
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// Puts a value, if anybody can see it.
    pub fn send(&self, value: T) -> Result<(), NoReceiver<T>> {
        if self.shared.waiting().receivers == 0 {
            return Err(NoReceiver(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Puts a value, and returns the last one.
    pub fn send_replace(&self, value: T) -> T {
        let mut value = value;
        self.send_modify(|known| std::mem::swap(known, &mut value));
        value
    }

    /// Changes the value.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Changes the value; says so to others only if `change` says that it did.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let has_changed =
            change(&mut self.shared.value.write().unwrap_or_else(PoisonError::into_inner));
        if has_changed {
            self.shared.wake(true);
        }
        has_changed
    }
}

/// Watches the value.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Receiver")
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.waiting().receivers += 1;
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.waiting().receivers -= 1;
    }
}

impl<T> Receiver<T> {
    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// The value, which counts as seen from now on.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.seen = self.shared.waiting().version;
        self.shared.read()
    }

    /// Whether the value is another than the one last seen.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        let waiting = self.shared.waiting();
        if waiting.senders == 0 { Err(Closed) } else { Ok(waiting.version != self.seen) }
    }

    /// Waits for a value that was not seen.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let shared = Arc::clone(&self.shared);
        let mut place = Place { shared: &shared, number: None };
        let seen = &mut self.seen;
        poll_fn(|context| place.poll(seen, context)).await
    }

    /// Waits until the value is as wanted.
    pub async fn wait_for(
        &mut self,
        mut is_wanted: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, Closed> {
        loop {
            let version = self.shared.waiting().version;
            let is_there = is_wanted(&self.shared.read());
            self.seen = version;
            if is_there {
                return Ok(self.shared.read());
            }
            self.changed().await?;
        }
    }
}

/// A place among those who wait, given up when dropped.
struct Place<'a, T> {
    shared: &'a Shared<T>,
    number: Option<u64>,
}

impl<T> Place<'_, T> {
    fn poll(&mut self, seen: &mut u64, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut waiting = self.shared.waiting();
        if waiting.version != *seen {
            *seen = waiting.version;
            return Poll::Ready(Ok(()));
        }
        if waiting.senders == 0 {
            return Poll::Ready(Err(Closed));
        }
        let held = self.number;
        let known = waiting.wakers.iter_mut().find(|(number, _)| Some(*number) == held);
        if let Some((_, waker)) = known {
            waker.clone_from(context.waker());
            return Poll::Pending;
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.wakers.push_back((number, context.waker().clone()));
        self.number = Some(number);
        Poll::Pending
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(held) = self.number {
            self.shared.waiting().wakers.retain(|(number, _)| *number != held);
        }
    }
}

/// The value, while it cannot change.
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_of_asking() {
        let (sender, receiver) = channel(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..20)
            .map(|number| {
                let (mut receiver, order) = (receiver.clone(), Arc::clone(&order));
                crate::task::Task::spawn("test", async move {
                    receiver.changed().await.unwrap();
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send_replace(1);
        for task in waiting {
            task.join().await;
        }
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_change_is_seen_once_and_the_end_is_told() {
        let (sender, mut receiver) = channel(0);
        assert!(receiver.changed().now_or_never().is_none());
        sender.send(1).unwrap();
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
        assert!(receiver.changed().now_or_never().is_none());
        sender.send_if_modified(|_| false);
        assert_eq!(receiver.has_changed(), Ok(false));
        assert_eq!(receiver.wait_for(|value| *value == 1).await.map(|value| *value), Ok(1));
        sender.send_modify(|value| *value += 1);
        drop(sender);
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())), "the last value is seen");
        assert_eq!(receiver.changed().now_or_never(), Some(Err(Closed)));
        assert_eq!(*receiver.borrow(), 2);
    }
}
