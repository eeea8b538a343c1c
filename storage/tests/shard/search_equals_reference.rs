//! QRY-1: search, figures and traces of a shard equal `model`'s reference evaluation over the
//! distinct spans, wherever a trace's spans lie and however often they were sent.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::fixture::{Fixture, bytes_limit, no_limit, traces_of, write_scattered};
use model::query::{Cursor, Order, OrderKey, SpanPredicate, TracePredicate, TraceQuery, evaluate};
use model::store::{Detail, Hit, Revision, SearchEnd};
use model::summary::summarize;
use model::testing::{Generator, Random};
use model::{ShardId, Span, Tenant, TimeRange, query, trace};
use storage::Shard;
use storage::shard::{Beside, FirstHits};

/// A shard with scattered spans of `trace_count` traces, another tenant's among them, and the
/// distinct spans of each trace.
fn scattered(seed: u64, trace_count: usize) -> (Fixture, Generator, Vec<Vec<Span>>, Tenant) {
    let mut generator = Generator::new(seed);
    let mut random = Random::new(seed ^ 0xfeed);
    // A cache that holds next to nothing finds the same as one that holds everything.
    let cache_bytes = *random.pick(&[1 << 12, 1 << 16, 1 << 22]);
    // Every other one is sealed and merged while it is written: traces then lie in the head, in
    // several blocks, on several pages.
    let mut fixture = if seed.is_multiple_of(2) {
        Fixture::with_cache(cache_bytes)
    } else {
        Fixture::sealing(seed, cache_bytes)
    };
    let mut spans: Vec<Span> = (0..trace_count).flat_map(|_| generator.trace()).collect();
    generator.shuffle(&mut spans);
    let tenant = crate::fixture::tenant("own");
    let (early, late) = spans.split_at(spans.len() / 2);
    let others: Vec<Span> = (0..3).flat_map(|_| generator.trace()).collect();
    write_scattered(&mut fixture, &mut generator, &mut random, &tenant, early);
    let other = crate::fixture::tenant("other");
    write_scattered(&mut fixture, &mut generator, &mut random, &other, &others);
    write_scattered(&mut fixture, &mut generator, &mut random, &tenant, late);
    (fixture, generator, traces_of(&spans), tenant)
}

fn search(
    shard: &Shard,
    tenant: &Tenant,
    query: &TraceQuery,
    detail: Detail,
) -> (Vec<Hit>, SearchEnd) {
    let mut hits = Vec::new();
    let end = shard.search(tenant, query, detail, &no_limit(), &mut |hit| {
        hits.push(hit);
        ControlFlow::Continue(())
    });
    (hits, end.unwrap())
}

fn expected(query: &TraceQuery, traces: &[Vec<Span>]) -> Vec<(OrderKey, usize)> {
    evaluate(query, traces.iter().map(Vec::as_slice))
}

fn assert_equal(hits: &[Hit], expected: &[(OrderKey, usize)], traces: &[Vec<Span>], what: &str) {
    let keys: Vec<_> = hits.iter().map(|hit| hit.key).collect();
    let expected_keys: Vec<_> = expected.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, expected_keys, "{what}");
    for (hit, (_, number)) in hits.iter().zip(expected) {
        assert_eq!(hit.summary, summarize(&traces[*number]), "{what}");
    }
}

#[test]
fn made_up_queries_find_what_the_reference_finds() {
    for seed in 0..6 {
        let (fixture, mut generator, traces, tenant) = scattered(seed, 40);
        let spans = traces.concat();
        for number in 0..100 {
            let query = generator.trace_query(&spans);
            let what = format!("seed {seed}, query {number}: {query:?}");
            let (hits, end) = search(&fixture.shard, &tenant, &query, Detail::Summary);
            assert_equal(&hits, &expected(&query, &traces), &traces, &what);
            assert!(end.completeness.is_complete() && end.moved.is_empty(), "{what}");
        }
    }
}

#[test]
fn every_field_and_order_pages_to_the_reference() {
    for seed in 100..104 {
        let (fixture, mut generator, traces, tenant) = scattered(seed, 44);
        let spans = traces.concat();
        let mut random = Random::new(seed);
        for field in generator.every_field(&spans) {
            let test = generator.value_test(&field, &spans);
            let mut predicate = SpanPredicate::Field(field, test);
            if random.one_in(3) {
                predicate = SpanPredicate::Not(Box::new(predicate));
            }
            for order in Order::ALL {
                let mut query = TraceQuery {
                    window: generator.window(&spans),
                    predicate: TracePredicate::HasSpan(predicate.clone()),
                    order,
                    limit: u32::MAX,
                    cursor: None,
                };
                let what = format!("seed {seed}: {query:?}");
                let whole = expected(&query, &traces);
                query.limit = u32::try_from(whole.len() / 11 + 1).unwrap();
                let pages_max = if random.one_in(4) { usize::MAX } else { 2 };
                let mut paged = Vec::new();
                for _ in 0..pages_max {
                    let (hits, end) = search(&fixture.shard, &tenant, &query, Detail::Summary);
                    assert!(hits.len() <= query.limit as usize, "{what}");
                    paged.extend(hits);
                    assert!(paged.len() <= whole.len(), "{what}");
                    // Whether there is more is known exactly.
                    assert_eq!(end.cursor.is_none(), paged.len() == whole.len(), "{what}");
                    query.cursor = end.cursor;
                    if query.cursor.is_none() {
                        break;
                    }
                }
                assert_equal(&paged, &whole[..paged.len()], &traces, &what);
            }
        }
    }
}

