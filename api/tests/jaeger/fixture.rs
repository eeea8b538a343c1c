//! A few traces with everything in them that Jaeger's answers treat in a way of their own.
#![cfg(test)]

use std::sync::Arc;

use api::jaeger_grpc::health::Serving;
use api::jaeger_http::router;
use api::read_context::{ReadContext, ReadLimits};
use axum::Router;
use model::admin::{ClusterAdmin, ClusterStatus, Readiness};
use model::span::{Event, Link, ParentId, SpanKind, Status, StatusCode};
use model::testing::{ManualClock, MemoryStore, simple_span, write_spans};
use model::value::ValueRef;
use model::{
    Attribute, AttributeValue, Duration, Resource, Scope, Span, SpanId, Tenant, Text, Timestamp,
    nested,
};
use tokio_util::sync::CancellationToken;

/// 2024-12-13T12:00:00Z
pub(crate) const NOON: u64 = 1_734_091_200_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// A store with the traces in it, and the APIs over it; the clock shows an hour past noon.
pub(crate) async fn server() -> (MemoryStore, Router) {
    let store = MemoryStore::new();
    let spans = [checkout(), shared_ids(), broken()].concat();
    write_spans(&store, &Tenant::default(), &spans).await.unwrap();
    let other = named(simple_span(9, 9, NOON, NOON + 1), "secret", &[]);
    write_spans(&store, &Tenant::new("other").unwrap(), &[other]).await.unwrap();
    let hour_later = Timestamp(NOON).saturating_add(Duration::from_secs(3_600));
    let limits = ReadLimits { search_limit_max: 2, ..ReadLimits::default() };
    let clock = Arc::new(ManualClock::new(hour_later));
    (store.clone(), router(ReadContext::new(store, clock, limits)))
}

/// Two services, every type of value, events, links, statuses.
fn checkout() -> Vec<Span> {
    let mut root = span(0x1, 0xa1, 0, "GET /cart", SpanKind::SERVER, 0, 100);
    root.attributes = every_type();
    root.trace_state = "vendor=1".into();
    root.flags = 0x101;
    root.status = Some(Status { code: StatusCode::OK, ..Status::default() });
    root.scope = Arc::new(Scope {
        present: true,
        name: "http <lib>".into(),
        version: "1.2".into(),
        attributes: vec![Attribute::new("scope.attribute", "not shown")],
        schema_url: "https://schema/scope".into(),
        ..Scope::default()
    });
    let root = named(root, "frontend", &[("host.name", "f1"), ("telemetry.sdk.name", "sdk")]);

    let mut call = span(0x1, 0xa2, 0xa1, "charge", SpanKind::CLIENT, 10, 60);
    call.status = Some(Status {
        code: StatusCode::ERROR,
        message: "card refused".into(),
        ..Status::default()
    });
    call.events = vec![
        event("retry", 40, vec![Attribute::new("count", 2)]),
        event("exception", 20, vec![Attribute::new("event", "own"), Attribute::new("b", true)]),
        event("", 50, vec![Attribute::new("message", "unnamed")]),
    ];
    call.links = vec![
        link(0x1, 0xa1, Some("child_of")),
        link(0x2, 0xb1, None),
        link(0x3, 0xc1, Some("child_of")),
        link(0x0, 0x0, None),
    ];
    let call = named(call, "frontend", &[("host.name", "f1"), ("telemetry.sdk.name", "sdk")]);

    let mut served = span(0x1, 0xa3, 0xa2, "charge", SpanKind::SERVER, 5, 35);
    served.attributes = vec![
        Attribute::new("telemetry.sdk.name", "other"),
        Attribute::new("peer.ipv4", 0x7f00_0001),
    ];
    let served = named(served, "payment", &[("host.name", "p1"), ("telemetry.sdk.name", "sdk")]);

    let instant = span(0x1, 0xa4, 0xa3, "instant", SpanKind::INTERNAL, 20, 20);
    let instant = named(instant, "payment", &[("host.name", "p1"), ("telemetry.sdk.name", "sdk")]);
    vec![root, call, served, instant]
}

