//! One of each thing that nodes say, made by hand, and random ones from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use cluster::identity::ReplicaId;
use cluster::vouch::{Ballot, Led, Vouch};
use cluster::wire::{
    AskedShard, BarrierOutcome, BarrierReply, BarrierRequest, FrameReader, FrameWriter, ReadEnd,
    ReadFailure, ReadFailureKind, ReadItem, ReadOperation, ReadRequest, ReplicaDigest,
    ReplicaFacts, ReplicaRole, RingEpoch, SearchProgress, ShardBarrier, ShardBatch, ShardWrite,
    StatusReply, StatusRequest, VouchReply, VouchRequest, WireError, WriteOutcome, WriteReply,
    WriteRequest,
};
use model::aggregate::{
    Aggregate, AggregateKind, AggregateQuery, Counts, DependencyEdge, DurationSketch, Group,
    GroupBy, Red,
};
use model::budget::Exhausted;
use model::query::{
    AttributeScope, Comparison, Cursor, Field, Literal, NumberTest, Order, OrderKey, Pattern,
    Relation, SpanPredicate, Statistic, TracePredicate, TraceQuery, ValueTest,
};
use model::span::SpanKind;
use model::store::{Completeness, Detail, FoundRows, Hit, Operation, Revision, Trace};
use model::testing::{Random, simple_span};
use model::{Duration, NodeId, ShardId, Span, Tenant, Text, TimeRange, Timestamp, TraceId};
use storage::log::LogIndex;

pub(crate) const SHARD: ShardId = ShardId(7);
/// Room for whatever a test makes.
pub(crate) const ROOM: usize = 1 << 30;

pub(crate) fn byte(random: &mut Random) -> u8 {
    random.below(256).to_le_bytes()[0]
}

pub(crate) fn tenant() -> Tenant {
    Tenant::new("acme").unwrap()
}

/// The frames of these items of one shard.
pub(crate) fn frames(shard: ShardId, items: &[ReadItem]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let mut emit = |frame| {
        frames.push(frame);
        ControlFlow::Continue(())
    };
    let mut writer = FrameWriter::new(shard, tenant(), &mut emit);
    for item in items {
        writer.write(item).unwrap();
    }
    frames
}

/// The items in these frames of one shard.
pub(crate) fn items(
    shard: ShardId,
    frames: impl IntoIterator<Item = Bytes>,
) -> Result<Vec<ReadItem>, WireError> {
    let mut reader = FrameReader::new(tenant(), [shard], ROOM);
    let mut items = Vec::new();
    for frame in frames {
        if let Some((from, item)) = reader.accept(frame)? {
            assert_eq!(from, shard);
            items.push(item);
        }
    }
    Ok(items)
}

pub(crate) fn request(operation: ReadOperation) -> ReadRequest {
    ReadRequest {
        tenant: tenant(),
        deadline_left_ms: 1_500,
        bytes_max: 256 << 20,
        ring_epoch: RingEpoch(3),
        shards: vec![
            AskedShard { shard: ShardId(0), applied_min: Some(LogIndex(0)) },
            AskedShard { shard: SHARD, applied_min: Some(LogIndex(1_234_567)) },
            AskedShard { shard: ShardId(9), applied_min: None },
        ],
        operation,
    }
}

fn window() -> TimeRange {
    TimeRange { start: Timestamp(1_700_000_000_000_000_000), end: Timestamp(u64::MAX) }
}

/// Every field there is.
fn fields() -> Vec<Field> {
    let mut fields = vec![
        Field::Service,
        Field::Operation,
        Field::Kind,
        Field::Status,
        Field::StatusMessage,
        Field::Duration,
        Field::Start,
        Field::End,
        Field::TraceId,
        Field::SpanId,
        Field::ParentId,
        Field::TraceState,
        Field::ScopeName,
        Field::ScopeVersion,
        Field::EventName,
        Field::EventTimeSinceStart,
        Field::LinkTraceId,
        Field::LinkSpanId,
    ];
    for scope in [
        AttributeScope::SpanOrResource,
        AttributeScope::Span,
        AttributeScope::Resource,
        AttributeScope::Scope,
        AttributeScope::Event,
        AttributeScope::Link,
    ] {
        fields.push(Field::Attribute(scope, Text::copy_from(b"k\xff")));
    }
    fields
}

