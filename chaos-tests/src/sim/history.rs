//! What clients sent and what they were promised: the yardstick of every answer.
//!
//! A request that was acknowledged must be found by every complete answer to a question that was
//! asked afterwards (DUR-1, QRY-3); one of unknown outcome may be found; nothing else may (DUR-2).
//! What a complete answer once showed, later ones show too.

use std::collections::{BTreeMap, BTreeSet};

use model::store::Trace;
use model::testing::{Random, simple_span};
use model::value::Attribute;
use model::{Span, SpanId, Tenant, TraceId};

/// One span in so many continues a trace that is there already, so that traces are cut.
const CONTINUE_ONE_IN: u64 = 3;

/// When the spans' own times begin: clients' clocks are none of the cluster's business.
const START_NANOS: u64 = 1_600_000_000_000_000_000;

/// A request as a client sends it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose.
    pub tenant: Tenant,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its spans.
    pub spans: Vec<Span>,
}

#[derive(Debug)]
struct Sent {
    span: Span,
    is_acked: bool,
    was_seen: bool,
}

#[derive(Debug)]
struct TraceRecord {
    tenant: Tenant,
    /// The earliest start: that of its first span, which is acknowledged before others are sent.
    start: u64,
    spans: BTreeMap<SpanId, Sent>,
}

/// Everything that was sent.
#[derive(Debug)]
pub struct History {
    random: Random,
    tenants: Vec<Tenant>,
    traces: BTreeMap<TraceId, TraceRecord>,
    /// Traces of which something is acknowledged, in the order in which that became known.
    acked: Vec<TraceId>,
    next_span: u64,
}

/// What must be in an answer to a question that is asked now.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    spans: BTreeMap<TraceId, BTreeSet<SpanId>>,
}

impl History {
    /// Nothing was sent yet.
    pub fn new(seed: u64) -> Self {
        let tenants = ["", "other"].into_iter().filter_map(|name| match name {
            "" => Some(Tenant::default()),
            name => Tenant::new(name).ok(),
        });
        Self {
            random: Random::new(seed),
            tenants: tenants.collect(),
            traces: BTreeMap::new(),
            acked: Vec::new(),
            next_span: 1,
        }
    }