#[test]
fn hits_carry_the_trace_that_lookup_returns() {
    let (fixture, _, traces, tenant) = scattered(200, 40);
    let query = TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::MostSpans,
        limit: 1_000,
        cursor: None,
    };
    let (hits, _) = search(&fixture.shard, &tenant, &query, Detail::Trace { spans_max: 3 });
    assert_eq!(hits.len(), traces.len());
    for (hit, (_, number)) in hits.iter().zip(expected(&query, &traces)) {
        let spans = &traces[number];
        let id = spans[0].trace_id;
        let shard = &fixture.shard;
        assert_eq!(hit.trace, trace::assemble(id, spans.clone(), 3));
        let whole = shard.trace(&tenant, id, usize::MAX, &no_limit()).unwrap().unwrap();
        assert_eq!(whole.spans, *spans);
        let columns = shard.trace_columns(&tenant, id, &no_limit()).unwrap().unwrap();
        let revision = Revision { parts: columns.revision.parts, ..columns.revision.clone() };
        assert!(revision.parts > 0 && revision.shard == 3 && revision.applied > 0);
        assert_eq!(columns, trace::columns(spans, revision));
        // TEN-1
        let other = crate::fixture::tenant("other");
        assert_eq!(shard.trace(&other, id, 10, &no_limit()).unwrap(), None);
        assert_eq!(shard.trace_columns(&other, id, &no_limit()).unwrap(), None);
    }
}

#[test]
fn figures_equal_the_reference() {
    for seed in 300..306 {
        let (fixture, mut generator, traces, tenant) = scattered(seed, 50);
        let spans = traces.concat();
        let slices = || traces.iter().map(Vec::as_slice);
        for number in 0..60 {
            let query = generator.aggregate_query(&spans);
            let answer = fixture.shard.aggregate(&tenant, &query, &no_limit()).unwrap();
            let what = format!("seed {seed}, query {number}: {query:?}");
            assert_eq!(answer.value, query::aggregate(&query, slices()), "{what}");
            assert!(answer.completeness.is_complete());
            let answer = fixture.shard.dependencies(&tenant, query.window, &no_limit()).unwrap();
            assert_eq!(answer.value, query::dependencies(query.window, slices()), "{what}");
        }
    }
}

#[test]
fn a_spent_budget_leaves_an_exact_beginning() {
    let (fixture, mut generator, traces, tenant) = scattered(400, 80);
    let spans = traces.concat();
    let (mut ended, mut found_some) = (0, 0);
    for round in 0..60_u64 {
        let mut query = generator.trace_query(&spans);
        query.limit = 1_000;
        let whole = expected(&query, &traces);
        let mut hits = Vec::new();
        let budget = bytes_limit(1 << (10 + round % 14));
        let end = fixture.shard.search(&tenant, &query, Detail::Summary, &budget, &mut |hit| {
            hits.push(hit);
            ControlFlow::Continue(())
        });
        let end = end.unwrap();
        assert_equal(&hits, &whole[..hits.len()], &traces, &format!("{query:?}"));
        if end.completeness.exhausted.is_some() {
            ended += 1;
            found_some += usize::from(!hits.is_empty());
            assert_eq!(end.cursor.map(|cursor| cursor.last), hits.last().map(|hit| hit.key));
        } else {
            assert_eq!(hits.len(), whole.len());
        }
    }
    assert!(ended > 5 && found_some > 0, "{ended} {found_some}");
}

