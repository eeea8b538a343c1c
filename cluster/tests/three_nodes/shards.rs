//! Shards are added while everything goes on: nothing is lost, nothing is shown in two parts.

use std::collections::BTreeMap;

use cluster::placement::Ring;
use cluster::raft::Role;
use futures_util::future::join_all;
use model::admin::{ClusterChange, ClusterStatus, EpochState};
use model::aggregate::{AggregateKind, AggregateQuery};
use model::query::{Order, TraceQuery, evaluate};
use model::store::{
    AggregateRequest, Detail, SearchEnd, SearchItem, SearchRequest, TraceRequest, TraceSummary,
};
use model::testing::Generator;
use model::time::Clock as _;
use model::{ClusterAdmin as _, Span, Timestamp, TraceId, TraceStore as _};

use crate::faults::until_seen;
use crate::world::{Shape, THREE, World, node};

/// Where the clocks of the world begin.
const ORIGIN: Timestamp = Timestamp(1_700_000_000_000_000_000);

fn is_active(status: &ClusterStatus, epoch: u32) -> bool {
    status.epochs.last().is_some_and(|last| last.id == epoch && last.state == EpochState::Active)
}

/// Spans of many traces that start within minutes of the beginning, cut into three: each trace has
/// some in most of them.
fn thirds(seed: u64, count: usize) -> [Vec<Span>; 3] {
    let mut spans = Generator::new(seed).spans(count);
    for span in &mut spans {
        let start = ORIGIN.0 + span.start.0 % 60_000_000_000;
        let lasts = span.end.since(span.start).0 % 1_000_000_000;
        (span.start, span.end) = (Timestamp(start), Timestamp(start + lasts));
    }
    let mut rest = spans.split_off(count / 3);
    let last = rest.split_off(rest.len() / 2);
    [spans, rest, last]
}

async fn search(world: &World, through: usize, query: &TraceQuery) -> (Vec<TraceId>, SearchEnd) {
    let (hits, end) = search_telling(world, through, query, false).await;
    (hits.into_iter().map(|summary| summary.trace_id).collect(), end)
}

async fn search_telling(
    world: &World,
    through: usize,
    query: &TraceQuery,
    progress: bool,
) -> (Vec<TraceSummary>, SearchEnd) {
    let (query, detail) = (query.clone(), Detail::Summary);
    let request = SearchRequest { scope: world.scope(), query, detail, progress };
    let mut stream = world.store(through).search(request).await.unwrap();
    let mut hits = Vec::new();
    loop {
        let next = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await;
        match next.unwrap().unwrap() {
            SearchItem::Hit(hit) => hits.push(hit.summary),
            SearchItem::Progress(_) => assert!(progress, "nobody asked for that"),
            SearchItem::End(end) => return (hits, end),
        }
    }
}

/// Requires searches through a node to answer as the reference evaluator does over these spans.
async fn require_exact(world: &World, through: usize, seed: u64, spans: &[Span]) {
    let traces: Vec<(TraceId, Vec<Span>)> = by_trace(spans).into_iter().collect();
    let mut generator = Generator::new(seed);
    for number in 0..40 {
        let mut query = generator.trace_query(spans);
        query.order = Order::ALL[number % Order::ALL.len()];
        query.limit = [1, 3, 7, 1_000][number % 4];
        let slices = traces.iter().map(|(_, spans)| spans.as_slice());
        let wanted: Vec<TraceId> =
            evaluate(&query, slices).into_iter().map(|(key, _)| key.trace_id).collect();
        let (found, end) = search(world, through, &query).await;
        assert!(end.completeness.is_complete(), "{:?}", end.completeness);
        assert_eq!(found, wanted, "{query:?}");
    }
    for (trace_id, spans) in &traces {
        let scope = world.scope();
        let request = TraceRequest { scope, trace_id: *trace_id, spans_max: usize::MAX >> 1 };
        let columns = world.store(through).trace_columns(request).await.unwrap();
        assert_eq!(columns.value.unwrap().span_ids.len(), spans.len(), "parts are put together");
    }
}

