//! When entries are applied that nobody waits for.
//!
//! A leader applies before it answers. Its followers hear that entries are committed with the next
//! ones, while the writers of these wait, and every node follows where others lead: to apply at
//! once would take processors from whoever is waited for. So a replica puts it off by a little,
//! until the next writers have their answers. Not if somebody reads, and not if it applies one
//! entry after another anyway: then there is no better moment, and it must not fall behind.

use std::time::Duration as StdDuration;

use tokio::time::Instant;

use super::limits;
use super::vouch::Noted;

const PUT_OFF_BY: StdDuration = StdDuration::from_nanos(limits::APPLY_PUT_OFF_BY.0);

/// Knows when a replica applied last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    applied_at: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { applied_at: tokio::time::Instant::now() }
    }

    /// Returns when entries are to be applied that nobody waits for.
    pub(crate) async fn moment(&self, noted: &Noted) {
        if self.applied_at.elapsed() < PUT_OFF_BY {
            return;
        }
        let mut readers = noted.readers();
        tokio::select! {
            biased;
            () = readers.come() => {}
            () = tokio::time::sleep(PUT_OFF_BY) => {}
        }
    }

    /// Call it when entries were applied.
    pub(crate) fn applied(&mut self) {
        self.applied_at = tokio::time::Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waits(pace: Pace, noted: &Noted) -> StdDuration {
        let begun = tokio::time::Instant::now();
        pace.moment(noted).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_alone_is_put_off_and_what_follows_is_not() {
        let (noted, mut pace) = (Noted::default(), Pace::new());
        assert_eq!(waits(pace, &noted).await, StdDuration::ZERO, "a start goes on at once");
        tokio::time::sleep(PUT_OFF_BY).await;
        assert_eq!(waits(pace, &noted).await, PUT_OFF_BY);
        pace.applied();
        assert_eq!(waits(pace, &noted).await, StdDuration::ZERO, "it must not fall behind");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_put_off_for_readers() {
        let (noted, pace) = (Noted::default(), Pace::new());
        tokio::time::sleep(PUT_OFF_BY).await;
        let comes = async {
            tokio::time::sleep(PUT_OFF_BY / 2).await;
            noted.reader();
        };
        let (waited, ()) = tokio::join!(waits(pace, &noted), comes);
        assert_eq!(waited, PUT_OFF_BY / 2, "until one comes");
        assert_eq!(waits(pace, &noted).await, StdDuration::ZERO, "the next may come soon");
    }
}
