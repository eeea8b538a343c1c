//! Pages that zones rule out: that there are some, and that no trace is lost with them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use model::aggregate::{AggregateKind, AggregateQuery};
use model::query::{
    AttributeScope, Comparison, Field, Literal, Order, OrderKey, SpanPredicate, TracePredicate,
    TraceQuery, ValueTest, evaluate,
};
use model::store::Detail;
use model::testing::{Generator, Random, simple_span};
use model::{Attribute, Span, Tenant, Text, TimeRange, query};
use storage::Shard;
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::BlockStore;

use crate::fixture::write_scattered;
use crate::fixture::{Fixture, no_limit, open_shard, plain_batch, tenant, traces_of};

/// A shard that makes pages of so many rows, and is sealed when it is told to.
fn fixture(page_rows: usize) -> Fixture {
    let env = Arc::new(FaultEnv::new(1));
    let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/blocks"));
    let store = store.with_page_rows(page_rows);
    let mut fixture = Fixture::with_cache(1 << 20);
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    fixture
}

fn found(shard: &Shard, tenant: &Tenant, query: &TraceQuery) -> Vec<OrderKey> {
    let mut found = Vec::new();
    let end = shard.search(tenant, query, Detail::Summary, &no_limit(), &mut |hit| {
        found.push(hit.key);
        ControlFlow::Continue(())
    });
    assert!(end.unwrap().completeness.is_complete());
    found
}

fn expected(query: &TraceQuery, traces: &[Vec<Span>]) -> Vec<OrderKey> {
    let hits = evaluate(query, traces.iter().map(Vec::as_slice));
    hits.into_iter().map(|(key, _)| key).collect()
}

fn query(predicate: TracePredicate, order: Order) -> TraceQuery {
    TraceQuery { window: TimeRange::ALL, predicate, order, limit: 1_000, cursor: None }
}

fn attribute(key: &str, value: &str) -> SpanPredicate {
    let field = Field::Attribute(AttributeScope::Span, key.into());
    SpanPredicate::Field(field, ValueTest::StringForm(value.into()))
}

/// The span of trace 1 with this number and attribute.
fn part(number: u64, key: &str) -> Span {
    let mut span = simple_span(1, number, number * 10, number * 10 + 5);
    span.attributes = vec![Attribute::new(key, "yes")];
    span
}

/// Whoever leaves out each page on which the predicate cannot hold of a trace leaves out both.
#[test]
fn a_cut_trace_is_found_though_every_page_of_it_lacks_something() {
    let tenant = tenant("own");
    let both = [attribute("a", "yes"), attribute("b", "yes")].map(TracePredicate::HasSpan);
    let both = TracePredicate::All(both.to_vec());
    let spans = [part(1, "a"), part(2, "b")];
    // Sealed after each part, after both (on pages of one row), or after the first.
    for (seals, blocks) in [([true, true], 2), ([false, true], 1), ([true, false], 1)] {
        for merged in [false, true] {
            let mut fixture = fixture(1);
            for (number, (span, seal)) in (0..).zip(spans.iter().zip(seals)) {
                fixture.add(&[plain_batch(number, &tenant, std::slice::from_ref(span))]);
                if seal {
                    fixture.shard.seal(&no_limit()).unwrap();
                }
            }
            assert_eq!(fixture.shard.stats().blocks, blocks);
            if merged {
                fixture.shard.merge(model::Timestamp(u64::MAX), true, &no_limit()).unwrap();
            }
            for order in Order::ALL {
                let found = found(&fixture.shard, &tenant, &query(both.clone(), order));
                assert_eq!(found.len(), 1, "{order:?}, sealed {seals:?}, merged {merged}");
            }
        }
    }
}

