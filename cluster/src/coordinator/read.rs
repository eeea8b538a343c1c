//! Reads: every shard is asked at once, each on a thread of the read pool.
//!
//! A shard that fails makes the answer partial (QRY-2). Only if no shard answered at all is
//! there an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::store::{Answer, Completeness, ReadScope};
use model::{ShardId, StoreError, TraceId};
use storage::shard::Shard;

use super::Coordinator;
use crate::limits::RETRY_AFTER_MS;

/// What every shard answered, and which did not.
pub(super) struct Gathered<T> {
    pub(super) answers: Vec<(ShardId, T)>,
    pub(super) missing: BTreeSet<ShardId>,
}

impl Coordinator {
    /// Asks every shard.
    pub(super) async fn ask_all<T: Send + 'static>(
        &self,
        scope: &ReadScope,
        ask: impl Fn(&Shard) -> Result<T, storage::Error> + Send + Sync + 'static,
    ) -> Result<Gathered<T>, StoreError> {
        let _guard = scope.budget.cancel_on_drop();
        let ask = Arc::new(ask);
        let asked = self.core.groups.iter().map(|group| {
            let shard = Arc::clone(group.shard());
            let ask = Arc::clone(&ask);
            async move {
                let id = shard.id();
                (id, self.core.read_pool.run(move || ask(&shard)).await)
            }
        });
        let results = futures_util::future::join_all(asked).await;
        let mut gathered = Gathered { answers: Vec::new(), missing: BTreeSet::new() };
        let mut last_error = None;
        for (id, result) in results {
            match result
                .map_err(StoreError::from)
                .and_then(|answer| answer.map_err(|error| explain(&error)))
            {
                Ok(answer) => gathered.answers.push((id, answer)),
                Err(error) => {
                    tracing::warn!(shard = %id, %error, "a shard could not answer");
                    metrics::counter!("skua_shard_read_failures_total").increment(1);
                    gathered.missing.insert(id);
                    last_error = Some(error);
                }
            }
        }
        match last_error {
            Some(error) if gathered.answers.is_empty() => Err(error),
            _ => Ok(gathered),
        }
    }

    /// Asks every shard for something that merges.
    pub(super) async fn merge_all<T: Default + Send + 'static>(
        &self,
        scope: &ReadScope,
        ask: impl Fn(&Shard) -> Result<Answer<T>, storage::Error> + Send + Sync + 'static,
        mut merge: impl FnMut(&mut T, T),
    ) -> Result<Answer<T>, StoreError> {
        let gathered = self.ask_all(scope, ask).await?;
        let mut merged = Answer {
            value: T::default(),
            completeness: Completeness { missing: gathered.missing, ..Completeness::default() },
        };
        for (_, answer) in gathered.answers {
            merge(&mut merged.value, answer.value);
            merged.completeness.merge(answer.completeness);
        }
        Ok(merged)
    }

    /// Asks the shard of a trace.
    pub(super) async fn ask_one<T: Send + 'static>(
        &self,
        scope: &ReadScope,
        trace_id: TraceId,
        ask: impl FnOnce(&Shard) -> Result<T, storage::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _guard = scope.budget.cancel_on_drop();
        let place = self.core.writer.ring().shard_of(trace_id).0 as usize;
        let Some(group) = self.core.groups.get(place) else {
            return Err(StoreError::Unavailable {
                what: format!("shard {place} is not on this node"),
                retry_after_ms: RETRY_AFTER_MS,
            });
        };
        let shard = Arc::clone(group.shard());
        self.core.read_pool.run(move || ask(&shard)).await?.map_err(|error| explain(&error))
    }
}

/// What a failed read means to the one who asked.
fn explain(error: &storage::Error) -> StoreError {
    if let storage::Error::Exhausted(exhausted) = error {
        return StoreError::Exhausted(*exhausted);
    }
    if error.is_corruption() {
        metrics::counter!("skua_corruption_total").increment(1);
        tracing::error!(error = error as &dyn std::error::Error, "damaged data");
    }
    let mut what = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        what = format!("{what}: {cause}");
        source = cause.source();
    }
    StoreError::Unavailable { what, retry_after_ms: RETRY_AFTER_MS }
}
