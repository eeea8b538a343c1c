//! Batches give back what went in, and refuse what was changed.
#![expect(clippy::disallowed_methods, reason = "the number of fuzz cases comes from outside")]

use bytes::Bytes;
use proptest::prelude::*;

use super::{Batch, Builder, Encoder};
use crate::store::RequestDigest;
use crate::testing::{Generator, Random, tell_spans};
use crate::{BatchId, Span, Tenant};

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