/// Every test there is, with every comparison and literal.
fn tests() -> Vec<ValueTest> {
    vec![
        ValueTest::Exists,
        ValueTest::Compare(Comparison::Equal, Literal::String(Text::copy_from(b"\xffbad"))),
        ValueTest::Compare(Comparison::NotEqual, Literal::Int(i64::MIN)),
        ValueTest::Compare(Comparison::Less, Literal::Double(-0.0)),
        ValueTest::Compare(Comparison::LessOrEqual, Literal::Double(f64::NAN)),
        ValueTest::Compare(Comparison::Greater, Literal::Bool(true)),
        ValueTest::Compare(Comparison::GreaterOrEqual, Literal::Int(0)),
        ValueTest::Matches(Pattern::unanchored("/a.*b/|^$").unwrap()),
        ValueTest::Matches(Pattern::anchored("GET|POST").unwrap()),
        ValueTest::StringForm("200".into()),
    ]
}

/// A predicate in which every kind of predicate on spans occurs.
pub(crate) fn span_predicate() -> SpanPredicate {
    let mut parts: Vec<SpanPredicate> = fields()
        .into_iter()
        .zip(tests().into_iter().cycle())
        .map(|(field, test)| SpanPredicate::Field(field, test))
        .collect();
    parts.push(SpanPredicate::Not(Box::new(SpanPredicate::True)));
    parts.push(SpanPredicate::Any(Vec::new()));
    parts.push(SpanPredicate::JaegerTag { key: "error".into(), value: "true".into() });
    SpanPredicate::All(parts)
}

/// A query in which every kind of predicate on traces occurs.
pub(crate) fn trace_query() -> TraceQuery {
    let number = |comparison, number| NumberTest { comparison, number };
    let of = |field| SpanPredicate::Field(field, ValueTest::Exists);
    let mut parts = vec![
        TracePredicate::True,
        TracePredicate::Any(vec![TracePredicate::Not(Box::new(TracePredicate::True))]),
        TracePredicate::HasSpan(span_predicate()),
        TracePredicate::Duration(number(Comparison::Greater, 1e9)),
        TracePredicate::SpanCount(number(Comparison::LessOrEqual, 0.5)),
        TracePredicate::ErrorCount(number(Comparison::NotEqual, f64::INFINITY)),
        TracePredicate::RootService(ValueTest::StringForm("front".into())),
        TracePredicate::RootOperation(ValueTest::Exists),
    ];
    for relation in [
        Relation::Child,
        Relation::Descendant,
        Relation::Parent,
        Relation::Ancestor,
        Relation::Sibling,
    ] {
        parts.push(TracePredicate::Structure {
            left: of(Field::Service),
            relation,
            right: of(Field::Operation),
        });
    }
    for statistic in [
        Statistic::Count,
        Statistic::Sum(Field::Duration),
        Statistic::Min(Field::Start),
        Statistic::Max(Field::End),
        Statistic::Mean(Field::Attribute(AttributeScope::Span, "size".into())),
    ] {
        parts.push(TracePredicate::Aggregate {
            of: of(Field::Kind),
            statistic,
            test: number(Comparison::Equal, 2.0),
        });
    }
    TraceQuery {
        window: window(),
        predicate: TracePredicate::All(parts),
        order: Order::Longest,
        limit: 20,
        cursor: Some(cursor()),
    }
}

fn cursor() -> Cursor {
    Cursor {
        last: OrderKey { rank: u64::MAX - 5, trace_id: TraceId([0xab; 16]) },
        applied: vec![(ShardId(0), 0), (SHARD, 1_234_567)],
    }
}