    /// The tenants that write.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.tenants.clone()
    }

    /// The next request: a new trace, or more of one that is there.
    pub fn next_request(&mut self) -> Request {
        let known = self.acked.get(self.random.index(self.acked.len())).copied();
        let continued = known.filter(|_| self.random.one_in(CONTINUE_ONE_IN));
        let trace_id = continued.unwrap_or_else(|| {
            let high = u128::from(self.random.next_u64()) << 64;
            TraceId((high | u128::from(self.random.next_u64() | 1)).to_be_bytes())
        });
        let tenant = self.tenants.get(self.random.index(self.tenants.len()));
        let tenant = tenant.cloned().unwrap_or_default();
        let start = START_NANOS + self.random.below(3_600_000_000_000);
        let record = self.traces.entry(trace_id);
        let record =
            record.or_insert_with(|| TraceRecord { tenant, start, spans: BTreeMap::new() });
        let count = 1 + self.random.below(8);
        let mut spans = Vec::new();
        for place in 0..count {
            let number = self.next_span;
            self.next_span += 1;
            let is_first = place == 0 && record.spans.is_empty();
            let later = if is_first { 0 } else { self.random.below(1_000_000) };
            let start = record.start + later;
            let mut span = simple_span(0, number, start, start + self.random.below(5_000_000));
            span.trace_id = trace_id;
            span.name = format!("operation-{}", number % 7).into();
            span.attributes.push(Attribute::new("mark", format!("mark-{number}").as_str()));
            let sent = Sent { span: span.clone(), is_acked: false, was_seen: false };
            record.spans.insert(span.span_id, sent);
            spans.push(span);
        }
        Request { tenant: record.tenant.clone(), trace_id, spans }
    }

    /// A request was acknowledged.
    pub fn acked(&mut self, request: &Request) {
        let Some(record) = self.traces.get_mut(&request.trace_id) else { return };
        for span in &request.spans {
            if let Some(sent) = record.spans.get_mut(&span.span_id) {
                sent.is_acked = true;
            }
        }
        if !self.acked.contains(&request.trace_id) {
            self.acked.push(request.trace_id);
        }
    }

    /// Some trace of which something is acknowledged, and its tenant.
    pub fn some_acked(&mut self) -> Option<(TraceId, Tenant)> {
        let trace_id = *self.acked.get(self.random.index(self.acked.len()))?;
        Some((trace_id, self.traces.get(&trace_id)?.tenant.clone()))
    }

    /// All traces of which something is acknowledged, with their tenants.
    pub fn all_acked(&self) -> Vec<(TraceId, Tenant)> {
        let known = |id: &TraceId| Some((*id, self.traces.get(id)?.tenant.clone()));
        self.acked.iter().filter_map(known).collect()
    }

    /// What an answer to a question for a trace that is asked now must have.
    pub fn promise(&self, trace_id: TraceId) -> Promise {
        let mut promise = Promise::default();
        if let Some(record) = self.traces.get(&trace_id) {
            promise.spans.insert(trace_id, record.promised());
        }
        promise
    }

    /// What an answer to a question for all traces of a tenant that is asked now must have.
    pub fn promise_all(&self, tenant: &Tenant) -> Promise {
        let mut promise = Promise::default();
        for trace_id in &self.acked {
            if let Some(record) = self.traces.get(trace_id).filter(|it| it.tenant == *tenant) {
                promise.spans.insert(*trace_id, record.promised());
            }
        }
        promise
    }

    /// Checks a trace of an answer, and remembers what a complete one showed.
    pub fn check_trace(
        &mut self,
        tenant: &Tenant,
        trace_id: TraceId,
        trace: Option<&Trace>,
        promise: &Promise,
        is_complete: bool,
    ) -> Result<(), String> {
        let record = self.traces.get_mut(&trace_id);
        let mut shown = BTreeSet::new();
        if let Some(trace) = trace {
            let Some(record) = record.filter(|record| record.tenant == *tenant) else {
                return Err(format!("DUR-2, TEN-1: nobody of this tenant sent trace {trace_id}"));
            };
            for span in &trace.spans {
                let Some(sent) = record.spans.get_mut(&span.span_id) else {
                    return Err(format!("DUR-2: span {} was never sent", span.span_id));
                };
                if sent.span != *span {
                    return Err(format!("DUR-2: span {} is another than was sent", span.span_id));
                }
                if !shown.insert(span.span_id) {
                    return Err(format!("span {} is there twice", span.span_id));
                }
                sent.was_seen |= is_complete;
            }
        }
        let promised = promise.spans.get(&trace_id);
        let lost = promised.and_then(|promised| promised.iter().find(|id| !shown.contains(*id)));
        match lost.filter(|_| is_complete) {
            Some(lost) => {
                Err(format!("DUR-1, QRY-3: span {lost} of trace {trace_id} is not there"))
            }
            None => Ok(()),
        }
    }

    /// Checks the first traces of all, newest first: none that was promised may be passed over.
    pub fn check_newest(
        &self,
        tenant: &Tenant,
        shown: &[TraceId],
        limit: usize,
        promise: &Promise,
    ) -> Result<(), String> {
        let mut last: Option<(u64, TraceId)> = None;
        for trace_id in shown {
            let record = self.traces.get(trace_id).filter(|record| record.tenant == *tenant);
            let Some(record) = record else {
                return Err(format!("DUR-2, TEN-1: nobody of this tenant sent trace {trace_id}"));
            };
            let place = (u64::MAX - record.start, *trace_id);
            if last.is_some_and(|last| last >= place) {
                return Err(format!("QRY-1: trace {trace_id} is out of order"));
            }
            last = Some(place);
        }
        let is_cut = shown.len() >= limit;
        for trace_id in promise.spans.keys() {
            let Some(record) = self.traces.get(trace_id) else { continue };
            let place = (u64::MAX - record.start, *trace_id);
            let must_be_there = !is_cut || last.is_some_and(|last| place < last);
            if must_be_there && !shown.contains(trace_id) {
                return Err(format!("QRY-1, QRY-3: a search passed over trace {trace_id}"));
            }
        }
        Ok(())
    }
}

