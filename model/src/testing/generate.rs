//! Hostile but legal spans from a seed.
//!
//! Legal: what a receiver may tell a visitor (ids that are not zero, unknown fields in sound
//! wire form). Hostile: everything else that clients do. Vocabularies are small, so that spans
//! share resources, keys and values, and predicates find something.
//!
//! Different spans of one trace that share a span id never share their start as well: between
//! such spans only arrival decides the order, which is not every test's matter.

use std::sync::Arc;

use super::random::Random;
use crate::nested::{encode_array, encode_pair, encode_pairs};
use crate::span::{Event, Link, ParentId, SpanKind, Status, StatusCode};
use crate::value::ValueRef;
use crate::{Attribute, AttributeValue, Resource, Scope, Span, SpanId, Text, Timestamp, TraceId};

/// Around when generated spans start.
const EPOCH_NANOS: u64 = 1_700_000_000_000_000_000;
/// Within what time after that.
const SPREAD_NANOS: u64 = 1_000_000_000;

const NAMES: [&[u8]; 7] =
    [b"GET /", b"POST /order", b"", b"SELECT", b"consume", b"\xff\xfe", "größe".as_bytes()];
const SERVICES: [&[u8]; 6] = [b"front", b"back", b"db", b"", b"bad\xc3", b"queue"];
const KEYS: [&[u8]; 9] = [
    b"http.status_code",
    b"http.method",
    b"error",
    b"span.kind",
    b"",
    b"k\xff",
    b"service.name",
    b"duration",
    b"id",
];
const TEXTS: [&[u8]; 8] = [b"GET", b"200", b"true", b"", b"\xf0\x9f", b"<a&b>", b"1.5", b"x\0y"];

/// Makes spans, traces and queries.
#[derive(Debug, Clone)]
pub struct Generator {
    pub(super) random: Random,
    resources: Vec<Arc<Resource>>,
    scopes: Vec<Arc<Scope>>,
}

