//! The consumer against librdkafka's own broker: real sockets, groups and commits, in one process.
//!
//! What a test waits for is a condition of the broker or of the store; the broker's clock is real.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use api::ingest::{Admission, Receiver};
use api::kafka::{KafkaConfig, KafkaEncoding, KafkaError, KafkaSource, KafkaStart, Sasl, Tls};
use model::aggregate::{Aggregate, DependencyEdge};
use model::budget::Budget;
use model::query::AttributeScope;
use model::sink::PartSize;
use model::store::{
    Ack, AggregateRequest, Answer, FindRequest, FoundRows, Operation, ReadScope, RequestDigest,
    SearchRequest, SearchStream, SpansRequest, Trace, TraceColumns, TraceRequest,
};
use model::testing::{ManualClock, MemorySink, MemoryStore};
use model::{Clock, SpanSink, StoreError, Tenant, Text, TimeRange, TraceId, TraceStore};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TOPIC: &str = "jaeger-spans";
const PARTITIONS: i32 = 3;
/// Longest wait for something that happens by itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// A broker, and who puts messages into it.
struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
}

impl Broker {
    fn start() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, PARTITIONS, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        Self { cluster, producer: config.create().unwrap() }
    }

    async fn send(&self, message: &[u8], partition: i32) {
        let record = FutureRecord::<(), _>::to(TOPIC).payload(message).partition(partition);
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    fn config(&self, encoding: KafkaEncoding) -> KafkaConfig {
        KafkaConfig {
            brokers: vec![self.cluster.bootstrap_servers()],
            topics: vec![TOPIC.to_owned()],
            group: "skua".to_owned(),
            encoding,
            start: KafkaStart::Earliest,
            tls: None,
            sasl: None,
        }
    }

    /// The sum of the offsets that the group has committed: how many messages are done for good.
    fn committed(&self) -> i64 {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers()).set("group.id", "skua");
        let observer: BaseConsumer = config.create().unwrap();
        let mut asked = TopicPartitionList::new();
        (0..PARTITIONS).for_each(|partition| {
            asked.add_partition(TOPIC, partition);
        });
        let committed = observer.committed_offsets(asked, PATIENCE).unwrap();
        let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
        committed.elements().iter().map(|element| offset(element.offset())).sum()
    }
}

/// A consumer that runs.
struct Running {
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "the test ends its own task")]
    fn start<S: TraceStore>(broker: &Broker, encoding: KafkaEncoding, store: S) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let receiver = Receiver::new(store, clock, Admission::default());
        let source = KafkaSource::open(&broker.config(encoding)).unwrap();
        let shutdown = CancellationToken::new();
        let run = source.run(receiver, Tenant::default(), shutdown.clone());
        Self { task: tokio::spawn(run), shutdown }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

/// Waits for a condition, asked again and again.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !is_so().await {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} does not happen");
}

async fn has_trace(store: &MemoryStore, id: u8) -> bool {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let deadline = clock.monotonic().plus(model::Duration::from_secs(1));
    let scope = ReadScope {
        tenant: Tenant::default(),
        budget: Budget::new(clock, deadline, u64::MAX),
        stale: false,
    };
    let trace_id = trace_id(id);
    let request = TraceRequest { scope, trace_id, spans_max: 1_000 };
    store.trace(request).await.unwrap().value.is_some()
}

fn trace_id(id: u8) -> TraceId {
    let mut bytes = [0; 16];
    bytes[15] = id;
    TraceId(bytes)
}

