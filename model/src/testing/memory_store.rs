//! A store in memory: the whole contract of [`TraceStore`] in its plainest form.
//!
//! It answers with the reference evaluator, keeps everything for ever, and is its own oracle in
//! the conformance suite. Tests of whoever uses a store can make it refuse writes or leave out
//! shards. What it is not: fast, bounded in memory, or durable.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;

use super::Collector;
use crate::aggregate::{Aggregate, DependencyEdge};
use crate::budget::{Budget, Exhausted};
use crate::query::field::{any_attribute, any_value};
use crate::query::{AttributeScope, Cursor, Field, aggregate as figures, evaluate, order_key};
use crate::sink::PartSize;
use crate::store::{
    Ack, AggregateRequest, Detail, FindRequest, FoundRows, Hit, Operation, ReadScope,
    RequestDigest, Revision, SUGGESTIONS_MAX, SearchEnd, SearchItem, SearchRequest, SearchStream,
    SpansRequest, Trace, TraceColumns, TraceRequest,
};
use crate::summary::summarize;
use crate::trace::{assemble, columns, distinct, find};
use crate::{
    Answer, Completeness, ShardId, Span, SpanSink, StoreError, Tenant, Text, TimeRange, TraceId,
    TraceStore, effective,
};

/// How many partitions a tenant's traces are spread over.
const PARTITIONS: u32 = 4;

/// When a refused writer should try again.
const RETRY_AFTER_MS: u64 = 100;

/// A store in memory. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tenants: BTreeMap<Tenant, TenantData>,
    is_overloaded: bool,
    missing: BTreeSet<ShardId>,
}

#[derive(Debug, Default)]
struct TenantData {
    partitions: BTreeMap<ShardId, Partition>,
    archive: BTreeMap<TraceId, Arc<Vec<Span>>>,
}

#[derive(Debug, Default)]
struct Partition {
    /// How many requests were applied.
    applied: u64,
    /// Distinct spans by trace, in the order of a trace.
    traces: BTreeMap<TraceId, Arc<Vec<Span>>>,
}

