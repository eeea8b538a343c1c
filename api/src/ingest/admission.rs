//! How many write requests may be under way, and how many bytes they may hold together.
//!
//! Invariant: every byte of a request that is kept in memory was charged first. A request that
//! finds no room is refused at once, with a hint; queueing it would only hide the overload from
//! the client that could slow down.

use std::sync::Arc;

use model::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// What is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overload {
    /// Too many requests are under way.
    #[error("overloaded: too many requests are under way")]
    Requests,
    /// Their bodies hold too much memory.
    #[error("overloaded: the requests under way hold too many bytes")]
    Bytes,
}

impl Overload {
    /// When to try again.
    pub fn retry_after(self) -> Duration {
        overload_retry()
    }
}

/// [`limits::OVERLOAD_RETRY`] as a length of time of the model.
pub fn overload_retry() -> Duration {
    Duration(u64::try_from(limits::OVERLOAD_RETRY.as_nanos()).unwrap_or(u64::MAX))
}

/// Lets write requests in. Cloning shares.
#[derive(Debug, Clone)]
pub struct Admission {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(limits::CONCURRENT_WRITES_MAX, limits::IN_FLIGHT_BYTES_MAX)
    }
}

impl Admission {
    /// Room for this many requests and bytes.
    pub fn new(requests_max: usize, bytes_max: usize) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(requests_max)),
            bytes: Arc::new(Semaphore::new(bytes_max)),
        }
    }

    /// Lets a request in, if there is room for one more.
    pub fn enter(&self) -> Result<Admitted, Overload> {
        let permit = Arc::clone(&self.requests).try_acquire_owned();
        let request = permit.map_err(|_| Overload::Requests)?;
        Ok(Admitted { _request: request, all_bytes: Arc::clone(&self.bytes), bytes: None })
    }
}

/// A request that was let in, and the bytes it was charged. Dropping it gives both back.
#[derive(Debug)]
pub struct Admitted {
    _request: OwnedSemaphorePermit,
    all_bytes: Arc<Semaphore>,
    bytes: Option<OwnedSemaphorePermit>,
}

impl Admitted {
    /// Charges bytes that are about to be kept in memory.
    pub fn charge(&mut self, bytes: usize) -> Result<(), Overload> {
        let count = u32::try_from(bytes).map_err(|_| Overload::Bytes)?;
        let permit = Arc::clone(&self.all_bytes).try_acquire_many_owned(count);
        let permit = permit.map_err(|_| Overload::Bytes)?;
        match &mut self.bytes {
            Some(charged) => charged.merge(permit),
            None => self.bytes = Some(permit),
        }
        Ok(())
    }

    /// Gives back the bytes: the request's body is no longer needed.
    pub fn release_bytes(&mut self) {
        self.bytes = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_comes_back() {
        let admission = Admission::new(1, 100);
        let mut first = admission.enter().unwrap();
        assert_eq!(admission.enter().map(drop), Err(Overload::Requests));
        first.charge(60).unwrap();
        first.charge(40).unwrap();
        assert_eq!(first.charge(1), Err(Overload::Bytes));
        first.release_bytes();
        first.charge(100).unwrap();
        drop(first);
        admission.enter().unwrap().charge(100).unwrap();
    }
}