#[test]
fn a_caller_that_has_enough_is_heard_and_a_cursor_tells_what_moved() {
    let (mut fixture, _, traces, tenant) = scattered(500, 30);
    let mut query = TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::Oldest,
        limit: 1_000,
        cursor: None,
    };
    let mut count = 0;
    let end = fixture.shard.search(&tenant, &query, Detail::Summary, &no_limit(), &mut |_| {
        count += 1;
        if count == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(count, 4);
    query.cursor = end.unwrap().cursor;
    let (hits, end) = search(&fixture.shard, &tenant, &query, Detail::Summary);
    assert_eq!(hits.len(), traces.len() - 4);
    assert!(end.moved.is_empty());
    fixture.add(&[crate::fixture::plain_batch(99, &crate::fixture::tenant("other"), &traces[0])]);
    let (hits, end) = search(&fixture.shard, &tenant, &query, Detail::Summary);
    assert_eq!((hits.len(), end.moved.len()), (traces.len() - 4, 1));
    let cursor = Cursor { last: hits.last().unwrap().key, applied: Vec::new() };
    let (hits, end) = search(
        &fixture.shard,
        &tenant,
        &TraceQuery { cursor: Some(cursor), ..query },
        Detail::Summary,
    );
    assert!(hits.is_empty() && end.cursor.is_none());
}

/// QRY-1: shards that are searched for one answer stop where others come first. What they told and
/// how far each has told everything are enough for the first of all, in any order of shards, and
/// where one is asked twice. And some are stopped. Where all rank before one tells, they tell no
/// more than is asked for, and whole traces.
#[test]
fn shards_beside_each_other_find_what_the_reference_finds_in_all() {
    let mut stopped = 0;
    for seed in 400..404 {
        let mut shards = Vec::new();
        let (mut traces, mut generators) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let (fixture, generator, own, tenant) = scattered(seed * 16 + number, 30);
            let id = ShardId(u32::try_from(number).unwrap());
            shards.push((fixture.opened_as(id), tenant));
            traces.extend(own);
            generators.push((fixture, generator));
        }
        let spans = traces.concat();
        let mut random = Random::new(seed);
        for number in 0..120 {
            let mut query = generators[0].1.trace_query(&spans);
            (query.limit, query.cursor) = (u32::MAX, None);
            let whole = expected(&query, &traces);
            if let Some((key, _)) = whole.get(random.index(whole.len().max(1) * 3)) {
                query.cursor = Some(Cursor { last: *key, applied: Vec::new() });
            }
            let whole = expected(&query, &traces);
            query.limit = u32::try_from(1 + random.index(whole.len() / 3 + 2)).unwrap();
            let what = format!("seed {seed}, query {number}: {query:?}");
            let first = FirstHits::new(query.limit);
            let mut order = vec![0, 1, 2];
            if random.one_in(2) {
                order.insert(0, random.index(3));
            }
            let (mut told, mut until) = (vec![Vec::new(); 3], vec![None; 3]);
            let beside = Beside { first: Some(&first), without: None };
            let budget = no_limit();
            let ranks_first = random.one_in(2);
            let mut ranked = BTreeMap::new();
            let in_traces = Detail::Trace { spans_max: usize::MAX };
            for number in order.iter().filter(|_| ranks_first) {
                let (shard, tenant) = &shards[*number];
                let hits = shard.rank_beside(beside, tenant, &query, in_traces, &budget);
                ranked.insert(*number, hits.unwrap());
            }
            if ranks_first {
                order.sort_unstable();
                order.dedup();
            }
            for number in order {
                let (shard, tenant) = &shards[number];
                let mut hits = Vec::new();
                let on_hit = &mut |hit| {
                    hits.push(hit);
                    ControlFlow::Continue(())
                };
                let end = if let Some(ranked) = ranked.remove(&number) {
                    ranked.tell(shard, Some(&first), &budget, on_hit)
                } else {
                    let detail = Detail::Summary;
                    shard.search_beside(beside, tenant, &query, detail, &budget, on_hit)
                };
                until[number] = end.unwrap().cursor.map(|cursor| cursor.last);
                let full = hits.len() == query.limit as usize;
                stopped += usize::from(!full && until[number].is_some());
                told[number] = hits;
            }
            let until = until.into_iter().flatten().min();
            let mut hits = told.concat();
            if ranks_first {
                assert_eq!(hits.len(), whole.len().min(query.limit as usize), "{what}");
                let spans = |hit: &Hit| hit.trace.as_ref().unwrap().spans.len() as u64;
                assert!(hits.iter().all(|hit| spans(hit) == hit.summary.span_count), "{what}");
            }
            hits.retain(|hit| until.is_none_or(|until| hit.key <= until));
            hits.sort_by_key(|hit| hit.key);
            assert!(hits.len() >= whole.len().min(query.limit as usize), "{what}");
            hits.truncate(query.limit as usize);
            let whole = &whole[..whole.len().min(query.limit as usize)];
            assert_equal(&hits, whole, &traces, &what);
        }
    }
    assert!(stopped > 200, "{stopped}");
}

/// QRY-1: a request that comes again after its first copy was sealed adds nothing, also not for the
/// orders that look at all of the head first.
#[test]
fn a_trace_that_came_again_is_told_once() {
    for seed in 0..30 {
        let mut fixture = Fixture::sealing(seed, 1 << 20);
        let (mut generator, mut random) = (Generator::new(seed), Random::new(seed));
        let (spans, tenant) = (generator.spans(300), crate::fixture::tenant("a"));
        write_scattered(&mut fixture, &mut generator, &mut random, &tenant, &spans);
        let traces = traces_of(&spans);
        for order in Order::ALL {
            let mut query = generator.trace_query(&spans);
            (query.order, query.limit, query.cursor) = (order, u32::MAX, None);
            let what = format!("seed {seed}: {query:?}");
            let (hits, _) = search(&fixture.shard, &tenant, &query, Detail::Summary);
            assert_equal(&hits, &expected(&query, &traces), &traces, &what);
        }
    }
}
