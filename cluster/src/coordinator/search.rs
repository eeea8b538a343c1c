//! A search over every shard, told as it goes if that is asked for.
//!
//! Which traces are the first of all is known when the last shard has answered, and its hits stand
//! at the end, in exact order (QRY-1). Until then every shard that answers adds *early* hits: the
//! first of what is known so far, each with its place among them, which shards that are still asked
//! may push down and out.
//!
//! Bounds: answers are held once, as for any read; of the early hits their keys are, at most as many
//! as the query's limit. Whoever drops the stream cancels what the shards do.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use model::budget::CancelOnDrop;
use model::query::{Cursor, OrderKey};
use model::store::{EarlyHit, Hit, Progress, SearchEnd, SearchItem, SearchRequest, SearchStream};
use model::{ShardId, StoreError};

use super::merge::{ShardHits, merge_hits};
use super::read::Gathered;
use super::shards::{Answered, Question, ShardAnswer, Shards};
use crate::wire::{ReadItem, ReadOperation};

/// A search under way.
pub(super) struct Search {
    limit: usize,
    former: Option<Cursor>,
    asked: u32,
    answers: BoxStream<'static, Answered>,
    /// Until every shard has answered: what remains of the budget is for the next question.
    guard: Option<CancelOnDrop>,
    gathered: Gathered,
    /// Where the first traces stand that are known so far; nothing if nobody wants to hear.
    early: Option<Vec<OrderKey>>,
    /// The answer, once it is there.
    ready: VecDeque<SearchItem>,
}

impl Search {
    /// Asks the shards.
    pub(super) fn begin(shards: &dyn Shards, ids: Vec<ShardId>, request: SearchRequest) -> Self {
        let SearchRequest { scope, mut query, detail, progress } = request;
        let limit = query.limit as usize;
        // One more than asked for tells whether there are more.
        query.limit = query.limit.saturating_add(1);
        let former = query.cursor.clone();
        let asked = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let guard = Some(scope.budget.cancel_on_drop());
        let question = Question { scope, operation: ReadOperation::Search { query, detail } };
        let answers = shards.ask(question, ids);
        let early = progress.then(Vec::new);
        let (gathered, ready) = (Gathered::default(), VecDeque::new());
        Self { limit, former, asked, answers, guard, gathered, early, ready }
    }

    /// What it finds. Unless it tells how far it has come there is nothing to hear before the end,
    /// which is waited for: a search that fails says so here.
    pub(super) async fn into_stream(mut self) -> Result<SearchStream, StoreError> {
        if self.early.is_none() {
            while let Some(answered) = self.answers.next().await {
                self.gathered.take(answered);
            }
            self.finish()?;
        }
        let items = stream::unfold(self, |mut search| async {
            let item = search.next().await?;
            Some((item, search))
        });
        Ok(Box::pin(items))
    }

    async fn next(&mut self) -> Option<Result<SearchItem, StoreError>> {
        while self.guard.is_some() {
            match self.answers.next().await {
                Some(answered) => {
                    if let Some(progress) = self.take(answered) {
                        return Some(Ok(SearchItem::Progress(progress)));
                    }
                }
                None => {
                    if let Err(error) = self.finish() {
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
        let early = self.early.as_mut().filter(|_| known < self.asked as usize)?;
        let last = answers.last().filter(|_| has_answered);
        let hits = last.map(|(_, answer)| hits(answer)).into_iter().flatten();
        Some(Progress {
            asked: self.asked,
            answered: u32::try_from(answers.len()).unwrap_or(u32::MAX),
            missing: self.gathered.missing.clone(),
            spans_scanned: answers.iter().map(|(_, answer)| spans_scanned(answer)).sum(),
            early: told_early(early, hits, self.limit),
        })
    }

    /// All that will answer have answered.
    fn finish(&mut self) -> Result<(), StoreError> {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
        let gathered = std::mem::take(&mut self.gathered).whole()?;
        let answers = gathered.answers.into_iter().map(|(shard, answer)| {
            let spans_scanned = spans_scanned(&answer);
            let hits = answer.items.into_iter().filter_map(|item| match item {
                ReadItem::Hit(hit) => Some(*hit),
                _ => None,
            });
            let hits = ShardHits {
                hits: hits.collect(),
                applied: answer.end.applied.0,
                spans_scanned,
                completeness: answer.end.completeness,
            };
            (shard, hits)
        });
        let merged =
            merge_hits(self.limit, self.former.as_ref(), answers.collect(), gathered.missing);
        let end = SearchEnd {
            completeness: merged.completeness,
            cursor: merged.cursor,
            moved: merged.moved,
            spans_scanned: merged.spans_scanned,
        };
        let hits = merged.hits.into_iter().map(|hit| SearchItem::Hit(Box::new(hit)));
        self.ready = hits.chain([SearchItem::End(end)]).collect();
        Ok(())
    }
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
