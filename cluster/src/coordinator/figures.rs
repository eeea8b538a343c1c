//! Figures of all shards together.
//!
//! A shard's figures are sums over its distinct spans and traces, and add up because a trace lies
//! in one shard. Near a fence some lie in two: such a trace would count twice, a span that a client
//! sent again behind the fence would too, and a call from one shard to the other not at all. So the
//! shards leave these traces out, and they are read and counted as a whole, each at one moment.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use model::store::{Answer, ReadScope};
use model::{Span, StoreError, TimeRange, TraceId};

use super::Coordinator;
use super::across::Across;
use crate::limits::ACROSS_ROUNDS_MAX;
use crate::wire::{ReadItem, ReadOperation};

/// What is asked for, and how its parts become one.
pub(super) struct Figures<A, M, W> {
    /// When spans start that count.
    pub(super) window: TimeRange,
    /// What a shard is asked that leaves these traces out.
    pub(super) operation: A,
    /// Adds what a shard said.
    pub(super) add: M,
    /// Adds the figures of a whole trace.
    pub(super) add_whole: W,
}

impl Coordinator {
    /// The figures of every shard, and of each trace that lies in two.
    pub(super) async fn figures<T, A, M, W>(
        &self,
        scope: ReadScope,
        figures: Figures<A, M, W>,
    ) -> Result<Answer<T>, StoreError>
    where
        T: Default,
        A: Fn(BTreeSet<TraceId>) -> ReadOperation,
        M: Fn(&mut T, ReadItem),
        W: Fn(&mut T, &[Span]),
    {
        let Figures { window, operation, add, add_whole } = figures;
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
        let mut value = T::default();
        for (_, answer) in gathered.answers {
            answer.items.into_iter().for_each(|item| add(&mut value, item));
        }
        let mut wholes = std::pin::pin!(self.wholes(&scope, across.trace_ids));
        while let Some((trace_id, whole)) = wholes.next().await {
            match whole {
                Ok(whole) => {
                    completeness.merge(whole.completeness);
                    if let Some(trace) = whole.value {
                        add_whole(&mut value, &trace.spans);
                    }
                }
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