/// One question of each kind.
pub(crate) fn read_requests() -> Vec<(&'static str, ReadRequest)> {
    let aggregate_without = |kind, without| ReadOperation::Aggregate {
        query: AggregateQuery { window: window(), predicate: span_predicate(), kind },
        without,
    };
    let aggregate = |kind| aggregate_without(kind, BTreeSet::new());
    let step = Duration::from_secs(60);
    let trace_id = TraceId([0x11; 16]);
    let span_ids = [0x22, 0x33].map(|byte| model::SpanId([byte; 8])).into();
    let host = Field::Attribute(AttributeScope::Resource, "host.name".into());
    let top = |field| AggregateKind::TopValues { field, limit: 50 };
    let detail = Detail::Trace { spans_max: 10_000 };
    let search = |query, detail, together, without: &[TraceId]| {
        let without = without.iter().copied().collect();
        ReadOperation::Search { query, detail, together, without }
    };
    let full = search(trace_query(), detail, true, &[]);
    let without = search(trace_query(), detail, false, &[trace_id, TraceId([9; 16])]);
    let plain = TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::Newest,
        limit: u32::MAX,
        cursor: None,
    };
    let plain = search(plain, Detail::Summary, false, &[]);
    let dependencies = |without| ReadOperation::Dependencies { window: window(), without };
    let elsewhere = |after| ReadOperation::Elsewhere { window: window(), shard_count: 9, after };
    let words = SpanPredicate::Mentions(Pattern::words("time out").unwrap());
    let found = SpanPredicate::All(vec![words, SpanPredicate::True]);
    let operations = vec![
        ("trace", ReadOperation::Trace { trace_id, spans_max: 100_000 }),
        ("trace_columns", ReadOperation::TraceColumns { trace_id }),
        ("spans", ReadOperation::Spans { trace_id, span_ids }),
        ("find", ReadOperation::Find { trace_id, predicate: found }),
        ("search", full),
        ("search_plain", plain),
        ("search_without", without),
        ("aggregate_totals", aggregate(AggregateKind::Totals)),
        ("aggregate_heatmap", aggregate(AggregateKind::Heatmap { step })),
        ("aggregate_top_values", aggregate(top(host))),
        ("aggregate_top_of_field", aggregate(top(Field::StatusMessage))),
        ("aggregate_red", aggregate(AggregateKind::Red { step, group_by: GroupBy::Operation })),
        ("services", ReadOperation::Services),
        ("operations", ReadOperation::Operations { service: Some("front".into()) }),
        ("operations_all", ReadOperation::Operations { service: None }),
        ("keys", ReadOperation::Keys { prefix: "http.".into() }),
        (
            "values",
            ReadOperation::Values {
                scope: AttributeScope::Link,
                key: "k".into(),
                prefix: Text::EMPTY,
            },
        ),
        ("aggregate_without", aggregate_without(AggregateKind::Totals, [trace_id].into())),
        ("dependencies", dependencies(BTreeSet::new())),
        ("dependencies_without", dependencies([trace_id].into())),
        ("elsewhere", elsewhere(None)),
        ("elsewhere_behind", elsewhere(Some(trace_id))),
        ("known", ReadOperation::Known { trace_ids: [trace_id, TraceId([9; 16])].into() }),
    ];
    operations.into_iter().map(|(name, operation)| (name, request(operation))).collect()
}

fn spans() -> Vec<Span> {
    let mut child = simple_span(5, 2, 20, 30);
    child.parent = model::span::ParentId::Id(model::SpanId(1_u64.to_be_bytes()));
    vec![simple_span(5, 1, 10, 90), child, simple_span(5, 3, 20, 25)]
}

fn trace() -> Trace {
    let spans = spans();
    Trace { trace_id: spans[0].trace_id, spans, truncated: Some(1_000_000) }
}

fn hit(trace: Option<Trace>) -> ReadItem {
    let summary = model::summary::summarize(&spans());
    let key = OrderKey { rank: 42, trace_id: summary.trace_id };
    ReadItem::Hit(Box::new(Hit { key, summary, trace }))
}

