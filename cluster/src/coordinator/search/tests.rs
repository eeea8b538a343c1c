//! What a search tells while shards still answer, and at its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::budget::Budget;
use model::store::TraceSummary;
use model::testing::{ManualClock, Random};
use model::time::Monotonic;
use model::{ShardId, Text, Timestamp, TraceId};
use tokio::sync::mpsc;

use super::*;
use crate::wire::{ReadEnd, SearchProgress};

fn hit(rank: u64) -> Hit {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&rank.to_be_bytes());
    let trace_id = TraceId(bytes);
    let summary = TraceSummary {
        trace_id,
        start: Timestamp(rank),
        end: Timestamp(rank),
        root_service: Text::EMPTY,
        root_operation: Text::EMPTY,
        span_count: 1,
        error_count: 0,
        orphan_count: 0,
        services: Vec::new(),
    };
    Hit { key: OrderKey { rank, trace_id }, summary, trace: None }
}

fn answer(ranks: &[u64]) -> ShardAnswer {
    let items = ranks.iter().map(|rank| ReadItem::Hit(Box::new(hit(*rank)))).collect();
    let search = Some(SearchProgress { spans_scanned: 10, ..SearchProgress::default() });
    ShardAnswer { items, end: ReadEnd { search, ..ReadEnd::default() } }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { what: "gone".into(), retry_after_ms: 1 }
}

struct Fixture {
    answers: mpsc::Sender<Answered>,
    budget: Budget,
    search: Search,
}

fn fixture(shards: u32, limit: usize, progress: bool) -> Fixture {
    let budget =
        Budget::new(Arc::new(ManualClock::new(Timestamp(0))), Monotonic(u64::MAX), u64::MAX);
    let (answers, receiver) = mpsc::channel(shards as usize);
    let heard = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    });
    let search = Search {
        limit,
        former: None,
        ask: Box::new(|_| Box::pin(std::future::ready(Err(unknown_shards())))),
        rounds_left: 1,
        asked: Asked { last: RingEpoch(1), count: shards, answers: heard.boxed() },
        guard: Some(budget.cancel_on_drop()),
        gathered: Gathered::default(),
        early: progress.then(Vec::new),
        ready: VecDeque::new(),
    };
    Fixture { answers, budget, search }
}

async fn next_of(stream: &mut SearchStream) -> Option<Result<SearchItem, StoreError>> {
    stream.next().await
}

/// What is shown: early hits at their places, the first `limit` of them.
fn show(shown: &mut Vec<u64>, progress: &Progress, limit: usize) {
    for EarlyHit { place, hit } in &progress.early {
        shown.insert(*place as usize, hit.key.rank);
    }
    shown.truncate(limit);
}

#[tokio::test]
async fn traces_are_told_while_shards_are_still_asked() {
    let Fixture { answers, budget, search } = fixture(3, 3, true);
    let mut stream = search.into_stream().await.unwrap();
    answers.send((ShardId(1), Ok(answer(&[10, 30, 50])))).await.unwrap();
    let Some(Ok(SearchItem::Progress(progress))) = next_of(&mut stream).await else {
        panic!("a shard has answered");
    };
    let mut shown = Vec::new();
    show(&mut shown, &progress, 3);
    assert_eq!(shown, [10, 30, 50]);
    assert_eq!((progress.asked, progress.answered, progress.spans_scanned), (3, 1, 10));

    answers.send((ShardId(2), Err(unavailable()))).await.unwrap();
    let Some(Ok(SearchItem::Progress(progress))) = next_of(&mut stream).await else {
        panic!("a shard has failed");
    };
    assert_eq!(progress.missing, BTreeSet::from([ShardId(2)]));
    assert_eq!((progress.answered, progress.early.len()), (1, 0));

    answers.send((ShardId(0), Ok(answer(&[20, 40])))).await.unwrap();
    drop(answers);
    let mut ranks = Vec::new();
    while let Some(item) = next_of(&mut stream).await {
        match item.unwrap() {
            SearchItem::Hit(hit) => ranks.push(hit.key.rank),
            SearchItem::End(end) => {
                assert_eq!(end.completeness.missing, BTreeSet::from([ShardId(2)]));
                assert!(end.cursor.is_some(), "there are five traces");
                assert_eq!(end.spans_scanned, 20);
            }
            SearchItem::Progress(progress) => panic!("the hits say it: {progress:?}"),
        }
    }
    assert_eq!(ranks, [10, 20, 30]);
    drop(stream);
    assert!(!budget.is_cancelled(), "there may be more to ask");
}