async fn write_all(world: &World, through: &[usize], spans: &[Span]) {
    let requests = spans.chunks(7).enumerate().map(|(place, spans)| {
        let through = through[place % through.len()];
        async move {
            let pause = std::time::Duration::from_millis(15 * place as u64);
            tokio::time::sleep(pause).await;
            world.write(through, spans).await
        }
    });
    for outcome in join_all(requests).await {
        outcome.unwrap();
    }
}

async fn adds_shards_under_load(seed: u64, shape: Shape) {
    let world = World::start(seed, shape).await;
    let [before, during, after] = thirds(seed, 1_800);
    write_all(&world, &[0, 1, 2], &before).await;
    world.seal(0);
    // No write fails, whichever epoch it began by.
    let (changed, ()) = tokio::join!(
        world.store(1).change(ClusterChange::AddShards(3)),
        write_all(&world, &[0, 1, 2], &during),
    );
    changed.unwrap();
    let status = until_seen(&world, 2, "the second epoch", |status| is_active(status, 2)).await;
    assert_eq!(status.shards.len(), shape.shards as usize + 3);
    let epochs: Vec<u32> = status.shards.iter().map(|shard| shard.epoch).collect();
    assert_eq!(epochs, [1, 1, 1, 1, 2, 2, 2]);
    write_all(&world, &[2, 0, 1], &after).await;
    world.seal(1);
    let all: Vec<Span> = [before, during, after].concat();
    for through in 0..3 {
        world.require(through, &all).await;
        require_exact(&world, through, seed, &all).await;
    }
    let status = world.store(0).status().await;
    let spans_of = |shard: &model::admin::ShardStatus| {
        let told = shard.replicas.iter().filter_map(|replica| match replica.state {
            model::admin::ReplicaState::Present { spans, .. } => Some(spans),
            _ => None,
        });
        told.max().unwrap_or_default()
    };
    assert!(status.shards.iter().all(|shard| spans_of(shard) > 0), "{:?}", status.shards);
}

#[tokio::test(start_paused = true)]
async fn shards_are_added_while_spans_come_in() {
    for seed in [400, 401] {
        adds_shards_under_load(seed, THREE).await;
    }
}

/// Most shards are elsewhere, so most answers come over the network.
#[tokio::test(start_paused = true)]
async fn shards_without_copies_are_added_while_spans_come_in() {
    adds_shards_under_load(410, Shape { replication_factor: 1, ..THREE }).await;
}

/// A cluster whose second epoch one node has not heard of, its number, and what was written.
async fn one_missed_it(seed: u64) -> (World, usize, Vec<Span>, Vec<Span>) {
    let world = World::start(seed, THREE).await;
    let [before, during, after] = thirds(seed, 900);
    write_all(&world, &[0, 1, 2], &before).await;
    world.settled(0, 3).await;
    let through = (0..3).find(|it| !leads_meta(&world, *it)).unwrap();
    let others: Vec<usize> = (0..3).filter(|it| *it != through).collect();
    world.store(others[0]).change(ClusterChange::AddShards(2)).await.unwrap();
    // Its replicas of the new shards have to be there; of the rest it hears nothing.
    loop {
        let status = world.store(others[0]).status().await;
        assert!(!is_active(&status, 2), "too late");
        if status.shards.len() == 6 && status.shards.iter().all(|shard| shard.leader.is_some()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.isolate(through);
    until_seen(&world, others[0], "the second epoch", |status| is_active(status, 2)).await;
    write_all(&world, &others, &during).await;
    world.network.heal();
    (world, through, [before, during].concat(), after)
}

/// PLC-1, QRY-3: whoever has slept through the change learns of it by the first shard that it asks,
/// and its writes go where they belong.
#[tokio::test(start_paused = true)]
async fn a_node_that_missed_it_shows_and_writes_everything_at_once() {
    let (world, through, seen, after) = one_missed_it(420).await;
    // Whatever it heard meanwhile, this is its first question.
    world.require(through, &seen).await;
    write_all(&world, &[through], &after).await;
    let all = [seen, after].concat();
    for number in 0..3 {
        require_exact(&world, number, 420, &all).await;
    }
}

/// QRY-1: a search that learns of the change in its midst shows no trace in two parts, told as it
/// goes or not.
#[tokio::test(start_paused = true)]
async fn a_search_that_learns_of_it_shows_whole_traces() {
    for progress in [false, true] {
        let (world, through, seen, _) = one_missed_it(420).await;
        let (found, end) = search_telling(&world, through, &everything(), progress).await;
        assert!(end.completeness.is_complete(), "{:?}", end.completeness);
        assert_eq!(told(found), wanted(&seen));
    }
}

fn everything() -> TraceQuery {
    TraceQuery {
        window: model::TimeRange::ALL,
        predicate: model::query::TracePredicate::True,
        order: Order::Newest,
        limit: 1_000,
        cursor: None,
    }
}

/// The distinct spans by trace.
fn by_trace(spans: &[Span]) -> BTreeMap<TraceId, Vec<Span>> {
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span.clone());
    }
    traces.into_iter().map(|(id, spans)| (id, model::trace::distinct(spans))).collect()
}

