//! QRY-1 of figures that come from rollups: equal to the reference over any window and step, with
//! any seal points and merges, spans repeated anywhere, classes left out for lack of room.

use std::path::Path;
use std::sync::Arc;

use model::aggregate::{AggregateKind, AggregateQuery, GroupBy};
use model::query::field::any_attribute;
use model::query::{AttributeScope, Field, SpanPredicate};
use model::testing::{Generator, Random, simple_span};
use model::{Attribute, Duration, Span, Tenant, Text, TimeRange, Timestamp, query};
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::BlockStore;

use crate::fixture::{
    Fixture, no_limit, open_shard, plain_batch, tenant, traces_of, write_scattered,
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Spans over some minutes: most traces lie in one, some in several.
fn spread(random: &mut Random, spans: &mut [Span]) {
    let origin = random.below(10 * MINUTE);
    let reach = *random.pick(&[SECOND, 20 * SECOND, 150 * SECOND]);
    for span in spans {
        // The ends of time stay where they are.
        if (1_000_000..u64::MAX / 2).contains(&span.start.0) {
            let by = origin + random.below(reach);
            let duration = span.end.0.wrapping_sub(span.start.0);
            span.start.0 += by;
            span.end.0 = span.start.0.wrapping_add(duration);
        }
    }
}

struct Case {
    fixture: Fixture,
    generator: Generator,
    random: Random,
    traces: Vec<Vec<Span>>,
    tenant: Tenant,
}

fn case(seed: u64, trace_count: usize, rollup_bytes: usize) -> Case {
    let mut generator = Generator::new(seed);
    let mut random = Random::new(seed ^ 0xabba);
    let mut fixture = Fixture::with_cache(1 << 20);
    let env = Arc::new(FaultEnv::new(seed));
    let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/blocks"));
    let rows = *random.pick(&[2, 20, 4_096]);
    let store = store.with_page_rows(rows).with_rollup_bytes(rollup_bytes);
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    fixture.sealing = Some((store, Random::new(seed)));
    let mut spans = Vec::new();
    for _ in 0..trace_count {
        let mut trace = generator.trace();
        spread(&mut random, &mut trace);
        spans.extend(trace);
    }
    generator.shuffle(&mut spans);
    let tenant = tenant("own");
    let (early, late) = spans.split_at(spans.len() / 2);
    write_scattered(&mut fixture, &mut generator, &mut random, &tenant, early);
    write_scattered(&mut fixture, &mut generator, &mut random, &tenant, late);
    if random.one_in(2) {
        fixture.shard.seal(&no_limit()).unwrap();
    }
    if random.one_in(3) {
        // Sent again later, into another block or the head.
        write_scattered(&mut fixture, &mut generator, &mut random, &tenant, &spans[..20]);
    }
    Case { fixture, generator, random, traces: traces_of(&spans), tenant }
}

impl Case {
    fn window(&mut self, spans: &[Span]) -> TimeRange {
        let mut moment = || {
            let at = self.random.pick(spans).start.0;
            match self.random.below(3) {
                0 => at,
                1 => at / MINUTE * MINUTE,
                _ => (at / MINUTE).saturating_mul(MINUTE).saturating_add(MINUTE - 1),
            }
        };
        let (one, two) = (moment(), moment());
        match self.random.below(4) {
            0 => TimeRange::ALL,
            1 => TimeRange { start: Timestamp(one.min(two)), end: Timestamp::MAX },
            _ => TimeRange { start: Timestamp(one.min(two)), end: Timestamp(one.max(two)) },
        }
    }

    fn predicate(&mut self, spans: &[Span], depth: usize) -> SpanPredicate {
        let kinds = if depth == 0 { 6 } else { 9 };
        let parts =
            |case: &mut Self| (0..2).map(|_| case.predicate(spans, depth - 1)).collect::<Vec<_>>();
        match self.random.below(kinds) {
            0 | 1 => SpanPredicate::True,
            6 => SpanPredicate::All(parts(self)),
            7 => SpanPredicate::Any(parts(self)),
            8 => SpanPredicate::Not(Box::new(self.predicate(spans, depth - 1))),
            _ => {
                let fields = [Field::Service, Field::Operation, Field::Kind, Field::Status];
                let field = self.random.pick(&fields).clone();
                let test = self.generator.value_test(&field, spans);
                SpanPredicate::Field(field, test)
            }
        }
    }

    fn query(&mut self, spans: &[Span]) -> AggregateQuery {
        let window = self.window(spans);
        let steps = [MINUTE, 2 * MINUTE, 90 * SECOND, 7 * MINUTE + 1, 3_600 * SECOND, u64::MAX];
        let step = Duration(*self.random.pick(&steps));
        let group_by = *self.random.pick(&[GroupBy::Service, GroupBy::Operation]);
        let mut predicate = self.predicate(spans, 2);
        let kind = match self.random.below(6) {
            0 => AggregateKind::Totals,
            1 => AggregateKind::Heatmap { step },
            2 | 3 => AggregateKind::Red { step, group_by },
            _ => {
                predicate = SpanPredicate::True;
                self.values(spans)
            }
        };
        AggregateQuery { window, predicate, kind }
    }

    fn values(&mut self, spans: &[Span]) -> AggregateKind {
        let others = [Field::Kind, Field::Service, Field::StatusMessage];
        if self.random.one_in(4) {
            return AggregateKind::TopValues { field: self.random.pick(&others).clone(), limit: 9 };
        }
        let scopes = [AttributeScope::PLACES.as_slice(), &[AttributeScope::SpanOrResource; 3]];
        let scope = *self.random.pick(&scopes.concat());
        let mut keys = vec!["no.such.key".into()];
        any_attribute(scope, self.random.pick(spans), &mut |attribute| {
            keys.push(attribute.key.clone());
            false
        });
        let key = self.random.pick(&keys).clone();
        AggregateKind::TopValues { field: Field::Attribute(scope, key), limit: 1_000 }
    }

    fn check(&mut self, what: &str, rounds: usize) {
        let spans = self.traces.concat();
        for number in 0..rounds {
            let query = self.query(&spans);
            let slices = || self.traces.iter().map(Vec::as_slice);
            let shard = &self.fixture.shard;
            let answer = shard.aggregate(&self.tenant, &query, &no_limit()).unwrap();
            let what = format!("{what}, query {number}: {query:?}");
            assert_eq!(answer.value, query::aggregate(&query, slices()), "{what}");
            assert!(answer.completeness.is_complete());
            let answer = shard.dependencies(&self.tenant, query.window, &no_limit()).unwrap();
            assert_eq!(answer.value, query::dependencies(query.window, slices()), "{what}");
        }
    }
}

#[test]
fn figures_over_any_window_equal_the_reference() {
    for seed in 0..8 {
        // Without room for anything; with room for some classes; with room for all.
        for rollup_bytes in [0, 6, 1_000] {
            let what = format!("seed {seed}, {rollup_bytes} bytes a span");
            let mut case = case(seed, 40, rollup_bytes);
            case.check(&what, 40);
            case.fixture.shard.seal(&no_limit()).unwrap();
            case.check(&format!("{what}, sealed"), 20);
            let now = Timestamp(case.fixture.stamp);
            case.fixture.shard.merge(now, true, &no_limit()).unwrap();
            case.check(&format!("{what}, merged"), 20);
        }
    }
}

#[test]
fn whole_minutes_are_answered_without_reading_pages() {
    let case = case(900, 300, 1_000);
    case.fixture.shard.seal(&no_limit()).unwrap();
    while case.fixture.shard.merge(Timestamp(u64::MAX), true, &no_limit()).unwrap().is_some() {}
    assert_eq!(case.fixture.shard.stats().blocks, 1);
    let kinds = [
        AggregateKind::Totals,
        AggregateKind::Heatmap { step: Duration(MINUTE) },
        AggregateKind::Red { step: Duration(MINUTE), group_by: GroupBy::Operation },
    ];
    for kind in kinds {
        let before = case.fixture.cache.stats();
        let query = AggregateQuery { window: TimeRange::ALL, predicate: SpanPredicate::True, kind };
        case.fixture.shard.aggregate(&case.tenant, &query, &no_limit()).unwrap();
        let after = case.fixture.cache.stats();
        assert_eq!((before.hits, before.misses), (after.hits, after.misses), "{query:?}");
    }
}

/// Clients of different languages send a status as a number and as a text: each span has one of the
/// two, and the two are the same value.
#[test]
fn a_key_of_several_types_is_counted_and_a_span_that_has_two_is_not_lost() {
    let key = Text::from("http.status_code");
    let spans = |has_both: bool| -> Vec<Span> {
        let span = |number: u64| {
            let mut span = simple_span(number, number, number * 10, number * 10 + 5);
            let text = Attribute::new("http.status_code", "200");
            let int = Attribute::new("http.status_code", 200 + i64::try_from(number % 3).unwrap());
            span.attributes = match number % 4 {
                0 => vec![text],
                1 if has_both => vec![text, int],
                2 => Vec::new(),
                _ => vec![int],
            };
            span
        };
        (1..=200).map(span).collect()
    };
    for has_both in [false, true] {
        let spans = spans(has_both);
        let mut case = case(7, 1, 10_000);
        let own = tenant("types");
        case.fixture.add(&[plain_batch(1_000, &own, &spans)]);
        let query = AggregateQuery {
            window: TimeRange::ALL,
            predicate: SpanPredicate::True,
            kind: AggregateKind::TopValues {
                field: Field::Attribute(AttributeScope::SpanOrResource, key.clone()),
                limit: 10,
            },
        };
        let traces = traces_of(&spans);
        let expected = query::aggregate(&query, traces.iter().map(Vec::as_slice));
        let found = |case: &Case| case.fixture.shard.aggregate(&own, &query, &no_limit()).unwrap();
        assert_eq!(found(&case).value, expected, "in the head");
        case.fixture.shard.seal(&no_limit()).unwrap();
        let before = case.fixture.cache.stats();
        assert_eq!(found(&case).value, expected, "in a block");
        let after = case.fixture.cache.stats();
        let is_from_counts = (before.hits, before.misses) == (after.hits, after.misses);
        assert_eq!(is_from_counts, !has_both);
    }
}