#[tokio::test]
async fn what_is_shown_early_is_the_beginning_of_what_is_known() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let limit = 1 + usize::try_from(random.below(12)).unwrap();
        let shards = 2 + u32::try_from(random.below(5)).unwrap();
        let Fixture { answers, search, .. } = fixture(shards, limit, true);
        let mut stream = search.into_stream().await.unwrap();
        let (mut known, mut shown) = (BTreeSet::new(), Vec::new());
        for shard in 0..shards {
            let mut own = BTreeSet::new();
            for _ in 0..random.below(20) {
                // Traces lie in one shard.
                own.insert(random.below(1_000) * u64::from(shards) + u64::from(shard));
            }
            // As a shard answers: the first, one more than asked for.
            let own: Vec<u64> = own.into_iter().take(limit + 1).collect();
            known.extend(own.iter().copied());
            answers.send((ShardId(shard), Ok(answer(&own)))).await.unwrap();
            if shard + 1 < shards {
                let Some(Ok(SearchItem::Progress(progress))) = next_of(&mut stream).await else {
                    panic!("seed {seed}: shard {shard} has answered");
                };
                show(&mut shown, &progress, limit);
                let first: Vec<u64> = known.iter().copied().take(limit).collect();
                assert_eq!(shown, first, "seed {seed}, shard {shard}");
            }
        }
        drop(answers);
        let mut ranks = Vec::new();
        while let Some(Ok(item)) = next_of(&mut stream).await {
            if let SearchItem::Hit(hit) = item {
                ranks.push(hit.key.rank);
            }
        }
        assert_eq!(ranks, known.into_iter().take(limit).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_search_that_no_shard_answers_fails() {
    for progress in [false, true] {
        let Fixture { answers, search, .. } = fixture(1, 5, progress);
        answers.send((ShardId(0), Err(unavailable()))).await.unwrap();
        drop(answers);
        let failed = match search.into_stream().await {
            Err(error) => Some(error),
            Ok(mut stream) => next_of(&mut stream).await.unwrap().err(),
        };
        assert!(matches!(failed, Some(StoreError::Unavailable { .. })), "progress {progress}");
    }
}

#[tokio::test]
async fn whoever_leaves_cancels() {
    let Fixture { answers, budget, search } = fixture(2, 5, true);
    let mut stream = search.into_stream().await.unwrap();
    answers.send((ShardId(0), Ok(answer(&[1])))).await.unwrap();
    assert!(matches!(next_of(&mut stream).await, Some(Ok(SearchItem::Progress(_)))));
    assert!(!budget.is_cancelled());
    drop(stream);
    assert!(budget.is_cancelled());
}

/// QRY-3: a shard that knows of more shards has them asked as well, and what was told early is told
/// again only if it is new.
#[tokio::test]
async fn shards_that_were_added_are_asked_too() {
    let Fixture { answers, mut search, .. } = fixture(2, 3, true);
    let (new, receiver) = mpsc::channel(4);
    let receiver = std::sync::Mutex::new(Some(receiver));
    search.rounds_left = 2;
    search.ask = Box::new(move |again| {
        assert_eq!(again, Again::Epoch(RingEpoch(2)));
        let receiver = receiver.lock().unwrap().take().unwrap();
        let heard = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|item| (item, receiver))
        });
        let asked = Asked { last: RingEpoch(2), count: 3, answers: heard.boxed() };
        Box::pin(std::future::ready(Ok(Round::Asked(asked))))
    });
    let fenced = |ranks: &[u64]| {
        let mut answer = answer(ranks);
        answer.end.fenced_epoch = RingEpoch(2);
        Ok(answer)
    };
    let mut stream = search.into_stream().await.unwrap();
    answers.send((ShardId(0), fenced(&[10, 20]))).await.unwrap();
    answers.send((ShardId(1), fenced(&[30]))).await.unwrap();
    drop(answers);
    for (shard, ranks) in [(0, &[10_u64, 20][..]), (1, &[30]), (2, &[5])] {
        new.send((ShardId(shard), fenced(ranks))).await.unwrap();
    }
    drop(new);
    let (mut early, mut ranks) = (Vec::new(), Vec::new());
    while let Some(item) = next_of(&mut stream).await {
        match item.unwrap() {
            SearchItem::Progress(progress) => {
                early.extend(progress.early.iter().map(|early| early.hit.key.rank));
            }
            SearchItem::Hit(hit) => ranks.push(hit.key.rank),
            SearchItem::End(end) => assert!(end.cursor.is_some()),
        }
    }
    assert_eq!((early, ranks), (vec![10, 20, 30], vec![5, 10, 20]));
}

/// QRY-1: shards stop where they know of better hits elsewhere. If these are in no answer in the
/// end, all are asked again, and none is stopped.
#[tokio::test]
async fn shards_that_were_stopped_by_hits_that_are_gone_are_asked_again() {
    for hit_is_gone in [false, true] {
        let Fixture { answers, mut search, .. } = fixture(2, 2, false);
        let (new, receiver) = mpsc::channel(4);
        let receiver = std::sync::Mutex::new(Some(receiver));
        search.rounds_left = 2;
        search.ask = Box::new(move |again| {
            assert_eq!(again, Again::Alone);
            let receiver = receiver.lock().unwrap().take().unwrap();
            let heard = stream::unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|item| (item, receiver))
            });
            let asked = Asked { last: RingEpoch(1), count: 2, answers: heard.boxed() };
            Box::pin(std::future::ready(Ok(Round::Asked(asked))))
        });
        let stopped_after = |ranks: &[u64], rank| {
            let mut answer = answer(ranks);
            let cursor = Cursor { last: hit(rank).key, applied: Vec::new() };
            answer.end.search.as_mut().unwrap().cursor = Some(cursor);
            Ok(answer)
        };
        let told: &[u64] = if hit_is_gone { &[20, 30] } else { &[10, 20, 30] };
        answers.send((ShardId(0), stopped_after(told, 30))).await.unwrap();
        answers.send((ShardId(1), stopped_after(&[], 30))).await.unwrap();
        drop(answers);
        for (shard, ranks) in [(0, &[20_u64, 30, 40][..]), (1, &[35])] {
            new.send((ShardId(shard), Ok(answer(ranks)))).await.unwrap();
        }
        drop(new);
        let mut stream = search.into_stream().await.unwrap();
        let mut ranks = Vec::new();
        while let Some(item) = next_of(&mut stream).await {
            match item.unwrap() {
                SearchItem::Hit(hit) => ranks.push(hit.key.rank),
                SearchItem::End(end) => assert!(end.cursor.is_some()),
                SearchItem::Progress(progress) => panic!("nobody asked for it: {progress:?}"),
            }
        }
        assert_eq!(ranks, if hit_is_gone { [20, 30] } else { [10, 20] }, "{hit_is_gone}");
    }
}