#[test]
fn pages_without_a_value_are_not_read() {
    let tenant = tenant("own");
    let mut fixture = fixture(4);
    let spans: Vec<Span> = (1..=64)
        .map(|number| {
            let mut span = simple_span(number, number, number, number + number);
            span.attributes = vec![
                Attribute::new("number", i64::try_from(number).unwrap()),
                Attribute::new("always", "x"),
            ];
            span.name = format!("operation {}", number / 16).into();
            span
        })
        .collect();
    fixture.add(&[plain_batch(1, &tenant, &spans)]);
    fixture.shard.seal(&no_limit()).unwrap();
    let traces = traces_of(&spans);
    let field = |field, test| SpanPredicate::Field(field, test);
    let number = || Field::Attribute(AttributeScope::SpanOrResource, "number".into());
    let equal = |literal| ValueTest::Compare(Comparison::Equal, literal);
    let jaeger =
        |key: &str, value: &str| SpanPredicate::JaegerTag { key: key.into(), value: value.into() };
    let longer = |nanos| {
        field(Field::Duration, ValueTest::Compare(Comparison::Greater, Literal::Int(nanos)))
    };
    let not = |predicate| SpanPredicate::Not(Box::new(predicate));
    let operation = |name: &str| field(Field::Operation, ValueTest::StringForm(name.into()));
    // Each with the pages that may be read at most; of sixteen.
    let cases = [
        (jaeger("number", "17"), 2),
        (jaeger("number", "nothing"), 1),
        (jaeger("nowhere", "17"), 0),
        (jaeger("error", "true"), 0),
        (field(number(), equal(Literal::Int(3))), 2),
        (field(number(), equal(Literal::Double(3.0))), 2),
        (field(number(), equal(Literal::Double(3.5))), 0),
        (longer(1_000), 0),
        (longer(63), 2),
        (operation("operation 2"), 5),
        (SpanPredicate::All(vec![operation("operation 0"), longer(40)]), 0),
        (SpanPredicate::Any(vec![operation("operation 0"), longer(1_000)]), 4),
        (not(longer(0)), 0),
        (not(operation("operation 1")), 14),
        (not(SpanPredicate::Any(vec![operation("operation 1"), longer(24)])), 8),
        (field(Field::EventName, ValueTest::Exists), 0),
        (field(Field::StatusMessage, ValueTest::Exists), 0),
        (field(number(), ValueTest::Compare(Comparison::Less, Literal::Int(3))), 16),
        (field(number(), ValueTest::Exists), 16),
        (not(field(number(), ValueTest::Exists)), 16),
    ];
    for (predicate, pages_max) in cases {
        let ruled_out_before = fixture.shard.pages_ruled_out();
        let asked = query(TracePredicate::HasSpan(predicate.clone()), Order::Newest);
        let found = found(&fixture.shard, &tenant, &asked);
        assert_eq!(found, expected(&asked, &traces), "{predicate:?}");
        let pages = 16 - (fixture.shard.pages_ruled_out() - ruled_out_before);
        assert!(pages <= pages_max, "{predicate:?} read {pages} pages");
        let asked =
            AggregateQuery { window: TimeRange::ALL, predicate, kind: AggregateKind::Totals };
        let answer = fixture.shard.aggregate(&tenant, &asked, &no_limit()).unwrap().value;
        assert_eq!(answer.spans, found.len() as u64);
    }
}

/// Both keys are on every page, but only spans of some classes have both.
#[test]
fn pages_of_whose_classes_none_has_both_keys_are_not_read() {
    let tenant = tenant("own");
    let mut fixture = fixture(4);
    let span = |number: u64, both: bool| {
        let mut span = simple_span(number, number, number, number + 1);
        let is_a = number.is_multiple_of(2);
        span.name = if both { "both" } else { ["b", "a"][usize::from(is_a)] }.into();
        if is_a || both {
            span.attributes.push(Attribute::new("a", "yes"));
        }
        if !is_a || both {
            span.attributes.push(Attribute::new("b", "yes"));
        }
        span
    };
    let asked = SpanPredicate::All(vec![attribute("a", "yes"), attribute("b", "yes")]);
    let asked = query(TracePredicate::HasSpan(asked), Order::Newest);
    let mut spans = Vec::new();
    for (round, both) in [None, Some(30), None].into_iter().enumerate() {
        let first = 100 * round as u64;
        let more = (first..first + 64).map(|number| span(number + 1, both == Some(number - first)));
        let more: Vec<Span> = more.collect();
        fixture.add(&[plain_batch(first, &tenant, &more)]);
        fixture.shard.seal(&no_limit()).unwrap();
        spans.extend(more);
        let ruled_out_before = fixture.shard.pages_ruled_out();
        let found = found(&fixture.shard, &tenant, &asked);
        assert_eq!(found, expected(&asked, &traces_of(&spans)));
        assert_eq!(found.len(), round.min(1));
        let pages = 16 * (round as u64 + 1) - (fixture.shard.pages_ruled_out() - ruled_out_before);
        assert_eq!(pages, round.min(1) as u64, "pages that were read");
    }
    fixture.shard.merge(model::Timestamp(u64::MAX), true, &no_limit()).unwrap();
    assert_eq!(found(&fixture.shard, &tenant, &asked), expected(&asked, &traces_of(&spans)));
}

