//! The table of requests: the only thing whose size grows with the run.

use crate::history::content::{fingerprint, start_us, weight};
use crate::history::identity::OWN_PLACES;
use crate::history::{Client, LATE_PLACE, RequestId, Sent, TraceKey};

/// A moment that never comes.
pub(super) const NEVER_NS: u64 = u64::MAX;

/// Most clients and requests of a client that a history may name; a number beyond is damage.
const CLIENTS_MAX: u16 = 4_096;
const REQUESTS_MAX: u32 = 1 << 26;

/// What is known of a request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) sent: Sent,
    pub(super) acked_ns: u64,
    /// Nodes, as bits, whose last reading covered it.
    pub(super) read_by: u64,
    /// Nodes that had shown one of its traces whole before the last reading.
    pub(super) shown_by: u64,
    /// Nodes whose last reading lacks something of it.
    pub(super) lost_by: u64,
    /// Nodes whose last reading still has it although it is past its retention.
    pub(super) kept_by: u64,
}

/// All requests, by client and number.
#[derive(Debug, Default)]
pub(super) struct Requests {
    clients: Vec<Vec<Option<Request>>>,
    tenants: Vec<Option<u16>>,
}

impl Requests {
    pub(super) fn know(&mut self, clients: &[Client]) {
        for client in clients.iter().filter(|client| client.client < CLIENTS_MAX) {
            let index = usize::from(client.client);
            if self.tenants.len() <= index {
                self.tenants.resize(index + 1, None);
            }
            if let Some(tenant) = self.tenants.get_mut(index) {
                *tenant = Some(client.tenant);
            }
        }
    }

    pub(super) fn tenant(&self, client: u16) -> Option<u16> {
        self.tenants.get(usize::from(client)).copied().flatten()
    }

    /// Takes in a request; says what is wrong with the line.
    pub(super) fn add(&mut self, sent: &Sent) -> Result<(), &'static str> {
        if sent.client >= CLIENTS_MAX || sent.number >= REQUESTS_MAX || sent.spans > OWN_PLACES {
            return Err("a request out of bounds");
        }
        let client = usize::from(sent.client);
        if self.clients.len() <= client {
            self.clients.resize_with(client + 1, Vec::new);
        }
        let Some(requests) = self.clients.get_mut(client) else { return Ok(()) };
        let number = index(sent.number);
        if requests.len() <= number {
            requests.resize_with(number + 1, || None);
        }
        let Some(place) = requests.get_mut(number) else { return Ok(()) };
        if place.is_some() {
            return Err("a request that was made twice");
        }
        *place = Some(Request {
            sent: sent.clone(),
            acked_ns: NEVER_NS,
            read_by: 0,
            shown_by: 0,
            lost_by: 0,
            kept_by: 0,
        });
        Ok(())
    }

    pub(super) fn get(&self, request: RequestId) -> Option<&Request> {
        self.clients.get(usize::from(request.client))?.get(index(request.number))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, request: RequestId) -> Option<&mut Request> {
        let requests = self.clients.get_mut(usize::from(request.client))?;
        requests.get_mut(index(request.number))?.as_mut()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Request> {
        self.clients.iter().flatten().flatten()
    }

    /// The places of a trace whose spans were sent no later than `until_ns`.
    pub(super) fn sent(&self, trace: TraceKey, until_ns: u64) -> u64 {
        self.places(trace, |request| request.sent.at_ns <= until_ns)
    }

    /// The places of a trace whose spans were acknowledged before `before_ns`, of requests made no
    /// earlier than `since_ns`.
    pub(super) fn acked(&self, trace: TraceKey, since_ns: u64, before_ns: u64) -> u64 {
        self.places(trace, |request| request.acked_ns < before_ns && request.sent.at_ns >= since_ns)
    }

    fn places(&self, trace: TraceKey, counts: impl Fn(&Request) -> bool) -> u64 {
        let mut places = 0;
        let Some(own) = self.get(trace.request) else { return 0 };
        if trace.trace < own.sent.traces && counts(own) {
            places |= (1_u64 << own.sent.spans) - 1;
        }
        if trace.trace < own.sent.traces
            && let Some(later) = self.get(trace.carrier(LATE_PLACE))
            && later.sent.late
            && counts(later)
        {
            places |= 1 << LATE_PLACE;
        }
        places
    }

    /// The sum of the weights of the spans of a trace at `places`.
    pub(super) fn sum(&self, trace: TraceKey, places: u64) -> u64 {
        let mut sum = 0_u64;
        for place in bits(places) {
            let span = trace.span(place);
            if let Some(request) = self.get(span.request) {
                let sent = &request.sent;
                let print = fingerprint(sent.content, span.index());
                sum = sum.wrapping_add(weight(print, start_us(sent.base_us, span.index())));
            }
        }
        sum
    }
}

/// The numbers of the bits that are set.
pub(super) fn bits(mut of: u64) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let bit = u8::try_from(of.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
        of &= of - 1;
        Some(bit)
    })
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