impl Partition {
    /// Adds spans that have just arrived.
    fn add(&mut self, spans: Vec<Span>) {
        let mut arrived: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
        for span in spans {
            arrived.entry(span.trace_id).or_default().push(span);
        }
        for (trace_id, spans) in arrived {
            let known = self.traces.remove(&trace_id).map(Arc::unwrap_or_clone);
            let mut all = known.unwrap_or_default();
            all.extend(spans);
            self.traces.insert(trace_id, Arc::new(distinct(all)));
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on refuses writes for lack of room, or takes them again.
    pub fn set_overloaded(&self, is_overloaded: bool) {
        self.lock().is_overloaded = is_overloaded;
    }

    /// From now on answers without these shards, and says so.
    pub fn set_missing(&self, missing: BTreeSet<ShardId>) {
        self.lock().missing = missing;
    }

    /// The shard of a trace.
    pub fn shard_of(&self, trace_id: TraceId) -> ShardId {
        ShardId(partition_of(trace_id))
    }

    /// A test that panicked in between leaves the data as it is.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads distinct traces one after another, as far as the budget goes.
    fn read(&self, scope: &ReadScope) -> View {
        let state = self.lock();
        let mut view = View {
            completeness: Completeness {
                missing: state.missing.clone(),
                ..Completeness::default()
            },
            ..View::default()
        };
        for (shard, partition) in
            state.tenants.get(&scope.tenant).iter().flat_map(|data| &data.partitions)
        {
            if state.missing.contains(shard) {
                continue;
            }
            view.applied.insert(*shard, partition.applied);
            for spans in partition.traces.values() {
                if let Err(exhausted) = charge(&scope.budget, spans) {
                    view.completeness.exhausted = Some(exhausted);
                    return view;
                }
                view.traces.push(Arc::clone(spans));
            }
        }
        view
    }

    fn look_up(&self, request: &TraceRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        let state = self.lock();
        let shard = self.shard_of(request.trace_id);
        let mut completeness = Completeness::default();
        completeness.missing.extend(state.missing.get(&shard));
        let spans = state.tenants.get(&request.scope.tenant).and_then(|data| {
            let partition = data.partitions.get(&shard);
            let live = partition.and_then(|partition| partition.traces.get(&request.trace_id));
            live.or_else(|| data.archive.get(&request.trace_id))
        });
        let spans = spans.filter(|_| completeness.is_complete()).cloned().unwrap_or_default();
        charge(&request.scope.budget, &spans)?;
        let value = assemble(request.trace_id, spans.to_vec(), request.spans_max);
        Ok(Answer { value, completeness })
    }
}

/// What a read over all traces of a tenant saw.
#[derive(Default)]
struct View {
    traces: Vec<Arc<Vec<Span>>>,
    applied: BTreeMap<ShardId, u64>,
    completeness: Completeness,
}

impl View {
    fn slices(&self) -> impl Iterator<Item = &[Span]> {
        self.traces.iter().map(|spans| spans.as_slice())
    }

    fn spans(&self) -> impl Iterator<Item = &Span> {
        self.slices().flatten()
    }

    /// The answer with this value; an error if the budget ended before anything was read.
    fn answer<T>(self, value: T) -> Result<Answer<T>, StoreError> {
        match self.completeness.exhausted {
            Some(exhausted) if self.traces.is_empty() => Err(exhausted.into()),
            _ => Ok(Answer { value, completeness: self.completeness }),
        }
    }

    /// The first [`SUGGESTIONS_MAX`] of `found`; says so if that is not all.
    fn suggestions<T: Ord>(
        mut self,
        mut found: BTreeSet<T>,
    ) -> Result<Answer<BTreeSet<T>>, StoreError> {
        while found.len() > SUGGESTIONS_MAX {
            found.pop_last();
            self.completeness.sampled = true;
        }
        self.answer(found)
    }
}

fn charge(budget: &Budget, spans: &[Span]) -> Result<(), Exhausted> {
    budget.spend(size_of_val(spans) as u64)
}

fn partition_of(trace_id: TraceId) -> u32 {
    trace_id.0.iter().map(|byte| u32::from(*byte)).sum::<u32>() % PARTITIONS
}

/// A write request to a [`MemoryStore`].
#[derive(Debug)]
pub struct MemorySink {
    store: MemoryStore,
    tenant: Tenant,
    parts: Vec<(ShardId, Vec<Span>)>,
}

impl SpanSink for MemorySink {
    type Visitor = Collector;

    fn partition_count(&self) -> u32 {
        PARTITIONS
    }

    fn partition_of(&self, trace_id: TraceId) -> u32 {
        partition_of(trace_id)
    }

    fn append(
        &mut self,
        partition: u32,
        _size: PartSize,
        rows: &mut dyn FnMut(&mut Collector),
    ) -> Result<(), StoreError> {
        let mut collector = Collector::default();
        rows(&mut collector);
        self.parts.push((ShardId(partition), collector.into_spans()));
        Ok(())
    }

    async fn finish(self) -> Result<Ack, StoreError> {
        let mut state = self.store.lock();
        let data = state.tenants.entry(self.tenant).or_default();
        let mut count = 0;
        for (shard, spans) in self.parts {
            let partition = data.partitions.entry(shard).or_default();
            partition.applied += 1;
            count += spans.len() as u64;
            partition.add(spans);
        }
        Ok(Ack { spans: count })
    }
}

impl TraceStore for MemoryStore {
    type Sink = MemorySink;

    fn begin(&self, tenant: &Tenant, _digest: RequestDigest) -> Result<MemorySink, StoreError> {
        if self.lock().is_overloaded {
            let what = "memory store";
            return Err(StoreError::Overloaded { what, retry_after_ms: RETRY_AFTER_MS });
        }
        Ok(MemorySink { store: self.clone(), tenant: tenant.clone(), parts: Vec::new() })
    }

    async fn trace(&self, request: TraceRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        self.look_up(&request)
    }

    async fn spans(&self, request: SpansRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        let SpansRequest { scope, trace_id, span_ids } = request;
        let spans_max = usize::MAX >> 1;
        let answer = self.look_up(&TraceRequest { scope, trace_id, spans_max })?;
        Ok(answer.map(|found| {
            let mut trace = found?;
            trace.spans.retain(|span| span_ids.contains(&span.span_id));
            (!trace.spans.is_empty()).then_some(trace)
        }))
    }

    async fn find(&self, request: FindRequest) -> Result<Answer<Option<FoundRows>>, StoreError> {
        let FindRequest { scope, trace_id, predicate } = request;
        let spans_max = usize::MAX >> 1;
        let answer = self.look_up(&TraceRequest { scope, trace_id, spans_max })?;
        Ok(answer.map(|found| found.map(|trace| find(&predicate, &trace.spans))))
    }

    async fn trace_columns(
        &self,
        request: TraceRequest,
    ) -> Result<Answer<Option<TraceColumns>>, StoreError> {
        let shard = self.shard_of(request.trace_id);
        let answer = self.look_up(&request)?;
        let state = self.lock();
        let data = state.tenants.get(&request.scope.tenant);
        let partition = data.and_then(|data| data.partitions.get(&shard));
        let applied = partition.map_or(0, |partition| partition.applied);
        let revision = Revision { shard: shard.0, applied, parts: 1 };
        Ok(answer.map(|found| found.map(|trace| columns(&trace.spans, revision))))
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchStream, StoreError> {
        let view = self.read(&request.scope);
        let mut query = request.query;
        let limit = query.limit as usize;
        // One more than asked for tells whether there are further traces.
        query.limit = query.limit.saturating_add(1);
        let mut found = evaluate(&query, view.slices());
        let has_more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| has_more).map(|(last, _)| Cursor {
            last: *last,
            applied: view.applied.iter().map(|(shard, applied)| (*shard, *applied)).collect(),
        });
        let mut items: Vec<_> = found
            .into_iter()
            .filter_map(|(_, number)| view.traces.get(number))
            .map(|spans| SearchItem::Hit(Box::new(hit(spans, &query, request.detail))))
            .collect();
        let moved = moved(query.cursor.as_ref(), &view.applied);
        let spans_scanned = view.spans().count() as u64;
        let completeness = view.answer(())?.completeness;
        items.push(SearchItem::End(SearchEnd { completeness, cursor, moved, spans_scanned }));
        Ok(Box::pin(Items(items.into_iter())))
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<Answer<Aggregate>, StoreError> {
        let view = self.read(&request.scope);
        let answer = figures::aggregate(&request.query, view.slices());
        view.answer(figures::finish(&request.query, answer))
    }

    async fn services(&self, scope: ReadScope) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        let view = self.read(&scope);
        let services = view.spans().map(effective::span_service).collect();
        view.answer(services)
    }

    async fn operations(
        &self,
        scope: ReadScope,
        service: Option<Text>,
    ) -> Result<Answer<BTreeSet<Operation>>, StoreError> {
        let view = self.read(&scope);
        let of_service = |span: &&Span| {
            service.as_ref().is_none_or(|service| effective::span_service(span) == *service)
        };
        let operation =
            |span: &Span| Operation { name: effective::span_operation(span), kind: span.kind };
        let operations = view.spans().filter(of_service).map(operation).collect();
        view.answer(operations)
    }

    async fn keys(
        &self,
        scope: ReadScope,
        prefix: Text,
    ) -> Result<Answer<BTreeSet<(AttributeScope, Text)>>, StoreError> {
        let view = self.read(&scope);
        let mut keys = BTreeSet::new();
        for span in view.spans() {
            for place in AttributeScope::PLACES {
                any_attribute(place, span, &mut |attribute| {
                    if attribute.key.as_bytes().starts_with(prefix.as_bytes()) {
                        keys.insert((place, attribute.key.clone()));
                    }
                    false
                });
            }
        }
        view.suggestions(keys)
    }

    async fn values(
        &self,
        scope: ReadScope,
        attribute_scope: AttributeScope,
        key: Text,
        prefix: Text,
    ) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        let view = self.read(&scope);
        let field = Field::Attribute(attribute_scope, key);
        let mut values = BTreeSet::new();
        for span in view.spans() {
            any_value(&field, span, &mut |value| {
                let form = value.string_form();
                if form.as_bytes().starts_with(prefix.as_bytes()) {
                    values.insert(form);
                }
                false
            });
        }
        view.suggestions(values)
    }

    async fn dependencies(
        &self,
        scope: ReadScope,
        window: TimeRange,
    ) -> Result<Answer<Vec<DependencyEdge>>, StoreError> {
        let view = self.read(&scope);
        let edges = figures::dependencies(window, view.slices());
        view.answer(edges)
    }

    async fn archive(&self, tenant: Tenant, trace_id: TraceId) -> Result<bool, StoreError> {
        let shard = self.shard_of(trace_id);
        let mut state = self.lock();
        let Some(data) = state.tenants.get_mut(&tenant) else { return Ok(false) };
        let live = data.partitions.get(&shard).and_then(|live| live.traces.get(&trace_id));
        match live.cloned() {
            Some(spans) => {
                data.archive.insert(trace_id, spans);
                Ok(true)
            }
            None => Ok(data.archive.contains_key(&trace_id)),
        }
    }

    async fn purge(&self, tenant: Tenant) -> Result<(), StoreError> {
        self.lock().tenants.remove(&tenant);
        Ok(())
    }
}

/// The hit of a trace that matches.
fn hit(spans: &[Span], query: &crate::query::TraceQuery, detail: Detail) -> Hit {
    let summary = summarize(spans);
    let trace = match detail {
        Detail::Summary => None,
        Detail::Trace { spans_max } => assemble(summary.trace_id, spans.to_vec(), spans_max),
    };
    Hit { key: order_key(query.order, &summary), summary, trace }
}

/// Shards that applied requests since the cursor was made.
fn moved(cursor: Option<&Cursor>, applied: &BTreeMap<ShardId, u64>) -> BTreeSet<ShardId> {
    let Some(cursor) = cursor else { return BTreeSet::new() };
    let seen: BTreeMap<ShardId, u64> = cursor.applied.iter().copied().collect();
    let is_moved = |(shard, now): &(&ShardId, &u64)| seen.get(shard) != Some(now);
    applied.iter().filter(is_moved).map(|(shard, _)| *shard).collect()
}

/// A stream that has all its items already.
struct Items(std::vec::IntoIter<SearchItem>);

impl Stream for Items {
    type Item = Result<SearchItem, StoreError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<SearchItem, StoreError>>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{block_on, conformance, simple_span, write_spans};

