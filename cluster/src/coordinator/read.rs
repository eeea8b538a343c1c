//! Reads: every shard is asked at once, and what they answer is put together.
//!
//! A shard that fails makes the answer partial (QRY-2). Only if no shard answered at all is
//! there an error.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use model::budget::{Budget, Exhausted};
use model::store::{Answer, Completeness, ReadScope};
use model::{ShardId, StoreError, TraceId};
use storage::mutant::{self, Mutant};

use super::Coordinator;
use super::shards::{Answered, Question, Routes, ShardAnswer};
use crate::limits::{EPOCHS_MET_MAX, RETRY_AFTER_MS};
use crate::wire::{ReadItem, ReadOperation, RingEpoch};

/// What every shard answered, and which did not.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) answers: Vec<(ShardId, ShardAnswer)>,
    pub(super) missing: BTreeSet<ShardId>,
    /// Why the last one did not, or that the question is none.
    last_error: Option<StoreError>,
}

impl Coordinator {
    /// Asks every shard.
    pub(super) async fn ask_all(
        &self,
        scope: ReadScope,
        operation: ReadOperation,
    ) -> Result<Gathered, StoreError> {
        self.ask(scope, operation, Routes::shards).await
    }

    /// Asks the shards of a trace. All its spans lie in one of them, unless shards were added.
    pub(super) async fn ask_about(
        &self,
        scope: ReadScope,
        trace_id: TraceId,
        operation: ReadOperation,
    ) -> Result<Gathered, StoreError> {
        self.ask(scope, operation, |routes| routes.shards_of(trace_id)).await
    }

    /// Asks the shards that the routes name.
    ///
    /// Invariant (PLC-1, QRY-3): the routes knew every epoch that spans were acknowledged by when
    /// the question began. Before the first of them was, every older shard was fenced; so a shard's
    /// answer tells of an epoch that is not known here, and the question starts over.
    async fn ask(
        &self,
        scope: ReadScope,
        operation: ReadOperation,
        shards: impl Fn(&Routes) -> Vec<ShardId>,
    ) -> Result<Gathered, StoreError> {
        for _ in 0..EPOCHS_MET_MAX {
            let routes = self.core.shards.routes();
            let gathered =
                self.ask_shards(scope.clone(), operation.clone(), shards(&routes)).await?;
            let Some(epoch) = gathered.unknown_epoch(routes.last) else { return Ok(gathered) };
            if !self.core.shards.learn_epoch(epoch, scope.budget.deadline()).await {
                break;
            }
        }
        Err(unknown_shards())
    }

    /// Asks these shards.
    pub(super) async fn ask_shards(
        &self,
        scope: ReadScope,
        operation: ReadOperation,
        shards: Vec<ShardId>,
    ) -> Result<Gathered, StoreError> {
        // Whoever leaves cancels what the shards do; whoever stays may have more to ask.
        let guard = scope.budget.cancel_on_drop();
        let question = Question::new(scope, operation);
        let mut answers = self.core.shards.ask(question, shards);
        let mut gathered = Gathered::default();
        while let Some(answered) = answers.next().await {
            gathered.take(answered);
        }
        guard.disarm();
        gathered.whole()
    }

    /// Does work that takes processor time where it holds up nobody. It looks at the budget, which
    /// ends it when whoever waits for it leaves.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        budget: &Budget,
        work: impl FnOnce(&Budget) -> Result<T, Exhausted> + Send + 'static,
    ) -> Result<T, StoreError> {
        let guard = budget.cancel_on_drop();
        let own = budget.clone();
        let done = self.core.unions.run(move || work(&own)).await;
        guard.disarm();
        Ok(done??)
    }

    /// Asks every shard for something that merges.
    pub(super) async fn merge_all<T: Default>(
        &self,
        scope: ReadScope,
        operation: ReadOperation,
        mut merge: impl FnMut(&mut T, ReadItem),
    ) -> Result<Answer<T>, StoreError> {
        let gathered = self.ask_all(scope, operation).await?;
        let completeness = gathered.completeness();
        let mut value = T::default();
        for (_, answer) in gathered.answers {
            answer.items.into_iter().for_each(|item| merge(&mut value, item));
        }
        Ok(Answer { value, completeness })
    }
}

impl Gathered {
    /// Takes what a shard answered, or that it did not.
    pub(super) fn take(&mut self, (shard, result): Answered) {
        match result {
            Ok(answer) => self.answers.push((shard, answer)),
            Err(error) => {
                tracing::warn!(%shard, %error, "a shard could not answer");
                metrics::counter!("skua_shard_read_failures_total").increment(1);
                if !mutant::is(Mutant::PartialNotSaid) {
                    self.missing.insert(shard);
                }
                if !matches!(self.last_error, Some(StoreError::Invalid { .. })) {
                    self.last_error = Some(error);
                }
            }
        }
    }

    /// The answers in the order of shards, however they came; an error if there are none, or if
    /// the question is one that no other node takes: it would be a partial answer each time.
    pub(super) fn whole(mut self) -> Result<Self, StoreError> {
        if let Some(error) = self.last_error.take()
            && (self.answers.is_empty() || matches!(error, StoreError::Invalid { .. }))
        {
            return Err(error);
        }
        self.answers.sort_by_key(|(shard, _)| *shard);
        Ok(self)
    }

    /// A ring epoch after `last` that some shard knows of: there are shards that were not asked.
    pub(super) fn unknown_epoch(&self, last: RingEpoch) -> Option<RingEpoch> {
        let fenced = self.answers.iter().map(|(_, answer)| answer.end.fenced_epoch).max();
        fenced.filter(|epoch| *epoch > last)
    }

    /// What the answers together lack.
    pub(super) fn completeness(&self) -> Completeness {
        let missing = self.missing.clone();
        let mut completeness = Completeness { missing, ..Completeness::default() };
        for (_, answer) in &self.answers {
            completeness.merge(answer.end.completeness.clone());
        }
        completeness
    }
}

/// The error of a question that cannot be asked of all shards.
pub(super) fn unknown_shards() -> StoreError {
    let what = "shards were added, and this node does not know them yet".to_owned();
    StoreError::Unavailable { what, retry_after_ms: RETRY_AFTER_MS }
}
