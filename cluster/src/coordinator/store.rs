//! [`model::TraceStore`] over the coordinator's shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream;
use model::aggregate::{Aggregate, AggregateQuery, DependencyEdge};
use model::budget::{Budget, Exhausted};
use model::pace::{self, Pace, STRETCH_ROWS};
use model::query::AttributeScope;
use model::store::{
    AggregateRequest, Answer, FindRequest, FoundRows, Operation, ReadScope, RequestDigest,
    SUGGESTIONS_MAX, SearchRequest, SearchStream, SpansRequest, Trace, TraceColumns, TraceRequest,
};
use model::trace::{assemble_within, find_within};
use model::{Duration, Span, StoreError, Tenant, Text, TimeRange, TraceId, TraceStore};

use super::figures::Figures;
use super::search::Search;
use super::write::WriteSink;
use super::{Coordinator, across};
use crate::limits::PURGE_LOOK_SECONDS;
use crate::wire::{ReadItem, ReadOperation};

/// All spans of a trace, however many: its budget bounds what is read.
pub(super) const SPANS_MAX: usize = usize::MAX >> 1;

impl TraceStore for Coordinator {
    type Sink = WriteSink;

    fn begin(&self, tenant: &Tenant, digest: RequestDigest) -> Result<WriteSink, StoreError> {
        WriteSink::begin(&self.core.writer, tenant, digest)
    }

    async fn trace(&self, request: TraceRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        let found = self.live_trace(request.clone()).await?;
        if found.value.is_some() || !found.completeness.is_complete() {
            return Ok(found);
        }
        self.live_trace(in_archive(request)).await
    }

    async fn trace_columns(
        &self,
        request: TraceRequest,
    ) -> Result<Answer<Option<TraceColumns>>, StoreError> {
        let found = self.live_columns(request.clone()).await?;
        if found.value.is_some() || !found.completeness.is_complete() {
            return Ok(found);
        }
        self.live_columns(in_archive(request)).await
    }

    async fn find(&self, request: FindRequest) -> Result<Answer<Option<FoundRows>>, StoreError> {
        let found = self.live_find(request.clone()).await?;
        if found.value.is_some() || !found.completeness.is_complete() {
            return Ok(found);
        }
        let FindRequest { mut scope, trace_id, predicate } = request;
        scope.tenant = scope.tenant.archive();
        self.live_find(FindRequest { scope, trace_id, predicate }).await
    }

    async fn spans(&self, request: SpansRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        let found = self.live_spans(request.clone()).await?;
        if found.value.is_some() || !found.completeness.is_complete() {
            return Ok(found);
        }
        let SpansRequest { mut scope, trace_id, span_ids } = request;
        scope.tenant = scope.tenant.archive();
        self.live_spans(SpansRequest { scope, trace_id, span_ids }).await
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchStream, StoreError> {
        if self.fences_near(request.query.window).is_empty() {
            return Search::begin(self, request).into_stream().await;
        }
        // What a shard says there may have to be taken back, so that nothing is told early.
        let items = self.told_across(request).await?;
        Ok(Box::pin(stream::iter(items.into_iter().map(Ok))))
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<Answer<Aggregate>, StoreError> {
        let AggregateRequest { scope, query } = request;
        let figures = Figures {
            window: query.window,
            operation: |without| ReadOperation::Aggregate { query: query.clone(), without },
            add: |all: &mut Aggregate, item| {
                if let ReadItem::Aggregate(part) = item {
                    all.merge(&part);
                }
            },
            whole: {
                let query = query.clone();
                Arc::new(move |spans, budget| figures_of(&query, spans, budget))
            },
            merge: |all: &mut Aggregate, part| {
                all.merge(&part);
            },
        };
        let budget = scope.budget.clone();
        let Answer { value, completeness } = self.figures(scope, figures).await?;
        let finish = move |_: &Budget| Ok(model::query::aggregate::finish(&query, value));
        Ok(Answer { value: self.work(&budget, finish).await?, completeness })
    }

    async fn services(&self, scope: ReadScope) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        let merge = |all: &mut BTreeSet<Text>, item| {
            if let ReadItem::Services(names) = item {
                all.extend(names);
            }
        };
        self.merge_all(scope, ReadOperation::Services, merge).await
    }

    async fn operations(
        &self,
        scope: ReadScope,
        service: Option<Text>,
    ) -> Result<Answer<BTreeSet<Operation>>, StoreError> {
        let merge = |all: &mut BTreeSet<Operation>, item| {
            if let ReadItem::Operations(operations) = item {
                all.extend(operations);
            }
        };
        self.merge_all(scope, ReadOperation::Operations { service }, merge).await
    }

    async fn keys(
        &self,
        scope: ReadScope,
        prefix: Text,
    ) -> Result<Answer<BTreeSet<(AttributeScope, Text)>>, StoreError> {
        let merge = |all: &mut BTreeSet<(AttributeScope, Text)>, item| {
            if let ReadItem::Keys(keys) = item {
                all.extend(keys);
            }
        };
        let merged = self.merge_all(scope, ReadOperation::Keys { prefix }, merge).await?;
        Ok(first_suggestions(merged))
    }

    async fn values(
        &self,
        scope: ReadScope,
        attribute_scope: AttributeScope,
        key: Text,
        prefix: Text,
    ) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        let operation = ReadOperation::Values { scope: attribute_scope, key, prefix };
        let merge = |all: &mut BTreeSet<Text>, item| {
            if let ReadItem::Values(values) = item {
                all.extend(values);
            }
        };
        let merged = self.merge_all(scope, operation, merge).await?;
        Ok(first_suggestions(merged))
    }

