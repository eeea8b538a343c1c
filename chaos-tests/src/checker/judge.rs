//! The two readings of a history.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::faults::Faults;
use super::invariant::{Invariant, Violation};
use super::requests::{NEVER_NS, Requests};
use super::verdict::Verdict;
use crate::history::{
    Answer, Asked, Attempt, Claim, Fault, HistoryReader, Outcome, Record, RequestId, Run, Seen,
    TraceKey,
};

/// Statuses after which a client is to come back; the first two need a hint when.
const RETRYABLE: [u16; 4] = [429, 503, 502, 504];
const HINTED: [u16; 2] = [429, 503];

/// Reads a history twice and judges it.
pub fn judge<R: BufRead>(mut open: impl FnMut() -> io::Result<R>) -> io::Result<Verdict> {
    let mut checker = Checker::default();
    for record in HistoryReader::new(open()?) {
        checker.first(&record?);
    }
    for record in HistoryReader::new(open()?) {
        checker.second(&record?);
    }
    Ok(checker.finish())
}

/// The checker: the whole history goes through [`Checker::first`], then through
/// [`Checker::second`].
#[derive(Debug, Default)]
pub struct Checker {
    run: Option<Run>,
    requests: Requests,
    found: Vec<Fault>,
    faults: Option<Faults>,
    /// Spans of unacknowledged requests that a complete answer had: which, and since when.
    glimpsed: BTreeMap<TraceKey, (u64, u64)>,
    /// By shard and applied entry: spans, digest, and who said so.
    replicas: BTreeMap<(u32, u64), (u64, Option<String>, String)>,
    /// By shard and node: the entry applied at the last settled look.
    applied: BTreeMap<u32, BTreeMap<String, u64>>,
    verdict: Verdict,
}

impl Checker {
    /// First reading: what was sent and what was said of it.
    pub fn first(&mut self, record: &Record) {
        match record {
            Record::Run(run) => {
                self.requests.know(&run.clients);
                self.run = Some(run.clone());
            }
            Record::Sent(sent) => {
                self.verdict.counts.requests += 1;
                if let Err(why) = self.requests.add(sent) {
                    self.invalid(why.to_owned());
                }
            }
            Record::Attempt(attempt) => self.attempt(attempt),
            Record::Fault(fault) => self.found.push(fault.clone()),
            Record::Answer(_) | Record::Replicas(_) | Record::Note(_) => {}
        }
    }

    /// Second reading: what was answered.
    pub fn second(&mut self, record: &Record) {
        match record {
            Record::Attempt(attempt) if attempt.outcome == Outcome::Acked => {
                let nodes = self.run.as_ref().map_or(0, |run| run.nodes);
                let found = &mut self.found;
                let faults =
                    self.faults.get_or_insert_with(|| Faults::new(std::mem::take(found), nodes));
                faults.acked(attempt);
            }
            Record::Answer(answer) => self.answer(answer),
            Record::Replicas(told) if told.settled => {
                self.applied.clear();
                for replica in &told.replicas {
                    self.replica(told.at_ns, told.node, replica);
                }
            }
            _ => {}
        }
    }

    /// The judgement.
    pub fn finish(mut self) -> Verdict {
        let nodes = self.run.as_ref().map_or(0, |run| run.nodes);
        if self.run.is_none() {
            self.invalid("the history does not begin with its run".to_owned());
        }
        let faults = self.faults.take();
        let faults = faults.unwrap_or_else(|| Faults::new(std::mem::take(&mut self.found), nodes));
        let (verdicts, violations) = faults.finish();
        self.verdict.faults = verdicts;
        for violation in violations {
            self.verdict.add(1, violation);
        }
        for verdict in self.verdict.faults.clone() {
            if verdict.fault.bites == 0 {
                let Fault { number, kind, note, .. } = verdict.fault;
                self.invalid(format!("fault {number} ({kind}) did not bite: {note}"));
            }
        }
        self.converged();
        self.read_back(nodes);
        self.verdict
    }

    fn invalid(&mut self, why: String) {
        self.verdict.invalid.push(why);
    }