fn aggregate() -> Aggregate {
    let counts = Counts { spans: 300, errors: 2 };
    let mut durations = DurationSketch::default();
    for nanos in [0, 1, 5, 1_000_000, 1_000_001, u64::MAX] {
        durations.add(Duration(nanos));
    }
    let red = Red { counts, durations };
    let group = |operation: &str, kind| Group {
        service: "front".into(),
        operation: operation.into(),
        kind: SpanKind(kind),
    };
    Aggregate {
        spans: 1_000,
        errors: 7,
        traces: 90,
        heatmap: BTreeMap::from([((0, 0), counts), ((u64::MAX, 64), Counts::default())]),
        values: BTreeMap::from([(Text::copy_from(b"\xff"), counts), ("b".into(), counts)]),
        red: BTreeMap::from([
            (group("GET /", 2), BTreeMap::from([(0, red), (9, Red::default())])),
            (group("", -1), BTreeMap::new()),
        ]),
        other: 1,
    }
}

fn end() -> ReadEnd {
    ReadEnd {
        completeness: Completeness {
            missing: BTreeSet::from([ShardId(1)]),
            stale: BTreeSet::from([SHARD, ShardId(8)]),
            exhausted: Some(Exhausted::Bytes { bytes_max: 1 << 28 }),
            sampled: true,
        },
        applied: LogIndex(1_234_568),
        fenced_epoch: RingEpoch(4),
        search: Some(SearchProgress {
            cursor: Some(cursor()),
            moved: BTreeSet::from([SHARD]),
            spans_scanned: 123_456,
        }),
    }
}

/// One failure of each kind.
fn failures() -> Vec<(&'static str, ReadItem)> {
    let failure = |kind| ReadItem::Failure(ReadFailure { kind, text: "größer".into() });
    vec![
        ("stale_epoch", failure(ReadFailureKind::StaleEpoch { map_version: 12 })),
        ("behind", failure(ReadFailureKind::Behind { applied: LogIndex(99) })),
        ("deadline", failure(ReadFailureKind::Exhausted(Exhausted::Deadline))),
        ("cancelled", failure(ReadFailureKind::Exhausted(Exhausted::Cancelled))),
        ("unavailable", failure(ReadFailureKind::Unavailable { retry_after_ms: 200 })),
        ("damaged", failure(ReadFailureKind::Damaged)),
        ("unsupported", failure(ReadFailureKind::Unsupported)),
    ]
}

/// One item of each kind.
pub(crate) fn read_items() -> Vec<(&'static str, ReadItem)> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    let operation = |name: &str, kind| Operation { name: name.into(), kind: SpanKind(kind) };
    let edge = |parent: &str, child: &str, calls| DependencyEdge {
        parent: parent.into(),
        child: child.into(),
        calls,
        errors: 1,
    };
    let revision = Revision { shard: 7, applied: 88, parts: 3 };
    let columns = model::trace::columns(&spans(), revision);
    let keys = [(AttributeScope::Span, "http.method".into()), (AttributeScope::Link, "k".into())];
    let mut items = vec![
        ("hit", hit(None)),
        ("hit_with_trace", hit(Some(trace()))),
        ("hit_with_no_spans", hit(Some(Trace { spans: Vec::new(), ..trace() }))),
        ("trace", ReadItem::Trace(Some(trace()))),
        ("no_trace", ReadItem::Trace(None)),
        ("columns", ReadItem::Columns(Some(Box::new(columns)))),
        ("no_columns", ReadItem::Columns(None)),
        ("found", ReadItem::Found(FoundRows::from_bits(10, vec![0b1000_0001, 0b10]))),
        ("found_none", ReadItem::Found(None)),
        ("aggregate", ReadItem::Aggregate(Box::new(aggregate()))),
        ("no_aggregate", ReadItem::Aggregate(Box::default())),
        ("services", ReadItem::Services(names(&["back", "front", ""]))),
        ("no_services", ReadItem::Services(BTreeSet::new())),
        ("operations", ReadItem::Operations([operation("GET", 2), operation("GET", -1)].into())),
        ("keys", ReadItem::Keys(keys.into())),
        ("values", ReadItem::Values(names(&["200", "404"]))),
        ("edges", ReadItem::Edges(vec![edge("b", "c", 5), edge("a", "b", 1 << 40)])),
        ("trace_ids", ReadItem::TraceIds([trace().trace_id, TraceId([9; 16])].into())),
        ("end", ReadItem::End(end())),
        ("end_complete", ReadItem::End(ReadEnd::default())),
    ];
    items.extend(failures());
    items
}

