//! From a socket to the visitor, a request of 500 spans costs at most 50 allocations: none of
//! them is per span. A binary of its own with one test, because the counter counts everything
//! that happens in the process: server, runtime and all. (The client here allocates nothing.)
#![cfg(test)]

use std::alloc::System;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use api::otlp::walk::{Partitioning, Plan, check, tell};
use api::{ApiConfig, ApiState, Ports, bind};
use model::admin::{ClusterStatus, Readiness};
use model::aggregate::{Aggregate, DependencyEdge};
use model::query::AttributeScope;
use model::sink::{
    EventHead, Interned, LinkHead, PartSize, ResourceHead, ScopeHead, SpanHead, SpanVisitor,
};
use model::store::{
    Ack, AggregateRequest, FindRequest, FoundRows, Operation, ReadScope, RequestDigest,
    SearchRequest, SearchStream, SpansRequest, Trace, TraceColumns, TraceRequest,
};
use model::testing::ManualClock;
use model::value::ValueRef;
use model::{
    Answer, ClusterAdmin, SpanSink, StoreError, Tenant, Text, TimeRange, TraceId, TraceStore,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a request may cost, whatever it holds.
const ALLOCATIONS_MAX: usize = 50;

#[test]
fn a_request_of_500_spans_costs_50_allocations() {
    let request = request_of_500_spans();
    walker_alone(&request);
    from_the_socket(&request);
}

fn walker_alone(request: &[u8]) {
    let mut plan = Plan::default();
    let mut visitor = Counter::default();
    let mut walk = || {
        let region = Region::new(ALLOCATOR);
        let of = |trace_id: TraceId| u32::from(trace_id.as_bytes()[15] % 2);
        check(request, &Partitioning { of, count: 2 }, &mut plan).unwrap();
        tell(request, &plan, 0, &mut visitor);
        tell(request, &plan, 1, &mut visitor);
        let change = region.change();
        change.allocations + change.reallocations
    };
    let (first, second) = (walk(), walk());
    assert!(first <= ALLOCATIONS_MAX, "{first} allocations");
    assert_eq!(second, 0, "allocations with a plan that was used before");
    assert_eq!(visitor.spans, 1_000);
}

fn from_the_socket(request: &[u8]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let shutdown = CancellationToken::new();
    let ports = Ports::FREE;
    let bound = runtime.block_on(bind(ApiConfig { ports, ..ApiConfig::default() })).unwrap();
    let address = bound.addresses().otlp_http;
    let state = ApiState {
        store: Nothing,
        admin: Nothing,
        clock: Arc::new(ManualClock::default()),
        metrics_text: Arc::new(String::new),
        meter: Arc::default(),
    };
    let mut tasks = api::task::Tasks::default();
    runtime.block_on(async { tasks.spawn("api", bound.serve(state, shutdown.clone())) });

    let mut bytes = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        request.len()
    )
    .into_bytes();
    bytes.extend_from_slice(request);
    let mut connection = TcpStream::connect(address).unwrap();
    let mut answer = [0; 1_024];
    let mut costs = Vec::with_capacity(10);
    for _ in 0..10 {
        let region = Region::new(ALLOCATOR);
        connection.write_all(&bytes).unwrap();
        let read = connection.read(&mut answer).unwrap();
        let change = region.change();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        costs.push(change.allocations + change.reallocations);
    }
    shutdown.cancel();
    runtime.block_on(tasks.join());
    // The first requests warm pools and buffers.
    let least = costs.iter().min().unwrap();
    assert!(*least <= ALLOCATIONS_MAX, "{costs:?} allocations");
}

/// The beginning of the recorded shop traffic, cut at 500 spans.
fn request_of_500_spans() -> Vec<u8> {
    use opentelemetry_proto::tonic::trace::v1::TracesData;
    use prost::Message;
    let recorded = include_bytes!("../../bench/data/astronomy-oteltraces.zst");
    let plain = zstd::decode_all(recorded.as_slice()).unwrap();
    let (mut request, mut spans, mut rest) = (TracesData::default(), 0, plain.as_slice());
    while let Some((length, after)) = rest.split_first_chunk() {
        let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        rest = after;
        for mut group in TracesData::decode(message).unwrap().resource_spans {
            for scope_spans in &mut group.scope_spans {
                scope_spans.spans.truncate(500 - spans);
                spans += scope_spans.spans.len();
            }
            request.resource_spans.push(group);
        }
        if spans == 500 {
            break;
        }
    }
    request.encode_to_vec()
}