    fn violation(&mut self, times: u64, invariant: Invariant, at_ns: u64, what: String) {
        self.verdict.add(times, Violation { invariant, at_ns, what });
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let id = RequestId { client: attempt.client, number: attempt.number };
        let Some(request) = self.requests.get_mut(id) else {
            return self.invalid(format!("an attempt at {id:?}, which was never made"));
        };
        let counts = &mut self.verdict.counts;
        match attempt.outcome {
            Outcome::Acked => {
                if request.acked_ns == NEVER_NS {
                    counts.acked_requests += 1;
                    counts.acked_spans += request.sent.spans_in_all();
                }
                request.acked_ns = request.acked_ns.min(attempt.ended_ns);
                if attempt.rejected > 0 {
                    let what =
                        format!("{id:?}: a success that rejects {} valid spans", attempt.rejected);
                    self.violation(attempt.rejected, Invariant::Api1, attempt.ended_ns, what);
                }
            }
            Outcome::Refused => {
                counts.refused_attempts += 1;
                let status = attempt.status;
                let wrong = if !RETRYABLE.contains(&status) {
                    Some("a valid request was answered with")
                } else if HINTED.contains(&status) && !attempt.hint {
                    Some("no hint when to come back with")
                } else {
                    None
                };
                if let Some(wrong) = wrong {
                    let what = format!("{id:?} to node {}: {wrong} {status}", attempt.node);
                    self.violation(1, Invariant::Api1, attempt.ended_ns, what);
                }
            }
            Outcome::Unknown => counts.unknown_attempts += 1,
            Outcome::NotSent => counts.unsent_attempts += 1,
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let mut seen: BTreeMap<TraceKey, u64> = BTreeMap::new();
        for trace in &answer.seen {
            self.verdict.counts.seen_spans += u64::from(trace.places.count_ones());
            if seen.insert(trace.key(), trace.places).is_some() {
                let what = format!("{:?} stands twice in an answer of node {}", trace, answer.node);
                self.violation(1, Invariant::Set, answer.ended_ns, what);
            }
            self.seen(answer, trace);
        }
        for odd in &answer.odd {
            let invariant = if odd.repeat { Invariant::Set } else { Invariant::Dur2 };
            let what = format!(
                "node {}: span {} of trace {}: {}",
                answer.node, odd.span_id, odd.trace_id, odd.why
            );
            self.violation(1, invariant, answer.ended_ns, what);
        }
        match &answer.claim {
            Claim::Complete => {
                self.verdict.counts.complete_answers += 1;
                self.complete(answer, &seen);
            }
            Claim::Partial { missing, stale, other } => {
                self.verdict.counts.partial_answers += 1;
                if missing.is_empty() && stale.is_empty() && other.is_empty() {
                    let what = format!("node {}: partial, and does not say of what", answer.node);
                    self.violation(1, Invariant::Qry2, answer.ended_ns, what);
                }
            }
            Claim::Failed { .. } => self.verdict.counts.failed_answers += 1,
        }
    }

    /// Was what is seen of a trace sent, by this tenant, and is it what was sent?
    fn seen(&mut self, answer: &Answer, trace: &Seen) {
        let key = trace.key();
        let node = answer.node;
        if let Some(owner) = self.requests.tenant(trace.client)
            && owner != answer.tenant
        {
            let what = format!("tenant {} saw {key:?} of tenant {owner}", answer.tenant);
            let spans = u64::from(trace.places.count_ones());
            self.violation(spans, Invariant::Ten1, answer.ended_ns, what);
        }
        let phantom = trace.places & !self.requests.sent(key, answer.ended_ns);
        if phantom != 0 {
            let what = format!("node {node}: {key:?} has places {phantom:#x}, never sent by then");
            let spans = u64::from(phantom.count_ones());
            self.violation(spans, Invariant::Dur2, answer.ended_ns, what);
        } else if self.requests.sum(key, trace.places) != trace.sum {
            let what = format!("node {node}: {key:?}: the content is not what was sent");
            self.violation(1, Invariant::Dur2, answer.ended_ns, what);
        }
    }

    /// Is everything there that has to be in an answer that calls itself complete?
    fn complete(&mut self, answer: &Answer, seen: &BTreeMap<TraceKey, u64>) {
        let is_final = matches!(answer.asked, Asked::Final { .. });
        let retention_ns = self.run.as_ref().map_or(u64::MAX, |run| run.retention_ns);
        let since_ns = answer.ended_ns.saturating_sub(retention_ns);
        let node = 1_u64.checked_shl(u32::from(answer.node)).unwrap_or_default();
        let (client, from, until) = answer.asked.requests();
        if self.requests.tenant(client).is_some_and(|owner| owner != answer.tenant) {
            // Another tenant's data were asked for: that nothing came is what is right.
            return;
        }
        for number in from..until {
            let id = RequestId { client, number };
            let Some(traces) = self.requests.get(id).map(|request| request.sent.traces) else {
                continue;
            };
            let traces = match answer.asked {
                Asked::Trace { trace, .. } => trace..trace.saturating_add(1),
                _ => 0..traces,
            };
            let mut lost = false;
            let mut shown = false;
            let mut kept = false;
            for trace in traces {
                let key = TraceKey { request: id, trace };
                let there = seen.get(&key).copied().unwrap_or_default();
                let required = self.requests.acked(key, since_ns, answer.begun_ns);
                let missing = required & !there;
                lost |= missing != 0;
                shown |= required != 0 && missing == 0;
                kept |= there != 0;
                if is_final {
                    self.verdict.counts.final_spans += u64::from(required.count_ones());
                }
                if missing != 0 {
                    self.missing(answer, key, missing);
                }
                self.glimpse(answer, key, there, required);
            }
            if let Some(request) = self.requests.get_mut(id) {
                let expired = request.sent.at_ns < since_ns;
                if is_final {
                    request.read_by |= node;
                    request.lost_by |= if lost { node } else { 0 };
                    request.kept_by |= if kept && expired { node } else { 0 };
                } else if shown {
                    request.shown_by |= node;
                }
            }
        }
    }

    fn missing(&mut self, answer: &Answer, key: TraceKey, missing: u64) {
        let is_final = matches!(answer.asked, Asked::Final { .. });
        let invariant = if is_final { Invariant::Dur1 } else { Invariant::Qry3 };
        let what = format!(
            "node {}: {key:?} lacks places {missing:#x}, acknowledged before the question at \
             {} ms ({})",
            answer.node,
            answer.begun_ns / 1_000_000,
            match answer.asked {
                Asked::Trace { .. } => "by id",
                Asked::Search { .. } => "search",
                Asked::Final { .. } => "last reading",
            }
        );
        self.violation(u64::from(missing.count_ones()), invariant, answer.ended_ns, what);
    }

    /// Spans that nobody acknowledged may be there or not; once seen they stay.
    fn glimpse(&mut self, answer: &Answer, key: TraceKey, there: u64, required: u64) {
        let mut gone = 0;
        if let Some((places, since_ns)) = self.glimpsed.get(&key)
            && *since_ns < answer.begun_ns
        {
            gone = places & !there & !required;
        }
        let unacked = there & !self.requests.acked(key, 0, NEVER_NS);
        if gone != 0 {
            self.glimpsed.remove(&key);
            let what = format!(
                "node {}: {key:?} lacks places {gone:#x}, which a complete answer had before",
                answer.node
            );
            self.violation(u64::from(gone.count_ones()), Invariant::Qry2, answer.ended_ns, what);
        } else if unacked != 0 {
            self.glimpsed.entry(key).or_insert((unacked, answer.ended_ns));
        }
    }

    fn replica(&mut self, at_ns: u64, teller: u16, replica: &crate::history::Replica) {
        let shard = replica.shard;
        self.applied.entry(shard).or_default().insert(replica.node.clone(), replica.applied);
        let holds = (replica.spans, replica.digest.clone(), replica.node.clone());
        let known = self.replicas.entry((shard, replica.applied)).or_insert_with(|| holds.clone());
        let differs = match (&known.1, &holds.1) {
            (Some(known), Some(own)) => known != own,
            _ => known.0 != holds.0,
        };
        if differs {
            let what = format!(
                "shard {shard} at entry {}: {} spans, digest {:?} on node {}, but {} spans, digest \
                 {:?} on node {} (as node {teller} says)",
                replica.applied, known.0, known.1, known.2, holds.0, holds.1, holds.2
            );
            self.violation(1, Invariant::Rep2, at_ns, what);
        }
    }

    fn converged(&mut self) {
        for (shard, replicas) in std::mem::take(&mut self.applied) {
            let mut applied: Vec<u64> = replicas.values().copied().collect();
            applied.dedup();
            if applied.len() > 1 {
                let what = format!("shard {shard} did not converge: {replicas:?} applied");
                self.violation(1, Invariant::Liv1, NEVER_NS, what);
            }
        }
    }

    /// Was everything that was acknowledged read back through every node, and is what is past its
    /// retention gone from all or from none?
    fn read_back(&mut self, nodes: u16) {
        let all = 1_u64.checked_shl(u32::from(nodes)).unwrap_or_default().wrapping_sub(1);
        let mut unread = 0_u64;
        let mut dropped = Vec::new();
        let mut uneven = Vec::new();
        for request in self.requests.all() {
            let id = request.sent.request();
            if request.acked_ns != NEVER_NS && request.read_by & all != all {
                unread += 1;
            }
            if request.lost_by & all == all && request.shown_by != 0 {
                dropped.push(id);
            }
            if request.kept_by != 0 && request.kept_by != request.read_by {
                uneven.push((id, request.kept_by));
            }
        }
        for id in dropped {
            let what = format!("{id:?} was shown, and is gone everywhere before its retention");
            self.violation(1, Invariant::Ret1, NEVER_NS, what);
        }
        for (id, kept) in uneven {
            let what = format!("{id:?} is past its retention; nodes {kept:#b} alone still have it");
            self.violation(1, Invariant::Ret1, NEVER_NS, what);
        }
        if unread > 0 {
            self.invalid(format!("{unread} acknowledged requests were not read back everywhere"));
        }
    }
}