    #[test]
    fn the_memory_store_conforms() {
        for seed in [1, 2, 3] {
            let options = conformance::Options::new(seed);
            let report = block_on(conformance::run(&MemoryStore::new(), &options));
            assert!(report.unwrap().skipped.is_empty());
        }
    }

    #[test]
    fn the_suite_can_run_on_any_thread() {
        fn require_send<T: Send>(_: &T) {}
        let (store, options) = (MemoryStore::new(), conformance::Options::new(1));
        require_send(&conformance::run(&store, &options));
    }

    #[test]
    fn the_suite_notices_a_shard_that_is_left_out() {
        let store = MemoryStore::new();
        store.set_missing(BTreeSet::from([ShardId(1)]));
        let failure = block_on(conformance::run(&store, &conformance::Options::new(77)));
        assert!(failure.unwrap_err().to_string().contains("seed 77"));
    }

    #[test]
    fn refuses_and_leaves_out_when_told_to() {
        let store = MemoryStore::new();
        let tenant = Tenant::default();
        let span = simple_span(5, 1, 1, 2);
        block_on(write_spans(&store, &tenant, std::slice::from_ref(&span))).unwrap();
        store.set_overloaded(true);
        let refused = block_on(write_spans(&store, &tenant, std::slice::from_ref(&span)));
        assert!(refused.unwrap_err().is_retryable());
        store.set_missing(BTreeSet::from([store.shard_of(span.trace_id)]));
        let scope = conformance::Options::new(1).scope(&tenant);
        let request = TraceRequest { scope, trace_id: span.trace_id, spans_max: 1 };
        let answer = block_on(store.trace(request)).unwrap();
        assert_eq!((answer.value, answer.completeness.missing.len()), (None, 1));
    }
}