#[derive(Default)]
struct Counter {
    spans: u64,
}

impl SpanVisitor for Counter {
    fn resource(&mut self, _: &ResourceHead<'_>) -> Interned {
        Interned::New
    }
    fn scope(&mut self, _: &ScopeHead<'_>) -> Interned {
        Interned::New
    }
    fn end_group(&mut self) {}
    fn span(&mut self, _: &SpanHead<'_>) {
        self.spans += 1;
    }
    fn attribute(&mut self, _: &[u8], _: ValueRef<'_>) {}
    fn event(&mut self, _: &EventHead<'_>) {}
    fn link(&mut self, _: &LinkHead<'_>) {}
    fn end_span(&mut self) {}
}

/// A store that keeps nothing and allocates nothing.
#[derive(Debug, Clone)]
struct Nothing;

struct NothingSink;

impl SpanSink for NothingSink {
    type Visitor = Counter;

    fn partition_count(&self) -> u32 {
        2
    }

    fn partition_of(&self, trace_id: TraceId) -> u32 {
        u32::from(trace_id.as_bytes()[15] % 2)
    }

    fn append(
        &mut self,
        _: u32,
        size: PartSize,
        rows: &mut dyn FnMut(&mut Counter),
    ) -> Result<(), StoreError> {
        let mut counter = Counter::default();
        rows(&mut counter);
        assert_eq!(counter.spans, u64::from(size.spans));
        Ok(())
    }

    async fn finish(self) -> Result<Ack, StoreError> {
        Ok(Ack { spans: 0 })
    }
}

fn unsupported<T>() -> Result<T, StoreError> {
    Err(StoreError::Unsupported { what: "reading nothing" })
}

impl TraceStore for Nothing {
    type Sink = NothingSink;

    fn begin(&self, _: &Tenant, _: RequestDigest) -> Result<NothingSink, StoreError> {
        Ok(NothingSink)
    }

    async fn trace(&self, _: TraceRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        unsupported()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        unsupported()
    }

    async fn trace_columns(
        &self,
        _: TraceRequest,
    ) -> Result<Answer<Option<TraceColumns>>, StoreError> {
        unsupported()
    }

    async fn find(&self, _: FindRequest) -> Result<Answer<Option<FoundRows>>, StoreError> {
        unsupported()
    }

    async fn search(&self, _: SearchRequest) -> Result<SearchStream, StoreError> {
        unsupported()
    }

    async fn aggregate(&self, _: AggregateRequest) -> Result<Answer<Aggregate>, StoreError> {
        unsupported()
    }

    async fn services(&self, _: ReadScope) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        unsupported()
    }

    async fn operations(
        &self,
        _: ReadScope,
        _: Option<Text>,
    ) -> Result<Answer<BTreeSet<Operation>>, StoreError> {
        unsupported()
    }

    async fn keys(
        &self,
        _: ReadScope,
        _: Text,
    ) -> Result<Answer<BTreeSet<(AttributeScope, Text)>>, StoreError> {
        unsupported()
    }

    async fn values(
        &self,
        _: ReadScope,
        _: AttributeScope,
        _: Text,
        _: Text,
    ) -> Result<Answer<BTreeSet<Text>>, StoreError> {
        unsupported()
    }

    async fn dependencies(
        &self,
        _: ReadScope,
        _: TimeRange,
    ) -> Result<Answer<Vec<DependencyEdge>>, StoreError> {
        unsupported()
    }

    async fn archive(&self, _: Tenant, _: TraceId) -> Result<bool, StoreError> {
        unsupported()
    }

    async fn purge(&self, _: Tenant) -> Result<(), StoreError> {
        unsupported()
    }
}

impl ClusterAdmin for Nothing {
    async fn status(&self) -> ClusterStatus {
        ClusterStatus::default()
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
}
