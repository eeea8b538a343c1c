//! When to close an open batch. Pure: the clock and the load are arguments.
//!
//! Small batches are ruinous (twice the bytes, twice the processor time), waiting costs latency.
//! So a batch closes when it is large enough, and otherwise when the shard has nothing on its way
//! to the disk and a bound has passed since the last close: at once on an idle node, after
//! [`LINGER_CALM`] on one that is busy writing, after [`LINGER_BUSY`] on one that is short of
//! processor time. Behind a batch that is on its way it waits until that lands, but no longer than
//! [`LINGER_BEHIND`] where there is processor time to spare. A tenant that has nothing on its way
//! waits for nobody longer than [`LINGER_BUSY`], however much others send.

use model::Duration;
use model::time::Monotonic;

use crate::limits::{
    BATCH_PAYLOAD_BYTES_CLOSE, BATCH_SPANS_CLOSE, BATCHES_IN_FLIGHT_MAX, LINGER_BEHIND,
    LINGER_BUSY, LINGER_CALM,
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
    /// Whether the machine is short of processor time.
    pub(crate) is_busy: bool,
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
    let bound: Duration = if situation.is_busy { LINGER_BUSY } else { LINGER_CALM };
    let due = situation.last_closed.plus(bound);
    // With something in flight company is likely; but nobody waits longer than the busy bound.
    let latest = situation.opened.plus(LINGER_BUSY);
    if situation.in_flight >= BATCHES_IN_FLIGHT_MAX {
        let is_waiting = situation.own_in_flight == 0;
        return match (is_waiting, now >= latest) {
            (true, true) => Decision::Close,
            (true, false) => Decision::WaitUntil(latest),
            (false, _) => Decision::WaitUntil(now.plus(LINGER_BUSY)),
        };
    }
    let due = if situation.in_flight == 0 {
        due.min(latest)
    } else if situation.is_busy {
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
            is_busy: false,
        }
    }

    fn millis_ago(millis: u64) -> Monotonic {
        Monotonic(NOW.0 - Duration::from_millis(millis).0)
    }

    #[test]
    fn an_idle_node_closes_at_once() {
        assert_eq!(decide(NOW, &situation()), Decision::Close);
        assert_eq!(decide(NOW, &Situation { is_busy: true, ..situation() }), Decision::Close);
    }

    #[test]
    fn a_writing_node_waits_for_company_but_not_long() {
        let writing = Situation { last_closed: millis_ago(1), ..situation() };
        assert_eq!(decide(NOW, &writing), Decision::WaitUntil(Monotonic(NOW.0 + 1_000_000)));
        let later = Situation { last_closed: millis_ago(2), ..situation() };
        assert_eq!(decide(NOW, &later), Decision::Close);
        let busy = Situation { is_busy: true, ..later };
        assert_eq!(decide(NOW, &busy), Decision::WaitUntil(Monotonic(NOW.0 + 2_000_000)));
        let waited = Situation { opened: millis_ago(20), ..busy };
        assert_eq!(decide(NOW, &waited), Decision::Close);
    }

    #[test]
    fn a_batch_in_flight_holds_the_next_one_back_unless_it_is_full() {
        let behind = Situation { in_flight: 1, last_closed: NOW, is_busy: true, ..situation() };
        assert_eq!(decide(NOW, &behind), Decision::WaitUntil(NOW.plus(LINGER_BUSY)));
        assert_eq!(decide(NOW, &Situation { spans: 2_000, ..behind }), Decision::Close);
        assert_eq!(decide(NOW, &Situation { opened: millis_ago(20), ..behind }), Decision::Close);
        let calm = Situation { is_busy: false, ..behind };
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
}
