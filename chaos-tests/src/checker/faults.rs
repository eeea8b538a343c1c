//! How long writes were not accepted around each fault (LIV-1).
//!
//! Every request holds traces of so many ids that all shards have some of it, so that one that is
//! acknowledged says that all shards accept. Two times are looked at:
//!
//! - **outage**: from the beginning of the fault until a request is acknowledged that was sent
//!   after it to a node that the fault leaves alone;
//! - **recovery**: from the end of the fault until every node has acknowledged a request that was
//!   sent to it after that.

use serde::{Deserialize, Serialize};

use super::invariant::{Invariant, Violation};
use crate::history::{Attempt, Fault};

/// Longest that a fault is looked after, so that a long run stays linear.
const HORIZON_NS: u64 = 180_000_000_000;

/// What became of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultVerdict {
    /// The fault as the history tells it.
    pub fault: Fault,
    /// How long the other nodes did not accept writes; nothing if they never did again, or if none
    /// was left.
    pub outage_ns: Option<u64>,
    /// How long after its end not all nodes accepted; nothing if one never did.
    pub recovery_ns: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Faults {
    /// By beginning.
    faults: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    fault: Fault,
    /// When the first request was acknowledged by another node.
    others_ns: Option<u64>,
    /// When each node acknowledged its first request after the end.
    nodes_ns: Vec<Option<u64>>,
}

impl Faults {
    pub(super) fn new(mut faults: Vec<Fault>, nodes: u16) -> Self {
        faults.sort_by_key(|fault| (fault.begun_ns, fault.number));
        let watched =
            |fault| Watched { fault, others_ns: None, nodes_ns: vec![None; usize::from(nodes)] };
        Self { faults: faults.into_iter().map(watched).collect() }
    }

    /// A request was acknowledged.
    pub(super) fn acked(&mut self, attempt: &Attempt) {
        let end = self.faults.partition_point(|watched| watched.fault.begun_ns <= attempt.begun_ns);
        let Some(past) = self.faults.get_mut(..end) else { return };
        for watched in past.iter_mut().rev() {
            let fault = &watched.fault;
            if attempt.begun_ns - fault.begun_ns > HORIZON_NS {
                break;
            }
            if !fault.victims.contains(&attempt.node) {
                earliest(&mut watched.others_ns, attempt.ended_ns);
            }
            if attempt.begun_ns >= fault.healed_ns
                && let Some(node) = watched.nodes_ns.get_mut(usize::from(attempt.node))
            {
                earliest(node, attempt.ended_ns);
            }
        }
    }

    /// The times, and which of them are over their limits.
    pub(super) fn finish(self) -> (Vec<FaultVerdict>, Vec<Violation>) {
        let mut verdicts = Vec::new();
        let mut violations = Vec::new();
        for watched in self.faults {
            let fault = watched.fault;
            let outage_ns = watched.others_ns.map(|at| at.saturating_sub(fault.begun_ns));
            let all: Option<Vec<u64>> = watched.nodes_ns.into_iter().collect();
            let last = all.and_then(|times| times.into_iter().max());
            let recovery_ns = last.map(|at| at.saturating_sub(fault.healed_ns));
            let mut judge = |what: &str, since_ns: u64, took_ns: Option<u64>| {
                let watched_ns = fault.closed_ns.saturating_sub(since_ns);
                let late = match took_ns {
                    Some(took_ns) => took_ns > fault.limit_ns,
                    None => watched_ns > fault.limit_ns,
                };
                if late {
                    let took = took_ns.map_or_else(
                        || format!("never, within {} ms", watched_ns / 1_000_000),
                        |took_ns| format!("after {} ms", took_ns / 1_000_000),
                    );
                    violations.push(Violation {
                        invariant: Invariant::Liv1,
                        at_ns: since_ns,
                        what: format!(
                            "fault {} ({}): {what} {took}, the limit is {} ms",
                            fault.number,
                            fault.kind,
                            fault.limit_ns / 1_000_000
                        ),
                    });
                }
            };
            if fault.others_serve {
                judge("the other nodes accept writes again", fault.begun_ns, outage_ns);
            }
            judge("all nodes accept writes after its end", fault.healed_ns, recovery_ns);
            let outage_ns = outage_ns.filter(|_| fault.others_serve);
            verdicts.push(FaultVerdict { fault, outage_ns, recovery_ns });
        }
        (verdicts, violations)
    }
}

fn earliest(known: &mut Option<u64>, at_ns: u64) {
    *known = Some(known.map_or(at_ns, |known| known.min(at_ns)));
}
