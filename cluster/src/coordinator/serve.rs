//! One question to one replica of a shard: what it answers, item by item.
//!
//! The same for the coordinator's own replicas and for those of a node that another one asks.
//! Blocks on disks and takes processor time: it runs on the read pool.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::StoreError;
use model::store::{Answer, Completeness, Detail};
use storage::Shard;
use storage::log::LogIndex;
use storage::shard::limits::TRACE_IDS_MAX;
use storage::shard::{Beside, RankedHits, WantedTraces};

use super::shards::{Question, ShardAnswer};
use crate::error::Error;
use crate::limits::RETRY_AFTER_MS;
use crate::placement::Ring;
use crate::pool::Pool;
use crate::wire::{ReadEnd, ReadItem, ReadOperation, RingEpoch, SearchProgress};

/// Takes the results of a shard, and says when no more are wanted.
pub(crate) type EmitItem<'a> = dyn FnMut(ReadItem) -> ControlFlow<()> + 'a;

/// The first step of a question that is better answered in two, as long as others of this node
/// take theirs: whole traces that are asked of several shards.
pub(crate) fn rank(
    shard: &Shard,
    question: &Question,
) -> Option<Result<RankedHits, storage::Error>> {
    let (tenant, budget) = (&question.scope.tenant, &question.scope.budget);
    let ReadOperation::Search { query, detail, together: true, without } = &question.operation
    else {
        return None;
    };
    let beside = Beside { first: question.first.as_deref(), without: Some(without) };
    let is_worth_it = *detail != Detail::Summary && beside.first.is_some();
    is_worth_it.then(|| shard.rank_beside(beside, tenant, query, *detail, budget))
}

/// Asks a shard, or goes on after [`rank`]; every result goes to `emit`, the end comes back.
pub(crate) fn serve(
    shard: &Shard,
    question: &Question,
    ranked: Option<RankedHits>,
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
        ReadOperation::Find { trace_id, predicate } => {
            give(ReadItem::Found(shard.find_rows(tenant, *trace_id, predicate, budget)?));
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
            let end = match ranked {
                Some(ranked) => ranked.tell(shard, first, budget, &mut on_hit)?,
                None => shard.search_beside(beside, tenant, query, *detail, budget, &mut on_hit)?,
            };
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

/// What one step of a question came to.
pub(crate) enum Step<T> {
    /// The traces that come first are known, and some are to be put together.
    Ranked(Box<RankedHits>),
    /// This is the answer.
    Done(T),
}

/// Asks a shard on a pool, in one step or two: the second waits for its turn behind the first of
/// others. `answer` is what makes an answer of what was ranked, if anything was.
pub(crate) async fn serve_in<T: Send + 'static>(
    pool: &Pool,
    shard: &Arc<Shard>,
    question: &Arc<Question>,
    answer: impl Fn(&Shard, &Question, Result<Option<RankedHits>, storage::Error>) -> T
    + Clone
    + Send
    + 'static,
) -> Result<T, Error> {
    let first = {
        let (shard, question, answer) = (Arc::clone(shard), Arc::clone(question), answer.clone());
        move || match rank(&shard, &question) {
            Some(Ok(ranked)) if ranked.is_work_left(question.first.as_deref()) => {
                Step::Ranked(Box::new(ranked))
            }
            ranked => Step::Done(answer(&shard, &question, ranked.transpose())),
        }
    };
    let ranked = match pool.run(first).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Ranked(ranked) => ranked,
    };
    let (shard, question) = (Arc::clone(shard), Arc::clone(question));
    pool.run(move || answer(&shard, &question, Ok(Some(*ranked)))).await
}

/// [`serve_in`], with the whole answer at once.
pub(crate) async fn serve_whole(
    pool: &Pool,
    shard: &Arc<Shard>,
    question: &Arc<Question>,
) -> Result<ShardAnswer, StoreError> {
    let whole = |shard: &Shard, question: &Question, ranked: Result<_, _>| {
        let mut items = Vec::new();
        let end = serve(shard, question, ranked?, &mut |item| {
            items.push(item);
            ControlFlow::Continue(())
        })?;
        Ok(ShardAnswer { items, end })
    };
    let served = serve_in(pool, shard, question, whole).await.map_err(StoreError::from)?;
    served.map_err(|error: storage::Error| explain(&error))
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
