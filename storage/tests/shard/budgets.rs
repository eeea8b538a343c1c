//! A budget is looked at all along a read of one giant trace: whoever leaves is not worked for.
//!
//! A clock counts the looks, and after so many of them says that the time is over. Nothing here
//! depends on how fast anything is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::aggregate::{AggregateKind, AggregateQuery, GroupBy};
use model::budget::{Budget, Exhausted};
use model::query::{
    AttributeScope, Field, Order, Relation, SpanPredicate, TracePredicate, TraceQuery,
};
use model::span::ParentId;
use model::store::{Detail, Hit};
use model::testing::simple_span;
use model::time::Monotonic;
use model::{Attribute, Clock, Resource, Span, SpanId, TimeRange, Timestamp, TraceId};
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::limits::{DEFERRING_PIECES_MAX, HIT_SPANS_BYTES_MAX, SPAN_BYTES_ESTIMATE};
use storage::shard::{Beside, BlockStore};
use storage::{Error, Shard};

use super::fixture::{Fixture, bytes_limit, no_limit, open_shard, plain_batch, tenant};

/// Pieces of the trace, however many rows it has: what is asked between pieces does not grow.
const PIECES: usize = 2;

/// Tells one moment, and after so many questions the last one there is.
#[derive(Debug)]
struct CountingClock {
    asked: AtomicU64,
    asked_max: u64,
}