/// A span of a trace in each encoding.
fn message(encoding: KafkaEncoding, id: u8) -> Vec<u8> {
    let hex = format!("{id:032x}");
    let otlp = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{hex}",
        "spanId":"0000000000000001","name":"n"}}]}}]}}]}}"#
    );
    let base64 = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    let trace_id = trace_id(id);
    match encoding {
        KafkaEncoding::OtlpProto => api::otlp::json::to_protobuf(otlp.as_bytes()).unwrap(),
        KafkaEncoding::OtlpJson => otlp.into_bytes(),
        KafkaEncoding::JaegerProto => {
            [&[0x0a, 16], trace_id.as_bytes().as_slice(), b"\x12\x08\0\0\0\0\0\0\0\x01\x1a\x01n"]
                .concat()
        }
        KafkaEncoding::JaegerJson => format!(
            r#"{{"traceId":"{}","spanId":"AAAAAAAAAAE=","operationName":"n"}}"#,
            base64(trace_id.as_bytes())
        )
        .into_bytes(),
        KafkaEncoding::ZipkinProto => {
            let span = [&[0x0a, 16], trace_id.as_bytes().as_slice(), b"\x1a\x08\0\0\0\0\0\0\0\x01"];
            let span = span.concat();
            [&[0x0a, u8::try_from(span.len()).unwrap()], span.as_slice()].concat()
        }
        KafkaEncoding::ZipkinJson => {
            format!(r#"[{{"traceId":"{hex}","id":"1","name":"n"}}]"#).into_bytes()
        }
        // A list of one struct: trace_id, name, id.
        KafkaEncoding::ZipkinThrift => [
            &b"\x0c\0\0\0\x01"[..],
            b"\x0a\0\x01\0\0\0\0\0\0\0",
            &[id],
            b"\x0b\0\x03\0\0\0\x01n\x0a\0\x04\0\0\0\0\0\0\0\x01\0",
        ]
        .concat(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encoding_is_consumed() {
    for encoding in KafkaEncoding::ALL {
        let (broker, store) = (Broker::start(), MemoryStore::new());
        let running = Running::start(&broker, encoding, store.clone());
        for id in 1..=6 {
            broker.send(&message(encoding, id), i32::from(id) % PARTITIONS).await;
        }
        // What cannot be read holds nothing up.
        broker.send(b"\xff\xff\xff\xff\xff", 0).await;
        broker.send(&message(encoding, 7), 0).await;
        for id in 1..=7 {
            until(encoding.name(), async || has_trace(&store, id).await).await;
        }
        running.stop().await;
        assert_eq!(broker.committed(), 8, "{encoding:?}");
    }
}

/// The beginning of a group in one message and its end in another: what others wrote between the
/// two is no part of it.
#[tokio::test(flavor = "multi_thread")]
async fn halves_of_a_group_hide_nothing_between_them() {
    let (broker, store) = (Broker::start(), MemoryStore::new());
    let encoding = KafkaEncoding::OtlpProto;
    // All are there before anything is consumed, so that one batch would hold them.
    for message in [&b"\x0b"[..], &message(encoding, 1), b"\x0c"] {
        broker.send(message, 0).await;
    }
    let running = Running::start(&broker, encoding, store.clone());
    until("the message between", async || has_trace(&store, 1).await).await;
    running.stop().await;
    assert_eq!(broker.committed(), 3);
}

/// A store that refuses for as long as it is told to.
#[derive(Debug, Clone)]
struct Unwilling {
    store: MemoryStore,
    refusals_left: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
}

impl Unwilling {
    fn new(store: &MemoryStore, refusals: u32) -> Self {
        let refusals_left = Arc::new(AtomicU32::new(refusals));
        Self { store: store.clone(), refusals_left, refused: Arc::default() }
    }
}

#[derive(Debug)]
struct UnwillingSink {
    sink: MemorySink,
    is_refused: bool,
}

impl SpanSink for UnwillingSink {
    type Visitor = <MemorySink as SpanSink>::Visitor;

    fn partition_count(&self) -> u32 {
        self.sink.partition_count()
    }

    fn partition_of(&self, trace_id: TraceId) -> u32 {
        self.sink.partition_of(trace_id)
    }

    fn append(
        &mut self,
        partition: u32,
        size: PartSize,
        rows: &mut dyn FnMut(&mut Self::Visitor),
    ) -> Result<(), StoreError> {
        self.sink.append(partition, size, rows)
    }

    async fn finish(self) -> Result<Ack, StoreError> {
        if self.is_refused {
            return Err(StoreError::Unavailable { what: "a leader".to_owned(), retry_after_ms: 1 });
        }
        self.sink.finish().await
    }
}

impl TraceStore for Unwilling {
    type Sink = UnwillingSink;

    fn begin(&self, tenant: &Tenant, digest: RequestDigest) -> Result<UnwillingSink, StoreError> {
        let left = &self.refusals_left;
        let refuse =
            |left: u32| (left > 0).then(|| left.saturating_sub(u32::from(left < u32::MAX)));
        let is_refused = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok();
        self.refused.fetch_add(u32::from(is_refused), Ordering::SeqCst);
        Ok(UnwillingSink { sink: self.store.begin(tenant, digest)?, is_refused })
    }

    async fn trace(&self, request: TraceRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        self.store.trace(request).await
    }

    async fn spans(&self, request: SpansRequest) -> Result<Answer<Option<Trace>>, StoreError> {
        self.store.spans(request).await
    }

    async fn trace_columns(
        &self,
        request: TraceRequest,
    ) -> Result<Answer<Option<TraceColumns>>, StoreError> {
        self.store.trace_columns(request).await
    }

    async fn find(&self, request: FindRequest) -> Result<Answer<Option<FoundRows>>, StoreError> {
        self.store.find(request).await
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchStream, StoreError> {
        self.store.search(request).await
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<Answer<Aggregate>, StoreError> {
        self.store.aggregate(request).await
    }

    async fn services(
        &self,
        scope: ReadScope,
    ) -> Result<Answer<std::collections::BTreeSet<Text>>, StoreError> {
        self.store.services(scope).await
    }

    async fn operations(
        &self,
        scope: ReadScope,
        service: Option<Text>,
    ) -> Result<Answer<std::collections::BTreeSet<Operation>>, StoreError> {
        self.store.operations(scope, service).await
    }

    async fn keys(
        &self,
        scope: ReadScope,
        prefix: Text,
    ) -> Result<Answer<std::collections::BTreeSet<(AttributeScope, Text)>>, StoreError> {
        self.store.keys(scope, prefix).await
    }

    async fn values(
        &self,
        scope: ReadScope,
        attribute_scope: AttributeScope,
        key: Text,
        prefix: Text,
    ) -> Result<Answer<std::collections::BTreeSet<Text>>, StoreError> {
        self.store.values(scope, attribute_scope, key, prefix).await
    }

    async fn dependencies(
        &self,
        scope: ReadScope,
        window: TimeRange,
    ) -> Result<Answer<Vec<DependencyEdge>>, StoreError> {
        self.store.dependencies(scope, window).await
    }

    async fn archive(&self, tenant: Tenant, trace_id: TraceId) -> Result<bool, StoreError> {
        self.store.archive(tenant, trace_id).await
    }

    async fn purge(&self, tenant: Tenant) -> Result<(), StoreError> {
        self.store.purge(tenant).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_that_is_not_acknowledged() {
    let (broker, store) = (Broker::start(), MemoryStore::new());
    let encoding = KafkaEncoding::JaegerProto;
    for id in 1..=9 {
        broker.send(&message(encoding, id), i32::from(id) % PARTITIONS).await;
    }
    // A node whose cluster never answers, and that goes away in the end.
    let never = Unwilling::new(&store, u32::MAX);
    let first = Running::start(&broker, encoding, never.clone());
    until("a refusal", async || never.refused.load(Ordering::SeqCst) >= 3).await;
    first.stop().await;
    assert_eq!(broker.committed(), 0);
    assert!(!has_trace(&store, 1).await);
    // Another member of the group finds everything there, and is refused a few times itself.
    let soon = Unwilling::new(&store, 2);
    let second = Running::start(&broker, encoding, soon);
    for id in 1..=9 {
        until("what was consumed before", async || has_trace(&store, id).await).await;
    }
    second.stop().await;
    assert_eq!(broker.committed(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_share_what_comes() {
    let (broker, store) = (Broker::start(), MemoryStore::new());
    let encoding = KafkaEncoding::OtlpProto;
    let one = Running::start(&broker, encoding, store.clone());
    broker.send(&message(encoding, 1), 0).await;
    until("the first message", async || has_trace(&store, 1).await).await;
    let two = Running::start(&broker, encoding, store.clone());
    for id in 2..=40 {
        broker.send(&message(encoding, id), i32::from(id) % PARTITIONS).await;
    }
    for id in 2..=40 {
        until("a message to either", async || has_trace(&store, id).await).await;
    }
    one.stop().await;
    broker.send(&message(encoding, 41), 1).await;
    until("a message after one has left", async || has_trace(&store, 41).await).await;
    two.stop().await;
    assert_eq!(broker.committed(), 41);
}

/// What proves a name and what encrypts is taken by every build that has it, and refused in words
/// by one that has not.
#[tokio::test]
async fn names_and_encryption_are_taken_or_refused_before_anything_is_consumed() {
    let broker = Broker::start();
    let sasl = |mechanism: &str| Sasl {
        mechanism: mechanism.to_owned(),
        username: "me".to_owned(),
        password: "secret".to_owned(),
    };
    let open = |tls: Option<Tls>, sasl: Option<Sasl>| {
        let config = KafkaConfig { tls, sasl, ..broker.config(KafkaEncoding::OtlpProto) };
        KafkaSource::open(&config)
    };
    assert!(open(None, Some(sasl("PLAIN"))).is_ok());
    for (tls, sasl) in [
        (Some(Tls::default()), None),
        (Some(Tls::default()), Some(sasl("PLAIN"))),
        (Some(Tls::default()), Some(sasl("SCRAM-SHA-256"))),
        (None, Some(sasl("SCRAM-SHA-512"))),
    ] {
        let opened = open(tls, sasl);
        if cfg!(feature = "kafka-tls") {
            assert!(opened.is_ok(), "{opened:?}");
        } else {
            assert!(matches!(opened, Err(KafkaError::NoTls)), "{opened:?}");
        }
    }
    let bad = Tls { authorities: Some("no certificate".to_owned()), ..Tls::default() };
    assert!(open(Some(bad), None).is_err());
    assert!(!format!("{:?}", sasl("PLAIN")).contains("secret"));
}
