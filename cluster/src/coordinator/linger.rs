//! When to close an open batch. Pure: the clock and the load are arguments.
//!
//! Small batches are ruinous (twice the bytes, twice the processor time), waiting costs latency.
//! So a batch closes when it is large enough, and otherwise when the shard has nothing on its way
//! to the disk and a bound has passed since the last close: at once on an idle node, after
//! [`LINGER_CALM`] on one that is busy writing, after [`LINGER_BUSY`] on one that is short of
//! processor time, after [`LINGER_FULL`] on one that has none left. Behind a batch that is on its
//! way it waits until that lands, but no longer than [`LINGER_BEHIND`] where there is processor
//! time to spare. A tenant that has nothing on its way waits for nobody longer than these,
//! however much others send.

use model::Duration;
use model::time::Monotonic;

use crate::limits::{
    BATCH_PAYLOAD_BYTES_CLOSE, BATCH_SPANS_CLOSE, BATCHES_IN_FLIGHT_MAX, BUSY_SHARE, FULL_SHARE,
    LINGER_BEHIND, LINGER_BUSY, LINGER_CALM, LINGER_FULL,
};

/// What there is to decide about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// When the open batch got its first span.
    pub(crate) opened: Monotonic,
    /// When this shard's last batch was closed.
    pub(crate) last_closed: Monotonic,
    /// Spans in the open batch.
    pub(crate) spans: usize,
    /// Their payload.
    pub(crate) payload_bytes: usize,
    /// Batches of this shard that are closed and not yet acknowledged.
    pub(crate) in_flight: usize,
    /// Those of them that are of this batch's tenant.
    pub(crate) own_in_flight: usize,
    /// How much processor time the machine has to spare.
    pub(crate) load: Load,
}

/// How much processor time a machine has to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Enough.
    Calm,
    /// Little.
    Busy,
    /// None.
    Full,
}

impl Load {
    /// The load where this share of the processors is used.
    pub(crate) fn of(share: f32) -> Self {
        match share {
            share if share > FULL_SHARE => Self::Full,
            share if share > BUSY_SHARE => Self::Busy,
            _ => Self::Calm,
        }
    }

    /// How long a batch stays open after the last one was closed.
    fn linger(self) -> Duration {
        match self {
            Self::Calm => LINGER_CALM,
            Self::Busy => LINGER_BUSY,
            Self::Full => LINGER_FULL,
        }
    }
}

/// What to do with an open batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Close it now.
    Close,
    /// Look again then, or when a batch in flight lands.
    WaitUntil(Monotonic),
}

/// Whether a batch is so large that waiting gains nothing.
pub(crate) fn is_full(spans: usize, payload_bytes: usize) -> bool {
    spans >= BATCH_SPANS_CLOSE || payload_bytes >= BATCH_PAYLOAD_BYTES_CLOSE
}

/// Decides about an open batch.
pub(crate) fn decide(now: Monotonic, situation: &Situation) -> Decision {
    let bound = situation.load.linger();
    let due = situation.last_closed.plus(bound);
    // With something in flight company is likely; but nobody waits longer than this.
    let longest = bound.max(LINGER_BUSY);
    let latest = situation.opened.plus(longest);
    if situation.in_flight >= BATCHES_IN_FLIGHT_MAX {
        let is_waiting = situation.own_in_flight == 0;
        return match (is_waiting, now >= latest) {
            (true, true) => Decision::Close,
            (true, false) => Decision::WaitUntil(latest),
            (false, _) => Decision::WaitUntil(now.plus(longest)),
        };
    }
    let due = if situation.in_flight == 0 {
        due.min(latest)
    } else if situation.load != Load::Calm {
        latest
    } else {
        situation.last_closed.plus(LINGER_BEHIND).max(situation.opened).min(latest)
    };
    if now >= due || is_full(situation.spans, situation.payload_bytes) {
        Decision::Close
    } else {
        Decision::WaitUntil(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Monotonic = Monotonic(1_000_000_000);

    fn situation() -> Situation {
        Situation {
            opened: NOW,
            last_closed: Monotonic(0),
            spans: 1,
            payload_bytes: 100,
            in_flight: 0,
            own_in_flight: 0,
            load: Load::Calm,
        }
    }

    fn millis_ago(millis: u64) -> Monotonic {
        Monotonic(NOW.0 - Duration::from_millis(millis).0)
    }

    #[test]
    fn an_idle_node_closes_at_once() {
        assert_eq!(decide(NOW, &situation()), Decision::Close);
        assert_eq!(decide(NOW, &Situation { load: Load::Full, ..situation() }), Decision::Close);
    }

    #[test]
    fn a_writing_node_waits_for_company_but_not_long() {
        let writing = Situation { last_closed: millis_ago(1), ..situation() };
        assert_eq!(decide(NOW, &writing), Decision::WaitUntil(Monotonic(NOW.0 + 1_000_000)));
        let later = Situation { last_closed: millis_ago(2), ..situation() };
        assert_eq!(decide(NOW, &later), Decision::Close);
        let busy = Situation { load: Load::Busy, ..later };
        assert_eq!(decide(NOW, &busy), Decision::WaitUntil(Monotonic(NOW.0 + 2_000_000)));
        let full = Situation { load: Load::Full, ..later };
        assert_eq!(decide(NOW, &full), Decision::WaitUntil(Monotonic(NOW.0 + 6_000_000)));
        let waited = Situation { opened: millis_ago(20), ..busy };
        assert_eq!(decide(NOW, &waited), Decision::Close);
    }

    #[test]
    fn a_batch_in_flight_holds_the_next_one_back_unless_it_is_full() {
        let behind = Situation { in_flight: 1, last_closed: NOW, load: Load::Busy, ..situation() };
        assert_eq!(decide(NOW, &behind), Decision::WaitUntil(NOW.plus(LINGER_BUSY)));
        assert_eq!(decide(NOW, &Situation { spans: 2_000, ..behind }), Decision::Close);
        assert_eq!(decide(NOW, &Situation { opened: millis_ago(20), ..behind }), Decision::Close);
        let full = Situation { load: Load::Full, ..behind };
        assert_eq!(decide(NOW, &full), Decision::WaitUntil(NOW.plus(LINGER_FULL)));
        let calm = Situation { load: Load::Calm, ..behind };
        assert_eq!(decide(NOW, &calm), Decision::WaitUntil(NOW.plus(LINGER_BEHIND)));
        assert_eq!(decide(NOW, &Situation { last_closed: millis_ago(4), ..calm }), Decision::Close);
    }

    #[test]
    fn a_crowd_waits_but_for_tenants_that_have_nothing_on_their_way() {
        let crowd = Situation { in_flight: BATCHES_IN_FLIGHT_MAX, ..situation() };
        let flood = Situation { own_in_flight: 3, spans: 9_000, opened: millis_ago(90), ..crowd };
        assert!(matches!(decide(NOW, &flood), Decision::WaitUntil(_)));
        assert_eq!(decide(NOW, &crowd), Decision::WaitUntil(NOW.plus(LINGER_BUSY)));
        assert_eq!(decide(NOW, &Situation { opened: millis_ago(20), ..crowd }), Decision::Close);
    }

    #[test]
    fn the_load_follows_the_share_of_the_processors() {
        use Load::{Busy, Calm, Full};
        let loads = [0.0, 0.7, 0.71, 0.9, 0.91, 1.0].map(Load::of);
        assert_eq!(loads, [Calm, Calm, Busy, Busy, Full, Full]);
    }
}