    async fn dependencies(
        &self,
        scope: ReadScope,
        window: TimeRange,
    ) -> Result<Answer<Vec<DependencyEdge>>, StoreError> {
        let figures = Figures {
            window,
            operation: |without| ReadOperation::Dependencies { window, without },
            add: |all: &mut Vec<DependencyEdge>, item| {
                if let ReadItem::Edges(edges) = item {
                    all.extend(edges);
                }
            },
            whole: Arc::new(move |spans, budget| {
                budget.go_on()?;
                Ok(model::query::dependencies(window, [spans]))
            }),
            merge: Vec::extend,
        };
        let merged = self.figures(scope, figures).await?;
        Ok(merged.map(add_edges))
    }

    async fn archive(&self, tenant: Tenant, trace_id: TraceId) -> Result<bool, StoreError> {
        self.archive_trace(&tenant, trace_id).await
    }

    async fn purge(&self, tenant: Tenant) -> Result<(), StoreError> {
        // A shard that this node does not know of yet may have data of the tenant too: whoever asks
        // learns of it.
        let clock = Arc::clone(&self.core.clock);
        let deadline = clock.monotonic().plus(Duration::from_secs(PURGE_LOOK_SECONDS));
        let budget = Budget::new(clock, deadline, u64::MAX);
        let scope = ReadScope { tenant: tenant.clone(), budget, stale: false };
        self.ask_all(scope, ReadOperation::Known { trace_ids: BTreeSet::new() }).await?;
        let shards = self.core.shards.routes().shards();
        let both = [tenant.archive(), tenant];
        let each = shards.into_iter().flat_map(|shard| both.each_ref().map(|it| (shard, it)));
        let purges = each.map(|(shard, tenant)| self.core.shards.purge(shard, tenant.clone()));
        for result in futures_util::future::join_all(purges).await {
            result?;
        }
        Ok(())
    }
}

impl Coordinator {
    /// A trace of the request's own tenant.
    pub(super) async fn live_trace(
        &self,
        request: TraceRequest,
    ) -> Result<Answer<Option<Trace>>, StoreError> {
        let TraceRequest { scope, trace_id, spans_max } = request;
        let operation = ReadOperation::Trace { trace_id, spans_max };
        self.union_of(scope, trace_id, operation, spans_max).await
    }

    async fn live_spans(&self, request: SpansRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        let SpansRequest { scope, trace_id, span_ids } = request;
        let operation = ReadOperation::Spans { trace_id, span_ids };
        self.union_of(scope, trace_id, operation, SPANS_MAX).await
    }