/// Every trace once, and how many spans it has.
fn wanted(spans: &[Span]) -> Vec<(TraceId, u64)> {
    by_trace(spans).into_iter().map(|(id, spans)| (id, spans.len() as u64)).collect()
}

fn told(hits: Vec<TraceSummary>) -> Vec<(TraceId, u64)> {
    let mut told: Vec<(TraceId, u64)> =
        hits.into_iter().map(|summary| (summary.trace_id, summary.span_count)).collect();
    told.sort_unstable();
    told
}

/// No clock is trusted alone: where a fence is, the median of the members' clocks says.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_does_not_hide_a_fence() {
    let world = World::start(460, THREE).await;
    let [before, during, _] = thirds(460, 900);
    world.settled(0, 3).await;
    let leader = (0..3).find(|it| leads_meta(&world, *it)).unwrap();
    world.members[leader].clock.set_ahead(model::Duration::from_secs(24 * 3_600));
    // Until the others have heard of it, it is not known to be wrong.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    write_all(&world, &[0, 1, 2], &before).await;
    world.store(0).change(ClusterChange::AddShards(2)).await.unwrap();
    until_seen(&world, 0, "the second epoch", |status| is_active(status, 2)).await;
    assert!(leads_meta(&world, leader), "it went as it was meant to");
    write_all(&world, &[0, 1, 2], &during).await;
    let minutes = model::Duration::from_secs(600);
    let (start, end) = (ORIGIN.saturating_sub(minutes), ORIGIN.saturating_add(minutes));
    let query = TraceQuery { window: model::TimeRange { start, end }, ..everything() };
    for through in 0..3 {
        let (found, end) = search_telling(&world, through, &query, false).await;
        assert!(end.completeness.is_complete(), "{:?}", end.completeness);
        assert_eq!(told(found), wanted(&[before.as_slice(), &during].concat()));
    }
}

