//! Reads near a fence, over shards that are tables and may be slow.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use model::TraceStore as _;
use model::admin::{ClusterChange, ClusterStatus, Readiness};
use model::budget::Budget;
use model::query::{Cursor, Order, TracePredicate, evaluate};
use model::store::SearchEnd;
use model::testing::simple_span;
use model::time::{Clock, Monotonic};
use model::{NodeId, Span, Timestamp};
use storage::Shard;
use storage::env::OsEnv;
use storage::log::{LogIndex, MemoryLog};

use super::super::{
    Answered, BatchIds, CoreParts, Question, RoutedBatch, Routes, ShardAnswer, Shards,
};
use super::*;
use crate::error::Error;
use crate::wire::{ReadEnd, RingEpoch, SearchProgress};

const ORIGIN: Timestamp = Timestamp(1_700_000_000_000_000_000);
const BEFORE: u32 = 2;
const AFTER: u32 = 5;

/// Time as the runtime has it.
#[derive(Debug)]
struct RuntimeClock(tokio::time::Instant);

impl Clock for RuntimeClock {
    fn wall(&self) -> Timestamp {
        Timestamp(ORIGIN.0 + self.monotonic().0)
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(u64::try_from(self.0.elapsed().as_nanos()).unwrap())
    }
}

/// Shards as tables: the traces of each, by id.
#[derive(Debug)]
struct Tables {
    clock: Arc<RuntimeClock>,
    shards: Vec<BTreeMap<TraceId, Vec<Span>>>,
    /// Ids on a page.
    page: usize,
    /// How long a page takes.
    slow: std::time::Duration,
    pages_asked: AtomicUsize,
    most_asked_for: AtomicUsize,
}

impl Tables {
    fn answer(&self, shard: ShardId, question: &Question) -> ShardAnswer {
        let table = &self.shards[shard.0 as usize];
        let mut end = ReadEnd { applied: LogIndex(1), ..ReadEnd::default() };
        end.fenced_epoch = RingEpoch(2);
        let items = match &question.operation {
            ReadOperation::Elsewhere { shard_count, after, .. } => {
                self.pages_asked.fetch_add(1, Ordering::Relaxed);
                let ring = Ring::new(*shard_count);
                let ids = table.keys().filter(|id| ring.shard_of(**id) != shard);
                let behind: Vec<TraceId> = ids.copied().filter(|id| Some(*id) > *after).collect();
                end.completeness.sampled = behind.len() > self.page;
                vec![ReadItem::TraceIds(behind.into_iter().take(self.page).collect())]
            }
            ReadOperation::Known { trace_ids } => {
                let known = trace_ids.iter().filter(|id| table.contains_key(id));
                vec![ReadItem::TraceIds(known.copied().collect())]
            }
            ReadOperation::Trace { trace_id, .. } => {
                let trace = table.get(trace_id).map(|spans| Trace {
                    trace_id: *trace_id,
                    spans: spans.clone(),
                    truncated: None,
                });
                vec![ReadItem::Trace(trace)]
            }
            ReadOperation::Search { query, without, .. } => {
                self.most_asked_for.fetch_max(query.limit as usize, Ordering::Relaxed);
                let rest = table.iter().filter(|(id, _)| !without.contains(id));
                let rest: Vec<&[Span]> = rest.map(|(_, spans)| spans.as_slice()).collect();
                let found = evaluate(query, rest.iter().copied());
                let last = found.last().map(|(key, _)| *key);
                let is_cut = found.len() == query.limit as usize;
                let cursor = last.filter(|_| is_cut);
                let cursor = cursor.map(|last| Cursor { last, applied: Vec::new() });
                end.search = Some(SearchProgress { cursor, ..SearchProgress::default() });
                let hits = found.into_iter().map(|(key, number)| {
                    let summary = TraceFacts::new(rest[number]).summary().clone();
                    ReadItem::Hit(Box::new(Hit { key, summary, trace: None }))
                });
                hits.collect()
            }
            other => panic!("nobody asks that: {other:?}"),
        };
        ShardAnswer { items, end }
    }
}

impl Shards for Tables {
    fn routes(&self) -> Arc<Routes> {
        let fence = Fence { from: ORIGIN, until: ORIGIN, before: BEFORE, after: AFTER };
        Arc::new(Routes {
            epoch: RingEpoch(2),
            ring: Ring::new(AFTER),
            last: RingEpoch(2),
            others: vec![Ring::new(BEFORE)],
            fences: vec![fence],
        })
    }