impl TraceRecord {
    fn promised(&self) -> BTreeSet<SpanId> {
        let promised = self.spans.iter().filter(|(_, sent)| sent.is_acked || sent.was_seen);
        promised.map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(request: &Request, count: usize) -> Trace {
        let spans = request.spans.iter().take(count).cloned().collect();
        Trace { trace_id: request.trace_id, spans, truncated: None }
    }

    fn check(
        history: &mut History,
        request: &Request,
        trace: Option<&Trace>,
        is_complete: bool,
    ) -> Result<(), String> {
        let promise = history.promise(request.trace_id);
        history.check_trace(&request.tenant, request.trace_id, trace, &promise, is_complete)
    }

    /// A request of several spans.
    fn request(history: &mut History) -> Request {
        loop {
            let request = history.next_request();
            if request.spans.len() > 2 {
                return request;
            }
        }
    }

    #[test]
    fn what_was_acknowledged_must_be_there_unless_the_answer_says_otherwise() {
        let mut history = History::new(1);
        let request = request(&mut history);
        check(&mut history, &request, None, true).unwrap();
        history.acked(&request);
        check(&mut history, &request, None, false).unwrap();
        check(&mut history, &request, None, true).unwrap_err();
        check(&mut history, &request, Some(&trace(&request, 1)), true).unwrap_err();
        check(&mut history, &request, Some(&trace(&request, 99)), true).unwrap();
    }

    #[test]
    fn what_was_seen_once_stays_and_what_was_never_sent_is_found_out() {
        let mut history = History::new(2);
        let request = request(&mut history);
        check(&mut history, &request, Some(&trace(&request, 1)), true).unwrap();
        check(&mut history, &request, None, true).unwrap_err();
        let mut phantom = trace(&request, 1);
        phantom.spans[0].span_id = SpanId([9; 8]);
        check(&mut history, &request, Some(&phantom), false).unwrap_err();
        let mut changed = trace(&request, 1);
        changed.spans[0].name = "another".into();
        check(&mut history, &request, Some(&changed), false).unwrap_err();
        let mut twice = trace(&request, 1);
        twice.spans.push(twice.spans[0].clone());
        check(&mut history, &request, Some(&twice), false).unwrap_err();
        let foreign = Request { tenant: Tenant::new("third").unwrap(), ..request.clone() };
        check(&mut history, &foreign, Some(&trace(&request, 1)), false).unwrap_err();
    }

    #[test]
    fn a_search_that_passes_over_a_trace_is_found_out() {
        let mut history = History::new(3);
        let tenant = history.tenants()[0].clone();
        let mut own = BTreeSet::new();
        for _ in 0..40 {
            let request = history.next_request();
            history.acked(&request);
            if request.tenant == tenant {
                let start = history.traces[&request.trace_id].start;
                own.insert((u64::MAX - start, request.trace_id));
            }
        }
        let promise = history.promise_all(&tenant);
        let all: Vec<TraceId> = own.iter().map(|(_, id)| *id).collect();
        history.check_newest(&tenant, &all, 1_000, &promise).unwrap();
        history.check_newest(&tenant, &all[..5], 5, &promise).unwrap();
        history.check_newest(&tenant, &all[1..6], 5, &promise).unwrap_err();
        history.check_newest(&tenant, &all[..5], 1_000, &promise).unwrap_err();
        let backwards: Vec<TraceId> = all.iter().rev().copied().collect();
        history.check_newest(&tenant, &backwards, 1_000, &promise).unwrap_err();
    }
}
