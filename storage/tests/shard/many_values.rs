//! QRY-1 of figures with more values and groups than an answer carries: which remain follows from
//! the spans alone, however they were cut into batches, sealed and merged.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::aggregate::{Aggregate, AggregateKind, AggregateQuery, GROUPS_MAX, GroupBy};
use model::query::{AttributeScope, Field, SpanPredicate};
use model::testing::{Generator, Random, simple_span};
use model::{Attribute, Duration, Span, TimeRange, Timestamp, TraceId, query};
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::BlockStore;

use crate::fixture::{Fixture, no_limit, open_shard, tenant, traces_of, write_scattered};

const SPANS: u64 = 13_000;
const VALUES: u64 = 11_000;
const MINUTE: u64 = 60_000_000_000;

/// Spans with more values and operations than fit; some values are on two spans, or on three.
fn spans() -> Vec<Span> {
    let span = |number: u64| {
        let start = number * 10_000_000;
        let mut span = simple_span(number / 5 + 1, number + 1, start, start + 1_000 + number);
        let value = number * 7_919 % VALUES;
        let common = if number.is_multiple_of(13) { value % 100 } else { value };
        span.name = format!("operation {common:05}").into();
        span.attributes = vec![Attribute::new("user", format!("user {value:05}").as_str())];
        span
    };
    (0..SPANS).map(span).collect()
}

/// The same spans, cut, repeated, sealed and merged as chance wills it.
fn shard_of(seed: u64, spans: &[Span]) -> Fixture {
    let (mut generator, mut random) = (Generator::new(seed), Random::new(seed));
    let mut fixture = Fixture::with_cache(8 << 20);
    let env = Arc::new(FaultEnv::new(seed));
    let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/blocks"));
    let store = store.with_page_rows(*random.pick(&[200, 1_000, 4_096]));
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    // In some large steps: what is written scattered seals each few requests.
    let mut spans = spans.to_vec();
    generator.shuffle(&mut spans);
    let steps = 2 + random.index(3);
    for part in spans.chunks(spans.len().div_ceil(steps)) {
        write_scattered(&mut fixture, &mut generator, &mut random, &tenant("a"), part);
        match random.below(3) {
            0 => drop(fixture.shard.seal(&no_limit()).unwrap()),
            1 => {
                fixture.shard.seal(&no_limit()).unwrap();
                fixture.shard.merge(Timestamp(u64::MAX), true, &no_limit()).unwrap();
            }
            _ => {}
        }
    }
    fixture
}

fn questions() -> Vec<AggregateQuery> {
    let part = TimeRange { start: Timestamp(MINUTE / 12), end: Timestamp(u64::MAX / 2) };
    let field = Field::Attribute(AttributeScope::Span, "user".into());
    let values = |field| AggregateKind::TopValues { field, limit: 20 };
    let red = |step| AggregateKind::Red { step: Duration(step), group_by: GroupBy::Operation };
    let kinds =
        [values(field), values(Field::Operation), red(MINUTE), red(MINUTE / 7), red(u64::MAX)];
    let windows = [TimeRange::ALL, part];
    let query = |kind: &AggregateKind, window| AggregateQuery {
        window,
        predicate: SpanPredicate::True,
        kind: kind.clone(),
    };
    kinds.iter().flat_map(|kind| windows.map(|window| query(kind, window))).collect()
}

#[test]
fn what_remains_does_not_depend_on_where_spans_lie() {
    let spans = spans();
    let traces = traces_of(&spans);
    // As if they lay elsewhere.
    let without: BTreeSet<TraceId> = traces.iter().step_by(40).map(|it| it[0].trace_id).collect();
    for seed in 0..5 {
        let fixture = shard_of(seed, &spans);
        for (number, query) in questions().iter().enumerate() {
            for without in [&BTreeSet::new(), &without] {
                let what = format!("seed {seed}, question {number}, {}", without.len());
                let own = traces.iter().filter(|trace| !without.contains(&trace[0].trace_id));
                let mut expected = query::aggregate(query, own.map(Vec::as_slice));
                assert!(expected.cut(), "{what}: there is too little");
                let shard = &fixture.shard;
                let answer =
                    shard.aggregate_without(without, &tenant("a"), query, &no_limit()).unwrap();
                assert_same(&answer.value, &expected, &what);
                assert!(answer.completeness.sampled, "{what}: it does not say so");
                assert!(answer.completeness.is_complete());
            }
        }
    }
}

/// Without printing ten thousand values.
fn assert_same(found: &Aggregate, expected: &Aggregate, what: &str) {
    let sizes = |of: &Aggregate| (of.values.len(), of.red.len(), of.other, of.spans, of.traces);
    assert_eq!(sizes(found), sizes(expected), "{what}");
    assert!(found.values.len().max(found.red.len()) == GROUPS_MAX, "{what}");
    assert!(found == expected, "{what}: the figures differ");
}

#[test]
fn what_fits_is_whole_and_says_so() {
    let spans: Vec<Span> = spans().into_iter().take(9_000).collect();
    let fixture = shard_of(7, &spans);
    let traces = traces_of(&spans);
    for query in questions() {
        let answer = fixture.shard.aggregate(&tenant("a"), &query, &no_limit()).unwrap();
        let expected = query::aggregate(&query, traces.iter().map(Vec::as_slice));
        assert!(answer.value == expected && !answer.completeness.sampled, "{query:?}");
    }
}
