//! What is said at most once in a while, however often there is a reason: a warning that anyone
//! outside can cause must not fill the log.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Sleep;

/// Says when something may be said again, and how often it was not said meanwhile.
#[derive(Debug)]
pub(crate) struct Seldom {
    interval: Duration,
    /// What is left of the pause after it was said last, and how often it was not said since. Held
    /// for a few instructions.
    said: Mutex<(Option<Pin<Box<Sleep>>>, u64)>,
}

impl Seldom {
    /// At most once in every `interval`.
    pub(crate) fn every(interval: Duration) -> Self {
        Self { interval, said: Mutex::default() }
    }

    /// Whether it may be said now; then how often it was not said since the last time.
    pub(crate) fn is_due(&self) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (pause, unsaid) = &mut *said;
        if pause.as_mut().is_some_and(|pause| pause.now_or_never().is_none()) {
            *unsaid += 1;
            return None;
        }
        *pause = Some(Box::pin(tokio::time::sleep(self.interval)));
        Some(std::mem::take(unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_in_a_while() {
        let seldom = Seldom::every(Duration::from_secs(10));
        assert_eq!(seldom.is_due(), Some(0));
        assert_eq!((seldom.is_due(), seldom.is_due()), (None, None));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(seldom.is_due(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(seldom.is_due(), Some(3));
        assert_eq!(seldom.is_due(), None);
    }
}