    async fn live_find(
        &self,
        request: FindRequest,
    ) -> Result<Answer<Option<FoundRows>>, StoreError> {
        let FindRequest { scope, trace_id, predicate } = request;
        let operation = ReadOperation::Find { trace_id, predicate: predicate.clone() };
        let gathered = self.ask_about(scope.clone(), trace_id, operation).await?;
        let completeness = gathered.completeness();
        let items = gathered.answers.into_iter().flat_map(|(_, answer)| answer.items);
        let found = items.filter_map(|item| match item {
            ReadItem::Found(found) => found,
            _ => None,
        });
        let mut found: Vec<_> = found.collect();
        if found.len() < 2 {
            return Ok(Answer { value: found.pop(), completeness });
        }
        // Rows are those of the whole, and the trace lies across a fence.
        let operation = ReadOperation::Trace { trace_id, spans_max: SPANS_MAX };
        let budget = scope.budget.clone();
        let Answer { value, completeness } =
            self.union_of(scope, trace_id, operation, SPANS_MAX).await?;
        let Some(trace) = value else { return Ok(Answer { value: None, completeness }) };
        let rows = move |budget: &Budget| find_within(&predicate, &trace.spans, budget);
        Ok(Answer { value: Some(self.work(&budget, rows).await?), completeness })
    }

    /// The trace that the shards tell of together.
    async fn union_of(
        &self,
        scope: ReadScope,
        trace_id: TraceId,
        operation: ReadOperation,
        spans_max: usize,
    ) -> Result<Answer<Option<Trace>>, StoreError> {
        let gathered = self.ask_about(scope.clone(), trace_id, operation).await?;
        let completeness = gathered.completeness();
        let items = gathered.answers.into_iter().flat_map(|(_, answer)| answer.items);
        let traces = items.filter_map(|item| match item {
            ReadItem::Trace(trace) => trace,
            _ => None,
        });
        let mut parts: Vec<Trace> = traces.collect();
        if parts.len() < 2 {
            return Ok(Answer { value: parts.pop(), completeness });
        }
        let union = move |budget: &Budget| union(trace_id, parts, spans_max, budget);
        Ok(Answer { value: self.work(&scope.budget, union).await?, completeness })
    }

    async fn live_columns(
        &self,
        request: TraceRequest,
    ) -> Result<Answer<Option<TraceColumns>>, StoreError> {
        let TraceRequest { scope, trace_id, spans_max: _ } = request;
        let operation = ReadOperation::TraceColumns { trace_id };
        let gathered = self.ask_about(scope.clone(), trace_id, operation).await?;
        let completeness = gathered.completeness();
        let items = gathered.answers.into_iter().flat_map(|(_, answer)| answer.items);
        let columns = items.filter_map(|item| match item {
            ReadItem::Columns(columns) => columns,
            _ => None,
        });
        let mut columns: Vec<_> = columns.collect();
        if columns.len() < 2 {
            return Ok(Answer { value: columns.pop().map(|columns| *columns), completeness });
        }
        // Columns do not merge, spans do: the trace lies across a fence.
        let revision = across::revision(columns.iter().map(|columns| &columns.revision));
        drop(columns);
        let operation = ReadOperation::Trace { trace_id, spans_max: SPANS_MAX };
        let budget = scope.budget.clone();
        let Answer { value, completeness } =
            self.union_of(scope, trace_id, operation, SPANS_MAX).await?;
        let Some(trace) = value else { return Ok(Answer { value: None, completeness }) };
        let columns = move |budget: &Budget| {
            budget.go_on()?;
            Ok(model::trace::columns(&trace.spans, revision))
        };
        Ok(Answer { value: Some(self.work(&budget, columns).await?), completeness })
    }
}

/// The same question to the tenant's archive: what is not found is looked for there.
fn in_archive(mut request: TraceRequest) -> TraceRequest {
    request.scope.tenant = request.scope.tenant.archive();
    request
}

/// The trace out of its parts in several shards, as long as the pace lets it go on.
fn union<P: Pace>(
    trace_id: TraceId,
    parts: Vec<Trace>,
    spans_max: usize,
    pace: &P,
) -> Result<Option<Trace>, P::Stop> {
    let known_truncated = parts.iter().filter_map(|part| part.truncated).sum::<u64>();
    let spans = pace::collect(parts.into_iter().flat_map(|part| part.spans), pace)?;
    let mut trace = assemble_within(trace_id, spans, spans_max, pace)?;
    if let Some(trace) = trace.as_mut().filter(|_| known_truncated > 0) {
        trace.truncated = Some(trace.truncated.unwrap_or_default().max(known_truncated));
    }
    Ok(trace)
}