    fn learn_epoch(&self, _: RingEpoch, _: Monotonic) -> BoxFuture<'static, bool> {
        future::ready(false).boxed()
    }

    fn time(&self) -> Option<Timestamp> {
        Some(self.clock.wall())
    }

    fn write(&self, _: RoutedBatch, answer: crate::local::Answer) {
        answer(Err(Error::Unknown { reason: "nothing is written here".into() }));
    }

    fn purge(&self, _: ShardId, _: Tenant) -> BoxFuture<'static, Result<(), Error>> {
        future::ready(Ok(())).boxed()
    }

    fn ask(&self, question: Question, shards: Vec<ShardId>) -> BoxStream<'static, Answered> {
        let is_slow = matches!(question.operation, ReadOperation::Elsewhere { .. });
        let pause = if is_slow { self.slow } else { std::time::Duration::from_millis(1) };
        let left = question.scope.budget.deadline().since(self.clock.monotonic());
        let left = std::time::Duration::from_nanos(left.0);
        let answers: Vec<Answered> = shards
            .into_iter()
            .map(|shard| {
                let exhausted = StoreError::Exhausted(Exhausted::Deadline);
                let answer = (pause <= left).then(|| self.answer(shard, &question));
                (shard, answer.ok_or(exhausted))
            })
            .collect();
        let answered = async move {
            tokio::time::sleep(pause.min(left)).await;
            stream::iter(answers)
        };
        answered.flatten_stream().boxed()
    }

    fn status(&self, _: bool) -> BoxFuture<'static, ClusterStatus> {
        future::pending().boxed()
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn local_shards(&self) -> Vec<Arc<Shard>> {
        Vec::new()
    }

    fn change(&self, _: ClusterChange) -> BoxFuture<'static, Result<(), Error>> {
        future::pending().boxed()
    }

    fn drain(&self) -> BoxFuture<'static, ()> {
        future::ready(()).boxed()
    }
}

/// A coordinator over shards that were added in the midst of `count` traces of two spans, and all
/// the traces.
fn fixture(count: u64, slow: std::time::Duration) -> (Coordinator, Arc<Tables>, Vec<Vec<Span>>) {
    let (old, new) = (Ring::new(BEFORE), Ring::new(AFTER));
    let mut shards = vec![BTreeMap::<TraceId, Vec<Span>>::new(); AFTER as usize];
    let mut traces = Vec::new();
    for number in 1..=count {
        let at = ORIGIN.0 + number * 1_000;
        let parent = simple_span(number, number * 2, at, at + 10);
        let child = simple_span(number, number * 2 + 1, at + 1, at + 9);
        let (first, second) = (old.shard_of(parent.trace_id), new.shard_of(parent.trace_id));
        // Every third one ends before the fence.
        let second = if number % 3 == 0 { first } else { second };
        for (shard, span) in [(first, &parent), (second, &child)] {
            let table = &mut shards[shard.0 as usize];
            table.entry(span.trace_id).or_default().push(span.clone());
        }
        traces.push(vec![parent, child]);
    }
    let clock = Arc::new(RuntimeClock(tokio::time::Instant::now()));
    let tables = Arc::new(Tables {
        clock: Arc::clone(&clock),
        shards,
        page: 7,
        slow,
        pages_asked: AtomicUsize::new(0),
        most_asked_for: AtomicUsize::new(0),
    });
    let coordinator = Coordinator::over(CoreParts {
        shards: Arc::clone(&tables) as Arc<dyn Shards>,
        // With time that stands still nobody may work beside it.
        pool_threads: 0,
        node_id: NodeId([1; 16]),
        clock,
        batch_ids: BatchIds::new([1; 16]),
        log: Arc::new(MemoryLog::default()),
        disk: (Arc::new(OsEnv::new()), PathBuf::from(".")),
        load: Box::new(|| 0.0),
    });
    (coordinator.unwrap(), tables, traces)
}

fn scope(tables: &Tables, seconds: u64) -> ReadScope {
    let clock = Arc::clone(&tables.clock);
    let deadline = clock.monotonic().plus(Duration::from_secs(seconds));
    let budget = Budget::new(clock, deadline, u64::MAX);
    ReadScope { tenant: Tenant::new("acme").unwrap(), budget, stale: false }
}

