//! A tenant with a hundred thousand attribute keys and a value of a mebibyte: all of it is found,
//! and the reads of another tenant cost what they cost without it.

use std::ops::ControlFlow;

use model::aggregate::{AggregateKind, AggregateQuery};
use model::query::{
    AttributeScope, Field, Order, SpanPredicate, TracePredicate, TraceQuery, ValueTest,
};
use model::store::{Detail, SUGGESTIONS_MAX};
use model::testing::simple_span;
use model::{Attribute, AttributeValue, Span, Tenant, Text, TimeRange, Timestamp};
use storage::Shard;
use storage::shard::BlockStore;

use super::fixture::{Fixture, bytes_limit, no_limit, open_shard, plain_batch, tenant};

const SPANS: u64 = 500;
const KEYS_A_SPAN: u64 = 200;
const LONG_BYTES: usize = 1 << 20;

fn loud() -> Vec<Vec<Span>> {
    let span = |number: u64| {
        let mut span = simple_span(1 + number % 50, number + 1, number * 10, number * 10 + 5);
        let key = |key: u64| format!("key.{}", number * KEYS_A_SPAN + key);
        span.attributes = (0..KEYS_A_SPAN).map(|at| Attribute::new(&*key(at), "here")).collect();
        span
    };
    let mut spans: Vec<Span> = (0..SPANS).map(span).collect();
    let mut long = simple_span(1, SPANS + 1, 7, 9);
    long.attributes = vec![Attribute::new("long", &*"x".repeat(LONG_BYTES))];
    spans.push(long);
    spans.chunks(100).map(<[Span]>::to_vec).collect()
}

fn quiet(number: u64) -> Vec<Span> {
    let span = |row: u64| {
        let mut span = simple_span(1_000 + number, row, number * 100 + row, number * 100 + row + 5);
        span.attributes = vec![Attribute::new("color", ["red", "blue"][(row % 2) as usize])];
        span
    };
    (1..=20).map(span).collect()
}

/// A shard that two tenants write to in turn, or one of them alone.
fn shard_of(with_loud: bool, is_sealed: bool) -> Fixture {
    let mut fixture = Fixture::sealing(1, 16 << 20);
    let (store, _) = fixture.sealing.take().unwrap();
    let store: BlockStore = store.with_page_rows(4_096).with_bare_rows(30);
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    for (number, spans) in (0..).zip(loud()) {
        if with_loud {
            fixture.add(&[plain_batch(number * 2 + 1, &tenant("loud"), &spans)]);
        }
        fixture.add(&[plain_batch(number * 2 + 2, &tenant("quiet"), &quiet(number))]);
    }
    if is_sealed {
        fixture.shard.seal(&no_limit()).unwrap();
        fixture.shard.merge(Timestamp(u64::MAX), true, &no_limit()).unwrap();
    }
    fixture
}

fn with_key(key: &str) -> TraceQuery {
    let field = Field::Attribute(AttributeScope::Span, key.into());
    let predicate = SpanPredicate::Field(field, ValueTest::Exists);
    TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::HasSpan(predicate),
        order: Order::Newest,
        limit: 20,
        cursor: None,
    }
}

fn found(shard: &Shard, tenant: &Tenant, query: &TraceQuery) -> usize {
    let mut count = 0;
    let mut on_hit = |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    let end = shard.search(tenant, query, Detail::Summary, &no_limit(), &mut on_hit).unwrap();
    assert!(end.completeness.is_complete(), "{end:?}");
    count
}

#[test]
fn what_has_many_keys_and_long_values_is_found() {
    for is_sealed in [false, true] {
        let Fixture { shard, .. } = shard_of(true, is_sealed);
        let loud = tenant("loud");
        for number in [0, 17 * KEYS_A_SPAN + 3, SPANS * KEYS_A_SPAN - 1] {
            assert_eq!(found(&shard, &loud, &with_key(&format!("key.{number}"))), 1);
        }
        assert_eq!(found(&shard, &loud, &with_key(&format!("key.{}", SPANS * KEYS_A_SPAN))), 0);
        let keys = shard.keys(&loud, &Text::EMPTY, &no_limit()).unwrap();
        assert_eq!((keys.value.len(), keys.completeness.sampled), (SUGGESTIONS_MAX, true));
        let keys = shard.keys(&loud, &"key.99998".into(), &no_limit()).unwrap();
        assert_eq!((keys.value.len(), keys.completeness.sampled), (1, false));
        let id = simple_span(1, 1, 0, 0).trace_id;
        let trace = shard.trace(&loud, id, usize::MAX, &no_limit()).unwrap().unwrap();
        assert_eq!(trace.spans.len() as u64, SPANS / 50 + 1);
        let values = trace.spans.iter().flat_map(|span| &span.attributes);
        let lengths = values.filter_map(|attribute| match &attribute.value {
            AttributeValue::String(text) => Some(text.as_bytes().len()),
            _ => None,
        });
        assert_eq!(lengths.max(), Some(LONG_BYTES));
    }
}

type Read = fn(&Shard, &Tenant, u64) -> bool;

/// What people ask of ordinary traces. Says whether so many bytes were enough.
const READS: [(&str, Read); 5] = [
    ("a trace", |shard, tenant, bytes| {
        let id = simple_span(1_002, 1, 0, 0).trace_id;
        shard.trace(tenant, id, usize::MAX, &bytes_limit(bytes)).is_ok()
    }),
    ("a search", |shard, tenant, bytes| {
        let mut on_hit = |_| ControlFlow::Continue(());
        let budget = bytes_limit(bytes);
        let end = shard.search(tenant, &with_key("color"), Detail::Summary, &budget, &mut on_hit);
        end.is_ok_and(|end| end.completeness.is_complete())
    }),
    ("figures", |shard, tenant, bytes| {
        let field = Field::Attribute(AttributeScope::Span, "color".into());
        let kind = AggregateKind::TopValues { field, limit: 10 };
        let query = AggregateQuery { window: TimeRange::ALL, predicate: SpanPredicate::True, kind };
        let answer = shard.aggregate(tenant, &query, &bytes_limit(bytes));
        answer.is_ok_and(|answer| answer.completeness.is_complete())
    }),
    ("keys", |shard, tenant, bytes| {
        let answer = shard.keys(tenant, &Text::EMPTY, &bytes_limit(bytes));
        answer.is_ok_and(|answer| answer.completeness.is_complete())
    }),
    ("calls", |shard, tenant, bytes| {
        let answer = shard.dependencies(tenant, TimeRange::ALL, &bytes_limit(bytes));
        answer.is_ok_and(|answer| answer.completeness.is_complete())
    }),
];

/// The fewest bytes of a budget that are enough.
fn bytes_needed(shard: &Shard, read: Read) -> u64 {
    let (mut too_few, mut enough) = (0, 1 << 40);
    while too_few + 1 < enough {
        let bytes = u64::midpoint(too_few, enough);
        if read(shard, &tenant("quiet"), bytes) { enough = bytes } else { too_few = bytes }
    }
    enough
}

#[test]
fn the_reads_of_a_neighbour_cost_the_same() {
    for is_sealed in [false, true] {
        let (beside, alone) = (shard_of(true, is_sealed), shard_of(false, is_sealed));
        for (name, read) in READS {
            let (beside, alone) =
                (bytes_needed(&beside.shard, read), bytes_needed(&alone.shard, read));
            assert_eq!(beside, alone, "{name}, sealed: {is_sealed}");
        }
    }
}
