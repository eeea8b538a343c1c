//! Checks of budgets: a read that may not go on says so, and never passes off less as all.

use super::run::{Run, Wrong, checked, collect, different, next, same};
use crate::aggregate::{AggregateKind, AggregateQuery};
use crate::budget::Exhausted;
use crate::query::{Order, SpanPredicate, TracePredicate, TraceQuery};
use crate::store::{AggregateRequest, Detail, ReadScope, SearchItem, SearchRequest, TraceRequest};
use crate::time::Monotonic;
use crate::{StoreError, TimeRange, TraceId, TraceStore};

/// Most bytes that a read of nothing may take.
const NO_BYTES: u64 = 0;

pub(super) async fn spent_budgets_end_reads<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let written = run.written("spent", 50).await?;
    let tenant = &written.tenant;
    let later = run.options.clock.monotonic().plus(run.options.read_deadline);
    let no_bytes = || run.options.scope_within(tenant, later, NO_BYTES);
    let no_time = || run.options.scope_within(tenant, Monotonic(0), u64::MAX);
    for trace_id in written.traces.keys().take(1) {
        require_end(run, *trace_id, &no_bytes).await?;
        require_end(run, *trace_id, &no_time).await?;
    }
    Ok(())
}

pub(super) async fn one_budget_serves_several_reads<S: TraceStore>(
    run: &Run<'_, S>,
) -> Result<(), Wrong> {
    let written = run.written("several", 52).await?;
    let scope = run.options.scope(&written.tenant);
    for trace_id in written.traces.keys().chain(written.traces.keys()) {
        let request = TraceRequest { scope: scope.clone(), trace_id: *trace_id, spans_max: 1_000 };
        let answer = checked("trace", run.store.trace(request).await)?;
        same("trace of a second read", &true, &answer.value.is_some())?;
    }
    Ok(())
}

pub(super) async fn cancelled_reads_end<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let written = run.written("cancelled", 51).await?;
    let cancelled = || {
        let scope = run.options.scope(&written.tenant);
        drop(scope.budget.cancel_on_drop());
        scope
    };
    for trace_id in written.traces.keys().take(1) {
        require_end(run, *trace_id, &cancelled).await?;
    }
    Ok(())
}

/// Requires each kind of read to say that it was ended.
async fn require_end<S: TraceStore>(
    run: &Run<'_, S>,
    trace_id: TraceId,
    scope: &(impl Fn() -> ReadScope + Sync),
) -> Result<(), Wrong> {
    let request = TraceRequest { scope: scope(), trace_id, spans_max: 1_000 };
    let answer = run.store.trace(request).await;
    require_exhausted("trace", answer.map(|answer| answer.completeness.exhausted))?;
    let kind = AggregateKind::Totals;
    let query = AggregateQuery { window: TimeRange::ALL, predicate: SpanPredicate::True, kind };
    let answer = run.store.aggregate(AggregateRequest { scope: scope(), query }).await;
    require_exhausted("aggregate", answer.map(|answer| answer.completeness.exhausted))?;
    let request = search_request(scope(), everything());
    match run.store.search(request).await {
        Err(error) => require_exhausted("search", Err(error)),
        Ok(stream) => match collect(stream).await {
            Ok((_, end)) => require_exhausted("search", Ok(end.completeness.exhausted)),
            Err(Wrong::Store { call, error }) => require_exhausted(call, Err(error)),
            Err(wrong) => Err(wrong),
        },
    }
}

fn require_exhausted(
    call: &'static str,
    outcome: Result<Option<Exhausted>, StoreError>,
) -> Result<(), Wrong> {
    match outcome {
        Err(StoreError::Exhausted(_)) | Ok(Some(_)) => Ok(()),
        outcome => {
            let found = checked(call, outcome)?;
            Err(different(call, found, "an exhausted budget"))
        }
    }
}

pub(super) async fn streams_may_be_dropped<S: TraceStore>(run: &Run<'_, S>) -> Result<(), Wrong> {
    let written = run.written("dropped", 52).await?;
    let scope = run.options.scope(&written.tenant);
    let request = search_request(scope, everything());
    let mut stream = checked("search", run.store.search(request).await)?;
    if let Some(item) = next(&mut stream).await {
        let is_hit = matches!(checked("search", item)?, SearchItem::Hit(_));
        same("a hit comes first", &is_hit, &true)?;
    }
    drop(stream);
    let (hits, _) = run.search(&written.tenant, &everything(), Detail::Summary).await?;
    same("traces found after a dropped search", &hits.len(), &written.traces.len())
}

fn search_request(scope: ReadScope, query: TraceQuery) -> SearchRequest {
    SearchRequest { scope, query, detail: Detail::Summary, progress: false }
}

fn everything() -> TraceQuery {
    TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::Newest,
        limit: 10_000,
        cursor: None,
    }
}