impl Clock for CountingClock {
    fn wall(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Monotonic {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        Monotonic(if asked > self.asked_max { u64::MAX } else { 0 })
    }
}

/// Whether the read was ended by its budget.
type Outcome = Result<bool, Error>;
type Read = fn(&Shard, TraceId, &Budget) -> Outcome;

/// Every kind of read that looks at all rows of a trace. Search swallows what ends its look ahead.
const READS: [(&str, Read); 9] = [
    ("the first spans", |shard, id, budget| trace(shard, id, 1_000, budget)),
    ("all spans", |shard, id, budget| trace(shard, id, usize::MAX, budget)),
    ("columns", |shard, id, budget| {
        ended(shard.trace_columns(&tenant("a"), id, budget).map(|_| None))
    }),
    ("summaries", |shard, _, budget| search(shard, Detail::Summary, Order::Newest, budget)),
    ("relations", |shard, _, budget| {
        let predicate = TracePredicate::Structure {
            left: SpanPredicate::True,
            relation: Relation::Descendant,
            right: SpanPredicate::True,
        };
        find(shard, predicate, Detail::Summary, Order::Newest, budget)
    }),
    ("summaries by count", |shard, _, budget| {
        search(shard, Detail::Summary, Order::MostSpans, budget)
    }),
    ("traces", |shard, _, budget| {
        search(shard, Detail::Trace { spans_max: 1_000 }, Order::Newest, budget)
    }),
    ("dependencies", |shard, _, budget| {
        let answer = shard.dependencies(&tenant("a"), TimeRange::ALL, budget);
        ended(answer.map(|answer| answer.completeness.exhausted))
    }),
    ("figures", |shard, _, budget| {
        let kind = AggregateKind::TopValues {
            field: Field::Attribute(AttributeScope::Span, "number".into()),
            limit: 10,
        };
        let query = AggregateQuery { window: TimeRange::ALL, predicate: SpanPredicate::True, kind };
        let answer = shard.aggregate(&tenant("a"), &query, budget);
        ended(answer.map(|answer| answer.completeness.exhausted))
    }),
];

fn trace(shard: &Shard, id: TraceId, spans_max: usize, budget: &Budget) -> Outcome {
    ended(shard.trace(&tenant("a"), id, spans_max, budget).map(|_| None))
}

fn search(shard: &Shard, detail: Detail, order: Order, budget: &Budget) -> Outcome {
    find(shard, TracePredicate::HasSpan(SpanPredicate::True), detail, order, budget)
}

fn find(
    shard: &Shard,
    predicate: TracePredicate,
    detail: Detail,
    order: Order,
    budget: &Budget,
) -> Outcome {
    let query = TraceQuery { window: TimeRange::ALL, predicate, order, limit: 5, cursor: None };
    let mut on_hit = |_| ControlFlow::Continue(());
    let end = shard.search(&tenant("a"), &query, detail, budget, &mut on_hit);
    ended(end.map(|end| end.completeness.exhausted))
}

fn ended(result: Result<Option<Exhausted>, Error>) -> Outcome {
    match result {
        Ok(exhausted) => Ok(exhausted.is_some()),
        Err(Error::Exhausted(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// A trace of so many spans, each the child of one before it, and none twice.
fn giant(rows: u64) -> Vec<Span> {
    let resources = ["shop", "cart", "mail"].map(|service| {
        let attributes = vec![Attribute::new("service.name", service)];
        Arc::new(Resource { attributes, ..Resource::default() })
    });
    let span = |number: u64| {
        // Not in the order of time, so that there is something to sort.
        let start = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let mut span = simple_span(1, number, start, start + 5);
        if number > 1 {
            span.parent = ParentId::Id(SpanId((number / 2).to_be_bytes()));
        }
        span.resource = Arc::clone(&resources[usize::try_from(number % 3).unwrap()]);
        span.attributes = vec![Attribute::new("number", i64::try_from(number % 7).unwrap())];
        span
    };
    (1..=rows).map(span).collect()
}

fn shard_with(spans: &[Span]) -> Fixture {
    let mut fixture = Fixture::with_cache(64 << 20);
    let name = tenant("a");
    for (number, part) in (1..).zip(spans.chunks(spans.len() / PIECES)) {
        fixture.add(&[plain_batch(number, &name, part)]);
    }
    fixture
}

/// Reads with so many looks; says whether the budget ended it, and how often it was looked at.
fn looked_at(shard: &Shard, id: TraceId, read: Read, asked_max: u64) -> (bool, u64) {
    let clock = Arc::new(CountingClock { asked: AtomicU64::new(0), asked_max });
    let budget = Budget::new(Arc::clone(&clock) as Arc<dyn Clock>, Monotonic(1), u64::MAX);
    let is_ended = read(shard, id, &budget).unwrap();
    (is_ended, clock.asked.load(Ordering::Relaxed))
}

#[test]
fn no_stretch_between_two_looks_grows_with_a_trace() {
    let (small, large) = (giant(60_000), giant(120_000));
    let id = small[0].trace_id;
    let (small, large) = (shard_with(&small), shard_with(&large));
    for (name, read) in READS {
        let (_, few) = looked_at(&small.shard, id, read, u64::MAX);
        let (is_ended, many) = looked_at(&large.shard, id, read, u64::MAX);
        assert!(!is_ended, "{name}");
        assert!(many * 10 >= few * 13, "{name}: {few} looks, and {many} at twice the rows");
        assert!(many >= 60_000 / 4_096, "{name}: {many}");
    }
}

/// A search of the head asks every block whether it has more of the head's traces, and may have to
/// read the disk for it.
#[test]
fn a_search_of_the_head_looks_at_its_budget_for_each_block() {
    let looks = |blocks: u64| {
        let env = Arc::new(FaultEnv::new(1));
        let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/b"));
        let mut fixture = Fixture::with_cache(1 << 20);
        fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
        let traces = |numbers: std::ops::Range<u64>| -> Vec<Span> {
            numbers.map(|number| simple_span(number, number, number, number + 1)).collect()
        };
        for block in 1..=blocks {
            fixture.add(&[plain_batch(block, &tenant("a"), &traces(block..block + 1))]);
            fixture.shard.seal(&no_limit()).unwrap();
        }
        fixture.add(&[plain_batch(99, &tenant("a"), &traces(1_000..3_000))]);
        let read: Read = |shard, _, budget| search(shard, Detail::Summary, Order::Newest, budget);
        let (is_ended, looks) = looked_at(&fixture.shard, TraceId([1; 16]), read, u64::MAX);
        assert!(!is_ended);
        looks
    };
    let (few, many) = (looks(2), looks(22));
    assert!(many >= few + 20, "{few} looks with 2 blocks, {many} with 22");
}

#[test]
fn a_search_holds_so_many_spans_and_goes_on_with_its_cursor() {
    let spans_max = HIT_SPANS_BYTES_MAX / SPAN_BYTES_ESTIMATE;
    // Four such traces are more than may be told; the fifth is left for the next page.
    let rows = spans_max * 2 / 7;
    let mut fixture = Fixture::with_cache(1 << 20);
    for number in 1..=5 {
        let start = number << 40;
        let spans: Vec<Span> =
            (1..=rows).map(|row| simple_span(number, row, start + row, start + row + 5)).collect();
        for (part, spans) in (0..).zip(spans.chunks(40_000)) {
            fixture.add(&[plain_batch(number * 100 + part, &tenant("a"), spans)]);
        }
    }
    let mut query = TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::Newest,
        limit: 10,
        cursor: None,
    };
    let page = |query: &TraceQuery, ranks_first: bool| {
        let mut told = Vec::new();
        let mut on_hit = |hit: Hit| {
            told.push((hit.key.trace_id, hit.trace.unwrap().spans.len() as u64));
            ControlFlow::Continue(())
        };
        let detail = Detail::Trace { spans_max: usize::MAX };
        let (shard, own, budget) = (&fixture.shard, &tenant("a"), &no_limit());
        let end = if ranks_first {
            let ranked = shard.rank_beside(Beside::default(), own, query, detail, budget).unwrap();
            ranked.tell(shard, None, budget, &mut on_hit)
        } else {
            shard.search(own, query, detail, budget, &mut on_hit)
        };
        (told, end.unwrap())
    };
    for ranks_first in [false, true] {
        query.cursor = None;
        let (first, end) = page(&query, ranks_first);
        let spent = Exhausted::Bytes { bytes_max: HIT_SPANS_BYTES_MAX };
        assert_eq!(end.completeness.exhausted, Some(spent));
        query.cursor = end.cursor;
        assert!(query.cursor.is_some());
        let (rest, end) = page(&query, ranks_first);
        assert!(end.completeness.is_complete() && end.cursor.is_none(), "{end:?}");
        assert_eq!((first.len(), rest.len()), (4, 1));
        let told: BTreeMap<TraceId, u64> = first.into_iter().chain(rest).collect();
        assert_eq!(told.len(), 5);
        assert!(told.values().all(|spans| *spans == rows), "{told:?}");
    }
}

/// A search that has looked into many pieces has its traces together before its time ends.
#[test]
fn what_was_ranked_long_ago_is_put_together_while_there_is_time() {
    let mut fixture = Fixture::with_cache(1 << 20);
    let count = DEFERRING_PIECES_MAX as u64 + 20;
    for number in 1..=count {
        let spans = [simple_span(number, 1, number << 40, (number << 40) + 5)];
        fixture.add(&[plain_batch(number, &tenant("a"), &spans)]);
    }
    let query = TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::HasSpan(SpanPredicate::True),
        order: Order::Newest,
        limit: u32::try_from(count + 1).unwrap(),
        cursor: None,
    };
    let (shard, own) = (&fixture.shard, &tenant("a"));
    let rank = |asked_max: u64| {
        let clock = Arc::new(CountingClock { asked: AtomicU64::new(0), asked_max });
        let budget = Budget::new(clock.clone(), Monotonic(1), u64::MAX);
        let detail = Detail::Trace { spans_max: usize::MAX };
        let ranked = shard.rank_beside(Beside::default(), own, &query, detail, &budget);
        (ranked.unwrap(), clock.asked.load(Ordering::Relaxed), budget)
    };
    let (_, asked, _) = rank(u64::MAX);
    let (ended, _, spent) = rank(asked - 3);
    let mut told = Vec::new();
    let end = ended.tell(shard, None, &spent, &mut |hit: Hit| {
        told.push(hit.trace.is_some());
        ControlFlow::Continue(())
    });
    assert!(end.unwrap().completeness.exhausted.is_some());
    assert!(told.len() > DEFERRING_PIECES_MAX && told.iter().all(|is_whole| *is_whole), "{told:?}");
}

#[test]
fn a_read_ends_at_the_first_look_that_is_denied() {
    let spans = giant(10_000);
    let id = spans[0].trace_id;
    let fixture = shard_with(&spans);
    for (name, read) in READS {
        let (_, all) = looked_at(&fixture.shard, id, read, u64::MAX);
        for asked_max in 0..all {
            let (is_ended, asked) = looked_at(&fixture.shard, id, read, asked_max);
            assert_eq!(asked, asked_max + 1, "{name}: {all} looks");
            // Whether there are further hits is looked for after all that was asked for.
            assert!(is_ended || asked_max + 5 > all, "{name}: at {asked_max} of {all}");
        }
    }
}

/// Spans of as many services and operations, each called by the one before; with a value of its
/// own, in a nanosecond of its own, and each fifth in a trace of its own.
fn varied(rows: u64) -> Vec<Span> {
    let span = |number: u64| {
        let mut span = simple_span(number / 5 + 1, number + 1, number, number + 5);
        if !number.is_multiple_of(5) {
            span.parent = ParentId::Id(SpanId(number.to_be_bytes()));
        }
        let attributes = vec![Attribute::new("service.name", format!("service {number}").as_str())];
        span.resource = Arc::new(Resource { attributes, ..Resource::default() });
        span.name = format!("operation {number}").into();
        let value = format!("{number:0200}");
        span.attributes =
            vec![Attribute::new(format!("key {number:060}").as_str(), value.as_str())];
        span.attributes.push(Attribute::new("value", value.as_str()));
        span
    };
    (0..rows).map(span).collect()
}

/// Reads that keep more the more there is of what they ask for, whatever they decode.
const KEEPING: [(&str, Read); 9] = [
    ("cells of a heatmap", |shard, _, budget| {
        figures(shard, AggregateKind::Heatmap { step: model::Duration(1) }, budget)
    }),
    ("cells of groups", |shard, _, budget| {
        let kind = AggregateKind::Red { step: model::Duration(1), group_by: GroupBy::Service };
        figures(shard, kind, budget)
    }),
    ("values", |shard, _, budget| {
        let field = Field::Attribute(AttributeScope::Span, "value".into());
        figures(shard, AggregateKind::TopValues { field, limit: 10 }, budget)
    }),
    ("edges", |shard, _, budget| {
        let answer = shard.dependencies(&tenant("a"), TimeRange::ALL, budget);
        ended(answer.map(|answer| answer.completeness.exhausted))
    }),
    ("services", |shard, _, budget| {
        let answer = shard.services(&tenant("a"), budget);
        ended(answer.map(|answer| answer.completeness.exhausted))
    }),
    ("operations", |shard, _, budget| {
        let answer = shard.operations(&tenant("a"), None, budget);
        ended(answer.map(|answer| answer.completeness.exhausted))
    }),
    ("keys", |shard, _, budget| {
        let answer = shard.keys(&tenant("a"), &"key".into(), budget);
        ended(answer.map(|answer| answer.completeness.exhausted))
    }),
    ("suggested values", |shard, _, budget| {
        let (scope, key) = (AttributeScope::Span, "value".into());
        let answer = shard.values(&tenant("a"), scope, &key, &"".into(), budget);
        ended(answer.map(|answer| answer.completeness.exhausted))
    }),
    ("places in an order", |shard, _, budget| {
        search(shard, Detail::Summary, Order::Longest, budget)
    }),
];

fn figures(shard: &Shard, kind: AggregateKind, budget: &Budget) -> Outcome {
    let query = AggregateQuery { window: TimeRange::ALL, predicate: SpanPredicate::True, kind };
    let answer = shard.aggregate(&tenant("a"), &query, budget);
    ended(answer.map(|answer| answer.completeness.exhausted))
}

/// What is decoded is let go; what an answer consists of is not, nor what a search remembers while
/// it works.
#[test]
fn what_a_read_keeps_has_a_bound_in_the_head_and_in_blocks() {
    let id = TraceId([1; 16]);
    let sealed = |spans: &[Span], is_sealed: bool| {
        let env = Arc::new(FaultEnv::new(1));
        let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/b"));
        let mut fixture = Fixture::with_cache(64 << 20);
        fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
        fixture.add(&[plain_batch(1, &tenant("a"), spans)]);
        if is_sealed {
            fixture.shard.seal(&no_limit()).unwrap();
        }
        fixture
    };
    for is_sealed in [false, true] {
        let (few, many) = (sealed(&varied(100), is_sealed), sealed(&varied(3_000), is_sealed));
        for (name, read) in KEEPING {
            let kept = |shard: &Shard, bytes_max: u64| {
                let budget = no_limit().holding_at_most(bytes_max);
                read(shard, id, &budget).unwrap()
            };
            assert!(!kept(&few.shard, 100_000), "{name}, sealed {is_sealed}");
            assert!(kept(&many.shard, 100_000), "{name}, sealed {is_sealed}");
            assert!(!kept(&many.shard, u64::MAX), "{name}, sealed {is_sealed}");
        }
        // An answer stays charged, what a search remembered does not.
        let budget = no_limit();
        search(&many.shard, Detail::Summary, Order::Oldest, &budget).unwrap();
        assert_eq!(budget.bytes_held(), 0);
        figures(&many.shard, AggregateKind::Heatmap { step: model::Duration(1) }, &budget).unwrap();
        assert!(budget.bytes_held() > 100_000);
    }
}

/// Whole minutes come from rollups, all cells of a run at once.
#[test]
fn cells_of_rollups_are_charged() {
    let env = Arc::new(FaultEnv::new(1));
    let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/b"));
    let mut fixture = Fixture::with_cache(64 << 20);
    let store = store.with_rollup_bytes(1_000);
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    let minute = 60_000_000_000;
    let spans: Vec<Span> = (0..3_000)
        .map(|number| {
            let start = number * minute / 2;
            let mut span = simple_span(number + 1, number + 1, start, start + 7);
            span.name = format!("operation {}", number % 9).into();
            span
        })
        .collect();
    fixture.add(&[plain_batch(1, &tenant("a"), &spans)]);
    fixture.shard.seal(&no_limit()).unwrap();
    let kind = AggregateKind::Red { step: model::Duration(minute), group_by: GroupBy::Operation };
    let before = fixture.cache.stats();
    let small = no_limit().holding_at_most(200_000);
    assert!(figures(&fixture.shard, kind.clone(), &small).unwrap());
    let large = no_limit();
    assert!(!figures(&fixture.shard, kind, &large).unwrap());
    let after = fixture.cache.stats();
    assert_eq!((before.hits, before.misses), (after.hits, after.misses), "no page was read");
    assert!((400_000..4_000_000).contains(&large.bytes_held()), "{}", large.bytes_held());
}

/// Rows that may be repeats are kept several times while it is found out.
#[test]
fn rows_that_may_be_repeats_are_charged() {
    let spent = |spans: &[Span]| {
        let fixture = shard_with(spans);
        let charged = |bytes_max: u64| {
            let read =
                |budget: &Budget| search(&fixture.shard, Detail::Summary, Order::Newest, budget);
            read(&bytes_limit(bytes_max)).unwrap()
        };
        let (mut low, mut high) = (0, 1 << 40);
        while low + 1 < high {
            let middle = u64::midpoint(low, high);
            if charged(middle) { low = middle } else { high = middle }
        }
        high
    };
    let once = giant(4_000);
    let twice: Vec<Span> = once.iter().flat_map(|span| [span.clone(), span.clone()]).collect();
    let (once, twice) = (spent(&giant(8_000)), spent(&twice));
    // Beside what is read of their spans.
    assert!(twice > once + 8_000 * (SPAN_BYTES_ESTIMATE + 300), "{once} and {twice}");
}

/// Traces with parts in two blocks are found out once for all questions. A question that has not
/// time enough for it leaves the next one less to do.
#[test]
fn what_was_found_of_traces_in_several_blocks_serves_the_next_question() {
    let store = BlockStore::new(
        Arc::new(FaultEnv::new(1)),
        Arc::new(MemoryKv::new()),
        Path::new("/blocks"),
    );
    let store = store.with_page_rows(4).with_rollup_bytes(10_000);
    let mut fixture = Fixture::with_cache(1 << 20);
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    for part in 0..2 {
        let span = |trace: u64| simple_span(trace, part + 1, trace * 10, trace * 10 + 5);
        let spans: Vec<Span> = (1..=100).map(span).collect();
        fixture.add(&[plain_batch(part, &tenant("a"), &spans)]);
        fixture.shard.seal(&no_limit()).unwrap();
    }
    let query = AggregateQuery {
        window: TimeRange::ALL,
        predicate: SpanPredicate::True,
        kind: AggregateKind::Totals,
    };
    // Each time a start, after which nothing is known.
    let ask = |shard: &Shard, looks_max: u64| {
        let clock = Arc::new(CountingClock { asked: AtomicU64::new(0), asked_max: looks_max });
        let budget = Budget::new(Arc::clone(&clock) as Arc<dyn Clock>, Monotonic(1), 1 << 16);
        let answer = shard.aggregate(&tenant("a"), &query, &budget).unwrap();
        let is_whole = answer.completeness.is_complete();
        assert!(!is_whole || answer.value.traces == 100 && answer.value.spans == 200);
        (is_whole, clock.asked.load(Ordering::Relaxed))
    };
    let shard = open_shard(&fixture.log, &fixture.cache, &store);
    let (is_whole, looks) = ask(&shard, u64::MAX);
    assert!(is_whole, "what serves all is not charged to one");
    let (is_whole, again) = ask(&shard, u64::MAX);
    assert!(is_whole && again < looks / 3, "{looks} looks, then {again}");
    let shard = open_shard(&fixture.log, &fixture.cache, &store);
    let looks_max = looks * 2 / 3;
    assert!(!ask(&shard, looks_max).0);
    assert!(ask(&shard, looks_max).0, "the first question has done more than half of it");
}
