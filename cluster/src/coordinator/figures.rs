//! Figures of all shards together.
//!
//! A shard's figures are sums over its distinct spans and traces, and add up because a trace lies
//! in one shard. Near a fence some lie in two: such a trace would count twice, a span that a client
//! sent again behind the fence would too, and a call from one shard to the other not at all. So the
//! shards leave these traces out, and they are read and counted as a whole, each at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use model::budget::{Budget, Exhausted};
use model::store::{Answer, ReadScope};
use model::{Span, StoreError, TimeRange, TraceId};

use super::Coordinator;
use super::across::Across;
use crate::limits::ACROSS_ROUNDS_MAX;
use crate::wire::{ReadItem, ReadOperation};

/// What is asked for, and how its parts become one.
pub(super) struct Figures<T, A> {
    /// When spans start that count.
    pub(super) window: TimeRange,
    /// What a shard is asked that leaves these traces out.
    pub(super) operation: A,
    /// Adds what a shard said.
    pub(super) add: fn(&mut T, ReadItem),
    /// The figures of a whole trace.
    pub(super) whole: Arc<OfTrace<T>>,
    /// Adds those.
    pub(super) merge: fn(&mut T, T),
}

/// Makes figures of the spans of a trace; looks at the budget meanwhile.
pub(super) type OfTrace<T> = dyn Fn(&[Span], &Budget) -> Result<T, Exhausted> + Send + Sync;

impl Coordinator {
    /// The figures of every shard, and of each trace that lies in two.
    pub(super) async fn figures<T, A>(
        &self,
        scope: ReadScope,
        figures: Figures<T, A>,
    ) -> Result<Answer<T>, StoreError>
    where
        T: Default + Send + 'static,
        A: Fn(BTreeSet<TraceId>) -> ReadOperation,
    {
        let Figures { window, operation, add, whole, merge } = figures;
        let mut across = self.across(&scope, &self.fences_near(window)).await;
        let mut rounds = 0;
        let gathered = loop {
            let without = across.trace_ids.clone();
            let gathered = self.ask_all(scope.clone(), operation(without)).await?;
            rounds += 1;
            // What lay across when a shard answered is known now, of fences too that were not: none
            // of it may have been counted in parts.
            let Across { trace_ids, completeness } =
                self.across(&scope, &self.fences_near(window)).await;
            let is_known = trace_ids.is_subset(&across.trace_ids);
            across.completeness.merge(completeness);
            if is_known || !across.completeness.is_complete() {
                break gathered;
            }
            if rounds >= ACROSS_ROUNDS_MAX {
                across.completeness.stale.extend(gathered.answers.iter().map(|(shard, _)| *shard));
                break gathered;
            }
            across.trace_ids = trace_ids;
        };
        let mut completeness = gathered.completeness();
        completeness.merge(across.completeness);
        let answers = gathered.answers;
        let sum = move |_: &Budget| {
            let mut value = T::default();
            let items = answers.into_iter().flat_map(|(_, answer)| answer.items);
            items.for_each(|item| add(&mut value, item));
            Ok(value)
        };
        let mut value = self.work(&scope.budget, sum).await?;
        let mut wholes = std::pin::pin!(self.wholes(&scope, across.trace_ids));
        while let Some((trace_id, read)) = wholes.next().await {
            let figures = match read {
                Ok(Answer { value: None, completeness: own }) => {
                    completeness.merge(own);
                    continue;
                }
                Ok(Answer { value: Some(trace), completeness: own }) => {
                    completeness.merge(own);
                    let whole = Arc::clone(&whole);
                    self.work(&scope.budget, move |budget| whole(&trace.spans, budget)).await
                }
                Err(error) => Err(error),
            };
            match figures {
                Ok(figures) => merge(&mut value, figures),
                Err(error) => {
                    self.lacks_trace(&mut completeness, trace_id, &error);
                    if matches!(error, StoreError::Exhausted(_)) {
                        break;
                    }
                }
            }
        }
        Ok(Answer { value, completeness })
    }
}