/// QRY-1: a request that a client sends again behind a fence counts once, and so does a trace that
/// lies in two shards; calls between the two count.
#[tokio::test(start_paused = true)]
async fn figures_near_a_fence_are_those_of_whole_traces() {
    let world = World::start(470, THREE).await;
    let [before, during, after] = thirds(470, 900);
    write_all(&world, &[0, 1, 2], &[before.as_slice(), &during].concat()).await;
    world.seal(0);
    world.store(0).change(ClusterChange::AddShards(3)).await.unwrap();
    until_seen(&world, 0, "the second epoch", |status| is_active(status, 2)).await;
    write_all(&world, &[0, 1, 2], &[during.as_slice(), &after].concat()).await;
    let all = [before, during, after].concat();
    let traces = by_trace(&all);
    let slices = || traces.values().map(Vec::as_slice);
    let mut generator = Generator::new(470);
    for number in 0..30 {
        let mut query = generator.aggregate_query(&all);
        if number == 0 {
            let (window, predicate) = (model::TimeRange::ALL, model::query::SpanPredicate::True);
            query = AggregateQuery { window, predicate, kind: AggregateKind::Totals };
        }
        let window = query.window;
        let wanted = model::query::aggregate(&query, slices());
        let wanted = model::query::aggregate::finish(&query, wanted);
        let request = AggregateRequest { scope: world.scope(), query };
        let found = world.store(number % 3).aggregate(request).await.unwrap();
        assert!(found.completeness.is_complete(), "{:?}", found.completeness);
        assert_eq!(found.value, wanted, "{window:?}");
        let calls = world.store(number % 3).dependencies(world.scope(), window).await.unwrap();
        assert!(calls.completeness.is_complete(), "{:?}", calls.completeness);
        assert_eq!(calls.value, model::query::dependencies(window, slices()));
    }
}

/// TEN-1: a purge takes what lies in shards that the node which is asked has not heard of.
#[tokio::test(start_paused = true)]
async fn a_purge_reaches_shards_that_are_new() {
    let mut world = World::start(450, THREE).await;
    let [before, during, _] = thirds(450, 600);
    write_all(&world, &[0, 1, 2], &before).await;
    world.store(0).change(ClusterChange::AddShards(3)).await.unwrap();
    until_seen(&world, 0, "the second epoch", |status| is_active(status, 2)).await;
    write_all(&world, &[0], &during).await;
    world.store(2).purge(world.tenant.clone()).await.unwrap();
    let (left, end) = world.count(1).await.unwrap();
    assert!(left == 0 && end.completeness.is_complete(), "{left}");
    // One node of three alone: what it has is shown, and that it may be old is said.
    write_all(&world, &[0], &before).await;
    world.kill(1).await;
    world.isolate(2);
    let (_, end) = world.count(0).await.unwrap();
    assert!(!end.completeness.is_complete(), "{:?}", end.completeness);
}

fn leads_meta(world: &World, number: usize) -> bool {
    let replicas = world.host(number).replicas();
    let meta = replicas.iter().find(|(group, _)| group.0 == 0);
    meta.is_some_and(|(_, status)| status.leadership.role == Role::Leader)
}

