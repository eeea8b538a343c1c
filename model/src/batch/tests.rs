//! Batches give back what went in, and refuse what was changed.
#![expect(clippy::disallowed_methods, reason = "the number of fuzz cases comes from outside")]

use bytes::Bytes;
use proptest::prelude::*;

use super::{Batch, Builder, Encoder};
use crate::sink::{EventHead, SpanHead, SpanVisitor};
use crate::span::Event;
use crate::store::RequestDigest;
use crate::testing::{Generator, Random, simple_span, tell_spans};
use crate::{
    Attribute, AttributeValue, BatchId, Resource, Span, SpanId, Tenant, Text, Timestamp, TraceId,
};

fn encoded(requests: &[Vec<Span>]) -> Bytes {
    let mut builder = Builder::new(Tenant::default());
    for (number, spans) in (0_u8..).zip(requests) {
        builder.begin_request(RequestDigest([number; 16]));
        tell_spans(spans, &mut builder);
    }
    Bytes::from(Encoder::default().encode(&builder, BatchId([7; 16])))
}

/// The spans in the order of a batch: by trace (first appearance), start, arrival.
fn in_batch_order(requests: &[Vec<Span>]) -> Vec<Span> {
    let all: Vec<Span> = requests.iter().flatten().cloned().collect();
    let mut keyed: Vec<(usize, Span)> = all
        .iter()
        .map(|span| {
            let first = all.iter().position(|other| other.trace_id == span.trace_id).unwrap();
            (first, span.clone())
        })
        .collect();
    keyed.sort_by_key(|(first, span)| (*first, span.start));
    keyed.into_iter().map(|(_, span)| span).collect()
}

proptest! {
    #[test]
    fn every_span_comes_back_as_it_was(seed in any::<u64>(), count in 0_usize..200) {
        let mut generator = Generator::new(seed);
        let spans = generator.spans(count);
        let requests = generator.requests(&spans);
        let batch = Batch::open(encoded(&requests)).unwrap();
        prop_assert_eq!(batch.header().span_count as usize, requests.iter().flatten().count());
        let found = batch.spans().unwrap();
        prop_assert_eq!(&found, &in_batch_order(&requests));

        // Any stretch of rows reads as it does within the whole.
        let index = batch.index().unwrap();
        let (values, details) = (batch.values(&index).unwrap(), batch.details(&index).unwrap());
        for trace in &index.traces {
            let rows = trace.rows();
            let part = super::spans(&index, &values, &details, rows.clone()).unwrap();
            prop_assert_eq!(&part, &found[rows]);
        }
        if requests.len() > 1 {
            prop_assert_eq!(index.requests.len(), requests.len());
        }
    }

    #[test]
    fn a_flipped_bit_is_found(seed in any::<u64>(), place in any::<usize>(), bit in 0_u8..8) {
        let spans = Generator::new(seed).spans(20);
        let mut bytes = encoded(&[spans]).to_vec();
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        let opened = Batch::open(bytes.into());
        prop_assert!(opened.and_then(|batch| batch.verify()).is_err());
    }
}

/// Whoever closes batches and pages asks for this number alone: what it does not count has no
/// bound.
#[test]
fn what_has_no_text_counts_as_payload() {
    let count = 10_000;
    let payload = |change: &dyn Fn(&mut Span)| {
        let mut span = simple_span(1, 1, 1, 2);
        change(&mut span);
        let mut builder = Builder::new(Tenant::default());
        tell_spans([&span], &mut builder);
        let batch = Batch::open(super::encode(&builder, BatchId::default()).into()).unwrap();
        batch.verify().unwrap();
        builder.payload_bytes()
    };
    let least = payload(&|_| {});
    assert!(least < 200, "{least} bytes");
    let event = Event {
        time: Timestamp(1),
        name: Text::EMPTY,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        unknown: Text::EMPTY,
    };
    let events = payload(&|span| span.events = vec![event.clone(); count]);
    let numbers = payload(&|span| span.attributes = vec![Attribute::new("n", 7_i64); count]);
    let truths = payload(&|span| span.attributes = vec![Attribute::new("t", true); count]);
    let nothing = Attribute { key: "e".into(), value: AttributeValue::Empty };
    let empty = payload(&|span| span.attributes = vec![nothing.clone(); count]);
    let resource = payload(&|span| {
        let attributes = vec![Attribute::new("n", 7_i64); count];
        span.resource = Resource { attributes, ..Resource::default() }.into();
    });
    let schema = payload(&|span| {
        let schema_url = "s".repeat(count).as_str().into();
        span.resource = Resource { schema_url, ..Resource::default() }.into();
    });
    for (what, bytes) in [
        ("events", events),
        ("numbers", numbers),
        ("truths", truths),
        ("empty values", empty),
        ("a resource's values", resource),
        ("a resource's schema", schema),
    ] {
        assert!((count..20 * count).contains(&bytes), "{what}: {bytes} bytes");
    }
}

