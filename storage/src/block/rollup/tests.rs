//! Rollups come back, keep to their room, and nonsense is refused or read without a panic.

use model::batch::{Batch, Builder, encode};
use model::testing::{Generator, Random, simple_span, tell_spans};
use model::{Attribute, BatchId, Tenant};

use super::{Rollup, RollupBuilder};
use crate::block::limits::ROLLUP_VALUES_MAX;
use crate::block::zones::ZonesBuilder;

/// The section of a run of pages of a trace each, and its spans.
fn section(seed: u64, pages: usize, bytes_per_span: usize) -> (Option<Vec<u8>>, usize) {
    let mut generator = Generator::new(seed);
    let (mut zones, mut rollup) = (ZonesBuilder::default(), RollupBuilder::default());
    let mut span_count = 0;
    for _ in 0..pages {
        let mut builder = Builder::new(Tenant::default());
        let spans = generator.trace();
        span_count += spans.len();
        tell_spans(&spans, &mut builder);
        let batch = Batch::open(encode(&builder, BatchId::default()).into()).unwrap();
        let index = batch.index().unwrap();
        let values = batch.values(&index).unwrap();
        let classes = zones.add(&index, &values, &batch.details(&index).unwrap()).unwrap();
        rollup.add(&index, &values, &classes, None).unwrap();
    }
    let class_count = u32::try_from(zones.finish().0.classes().len()).unwrap();
    (rollup.finish(class_count, bytes_per_span), span_count)
}

fn spans_in(rollup: &Rollup) -> u64 {
    let mut spans = 0;
    rollup.totals(&mut |_, _, counts| spans += counts.spans).unwrap();
    spans
}

#[test]
fn everything_is_counted_and_comes_back() {
    for seed in 1..5 {
        let (section, span_count) = section(seed, 30, 1_000);
        let rollup = Rollup::decode(&section.unwrap()).unwrap();
        assert_eq!(spans_in(&rollup), span_count as u64);
        let mut by_class = 0;
        rollup.cells(&|_| true, &mut |_, _, _, spans| by_class += spans).unwrap();
        assert_eq!(by_class, span_count as u64);
        let mut traces = 0;
        rollup.traces(&mut |_, count| traces += count).unwrap();
        assert_eq!(traces, 30);
        assert!(rollup.shapes().is_some() && rollup.services().is_some());
    }
}

#[test]
fn a_rollup_keeps_to_its_room() {
    for bytes_per_span in [1, 2, 4, 16, 64] {
        let (section, span_count) = section(7, 60, bytes_per_span);
        let Some(section) = section else { continue };
        let packed = zstd_length(&section);
        assert!(packed <= span_count * bytes_per_span + 64, "{packed} of {span_count}");
        Rollup::decode(&section).unwrap();
    }
    assert!(section(7, 60, 0).0.is_none());
}

/// Ids in keys: as many columns as values. What rows take of a column is a walk over all classes,
/// so it is asked of columns that may be counted only.
#[test]
fn keys_that_never_come_again_are_passed_over() {
    let mut rollup = RollupBuilder::default();
    for page in 0..4_u64 {
        let mut builder = Builder::new(Tenant::default());
        for row in 0..1_000_u64 {
            let number = page * 1_000 + row;
            let mut span = simple_span(number + 1, number + 1, number, number + 1);
            let key = |at: u64| format!("key-{}", number * 4 + at);
            span.attributes = (0..4).map(|at| Attribute::new(&*key(at), 1_i64)).collect();
            tell_spans([&span], &mut builder);
        }
        let batch = Batch::open(encode(&builder, BatchId::default()).into()).unwrap();
        let (index, values, _) = batch.verified().unwrap();
        rollup.add(&index, &values, &vec![0; index.classes.len()], None).unwrap();
    }
    let walks = rollup.walks();
    assert!((ROLLUP_VALUES_MAX..=4 * ROLLUP_VALUES_MAX).contains(&walks), "{walks} walks");
}

fn zstd_length(bytes: &[u8]) -> usize {
    let mut packed = Vec::new();
    model::columns::compress::Compressor::default().append(&mut packed, bytes);
    packed.len()
}

#[test]
fn fuzz_nonsense_is_refused_or_read() {
    let bytes = section(3, 20, 1_000).0.unwrap();
    for length in 0..bytes.len() {
        // Cut between two parts it is a rollup that counts less.
        let _ = Rollup::decode(&bytes[..length]);
    }
    let mut random = Random::new(3);
    for _ in 0..3_000 {
        let mut damaged = bytes.clone();
        let place = random.index(damaged.len());
        damaged[place] ^= 1 << random.index(8);
        if let Ok(rollup) = Rollup::decode(&damaged) {
            rollup.totals(&mut |_, _, _| {}).unwrap();
            rollup.traces(&mut |_, _| {}).unwrap();
            rollup.cells(&|_| true, &mut |_, _, _, _| {}).unwrap();
            rollup.calls(&mut |_, _, _, _| {}).unwrap();
            assert!(rollup.memory_bytes() < 1 << 20);
        }
    }
}