impl Generator {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        let mut generator =
            Self { random: Random::new(seed), resources: Vec::new(), scopes: Vec::new() };
        generator.resources = (0..6).map(|_| Arc::new(generator.resource())).collect();
        generator.scopes = (0..4).map(|_| Arc::new(generator.scope())).collect();
        generator
    }

    /// Spans of a few traces, mixed, some of them repeated.
    pub fn spans(&mut self, count: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        while spans.len() < count {
            spans.extend(self.trace());
        }
        self.shuffle(&mut spans);
        spans.truncate(count);
        spans
    }

    /// This many traces, each distinct and in the order of a trace.
    pub fn traces(&mut self, count: usize) -> Vec<Vec<Span>> {
        (0..count).map(|_| self.distinct_trace()).collect()
    }

    /// A trace without repeats, in the order of a trace.
    pub fn distinct_trace(&mut self) -> Vec<Span> {
        crate::trace::distinct(self.trace())
    }

    /// The spans of a trace in any order, some of them exact repeats of others.
    pub fn trace(&mut self) -> Vec<Span> {
        let trace_id = self.trace_id();
        let count = if self.random.one_in(8) { 40 } else { 1 + self.random.index(8) };
        let origin = EPOCH_NANOS + self.random.below(SPREAD_NANOS);
        let mut spans: Vec<Span> = Vec::with_capacity(count * 2);
        for _ in 0..count {
            let span = self.span(trace_id, origin, &spans);
            if self.random.one_in(8) {
                spans.push(self.namesake(&span));
            }
            spans.push(span);
        }
        if self.random.one_in(4) {
            self.turn_in_circles(&mut spans);
        }
        for place in 0..spans.len() {
            if self.random.one_in(6) {
                spans.extend(spans.get(place).cloned());
            }
        }
        self.shuffle(&mut spans);
        spans
    }

    /// Lets spans name any other as their parent: circles and long ways up.
    fn turn_in_circles(&mut self, spans: &mut [Span]) {
        let ids: Vec<_> = spans.iter().map(|span| span.span_id).collect();
        for span in spans {
            if self.random.one_in(3) {
                span.parent = ParentId::Id(*self.random.pick(&ids));
            }
        }
    }

    /// Puts items into any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.random.index(place + 1));
        }
    }

    /// Spans split into requests of a few spans each, in their order.
    pub fn requests(&mut self, spans: &[Span]) -> Vec<Vec<Span>> {
        let mut requests = Vec::new();
        let mut rest = spans;
        while !rest.is_empty() {
            let (request, after) = rest.split_at((1 + self.random.index(20)).min(rest.len()));
            requests.push(request.to_vec());
            rest = after;
        }
        requests
    }

    /// One span of a trace that has `earlier` spans already.
    fn span(&mut self, trace_id: TraceId, origin: u64, earlier: &[Span]) -> Span {
        let start = self.start(origin);
        Span {
            resource: Arc::clone(self.random.pick(&self.resources)),
            scope: Arc::clone(self.random.pick(&self.scopes)),
            trace_id,
            span_id: self.span_id(),
            parent: self.parent(earlier),
            trace_state: self.rarely_text(b"vendor=1"),
            flags: if self.random.one_in(4) { 0x301 } else { 0 },
            name: self.word(&NAMES),
            kind: SpanKind(*self.random.pick(&[0, 1, 2, 3, 4, 5, 2, 3, 9, -1])),
            start: Timestamp(start),
            end: Timestamp(self.end(start)),
            attributes: self.attributes(),
            events: (0..self.few()).map(|_| self.event(start)).collect(),
            links: (0..self.few()).map(|_| self.link()).collect(),
            dropped_attributes_count: self.count(),
            dropped_events_count: self.count(),
            dropped_links_count: self.count(),
            status: self.status(),
            unknown: self.unknown(),
        }
    }

    /// A different span under the same id.
    fn namesake(&mut self, span: &Span) -> Span {
        let mut other = span.clone();
        other.start = Timestamp(span.start.0.wrapping_add(1 + self.random.below(1_000)));
        other.name = self.word(&NAMES);
        other.kind = SpanKind::SERVER;
        other
    }

    /// Mostly close together, at times at the ends of time.
    fn start(&mut self, origin: u64) -> u64 {
        match self.random.below(24) {
            0 => self.random.below(3),
            1 => u64::MAX - 2_000 + self.random.below(3),
            _ => origin + self.random.below(10_000),
        }
    }

    /// Zero and negative durations included.
    fn end(&mut self, start: u64) -> u64 {
        match self.random.below(8) {
            0 => start,
            1 => start.saturating_sub(1 + self.random.below(5_000)),
            2 => 0,
            _ => start.saturating_add(1 << self.random.below(32)),
        }
    }

    fn parent(&mut self, earlier: &[Span]) -> ParentId {
        match self.random.below(16) {
            0 => ParentId::None,
            1 => ParentId::Id(SpanId([0; 8])),
            2 => ParentId::Odd("odd".into()),
            3 => ParentId::Odd("nine bytes".into()),
            4 => ParentId::Id(self.span_id()),
            _ if earlier.is_empty() => ParentId::None,
            _ => ParentId::Id(self.random.pick(earlier).span_id),
        }
    }

    fn event(&mut self, start: u64) -> Event {
        Event {
            time: Timestamp(start.wrapping_add(self.random.below(100)).wrapping_sub(10)),
            name: self.word(&NAMES),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            unknown: self.unknown(),
        }
    }

    fn link(&mut self) -> Link {
        let lengths = [0, 1, 8, 16, 16, 16, 17];
        Link {
            trace_id: self.id_of_length(&lengths),
            span_id: self.id_of_length(&lengths),
            trace_state: self.rarely_text(b"a=b"),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            flags: if self.random.one_in(3) { 0x100 } else { 0 },
            unknown: self.unknown(),
        }
    }

    fn status(&mut self) -> Option<Status> {
        (!self.random.one_in(3)).then(|| Status {
            code: StatusCode(*self.random.pick(&[0, 1, 2, 2, 7])),
            message: self.rarely_text(b"it broke"),
            unknown: self.unknown(),
        })
    }

    fn resource(&mut self) -> Resource {
        if self.random.one_in(6) {
            return Resource::default();
        }
        let mut attributes = self.attributes();
        if !self.random.one_in(6) {
            let name = AttributeValue::String(self.word(&SERVICES));
            let place = self.random.index(attributes.len() + 1);
            attributes.insert(place, Attribute { key: "service.name".into(), value: name });
        }
        Resource {
            present: true,
            attributes,
            dropped_attributes_count: self.count(),
            schema_url: self.rarely_text(b"https://example.org/schema"),
            unknown: self.unknown(),
            group_unknown: self.unknown(),
        }
    }

    fn scope(&mut self) -> Scope {
        if self.random.one_in(4) {
            return Scope::default();
        }
        Scope {
            present: true,
            name: self.word(&[b"lib", b"other", b""]),
            version: self.rarely_text(b"1.2"),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            schema_url: self.rarely_text(b"https://example.org/schema"),
            unknown: self.unknown(),
            group_unknown: self.unknown(),
        }
    }

    /// A few attributes, keys repeated at times.
    fn attributes(&mut self) -> Vec<Attribute> {
        (0..self.random.index(4)).map(|_| self.attribute()).collect()
    }

    fn attribute(&mut self) -> Attribute {
        let key = *self.random.pick(&KEYS);
        if !self.random.one_in(12) {
            return Attribute { key: Text::copy_from(key), value: self.value(2) };
        }
        let mut whole = Vec::new();
        encode_pair(key, self.value(1).as_ref(), &mut whole);
        whole.extend_from_slice(&UNKNOWN_FIELD);
        Attribute { key: Text::copy_from(key), value: AttributeValue::OpaquePair(whole.into()) }
    }

    /// A value of any type, nested at most this deep.
    fn value(&mut self, depth: usize) -> AttributeValue {
        let text = self.word(&TEXTS);
        match self.random.below(if depth == 0 { 10 } else { 13 }) {
            0 => AttributeValue::Missing,
            1 => AttributeValue::Empty,
            2 => AttributeValue::Bool(self.random.one_in(2)),
            3 | 4 => AttributeValue::Int(*self.random.pick(&[200, 404, -1, i64::MAX, i64::MIN])),
            5 => AttributeValue::Double(*self.random.pick(&[
                200.0,
                1.5,
                -0.0,
                1e300,
                f64::NAN,
                f64::INFINITY,
            ])),
            6 => AttributeValue::Bytes(text),
            7..=9 => AttributeValue::String(text),
            10 => AttributeValue::Array(self.array(depth - 1).into()),
            11 => AttributeValue::KeyValueList(self.key_value_list(depth - 1).into()),
            _ => AttributeValue::Opaque(Text::copy_from(&UNKNOWN_FIELD)),
        }
    }

    fn array(&mut self, depth: usize) -> Vec<u8> {
        let values: Vec<_> = (0..self.random.index(4)).map(|_| self.value(depth)).collect();
        let mut message = Vec::new();
        // An item is a value message, so that there is no way to leave it out.
        let items = values.iter().map(|value| match value.as_ref() {
            ValueRef::Missing => ValueRef::Empty,
            value => value,
        });
        encode_array(items, &mut message);
        message
    }

    fn key_value_list(&mut self, depth: usize) -> Vec<u8> {
        let pairs: Vec<_> = (0..self.random.index(4))
            .map(|_| (*self.random.pick(&KEYS), self.value(depth)))
            .collect();
        let mut message = Vec::new();
        encode_pairs(pairs.iter().map(|(key, value)| (*key, value.as_ref())), &mut message);
        message
    }

    fn trace_id(&mut self) -> TraceId {
        let high = if self.random.one_in(3) { 0 } else { self.random.next_u64() };
        let low = self.random.next_u64() | 1;
        TraceId((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    fn span_id(&mut self) -> SpanId {
        SpanId((self.random.next_u64() | 1).to_be_bytes())
    }

    fn id_of_length(&mut self, lengths: &[usize]) -> Text {
        let length = *self.random.pick(lengths);
        let byte = u8::try_from(self.random.below(256)).unwrap_or(0);
        vec![byte; length].into()
    }

    fn word(&mut self, words: &[&[u8]]) -> Text {
        let word = self.random.pick(words);
        Text::copy_from(word)
    }

    fn few(&mut self) -> usize {
        if self.random.one_in(3) { 1 + self.random.index(3) } else { 0 }
    }

    fn count(&mut self) -> u32 {
        if self.random.one_in(8) { *self.random.pick(&[1, 300, u32::MAX]) } else { 0 }
    }

    fn rarely_text(&mut self, text: &'static [u8]) -> Text {
        if self.random.one_in(6) { Text::copy_from(text) } else { Text::EMPTY }
    }

    fn unknown(&mut self) -> Text {
        if self.random.one_in(12) { Text::copy_from(&UNKNOWN_FIELD) } else { Text::EMPTY }
    }
}

/// Field 200 with the bytes `ab`: sound on the wire and unknown to every message.
const UNKNOWN_FIELD: [u8; 5] = [0xc2, 0x0c, 2, b'a', b'b'];

/// A span with nothing in it but what the arguments say: a root of service
/// `missing-service-name`, named `span`.
pub fn simple_span(trace: u64, span: u64, start: u64, end: u64) -> Span {
    Span {
        resource: Arc::new(Resource::default()),
        scope: Arc::new(Scope::default()),
        trace_id: TraceId(u128::from(trace).to_be_bytes()),
        span_id: SpanId(span.to_be_bytes()),
        parent: ParentId::None,
        trace_state: Text::EMPTY,
        flags: 0,
        name: "span".into(),
        kind: SpanKind::UNSPECIFIED,
        start: Timestamp(start),
        end: Timestamp(end),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
        status: None,
        unknown: Text::EMPTY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::ValueType;

    #[test]
    fn a_seed_makes_the_same_spans_again() {
        assert_eq!(Generator::new(7).spans(50), Generator::new(7).spans(50));
        assert_ne!(Generator::new(7).spans(50), Generator::new(8).spans(50));
    }

    #[test]
    fn everything_a_client_may_do_occurs() {
        let spans = Generator::new(1).spans(2_000);
        let occurs = |what: &dyn Fn(&Span) -> bool| spans.iter().any(what);
        assert!(occurs(&|span| span.end < span.start));
        assert!(occurs(&|span| matches!(span.parent, ParentId::Odd(_))));
        assert!(occurs(&|span| span.parent == ParentId::Id(span.span_id)));
        assert!(occurs(&|span| span.parent == ParentId::Id(SpanId([0; 8]))));
        assert!(occurs(&|span| !span.unknown.is_empty()));
        assert!(occurs(&|span| !span.resource.present && !span.scope.present));
        for value_type in ValueType::ALL {
            let has = |attribute: &Attribute| attribute.value.value_type() == value_type;
            assert!(occurs(&|span| span.attributes.iter().any(has)), "{value_type:?}");
        }
    }
}
