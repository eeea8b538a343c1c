//! What a shard tells a coordinator of traces that lie in two shards: which there are, and answers
//! without them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use model::query::Order;
use model::store::Detail;
use model::testing::{Generator, Random};
use model::{Span, TraceId, query};
use storage::shard::{Beside, WantedTraces};

use super::fixture::{Fixture, no_limit, tenant, traces_of, write_scattered};

fn scattered(seed: u64) -> (Fixture, Vec<Vec<Span>>) {
    let mut fixture = Fixture::sealing(seed, 1 << 20);
    let (mut generator, mut random) = (Generator::new(seed), Random::new(seed));
    let spans = generator.spans(300);
    write_scattered(&mut fixture, &mut generator, &mut random, &tenant("a"), &spans);
    (fixture, traces_of(&spans))
}

/// Whatever a page holds, all pages together hold every wanted trace once.
#[test]
fn traces_are_told_page_by_page() {
    for seed in 0..30 {
        let (fixture, traces) = scattered(seed);
        let mut random = Random::new(seed);
        let window = Generator::new(seed).trace_query(&traces.concat()).window;
        let is_wanted = |id: TraceId| !id.as_bytes()[15].is_multiple_of(3);
        let starts_within = |spans: &&Vec<Span>| spans.iter().any(|it| window.contains(it.start));
        let wanted: Vec<TraceId> =
            traces.iter().filter(starts_within).map(|it| it[0].trace_id).collect();
        let wanted: Vec<TraceId> = wanted.into_iter().filter(|id| is_wanted(*id)).collect();
        let (mut told, mut after) = (Vec::new(), None);
        loop {
            let count_max = 1 + random.index(9);
            let asked = WantedTraces { window, after, count_max, is_wanted: &is_wanted };
            let page = fixture.shard.trace_ids(&tenant("a"), &asked, &no_limit()).unwrap();
            assert!(page.value.len() <= count_max);
            after = page.value.last().copied();
            told.extend(page.value);
            if !page.completeness.sampled {
                break;
            }
            assert!(after.is_some(), "a page that says there are more has some");
        }
        assert_eq!(told, wanted, "seed {seed}");
    }
}

/// Traces are left out of the answer as if the shard did not have them.
#[test]
fn searches_leave_traces_out() {
    for seed in 0..30 {
        let (fixture, traces) = scattered(seed);
        let mut random = Random::new(seed);
        let mut generator = Generator::new(seed + 1_000);
        let all = traces.concat();
        for number in 0..20 {
            let without: BTreeSet<TraceId> =
                traces.iter().map(|spans| spans[0].trace_id).filter(|_| random.one_in(3)).collect();
            let mut asked = generator.trace_query(&all);
            asked.order = Order::ALL[number % Order::ALL.len()];
            asked.limit = u32::try_from(1 + random.index(12)).unwrap();
            let rest = traces.iter().filter(|spans| !without.contains(&spans[0].trace_id));
            let wanted = query::evaluate(&asked, rest.map(Vec::as_slice));
            let mut hits = Vec::new();
            let mut on_hit = |hit: model::store::Hit| {
                hits.push(hit.key);
                ControlFlow::Continue(())
            };
            let beside = Beside { first: None, without: Some(&without) };
            let (detail, tenant) = (Detail::Summary, tenant("a"));
            let end = fixture
                .shard
                .search_beside(beside, &tenant, &asked, detail, &no_limit(), &mut on_hit)
                .unwrap();
            assert!(end.completeness.is_complete());
            let wanted: Vec<_> = wanted.into_iter().map(|(key, _)| key).collect();
            assert_eq!(hits, wanted, "seed {seed}: {asked:?}");
        }
    }
}

/// Likewise figures, whatever rollups have counted.
#[test]
fn figures_leave_traces_out() {
    for seed in 0..30 {
        let (fixture, traces) = scattered(seed);
        let mut random = Random::new(seed);
        let mut generator = Generator::new(seed + 2_000);
        let (all, tenant) = (traces.concat(), tenant("a"));
        for _ in 0..20 {
            let asked = generator.aggregate_query(&all);
            let without: BTreeSet<TraceId> =
                traces.iter().map(|spans| spans[0].trace_id).filter(|_| random.one_in(3)).collect();
            let rest = || {
                let rest = traces.iter().filter(|spans| !without.contains(&spans[0].trace_id));
                rest.map(Vec::as_slice)
            };
            let shard = &fixture.shard;
            let found =
                shard.aggregate_without(&without, &tenant, &asked, &no_limit()).unwrap().value;
            let finish = |figures| query::aggregate::finish(&asked, figures);
            let wanted = finish(query::aggregate(&asked, rest()));
            assert_eq!(finish(found), wanted, "seed {seed}: {asked:?}");
            let calls = shard.dependencies_without(&without, &tenant, asked.window, &no_limit());
            let calls: Vec<_> =
                calls.unwrap().value.into_iter().filter(|it| it.calls > 0).collect();
            assert_eq!(calls, query::dependencies(asked.window, rest()), "seed {seed}");
        }
    }
}
