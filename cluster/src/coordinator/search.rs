//! A search over every shard, told as it goes if that is asked for.
//!
//! Which traces are the first of all is known when the last shard has answered, and its hits stand
//! at the end, in exact order (QRY-1). Until then every shard that answers adds *early* hits: the
//! first of what is known so far, each with its place among them, which shards that are still asked
//! may push down and out.
//!
//! Bounds: answers are held once, as for any read; of the early hits their keys are, at most as
//! many as the query's limit. Whoever drops the stream cancels what the shards do.

use std::collections::{BTreeSet, VecDeque};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use model::StoreError;
use model::budget::CancelOnDrop;
use model::query::{Cursor, OrderKey};
use model::store::{EarlyHit, Hit, Progress, SearchEnd, SearchItem, SearchRequest, SearchStream};

use super::Coordinator;
use super::merge::{AcrossHits, ShardHits, merge_hits};
use super::read::{Gathered, unknown_shards};
use super::shards::{Answered, Question, ShardAnswer, Shards};
use crate::limits::EPOCHS_MET_MAX;
use crate::wire::{ReadItem, ReadOperation, RingEpoch};

/// A search under way.
pub(super) struct Search {
    limit: usize,
    former: Option<Cursor>,
    ask: Ask,
    /// How often it may start over.
    rounds_left: usize,
    asked: Asked,
    /// Until every shard has answered: what remains of the budget is for the next question.
    guard: Option<CancelOnDrop>,
    gathered: Gathered,
    /// Where the first traces stand that are known so far; nothing if nobody wants to hear.
    early: Option<Vec<OrderKey>>,
    /// The answer, once it is there.
    ready: VecDeque<SearchItem>,
}

/// Shards that are being asked.
struct Asked {
    /// The last ring epoch that they were chosen by.
    last: RingEpoch,
    count: u32,
    answers: BoxStream<'static, Answered>,
}

/// Why all shards are asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// There are shards that were not asked: those of this epoch, once it is known.
    Epoch(RingEpoch),
    /// A shard was stopped by hits of an answer that was thrown away: this time none is stopped.
    Alone,
}

/// What a search goes on with.
enum Round {
    /// Shards that are being asked.
    Asked(Asked),
    /// The window comes near a fence that was not known before: the whole answer, found by who
    /// knows that traces may lie in two shards.
    Told(Vec<SearchItem>),
}

/// Begins anew; an error if the epoch does not become known in time.
type Ask = Box<dyn Fn(Again) -> BoxFuture<'static, Result<Round, StoreError>> + Send + Sync>;

impl Search {
    /// Asks the shards.
    pub(super) fn begin(coordinator: &Coordinator, request: SearchRequest) -> Self {
        let limit = request.query.limit as usize;
        let former = request.query.cursor.clone();
        let guard = Some(request.scope.budget.cancel_on_drop());
        let progress = request.progress;
        let asked = ask(coordinator.core.shards.as_ref(), question(&request, true));
        let coordinator = coordinator.clone();
        let ask: Ask = Box::new(move |again| {
            Box::pin(coordinator.clone().search_again(request.clone(), again))
        });
        let early = progress.then(Vec::new);
        let (gathered, ready) = (Gathered::default(), VecDeque::new());
        let rounds_left = EPOCHS_MET_MAX;
        Self { limit, former, ask, rounds_left, asked, guard, gathered, early, ready }
    }

    /// What it finds. Unless it tells how far it has come there is nothing to hear before the end,
    /// which is waited for: a search that fails says so here.
    pub(super) async fn into_stream(mut self) -> Result<SearchStream, StoreError> {
        while self.early.is_none() && self.guard.is_some() {
            while let Some(answered) = self.asked.answers.next().await {
                self.gathered.take(answered);
            }
            self.finish().await?;
        }
        let items = stream::unfold(self, |mut search| async {
            let item = search.next().await?;
            Some((item, search))
        });
        Ok(Box::pin(items))
    }