/// What batches hold that were closed by their text alone.
#[test]
fn more_events_than_are_written_today_can_be_read() {
    let mut builder = Builder::new(Tenant::default());
    // Sets resource and scope.
    tell_spans([&simple_span(1, 1, 1, 2)], &mut builder);
    builder.span(&SpanHead {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([1; 8]),
        parent: b"",
        trace_state: b"",
        flags: 0,
        name: b"",
        kind: 0,
        start: 1,
        end: 2,
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
        status: None,
        unknown: b"",
    });
    let event = EventHead { time: 1, name: b"", dropped_attributes_count: 0, unknown: b"" };
    let count = (1 << 22) + 1;
    (0..count).for_each(|_| builder.event(&event));
    builder.end_span();
    let batch = Batch::open(super::encode(&builder, BatchId::default()).into()).unwrap();
    let (_, _, details) = batch.verified().unwrap();
    assert_eq!(details.events().count(), count);
}

/// The body of the batch reader's fuzzing: any bytes are refused or read, never a panic. What
/// passes for a section is changed under a valid checksum, as a wrong writer would.
fn read_anything(seed: u64) {
    let mut generator = Generator::new(seed);
    let spans = generator.spans(30);
    let bytes = encoded(&[spans]);
    let (header, sections) = super::format::read(&bytes).unwrap();
    let mut contents: Vec<Vec<u8>> = Vec::new();
    for id in super::format::SECTIONS {
        contents.push(super::format::section(&bytes, &sections, id).unwrap().to_vec());
    }
    let mut random = Random::new(seed);
    for _ in 0..=random.below(3) {
        let content = random.index(contents.len());
        if contents[content].is_empty() {
            continue;
        }
        let place = random.index(contents[content].len());
        match random.below(3) {
            0 => contents[content].truncate(place),
            1 => contents[content][place] = 0xff,
            _ => contents[content][place] ^= 1 << random.below(8),
        }
    }
    let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let mut compressor = crate::columns::compress::Compressor::default();
    let changed = super::format::write(&header, contents[..].try_into().unwrap(), &mut compressor);
    if let Ok(batch) = Batch::open(changed.into()) {
        let _ = batch.spans();
    }
}

#[test]
fn fuzz_any_content_is_refused_or_read() {
    let cases = std::env::var("SKUA_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    for seed in 0..cases.unwrap_or(2_000) {
        let read = std::panic::catch_unwind(|| read_anything(seed));
        assert!(read.is_ok(), "seed {seed} panicked");
    }
}

/// A batch that version 1 wrote. It is never written again: what can read it today must always.
const BATCH_V1: &[u8] = include_bytes!("../../fixtures/batch-v1.bin");
/// How many spans are in it, and the sum of their fingerprints.
const FIXTURE: (usize, &str) = (120, "c8ca4ac819b1c0b94675ed8c67e6f2a6");

#[test]
fn the_first_version_stays_readable() {
    let batch = Batch::open(Bytes::from_static(BATCH_V1)).unwrap();
    batch.verify().unwrap();
    let spans = batch.spans().unwrap();
    let sum = spans.iter().map(crate::canonical::fingerprint).fold(0, u128::wrapping_add);
    assert_eq!((spans.len(), format!("{sum:032x}").as_str()), FIXTURE);
    assert_eq!(batch.header().id, BatchId([7; 16]));
    assert_eq!(batch.index().unwrap().requests.len(), 2);
}