/// Every attribute of some spans, asked for by value in its own place and others.
fn attribute_predicates(spans: &[Span], random: &mut Random) -> Vec<SpanPredicate> {
    let mut predicates = Vec::new();
    let mut add = |scope: AttributeScope, attribute: &Attribute| {
        let key: Text = attribute.key.clone();
        let form: Text = model::string_form::string_form(attribute.value.as_ref()).into();
        let test = match attribute.value {
            model::AttributeValue::Int(number) if random.one_in(2) => {
                ValueTest::Compare(Comparison::Equal, Literal::Int(number))
            }
            model::AttributeValue::Double(number) if random.one_in(2) => {
                ValueTest::Compare(Comparison::Equal, Literal::Double(number))
            }
            _ => ValueTest::StringForm(form.clone()),
        };
        predicates.push(if random.one_in(2) {
            SpanPredicate::JaegerTag { key, value: form }
        } else {
            SpanPredicate::Field(Field::Attribute(scope, key), test)
        });
    };
    for span in spans {
        span.attributes.iter().for_each(|own| add(AttributeScope::Span, own));
        span.attributes.iter().for_each(|own| add(AttributeScope::SpanOrResource, own));
        span.resource.attributes.iter().for_each(|own| add(AttributeScope::Resource, own));
        span.scope.attributes.iter().for_each(|own| add(AttributeScope::Scope, own));
        let events = span.events.iter().flat_map(|event| &event.attributes);
        events.for_each(|own| add(AttributeScope::Event, own));
        let links = span.links.iter().flat_map(|link| &link.attributes);
        links.for_each(|own| add(AttributeScope::Link, own));
    }
    predicates
}

#[test]
fn every_value_of_every_place_is_found_on_small_pages() {
    for (seed, page_rows) in [(1, 1), (2, 3), (3, 8), (4, 40)] {
        let mut fixture = fixture(page_rows);
        let mut generator = Generator::new(seed);
        let mut random = Random::new(seed);
        let spans: Vec<Span> = (0..40).flat_map(|_| generator.trace()).collect();
        let tenant = tenant("own");
        // Half of it in two blocks, with traces cut between these, the rest in the head.
        for part in spans.chunks(spans.len() / 4 + 1) {
            write_scattered(&mut fixture, &mut generator, &mut random, &tenant, part);
            if random.one_in(2) || part.len() < spans.len() / 4 {
                fixture.shard.seal(&no_limit()).unwrap();
            }
        }
        fixture.shard.seal(&no_limit()).unwrap();
        let traces = traces_of(&spans);
        let mut predicates = attribute_predicates(&spans, &mut random);
        // Two of one span, most of them.
        let mut pairs: Vec<_> = predicates.windows(2).map(<[SpanPredicate]>::to_vec).collect();
        generator.shuffle(&mut pairs);
        pairs.truncate(50);
        for pair in pairs {
            let pair = TracePredicate::HasSpan(SpanPredicate::All(pair));
            let asked = query(pair, *random.pick(&Order::ALL));
            let what = format!("seed {seed}, pages of {page_rows}: {asked:?}");
            assert_eq!(found(&fixture.shard, &tenant, &asked), expected(&asked, &traces), "{what}");
        }
        generator.shuffle(&mut predicates);
        predicates.truncate(150);
        for _ in 0..100 {
            let asked = generator.trace_query(&spans);
            let what = format!("seed {seed}: {asked:?}");
            assert_eq!(found(&fixture.shard, &tenant, &asked), expected(&asked, &traces), "{what}");
            let asked = generator.aggregate_query(&spans);
            let answer = fixture.shard.aggregate(&tenant, &asked, &no_limit()).unwrap();
            let slices = traces.iter().map(Vec::as_slice);
            assert_eq!(answer.value, query::aggregate(&asked, slices), "seed {seed}: {asked:?}");
        }
        for (number, predicate) in predicates.iter().enumerate() {
            let other = random.pick(&predicates).clone();
            let has = |predicate: &SpanPredicate| TracePredicate::HasSpan(predicate.clone());
            let predicate = match number % 4 {
                0 => has(predicate),
                1 => TracePredicate::All(vec![has(predicate), has(&other)]),
                2 => TracePredicate::All(vec![
                    has(predicate),
                    TracePredicate::Not(Box::new(has(&other))),
                ]),
                _ => has(&SpanPredicate::All(vec![
                    predicate.clone(),
                    SpanPredicate::Not(Box::new(other)),
                ])),
            };
            let asked = query(predicate, Order::ALL[number % Order::ALL.len()]);
            let what = format!("seed {seed}, pages of {page_rows}: {asked:?}");
            assert_eq!(found(&fixture.shard, &tenant, &asked), expected(&asked, &traces), "{what}");
        }
        let ruled_out = fixture.shard.pages_ruled_out();
        assert!(ruled_out > 100, "seed {seed}: zones ruled out {ruled_out} pages");
    }
}
