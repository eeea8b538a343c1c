//! One question to one replica of a shard: what it answers, item by item.
//!
//! The same for the coordinator's own replicas and for those of a node that another one asks.
//! Blocks on disks and takes processor time: it runs on the read pool.

use std::ops::ControlFlow;

use model::StoreError;
use model::store::{Answer, Completeness};
use storage::Shard;
use storage::log::LogIndex;
use storage::shard::limits::TRACE_IDS_MAX;
use storage::shard::{Beside, WantedTraces};

use super::shards::{Question, ShardAnswer};
use crate::limits::RETRY_AFTER_MS;
use crate::placement::Ring;
use crate::wire::{ReadEnd, ReadItem, ReadOperation, RingEpoch, SearchProgress};

/// Takes the results of a shard, and says when no more are wanted.
pub(crate) type EmitItem<'a> = dyn FnMut(ReadItem) -> ControlFlow<()> + 'a;

/// Asks a shard; every result goes to `emit`, the end comes back.
pub(crate) fn serve(
    shard: &Shard,
    question: &Question,
    emit: &mut EmitItem<'_>,
) -> Result<ReadEnd, storage::Error> {
    let (tenant, budget) = (&question.scope.tenant, &question.scope.budget);
    let mut search = None;
    let mut give = |item| {
        // Whoever left has cancelled the budget too; there is nothing more to stop here.
        let _ = emit(item);
    };
    let completeness = match &question.operation {
        ReadOperation::Trace { trace_id, spans_max } => {
            give(ReadItem::Trace(shard.trace(tenant, *trace_id, *spans_max, budget)?));
            shard.completeness()
        }
        ReadOperation::TraceColumns { trace_id } => {
            let columns = shard.trace_columns(tenant, *trace_id, budget)?;
            give(ReadItem::Columns(columns.map(Box::new)));
            shard.completeness()
        }
        ReadOperation::Spans { trace_id, span_ids } => {
            let found = shard.spans_by_id(tenant, *trace_id, span_ids, budget)?;
            give(ReadItem::Trace(found));
            shard.completeness()
        }
        ReadOperation::Search { query, detail, together: _, without } => {
            let mut on_hit = |hit| emit(ReadItem::Hit(Box::new(hit)));
            let first = question.first.as_deref();
            let beside = Beside { first, without: Some(without) };
            let end = shard.search_beside(beside, tenant, query, *detail, budget, &mut on_hit)?;
            search = Some(SearchProgress {
                cursor: end.cursor,
                moved: end.moved,
                spans_scanned: end.spans_scanned,
            });
            end.completeness
        }
        ReadOperation::Aggregate { query, without } => {
            let answer = shard.aggregate_without(without, tenant, query, budget)?;
            split(answer, |value| give(ReadItem::Aggregate(Box::new(value))))
        }
        ReadOperation::Services => {
            split(shard.services(tenant, budget)?, |value| give(ReadItem::Services(value)))
        }
        ReadOperation::Operations { service } => {
            let answer = shard.operations(tenant, service.as_ref(), budget)?;
            split(answer, |value| give(ReadItem::Operations(value)))
        }
        ReadOperation::Keys { prefix } => {
            split(shard.keys(tenant, prefix, budget)?, |value| give(ReadItem::Keys(value)))
        }
        ReadOperation::Values { scope, key, prefix } => {
            let answer = shard.values(tenant, *scope, key, prefix, budget)?;
            split(answer, |value| give(ReadItem::Values(value)))
        }
        ReadOperation::Elsewhere { window, shard_count, after } => {
            let ring = Ring::new(*shard_count);
            let is_elsewhere = |id| ring.shard_of(id) != shard.id();
            let wanted = WantedTraces {
                window: *window,
                after: *after,
                count_max: TRACE_IDS_MAX,
                is_wanted: &is_elsewhere,
            };
            let answer = shard.trace_ids(tenant, &wanted, budget)?;
            split(answer, |value| give(ReadItem::TraceIds(value)))
        }
        ReadOperation::Known { trace_ids } => {
            let answer = shard.known_traces(tenant, trace_ids, budget)?;
            split(answer, |value| give(ReadItem::TraceIds(value)))
        }
        ReadOperation::Dependencies { window, without } => {
            let answer = shard.dependencies_without(without, tenant, *window, budget)?;
            split(answer, |value| give(ReadItem::Edges(value)))
        }
    };
    Ok(ReadEnd {
        completeness,
        applied: shard.applied().unwrap_or(LogIndex(0)),
        // At the end: a fence that came meanwhile is told too early rather than too late.
        fenced_epoch: RingEpoch(shard.fenced().max(1)),
        search,
    })
}

/// [`serve`], with the whole answer at once.
pub(crate) fn serve_whole(
    shard: &Shard,
    question: &Question,
) -> Result<ShardAnswer, storage::Error> {
    let mut items = Vec::new();
    let end = serve(shard, question, &mut |item| {
        items.push(item);
        ControlFlow::Continue(())
    })?;
    Ok(ShardAnswer { items, end })
}

fn split<T>(answer: Answer<T>, give: impl FnOnce(T)) -> Completeness {
    give(answer.value);
    answer.completeness
}

/// What a failed read means to the one who asked.
pub(crate) fn explain(error: &storage::Error) -> StoreError {
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