fn everything(limit: u32) -> TraceQuery {
    let (window, predicate) = (TimeRange::ALL, TracePredicate::True);
    TraceQuery { window, predicate, order: Order::Newest, limit, cursor: None }
}

async fn search(
    coordinator: &Coordinator,
    scope: ReadScope,
    query: &TraceQuery,
) -> (Vec<(TraceId, u64)>, SearchEnd) {
    let (query, detail) = (query.clone(), Detail::Summary);
    let request = SearchRequest { scope, query, detail, progress: false };
    let mut stream = coordinator.search(request).await.unwrap();
    let mut hits = Vec::new();
    while let Some(item) = stream.next().await {
        match item.unwrap() {
            SearchItem::Hit(hit) => hits.push((hit.summary.trace_id, hit.summary.span_count)),
            SearchItem::Progress(_) => {}
            SearchItem::End(end) => return (hits, end),
        }
    }
    panic!("a search has an end");
}

/// However many traces an old shard has, they are gone through, and once the fence is long past
/// that is not done again.
#[tokio::test(start_paused = true)]
async fn all_pages_are_gone_through_and_what_came_of_it_is_kept() {
    let pause = std::time::Duration::from_millis(1);
    let (coordinator, tables, traces) = fixture(300, pause);
    for limit in [1, 10, 1_000] {
        let query = everything(limit);
        let wanted: Vec<(TraceId, u64)> = evaluate(&query, traces.iter().map(Vec::as_slice))
            .into_iter()
            .map(|(key, _)| (key.trace_id, 2))
            .collect();
        let (found, end) = search(&coordinator, scope(&tables, 15), &query).await;
        assert!(end.completeness.is_complete(), "{:?}", end.completeness);
        assert_eq!(found, wanted);
        let asked_for = tables.most_asked_for.load(Ordering::Relaxed);
        assert_eq!(asked_for, limit as usize + 1, "no more than the answer may need");
    }
    tokio::time::advance(std::time::Duration::from_hours(3)).await;
    search(&coordinator, scope(&tables, 15), &everything(9)).await;
    let before = tables.pages_asked.load(Ordering::Relaxed);
    assert!(before > 10, "there is more than a page");
    let (found, end) = search(&coordinator, scope(&tables, 15), &everything(9)).await;
    assert!(end.completeness.is_complete() && found.len() == 9);
    assert_eq!(tables.pages_asked.load(Ordering::Relaxed), before, "it is known by now");
}

/// QRY-2: what takes too long makes an answer partial, and what was found meanwhile counts.
#[tokio::test(start_paused = true)]
async fn a_search_does_not_wait_for_all_traces_across() {
    let pause = std::time::Duration::from_secs(2);
    let (coordinator, tables, traces) = fixture(300, pause);
    let began = tables.clock.monotonic();
    let (found, end) = search(&coordinator, scope(&tables, 15), &everything(5)).await;
    assert_eq!(end.completeness.exhausted, Some(Exhausted::Deadline));
    assert!(!found.is_empty() && end.cursor.is_some(), "{found:?}");
    let took = tables.clock.monotonic().since(began);
    assert!(took < Duration::from_secs(7), "a third of the time, and the search: {took:?}");
    // Later on each search goes on where the last one had to stop.
    tokio::time::advance(std::time::Duration::from_hours(3)).await;
    for _ in 0..60 {
        let (found, end) = search(&coordinator, scope(&tables, 15), &everything(1_000)).await;
        if end.completeness.is_complete() {
            assert_eq!(found.len(), traces.len());
            return;
        }
    }
    panic!("it never came to an end");
}

/// A shard that is long without a leader takes spans of the former epoch until it is fenced.
#[test]
fn a_fence_is_near_from_its_beginning_to_its_end() {
    let hour = Duration::from_secs(3_600);
    let (from, until) = (ORIGIN, ORIGIN.saturating_add(Duration(5 * hour.0)));
    let near = Fence { from, until, before: 1, after: 2 }.near();
    assert_eq!((near.start, near.end), (from.saturating_sub(hour), until.saturating_add(hour)));
    let open = Fence { from, until: Timestamp::MAX, before: 1, after: 2 }.near();
    assert_eq!((open.start, open.end), (near.start, Timestamp::MAX));
}