    async fn next(&mut self) -> Option<Result<SearchItem, StoreError>> {
        while self.guard.is_some() {
            match self.asked.answers.next().await {
                Some(answered) => {
                    if let Some(progress) = self.take(answered) {
                        return Some(Ok(SearchItem::Progress(progress)));
                    }
                }
                None => {
                    if let Err(error) = self.finish().await {
                        // That was all of it.
                        self.guard = None;
                        return Some(Err(error));
                    }
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }

    /// Takes an answer. There is nothing to say about the last one: the hits say it.
    fn take(&mut self, answered: Answered) -> Option<Progress> {
        let has_answered = answered.1.is_ok();
        self.gathered.take(answered);
        let answers = &self.gathered.answers;
        let known = answers.len() + self.gathered.missing.len();
        let early = self.early.as_mut().filter(|_| known < self.asked.count as usize)?;
        let last = answers.last().filter(|_| has_answered);
        let hits = last.map(|(_, answer)| hits(answer)).into_iter().flatten();
        Some(Progress {
            asked: self.asked.count,
            answered: u32::try_from(answers.len()).unwrap_or(u32::MAX),
            missing: self.gathered.missing.clone(),
            spans_scanned: answers.iter().map(|(_, answer)| spans_scanned(answer)).sum(),
            early: told_early(early, hits, self.limit),
        })
    }

    /// All that will answer have answered. If one knows of shards that were not asked, or what was
    /// told is not enough, all are asked again: what was told early stays, for it was no promise.
    async fn finish(&mut self) -> Result<(), StoreError> {
        let gathered = std::mem::take(&mut self.gathered).whole()?;
        let epoch = gathered.unknown_epoch(self.asked.last).map(Again::Epoch);
        if let Some(again) = epoch.or((!is_enough(self.limit, &gathered)).then_some(Again::Alone)) {
            self.rounds_left = self.rounds_left.saturating_sub(1);
            if self.rounds_left == 0 {
                return Err(unknown_shards());
            }
            match (self.ask)(again).await? {
                Round::Asked(asked) => self.asked = asked,
                Round::Told(items) => self.end(items),
            }
            return Ok(());
        }
        let across = AcrossHits::default();
        self.end(answer(self.limit, self.former.as_ref(), gathered, across));
        Ok(())
    }

    /// The answer is there.
    fn end(&mut self, items: Vec<SearchItem>) {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
        self.ready = items.into();
    }
}

impl Coordinator {
    /// Begins a search anew. If that is because of a ring epoch, its fence may be near, and then
    /// hits of shards are not hits of traces any more: what was said so far counts for nothing.
    async fn search_again(self, request: SearchRequest, again: Again) -> Result<Round, StoreError> {
        let shards = &self.core.shards;
        if let Again::Epoch(epoch) = again {
            if !shards.learn_epoch(epoch, request.scope.budget.deadline()).await {
                return Err(unknown_shards());
            }
            if !self.fences_near(request.query.window).is_empty() {
                return self.told_across(request).await.map(Round::Told);
            }
        }
        Ok(Round::Asked(ask(shards.as_ref(), question(&request, again != Again::Alone))))
    }
}

/// What each shard is asked: one more than asked for tells whether there are more.
fn question(request: &SearchRequest, together: bool) -> Question {
    let mut query = request.query.clone();
    query.limit = query.limit.saturating_add(1);
    let (detail, without) = (request.detail, BTreeSet::new());
    let operation = ReadOperation::Search { query, detail, together, without };
    Question::new(request.scope.clone(), operation)
}

/// Asks every shard that is known.
fn ask(shards: &dyn Shards, question: Question) -> Asked {
    let routes = shards.routes();
    let ids = routes.shards();
    let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    Asked { last: routes.last, count, answers: shards.ask(question, ids) }
}

/// The hits and the end of a search, out of what all shards said and the hits among traces that lie
/// in two of them.
pub(super) fn answer(
    limit: usize,
    former: Option<&Cursor>,
    gathered: Gathered,
    across: AcrossHits,
) -> Vec<SearchItem> {
    let answers = gathered.answers.into_iter().map(|(shard, answer)| {
        let (spans_scanned, told_until) = (spans_scanned(&answer), told_until(&answer));
        let hits = answer.items.into_iter().filter_map(|item| match item {
            ReadItem::Hit(hit) => Some(*hit),
            _ => None,
        });
        let hits = ShardHits {
            hits: hits.collect(),
            applied: answer.end.applied.0,
            spans_scanned,
            told_until,
            completeness: answer.end.completeness,
        };
        (shard, hits)
    });
    let merged = merge_hits(limit, former, answers.collect(), across, gathered.missing);
    let end = SearchEnd {
        completeness: merged.completeness,
        cursor: merged.cursor,
        moved: merged.moved,
        spans_scanned: merged.spans_scanned,
    };
    let hits = merged.hits.into_iter().map(|hit| SearchItem::Hit(Box::new(hit)));
    hits.chain([SearchItem::End(end)]).collect()
}

fn hits(answer: &ShardAnswer) -> impl Iterator<Item = &Hit> {
    answer.items.iter().filter_map(|item| match item {
        ReadItem::Hit(hit) => Some(&**hit),
        _ => None,
    })
}

fn spans_scanned(answer: &ShardAnswer) -> u64 {
    answer.end.search.as_ref().map_or(0, |search| search.spans_scanned)
}

/// There may be more behind this place, and all that comes before it was told.
fn told_until(answer: &ShardAnswer) -> Option<OrderKey> {
    let search = answer.end.search.as_ref()?;
    search.cursor.as_ref().map(|cursor| cursor.last)
}

/// Whether what was told is enough for the first `limit`, and for whether there are more. It is not
/// where hits stopped a shard that are in no answer. A spent budget has no more to give.
fn is_enough(limit: usize, gathered: &Gathered) -> bool {
    let answers = || gathered.answers.iter().map(|(_, answer)| answer);
    let Some(until) = answers().filter_map(told_until).min() else { return true };
    let told = answers().flat_map(hits).filter(|hit| hit.key <= until).count();
    told > limit || answers().any(|answer| answer.end.completeness.exhausted.is_some())
}

/// Which of a shard's hits, that come in order, belong to the first `limit` known so far.
fn told_early<'a>(
    known: &mut Vec<OrderKey>,
    hits: impl Iterator<Item = &'a Hit>,
    limit: usize,
) -> Vec<EarlyHit> {
    let mut early = Vec::new();
    for hit in hits {
        let Err(place) = known.binary_search(&hit.key) else { continue };
        if place >= limit {
            break;
        }
        known.insert(place, hit.key);
        known.truncate(limit);
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let hit = Hit { key: hit.key, summary: hit.summary.clone(), trace: None };
        early.push(EarlyHit { place, hit });
    }
    early
}

#[cfg(test)]
#[path = "search/tests.rs"]
mod tests;