/// The figures of one trace: as the reference has them, in stretches.
fn figures_of(
    query: &AggregateQuery,
    spans: &[Span],
    budget: &Budget,
) -> Result<Aggregate, Exhausted> {
    let mut figures = Aggregate::default();
    for stretch in spans.chunks(STRETCH_ROWS) {
        budget.go_on()?;
        figures.merge(&model::query::aggregate(query, [stretch]));
    }
    figures.traces = u64::from(figures.spans > 0);
    Ok(figures)
}

/// At most [`SUGGESTIONS_MAX`] of the merged suggestions.
fn first_suggestions<T: Ord>(mut answer: Answer<BTreeSet<T>>) -> Answer<BTreeSet<T>> {
    if answer.value.len() > SUGGESTIONS_MAX {
        answer.value = answer.value.into_iter().take(SUGGESTIONS_MAX).collect();
        answer.completeness.sampled = true;
    }
    answer
}

/// One edge for each pair of services, sorted.
fn add_edges(edges: Vec<DependencyEdge>) -> Vec<DependencyEdge> {
    let mut sums: BTreeMap<(Text, Text), (u64, u64)> = BTreeMap::new();
    for edge in edges {
        let sum = sums.entry((edge.parent, edge.child)).or_default();
        sum.0 += edge.calls;
        sum.1 += edge.errors;
    }
    sums.into_iter()
        .map(|((parent, child), (calls, errors))| DependencyEdge { parent, child, calls, errors })
        .collect()
}

#[cfg(test)]
mod tests {
    use model::aggregate::{AggregateKind, GroupBy};
    use model::query::SpanPredicate;
    use model::testing::{CountingPace, ManualClock, simple_span};
    use model::time::Monotonic;

    use super::*;

    fn parts(rows: u64) -> Vec<Trace> {
        let part = |rows: std::ops::Range<u64>| {
            let spans: Vec<Span> = rows.map(|row| simple_span(1, row, row, row + 5)).collect();
            Trace { trace_id: spans[0].trace_id, spans, truncated: None }
        };
        // The middle lies in both.
        vec![part(1..rows / 3 * 2), part(rows / 3..rows)]
    }

    /// Whoever leaves is not worked for, however long the trace.
    #[test]
    fn a_union_is_made_in_stretches_and_ends_at_the_first_that_is_denied() {
        let id = parts(9)[0].trace_id;
        let asked = |rows| {
            let pace = CountingPace::endless();
            let trace = union(id, parts(rows), SPANS_MAX, &pace).unwrap().unwrap();
            assert_eq!(trace.spans.len() as u64, rows - 1);
            pace.asked()
        };
        let (few, many) = (asked(30_000), asked(60_000));
        assert!(many * 10 >= few * 15 && many >= 60_000 / STRETCH_ROWS, "{few} and {many}");
        for asked_max in 0..few {
            let pace = CountingPace::new(asked_max);
            assert_eq!(union(id, parts(30_000), SPANS_MAX, &pace), Err(()));
            assert_eq!(pace.asked(), asked_max + 1);
        }
    }

    #[test]
    fn figures_in_stretches_are_those_of_the_whole() {
        let spans = parts(10_000).remove(0).spans;
        let clock: Arc<dyn model::Clock> = Arc::new(ManualClock::default());
        let kind = AggregateKind::Red { step: Duration(7), group_by: GroupBy::Service };
        let query = AggregateQuery { window: TimeRange::ALL, predicate: SpanPredicate::True, kind };
        let budget = Budget::new(clock, Monotonic(u64::MAX), u64::MAX);
        let whole = model::query::aggregate(&query, [spans.as_slice()]);
        assert_eq!(figures_of(&query, &spans, &budget), Ok(whole));
        drop(budget.cancel_on_drop());
        assert_eq!(figures_of(&query, &spans, &budget), Err(Exhausted::Cancelled));
    }
}