/// Design of a change: whichever step its driver dies at, another one finishes it.
#[tokio::test(start_paused = true)]
async fn shards_are_added_though_the_meta_group_loses_its_leader() {
    for (seed, millis) in [(430, 0), (431, 400), (432, 900), (433, 1_500), (434, 2_200)] {
        let mut world = World::start(seed, THREE).await;
        let [before, during, after] = thirds(seed, 600);
        write_all(&world, &[0, 1, 2], &before).await;
        world.settled(0, 3).await;
        let leader = (0..3).find(|it| leads_meta(&world, *it)).unwrap();
        let others: Vec<usize> = (0..3).filter(|it| *it != leader).collect();
        world.store(leader).change(ClusterChange::AddShards(2)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        world.kill(leader).await;
        write_all(&world, &others, &during).await;
        until_seen(&world, others[1], "the second epoch", |status| is_active(status, 2)).await;
        world.revive(leader).await;
        world.ready().await;
        write_all(&world, &[leader], &after).await;
        let all = [before, during, after].concat();
        for number in 0..3 {
            world.require(number, &all).await;
            require_exact(&world, number, seed, &all).await;
        }
    }
}

/// LIV-1, PLC-1: a shard that is lost while others are fenced stops its own writes, and no others
/// for long; nothing that was acknowledged is hidden, and shards can be added later.
#[tokio::test(start_paused = true)]
async fn adding_shards_is_given_up_when_one_is_lost() {
    let mut world = World::start(480, Shape { replication_factor: 1, ..THREE }).await;
    let [before, during, after] = thirds(480, 900);
    write_all(&world, &[0, 1, 2], &before).await;
    world.settled(0, 1).await;
    let through = (0..3).find(|it| leads_meta(&world, *it)).unwrap();
    let status = world.store(through).status().await;
    let leads = |number: usize, shard: usize| status.shards[shard].leader == Some(node(number));
    let victim = (0..3).filter(|it| *it != through).find(|it| (0..4).any(|at| leads(*it, at)));
    let victim = victim.unwrap();
    let others: Vec<usize> = (0..3).filter(|it| *it != victim).collect();
    world.store(through).change(ClusterChange::AddShards(2)).await.unwrap();
    loop {
        let status = world.store(through).status().await;
        assert!(!is_active(&status, 2), "too late");
        if status.epochs.last().is_some_and(|last| last.state == EpochState::Fencing) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    world.kill(victim).await;
    let shards = || others.iter().flat_map(|it| world.host(*it).shards());
    world.until("a shard is fenced", || shards().any(|shard| shard.fenced() == 2)).await;
    let ring = Ring::new(4);
    let is_lost = |span: &Span| leads(victim, ring.shard_of(span.trace_id).0 as usize);
    let (lost, kept): (Vec<Span>, Vec<Span>) = during.into_iter().partition(is_lost);
    let began = world.clock.monotonic();
    while world.write(through, &kept[..9]).await.is_err() {
        let waited = world.clock.monotonic().since(began);
        assert!(waited < model::Duration::from_secs(60), "writes never go on");
    }
    write_all(&world, &others, &kept).await;
    let status = world.store(through).status().await;
    assert!(is_active(&status, 2) && status.shards.len() == 4, "{:?}", status.epochs);
    world.revive(victim).await;
    world.ready().await;
    // It last heard of shards that were to come, and would say that they are missing.
    until_seen(&world, victim, "the second epoch", |status| is_active(status, 2)).await;
    write_all(&world, &[victim], &lost).await;
    let seen = [before, kept, lost].concat();
    for number in 0..3 {
        world.require(number, &seen).await;
        require_exact(&world, number, 480, &seen).await;
    }
    // What was made of the new shards has to go first.
    let again = async {
        while world.store(victim).change(ClusterChange::AddShards(3)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), again).await.unwrap();
    let status = until_seen(&world, 0, "the third epoch", |status| is_active(status, 3)).await;
    assert_eq!(status.shards.len(), 7);
    write_all(&world, &[0, 1, 2], &after).await;
    let all = [seen, after].concat();
    for number in 0..3 {
        world.require(number, &all).await;
        require_exact(&world, number, 481, &all).await;
    }
}

#[tokio::test(start_paused = true)]
async fn shards_are_added_again_and_what_cannot_be_is_refused() {
    let world = World::start(440, Shape { shards: 2, ..THREE }).await;
    for (count, what) in [(0, "none"), (100_000, "too many")] {
        let refused = world.store(0).change(ClusterChange::AddShards(count)).await;
        assert!(matches!(refused, Err(model::admin::ChangeError::Refused { .. })), "{what}");
    }
    let [before, during, after] = thirds(440, 600);
    write_all(&world, &[0, 1, 2], &before).await;
    world.store(0).change(ClusterChange::AddShards(1)).await.unwrap();
    let refused = world.store(1).change(ClusterChange::AddShards(1)).await;
    assert!(matches!(refused, Err(model::admin::ChangeError::Refused { .. })), "one at a time");
    until_seen(&world, 0, "the second epoch", |status| is_active(status, 2)).await;
    write_all(&world, &[0, 1, 2], &during).await;
    world.store(2).change(ClusterChange::AddShards(4)).await.unwrap();
    until_seen(&world, 0, "the third epoch", |status| is_active(status, 3)).await;
    write_all(&world, &[0, 1, 2], &after).await;
    let all = [before, during, after].concat();
    for number in 0..3 {
        world.require(number, &all).await;
        require_exact(&world, number, 440, &all).await;
    }
}