/// A barrier request, a barrier reply, and so on.
pub(crate) fn barrier_request() -> BarrierRequest {
    BarrierRequest { deadline_left_ms: 300, shards: vec![ShardId(0), SHARD, ShardId(u32::MAX)] }
}

pub(crate) fn vouch_request() -> VouchRequest {
    VouchRequest { shards: vec![ShardId(0), SHARD, ShardId(u32::MAX)] }
}

pub(crate) fn vouch_reply() -> VouchReply {
    let set = |replicas: [u64; 3]| replicas.map(ReplicaId).into();
    let voted = Some(Ballot { term: 7, candidate: ReplicaId(300) });
    let voters = vec![set([300, 4, 5]), set([300, 8, u64::MAX])];
    let led = Some(Led { committed: LogIndex(1_234_567), voters });
    let vouch = |replica, voted, led| Vouch { replica: ReplicaId(replica), voted, led };
    VouchReply {
        vouches: vec![
            (ShardId(0), vouch(300, voted, led)),
            (SHARD, vouch(4, voted, None)),
            (ShardId(u32::MAX), vouch(u64::MAX, None, None)),
        ],
    }
}

pub(crate) fn barrier_reply() -> BarrierReply {
    let barrier = |shard, outcome| ShardBarrier {
        shard: ShardId(shard),
        fenced_epoch: RingEpoch(shard),
        outcome,
    };
    let hint = Some(NodeId([9; 16]));
    BarrierReply {
        barriers: vec![
            barrier(0, BarrierOutcome::Applied(LogIndex(1_234_567))),
            barrier(7, BarrierOutcome::NotLeader { hint }),
            barrier(8, BarrierOutcome::NotLeader { hint: None }),
        ],
    }
}

pub(crate) fn write_request() -> WriteRequest {
    let batch = |shard, batch: &'static [u8]| ShardBatch {
        shard: ShardId(shard),
        batch: Bytes::from_static(batch),
    };
    WriteRequest {
        ring_epoch: RingEpoch(3),
        deadline_left_ms: 5_000,
        batches: vec![batch(0, b"SkuB one"), batch(7, b"SkuB two"), batch(7, b"")],
    }
}

pub(crate) fn write_reply() -> WriteReply {
    let outcomes = [
        WriteOutcome::Done,
        WriteOutcome::Refused { reason: "not a batch".into() },
        WriteOutcome::Busy { retry_after_ms: 200 },
        WriteOutcome::NotLeader { hint: Some(NodeId([3; 16])) },
        WriteOutcome::NotLeader { hint: None },
        WriteOutcome::Fenced { epoch: RingEpoch(4) },
        WriteOutcome::Unknown { reason: "the leader stepped down".into() },
    ];
    let outcomes = (0..).zip(outcomes);
    let write = |(shard, outcome)| ShardWrite { shard: ShardId(shard), outcome };
    WriteReply { outcomes: outcomes.map(write).collect() }
}

pub(crate) fn status_request() -> StatusRequest {
    StatusRequest { digests: true }
}

pub(crate) fn status_reply() -> StatusReply {
    let roles =
        [ReplicaRole::Leader, ReplicaRole::Follower, ReplicaRole::Candidate, ReplicaRole::Learner];
    let facts = |(shard, role)| ReplicaFacts {
        shard: ShardId(shard),
        replica: ReplicaId(100 + u64::from(shard)),
        role,
        term: 5,
        applied: LogIndex(1_000),
        last: LogIndex(1_002),
        seal_cut: LogIndex(u64::from(shard) * 400),
        spans: 1 << 33,
        bytes: 1 << 40,
        digest: (shard == 1).then_some(ReplicaDigest { mark: LogIndex(900), sum: u128::MAX / 3 }),
    };
    StatusReply { replicas: (0..).zip(roles).map(facts).collect() }
}