/// Zipkin's shared ids, in a trace whose id has an upper half.
fn shared_ids() -> Vec<Span> {
    let id = "5b8efff798038103d269b633813fc60c";
    let trace_id = model::TraceId::from_hex(id).unwrap();
    let shared = [
        span(0, 0xb1, 0, "call", SpanKind::CLIENT, 2_000, 2_100),
        span(0, 0xb1, 0, "call", SpanKind::SERVER, 2_010, 2_090),
        span(0, 0xb2, 0xb1, "query", SpanKind::CLIENT, 2_020, 2_080),
    ];
    let services = ["zipkin-client", "zipkin-server", "zipkin-server"];
    let spans = shared.into_iter().zip(services);
    spans.map(|(span, service)| named(Span { trace_id, ..span }, service, &[])).collect()
}

/// What the sanitizer repairs.
fn broken() -> Vec<Span> {
    let nameless = span(0x3, 0xc1, 0, "", SpanKind::UNSPECIFIED, 4_000, 3_999);
    let mut orphan = span(0x3, 0xc2, 0xff, "orphan", SpanKind::CONSUMER, 4_001, 4_002);
    orphan.name = Text::copy_from(b"or\xffphan");
    orphan.attributes =
        vec![Attribute::new("text", AttributeValue::String(Text::copy_from(b"\xfe")))];
    vec![nameless, named(orphan, "", &[("x", "y")])]
}

fn every_type() -> Vec<Attribute> {
    let mut list = Vec::new();
    nested::encode_array([ValueRef::String(b"a"), ValueRef::Int(1)], &mut list);
    let mut map = Vec::new();
    nested::encode_pairs([(b"k".as_slice(), ValueRef::Bool(true))], &mut map);
    vec![
        Attribute::new("string", "a \"quoted\" <text>"),
        Attribute::new("bool", false),
        Attribute::new("int", -5),
        Attribute::new("int.safe", (1_i64 << 53) - 1),
        Attribute::new("int.unsafe", 1_i64 << 53),
        Attribute::new("double", 72.5),
        Attribute::new("double.nan", f64::NAN),
        Attribute::new("double.infinite", f64::NEG_INFINITY),
        Attribute::new("bytes", AttributeValue::Bytes(Text::copy_from(b"\0\xff"))),
        Attribute::new("list", AttributeValue::Array(list.into())),
        Attribute::new("map", AttributeValue::KeyValueList(map.into())),
        Attribute::new("empty", AttributeValue::Empty),
        Attribute::new("missing", AttributeValue::Missing),
    ]
}

fn span(
    trace: u64,
    id: u64,
    parent: u64,
    name: &str,
    kind: SpanKind,
    start_ms: u64,
    end_ms: u64,
) -> Span {
    let (start, end) = (NOON + start_ms * MILLISECOND, NOON + end_ms * MILLISECOND);
    let mut span = simple_span(trace, id, start, end);
    span.name = name.into();
    span.kind = kind;
    if parent != 0 {
        span.parent = ParentId::Id(SpanId(parent.to_be_bytes()));
    }
    span
}

fn named(mut span: Span, service: &str, others: &[(&str, &str)]) -> Span {
    let mut attributes = vec![Attribute::new("service.name", service)];
    attributes.extend(others.iter().map(|(key, value)| Attribute::new(*key, *value)));
    span.resource = Arc::new(Resource { present: true, attributes, ..Resource::default() });
    span
}

fn event(name: &str, at_ms: u64, attributes: Vec<Attribute>) -> Event {
    Event {
        time: Timestamp(NOON + at_ms * MILLISECOND),
        name: name.into(),
        attributes,
        dropped_attributes_count: 1,
        unknown: Text::EMPTY,
    }
}

fn link(trace: u128, span: u64, kind: Option<&str>) -> Link {
    Link {
        trace_id: Text::copy_from(&trace.to_be_bytes()),
        span_id: Text::copy_from(&span.to_be_bytes()),
        trace_state: Text::EMPTY,
        attributes: kind
            .map(|kind| Attribute::new("opentracing.ref_type", kind))
            .into_iter()
            .collect(),
        dropped_attributes_count: 0,
        flags: 0,
        unknown: Text::EMPTY,
    }
}

/// A cluster that is ready and of which nothing is known.
#[derive(Debug, Clone)]
pub(crate) struct Nobody;

impl ClusterAdmin for Nobody {
    async fn status(&self) -> ClusterStatus {
        ClusterStatus::default()
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
}

/// The health of a node that is ready until it is told to stop.
pub(crate) fn serving(stopping: CancellationToken) -> Serving {
    Serving::new(Nobody, stopping)
}
