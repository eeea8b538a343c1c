//! What Jaeger asks of a store, as Jaeger's own suite asks it, over remote storage: spans are
//! written as OTLP and read back through the services of `jaeger.storage.v2`, and searches are
//! made a second time through api_v3 with every value as text. Nothing is left out.
//!
//! The questions are those of Jaeger's suite, caption by caption; the traces are ours. Beside
//! each trace that a question is to find lie its near misses: the same but for one operation,
//! one nanosecond, one value, or with its attributes spread over two spans.
//!
//! The store is one in memory; or, if the environment names it ([`NODE`]), that of a node that
//! runs, which is emptied before each test. `api/tests/jaeger/on_nodes.sh` does so with one node
//! and with three.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the environment names a node")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::ingest::{Admission, Receiver};
use api::jaeger_grpc::messages::api_v2::{
    self, GetDependenciesRequest, GetDependenciesResponse, GetOperationsRequest,
    GetServicesResponse, GetTraceRequest,
};
use api::jaeger_grpc::messages::parameters::FindTracesRequest;
use api::jaeger_grpc::messages::standard::{Duration, Timestamp};
use api::jaeger_grpc::messages::{api_v3, storage_v2};
use api::jaeger_grpc::ports;
use api::otlp::encode::traces_data;
use api::read_context::{ReadContext, ReadLimits};
use api::tenant::Tenancy;
use axum::Router;
use axum::body::Body;
use http::{Request, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::span::{Event, Link, ParentId, SpanKind};
use model::testing::{ManualClock, MemoryStore, simple_span};
use model::value::ValueRef;
use model::{Attribute, Clock, Resource, Scope, Span, SpanId, Text, Timestamp as Moment, nested};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, TracesData};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::calls::{Called, call, call_bytes};
use crate::fixture::{NOON, serving};

const DAY: u64 = 86_400_000_000_000;
const READER: &str = "jaeger.storage.v2.TraceReader";

/// The variable that names a node: where its remote storage answers, which must allow purges, and
/// where its (or another one's) query service does, `HOST:PORT,HOST:PORT`.
const NODE: &str = "SKUA_CONFORMANCE_NODE";

/// Both ports over one store.
struct Backend {
    storage: Router,
    query: Router,
}

/// An empty store, wherever it is.
async fn backend() -> Backend {
    let Ok(addresses) = std::env::var(NODE) else { return in_memory(false) };
    let (storage, query) = addresses.split_once(',').unwrap();
    let backend = Backend { storage: forward(storage), query: forward(query) };
    assert_eq!(backend.purge().await, 200);
    backend
}

/// Hands requests on to a port, and answers back.
fn forward(address: &str) -> Router {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build::<_, Body>(HttpConnector::new());
    let address = address.to_owned();
    Router::new().fallback(move |mut request: Request<Body>| {
        let (client, address) = (client.clone(), address.clone());
        async move {
            let target = format!("http://{address}{}", request.uri().path());
            *request.uri_mut() = target.parse().unwrap();
            *request.version_mut() = Version::HTTP_2;
            client.request(request).await.unwrap().map(Body::new)
        }
    })
}

fn in_memory(allow_purge: bool) -> Backend {
    let store = MemoryStore::new();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Moment(NOON)));
    let receiver = Receiver::new(store.clone(), Arc::clone(&clock), Admission::default());
    let context = ReadContext::new(store, clock, ReadLimits::default());
    let serving = serving(CancellationToken::new());
    Backend {
        storage: ports::remote_storage(
            context.clone(),
            receiver,
            Tenancy::Off,
            allow_purge,
            serving.clone(),
        ),
        query: ports::query(context, Tenancy::Off, serving),
    }
}

impl Backend {
    /// As Jaeger's harness writes: few spans a request.
    async fn write(&self, spans: &[Span]) {
        self.write_by(5, spans).await;
    }

    async fn write_by(&self, count: usize, spans: &[Span]) {
        let method = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
        for some in spans.chunks(count) {
            assert_eq!(call_bytes(&self.storage, method, &traces_data(some)).await.code, 0);
        }
    }

    async fn read(&self, name: &str, message: &impl Message) -> Called {
        let called = call(&self.storage, &format!("{READER}/{name}"), message).await;
        assert_eq!((called.code, called.message.as_str()), (0, ""), "{name}");
        called
    }

    async fn get(&self, ids: &[u64]) -> Vec<TracesData> {
        let params = |id: &u64| GetTraceRequest {
            trace_id: u128::from(*id).to_be_bytes().to_vec().into(),
            ..Default::default()
        };
        let request = storage_v2::GetTracesRequest { query: ids.iter().map(params).collect() };
        self.read("GetTraces", &request).await.decoded()
    }

    async fn purge(&self) -> u16 {
        let request = Request::post("/purge").body(Body::empty()).unwrap();
        self.storage.clone().oneshot(request).await.unwrap().status().as_u16()
    }
}

/// One span a resource, in an order that does not depend on how they came: what may be compared.
fn split(data: &[TracesData]) -> Vec<Vec<u8>> {
    let mut single = Vec::new();
    for resource in data.iter().flat_map(|data| &data.resource_spans) {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                let scope = ScopeSpans {
                    scope: scope.scope.clone(),
                    spans: vec![span.clone()],
                    schema_url: scope.schema_url.clone(),
                };
                let one = ResourceSpans {
                    resource: resource.resource.clone(),
                    scope_spans: vec![scope],
                    schema_url: resource.schema_url.clone(),
                };
                single.push(one.encode_to_vec());
            }
        }
    }
    single.sort();
    single
}

fn written(spans: &[Span]) -> Vec<Vec<u8>> {
    split(&[TracesData::decode(traces_data(spans).as_slice()).unwrap()])
}

fn ids_in(data: &[TracesData]) -> BTreeSet<Vec<u8>> {
    let resources = data.iter().flat_map(|data| &data.resource_spans);
    let spans = resources.flat_map(|it| &it.scope_spans).flat_map(|it| &it.spans);
    spans.map(|span| span.trace_id.clone()).collect()
}

/// Where the four attributes stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spot {
    Nowhere,
    Span,
    Event,
    Resource,
    Scope,
    Link,
    /// Each elsewhere.
    Spread,
    /// Not attributes, but the scope's name and version.
    ScopeName,
}

struct Case {
    caption: &'static str,
    spot: Spot,
    has_operation: bool,
    /// Bounds in nanoseconds; zero is none.
    duration: (u64, u64),
    /// How long the span is that is to be found.
    lasts: u64,
    traces: u64,
}

const fn case(
    caption: &'static str,
    spot: Spot,
    has_operation: bool,
    duration: (u64, u64),
    lasts: u64,
) -> Case {
    Case { caption, spot, has_operation, duration, lasts, traces: 1 }
}

const MAX: (u64, u64) = (0, 2_000);
const RANGE: (u64, u64) = (4_500, 5_500);
const ANY: (u64, u64) = (0, 0);

const CASES: [Case; 25] = [
    case("Tags in one spot - Tags", Spot::Span, false, ANY, 7_000),
    case("Tags in one spot - Logs", Spot::Event, false, ANY, 7_000),
    case("Tags in one spot - Process", Spot::Resource, false, ANY, 7_000),
    case("Tags in different spots", Spot::Spread, false, ANY, 7_000),
    case("Trace spans over multiple indices", Spot::Nowhere, false, ANY, 7_000),
    case("Operation name", Spot::Nowhere, true, ANY, 7_000),
    case("Operation name + max Duration", Spot::Nowhere, true, MAX, 1_000),
    case("Operation name + Duration range", Spot::Nowhere, true, RANGE, 5_000),
    case("Duration range", Spot::Nowhere, false, RANGE, 4_500),
    case("max Duration", Spot::Nowhere, false, (0, 1_000), 1_000),
    case("default", Spot::Nowhere, false, ANY, 100_000),
    case("Tags + Operation name", Spot::Span, true, ANY, 7_000),
    case("Tags + Operation name + max Duration", Spot::Span, true, MAX, 2_000),
    case("Tags + Operation name + Duration range", Spot::Span, true, RANGE, 5_500),
    case("Tags + Duration range", Spot::Span, false, RANGE, 5_000),
    case("Tags + max Duration", Spot::Span, false, MAX, 1_000),
    case("Multi-spot Tags + Operation name", Spot::Spread, true, ANY, 7_000),
    case("Multi-spot Tags + Operation name + max Duration", Spot::Spread, true, MAX, 1_000),
    case("Multi-spot Tags + Operation name + Duration range", Spot::Spread, true, RANGE, 5_000),
    case("Multi-spot Tags + Duration range", Spot::Spread, false, RANGE, 5_000),
    case("Multi-spot Tags + max Duration", Spot::Spread, false, MAX, 1_000),
    Case { traces: 3, ..case("Multiple Traces", Spot::Nowhere, false, ANY, 7_000) },
    case("Scope Name and Version", Spot::ScopeName, false, ANY, 7_000),
    case("Scope Attributes", Spot::Scope, false, ANY, 7_000),
    case("Link Attributes", Spot::Link, false, ANY, 7_000),
];

const KEYS: [&str; 4] = ["sameplacetag1", "sameplacetag2", "sameplacetag3", "sameplacetag4"];
const TEXTS: [&str; 4] = ["sameplacevalue", "123", "72.5", "true"];

fn tags() -> [Attribute; 4] {
    let [first, second, third, fourth] = KEYS;
    [
        Attribute::new(first, TEXTS[0]),
        Attribute::new(second, 123),
        Attribute::new(third, 72.5),
        Attribute::new(fourth, true),
    ]
}

impl Case {
    fn service(&self) -> String {
        format!("{}-service", self.caption.replace(' ', "-"))
    }

    /// The span that is to be found.
    fn span(&self, trace: u64) -> Span {
        let start = NOON - DAY + trace * 1_000_000;
        let mut span = simple_span(trace, trace + 1, start, start + self.lasts);
        span.name = "wanted-operation".into();
        place(&mut span, self.spot, &tags(), &self.service());
        span
    }

    /// The trace that is to be found: beside that span a child that matches nothing, and for
    /// the case of several indices one a day earlier.
    fn wanted(&self, trace: u64) -> Vec<Span> {
        let span = self.span(trace);
        let mut child = simple_span(trace, trace + 2, span.start.0 + 1, span.start.0 + 90_000_000);
        child.name = "child-operation".into();
        child.parent = ParentId::Id(span.span_id);
        place(&mut child, Spot::Nowhere, &[], "some-other-service");
        if self.caption == "Trace spans over multiple indices" {
            child.start = Moment(span.start.0 - DAY);
            child.end = Moment(span.end.0 - DAY);
        }
        vec![span, child]
    }

    /// Traces of the same service that miss by one thing.
    fn misses(&self, mut trace: u64) -> Vec<Vec<Span>> {
        let mut misses = Vec::new();
        let mut next = || {
            trace += 10;
            trace
        };
        if self.has_operation {
            let mut span = self.span(next());
            span.name = "wanted-operation2".into();
            misses.push(vec![span]);
        }
        let (min, max) = self.duration;
        for wrong in [min.checked_sub(1), (max > 0).then_some(max + 1)].into_iter().flatten() {
            let mut span = self.span(next());
            span.end = Moment(span.start.0 + wrong);
            misses.push(vec![span]);
        }
        if !matches!(self.spot, Spot::Nowhere) {
            let mut wrong = tags();
            wrong[3] = Attribute::new(KEYS[3], false);
            let mut span = self.span(next());
            place(&mut span, self.spot, &wrong, &self.service());
            if self.spot == Spot::ScopeName {
                span.scope =
                    Arc::new(Scope { present: true, name: "scope".into(), ..Scope::default() });
            }
            misses.push(vec![span]);
            let both = next();
            let (mut left, mut right) = (self.span(both), self.span(both));
            right.span_id = SpanId([9; 8]);
            place(&mut left, Spot::Span, &tags()[..2], &self.service());
            place(&mut right, Spot::Span, &tags()[2..], &self.service());
            misses.push(vec![left, right]);
        }
        let mut elsewhere = self.span(next());
        place(&mut elsewhere, self.spot, &tags(), "near-miss-service");
        misses.push(vec![elsewhere]);
        misses
    }

    fn attributes(&self) -> Vec<(&'static str, &'static str)> {
        match self.spot {
            Spot::Nowhere => Vec::new(),
            Spot::ScopeName => vec![("scope.name", "scope-name"), ("scope.version", "1.2.3")],
            _ => KEYS.into_iter().zip(TEXTS).collect(),
        }
    }

    fn operation(&self) -> String {
        if self.has_operation { "wanted-operation".to_owned() } else { String::new() }
    }

    fn durations(&self) -> (Option<Duration>, Option<Duration>) {
        let bound = |nanos: u64| {
            let nanos = i32::try_from(nanos).unwrap();
            (nanos > 0).then_some(Duration { seconds: 0, nanos })
        };
        (bound(self.duration.0), bound(self.duration.1))
    }

    /// With values of their types, as Jaeger itself asks remote storage.
    fn of_storage(&self) -> FindTracesRequest<storage_v2::TraceQueryParameters> {
        let encoded = |value: ValueRef<'_>| {
            let mut bytes = Vec::new();
            nested::encode_value(value, &mut bytes);
            Some(bytes.into())
        };
        let typed = tags();
        let attributes = self.attributes().into_iter().enumerate();
        let attributes = attributes.map(|(place, (key, text))| storage_v2::KeyValue {
            key: key.to_owned(),
            value: match self.spot {
                Spot::ScopeName => encoded(ValueRef::String(text.as_bytes())),
                _ => encoded(typed[place].value.as_ref()),
            },
        });
        let (duration_min, duration_max) = self.durations();
        let query = storage_v2::TraceQueryParameters {
            service_name: self.service(),
            operation_name: self.operation(),
            attributes: attributes.collect(),
            start_time_min: time(NOON - 3 * DAY),
            start_time_max: time(NOON),
            duration_min,
            duration_max,
            search_depth: 1_000,
            filter: None,
        };
        FindTracesRequest { query: Some(query) }
    }

    /// With values as text, through the query service.
    fn of_api_v3(&self) -> FindTracesRequest<api_v2::TraceQueryParameters> {
        let attributes = self.attributes().into_iter();
        let (duration_min, duration_max) = self.durations();
        let query = api_v2::TraceQueryParameters {
            service_name: self.service(),
            operation_name: self.operation(),
            attributes: attributes.map(|(key, text)| (key.to_owned(), text.to_owned())).collect(),
            start_time_min: time(NOON - 3 * DAY),
            start_time_max: time(NOON),
            duration_min,
            duration_max,
            search_depth: 1_000,
            raw_traces: true,
            filter: None,
        };
        FindTracesRequest { query: Some(query) }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the field of a message")]
fn time(nanos: u64) -> Option<Timestamp> {
    Some(Moment(nanos).into())
}

/// Puts attributes where they are to stand, and nowhere else.
fn place(span: &mut Span, spot: Spot, tags: &[Attribute], service: &str) {
    let of = |wanted: Spot, turn: usize| -> Vec<Attribute> {
        if spot == wanted {
            return tags.to_vec();
        }
        let turns = tags.iter().enumerate().filter(|(place, _)| *place == turn);
        if spot == Spot::Spread { turns.map(|(_, tag)| tag.clone()).collect() } else { Vec::new() }
    };
    let mut attributes = vec![Attribute::new("service.name", service)];
    attributes.extend(of(Spot::Resource, 2));
    span.resource = Arc::new(Resource { present: true, attributes, ..Resource::default() });
    let (name, version) = match spot {
        Spot::ScopeName => ("scope-name", "1.2.3"),
        _ => ("", ""),
    };
    span.scope = Arc::new(Scope {
        present: true,
        name: name.into(),
        version: version.into(),
        attributes: of(Spot::Scope, 3),
        ..Scope::default()
    });
    span.attributes = of(Spot::Span, 0);
    let event = |attributes| Event {
        time: Moment(span.start.0 + 7),
        name: Text::EMPTY,
        attributes,
        dropped_attributes_count: 0,
        unknown: Text::EMPTY,
    };
    span.events = vec![event(of(Spot::Event, 1)), event(Vec::new())];
    span.links = vec![Link {
        trace_id: Text::copy_from(&[7; 16]),
        span_id: Text::copy_from(&[7; 8]),
        trace_state: Text::EMPTY,
        attributes: of(Spot::Link, 4),
        dropped_attributes_count: 0,
        flags: 0,
        unknown: Text::EMPTY,
    }];
}

/// Everything loaded first, then every question: exactly its traces, just as they were written.
#[tokio::test]
async fn find_traces() {
    let backend = backend().await;
    let mut expected: Vec<Vec<Span>> = Vec::new();
    for (number, case) in (1_u64..).zip(&CASES) {
        let traces = (0..case.traces).map(|trace| case.wanted(number * 10_000 + trace * 100));
        let spans: Vec<Span> = traces.flatten().collect();
        backend.write(&spans).await;
        expected.push(spans);
        // Where nothing but the service is asked, only another service can miss.
        let finds_all = case.spot == Spot::Nowhere && !case.has_operation && case.duration == ANY;
        for miss in case.misses(number * 10_000 + 5_000) {
            let name = miss[0].resource.attributes[0].value.as_text();
            if !finds_all || name != Some(&case.service().as_str().into()) {
                backend.write(&miss).await;
            }
        }
    }
    for (case, expected) in CASES.iter().zip(&expected) {
        let found = backend.read("FindTraces", &case.of_storage()).await;
        let data: Vec<TracesData> = found.decoded();
        assert_eq!(split(&data), written(expected), "{}", case.caption);
        assert!(data.iter().all(|message| ids_in(std::slice::from_ref(message)).len() == 1));
        let method = "jaeger.api_v3.QueryService/FindTraces";
        let found = call(&backend.query, method, &case.of_api_v3()).await;
        let data: Vec<TracesData> = found.decoded();
        assert_eq!(split(&data), written(expected), "{}, as text", case.caption);
        let ids: Vec<storage_v2::FindTraceIdsResponse> =
            backend.read("FindTraceIDs", &case.of_storage()).await.decoded();
        let ids: BTreeSet<_> = ids[0].trace_ids.iter().map(|id| id.trace_id.clone()).collect();
        assert_eq!(ids, ids_in(&data), "{}", case.caption);
    }
}

fn named(trace: u64, id: u64, service: &str, operation: &str, kind: SpanKind) -> Span {
    let mut span = simple_span(trace, id, NOON - DAY + id, NOON - DAY + id + 1_000);
    place(&mut span, Spot::Nowhere, &[], service);
    span.name = operation.into();
    span.kind = kind;
    span
}

fn example_trace() -> Vec<Span> {
    let service = "example-service-1";
    let mut spans = vec![
        named(0x11, 3, service, "example-operation-1", SpanKind::UNSPECIFIED),
        named(0x11, 4, "example-service-2", "example-operation-2", SpanKind::INTERNAL),
        named(0x11, 5, service, "example-operation-3", SpanKind::SERVER),
        named(0x11, 6, service, "example-operation-4", SpanKind::CLIENT),
        named(0x11, 7, "example-service-3", "example-operation-1", SpanKind::CONSUMER),
    ];
    for child in &mut spans[1..] {
        child.parent = ParentId::Id(SpanId(3_u64.to_be_bytes()));
    }
    let mut list = Vec::new();
    nested::encode_array([ValueRef::Int(1), ValueRef::Empty], &mut list);
    spans[0].attributes = vec![
        Attribute::new("list", model::AttributeValue::Array(list.into())),
        Attribute::new("bytes", model::AttributeValue::Bytes(Text::copy_from(b"\0\xff"))),
        Attribute::new("repeated", 1),
        Attribute::new("repeated", 1),
    ];
    spans
}

#[tokio::test]
async fn services_operations_and_a_trace_of_the_example() {
    let backend = backend().await;
    let spans = example_trace();
    backend.write(&spans).await;
    let services: Vec<GetServicesResponse> =
        backend.read("GetServices", &storage_v2::GetTracesRequest::default()).await.decoded();
    let names = ["example-service-1", "example-service-2", "example-service-3"];
    assert_eq!(services[0].services, names);
    let of = async |span_kind: &str| {
        let service = "example-service-1".to_owned();
        let request = GetOperationsRequest { service, span_kind: span_kind.to_owned() };
        let answer: Vec<api_v3::GetOperationsResponse> =
            backend.read("GetOperations", &request).await.decoded();
        let operations = answer[0].operations.iter();
        operations.map(|it| (it.name.clone(), it.span_kind.clone())).collect::<Vec<_>>()
    };
    let pair = |name: &str, kind: &str| (format!("example-operation-{name}"), kind.to_owned());
    assert_eq!(of("").await, [pair("1", ""), pair("3", "server"), pair("4", "client")]);
    assert_eq!(of("server").await, [pair("3", "server")]);
    assert_eq!(split(&backend.get(&[0x11]).await), written(&spans));
    assert!(backend.get(&[0x99]).await.is_empty(), "nothing found is no error");
    assert_eq!(split(&backend.get(&[0x99, 0x11, 0x98]).await), written(&spans));
}

#[tokio::test]
async fn a_large_trace_comes_back_whole_in_messages_that_jaeger_takes() {
    let backend = backend().await;
    let spans: Vec<Span> =
        (1..=10_008).map(|id| named(0x12, id, "large", "op", SpanKind::CLIENT)).collect();
    // Every write sorts the trace anew in the memory store.
    backend.write_by(2_502, &spans).await;
    let id = u128::from(0x12_u64).to_be_bytes().to_vec().into();
    let params = GetTraceRequest { trace_id: id, ..Default::default() };
    let request = storage_v2::GetTracesRequest { query: vec![params] };
    let called = backend.read("GetTraces", &request).await;
    assert!(called.messages.iter().all(|message| message.len() < 4 << 20));
    assert_eq!(split(&called.decoded()), written(&spans));
}

#[tokio::test]
async fn different_spans_under_one_id_are_all_kept() {
    let backend = backend().await;
    let mut spans: Vec<Span> =
        (1..=200).map(|id| named(0x13, id, "twins", "op", SpanKind::CLIENT)).collect();
    for (place, span) in spans.iter_mut().enumerate().filter(|(place, _)| place % 20 == 0) {
        span.span_id = SpanId([1; 8]);
        span.name = format!("twin {place}").into();
    }
    backend.write(&spans).await;
    assert_eq!(split(&backend.get(&[0x13]).await), written(&spans));
}

#[tokio::test]
async fn find_trace_summaries() {
    let backend = backend().await;
    backend.write(&example_trace()).await;
    let query = storage_v2::TraceQueryParameters {
        service_name: "example-service-1".to_owned(),
        start_time_min: time(NOON - 2 * DAY),
        start_time_max: time(NOON),
        ..Default::default()
    };
    let request = FindTracesRequest { query: Some(query) };
    let answer: Vec<api_v3::FindTraceSummariesResponse> =
        backend.read("FindTraceSummaries", &request).await.decoded();
    let summary = &answer[0].summaries[0];
    assert_eq!((answer.len(), answer[0].summaries.len(), summary.span_count), (1, 1, 5));
    assert_eq!(summary.min_start_time_unix_nano, NOON - DAY + 3);
    assert_eq!(summary.max_end_time_unix_nano, NOON - DAY + 7 + 1_000);
    let services: Vec<_> =
        summary.services.iter().map(|it| (it.name.as_str(), it.span_count)).collect();
    let wanted = [("example-service-1", 3), ("example-service-2", 1), ("example-service-3", 1)];
    assert_eq!(services, wanted);
}

#[tokio::test]
async fn find_traces_without_a_service_name() {
    let backend = backend().await;
    let mut expected = BTreeSet::new();
    for (id, service) in [(0x21, "cross-service-a"), (0x22, "cross-service-b")] {
        let mut span = named(id, 1, service, "op", SpanKind::SERVER);
        span.attributes = vec![Attribute::new("rfc0013.cross.service", "yes")];
        expected.insert(u128::from(id).to_be_bytes().to_vec());
        backend.write(&[span, named(id + 100, 1, service, "op", SpanKind::SERVER)]).await;
    }
    let capabilities = "jaeger.storage.v2.Capabilities/GetCapabilities";
    let answer = call_bytes(&backend.storage, capabilities, &[]).await;
    let answer: Vec<storage_v2::GetCapabilitiesResponse> = answer.decoded();
    let search = answer[0].search.clone().unwrap();
    assert!(search.without_service_name && search.same_span_conjunction);
    assert!(search.filter.is_none());
    let attributes = BTreeMap::from([("rfc0013.cross.service".to_owned(), "yes".to_owned())]);
    let query = api_v2::TraceQueryParameters {
        attributes,
        start_time_min: time(NOON - 2 * DAY),
        start_time_max: time(NOON),
        search_depth: 10,
        raw_traces: true,
        ..Default::default()
    };
    let request = FindTracesRequest { query: Some(query) };
    let found = call(&backend.query, "jaeger.api_v3.QueryService/FindTraces", &request).await;
    assert_eq!(ids_in(&found.decoded()), expected);
}

#[tokio::test]
async fn dependencies_are_read_back() {
    let backend = backend().await;
    backend.write(&example_trace()).await;
    let method = "jaeger.storage.v2.DependencyReader/GetDependencies";
    let window = GetDependenciesRequest { start_time: time(NOON - 2 * DAY), end_time: time(NOON) };
    let answer = call(&backend.storage, method, &window).await;
    let answer: Vec<GetDependenciesResponse> = answer.decoded();
    let links = answer[0].dependencies.iter();
    let links: Vec<_> =
        links.map(|link| (link.parent.as_str(), link.child.as_str(), link.call_count)).collect();
    let root = "example-service-1";
    let wanted = [(root, root, 2), (root, "example-service-2", 1), (root, "example-service-3", 1)];
    assert_eq!(links, wanted);
    let open = GetDependenciesRequest { start_time: None, ..window };
    assert_eq!(call(&backend.storage, method, &open).await.code, 3);
}

#[tokio::test]
async fn a_purge_empties_everything_and_only_where_it_is_allowed() {
    let backend_without = in_memory(false);
    backend_without.write(&example_trace()).await;
    assert_eq!(backend_without.purge().await, 403);
    assert!(!backend_without.get(&[0x11]).await.is_empty(), "nothing was purged");
    let backend = if std::env::var(NODE).is_ok() { backend().await } else { in_memory(true) };
    backend.write(&example_trace()).await;
    for (name, value) in [("origin", "https://elsewhere.example"), ("sec-fetch-site", "cross-site")]
    {
        let form = Request::post("/purge")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value);
        let posted = backend.storage.clone().oneshot(form.body(Body::empty()).unwrap()).await;
        assert_eq!(posted.unwrap().status(), 403, "{name}");
    }
    assert!(!backend.get(&[0x11]).await.is_empty(), "a page purged");
    assert_eq!(backend.purge().await, 200);
    let services: Vec<GetServicesResponse> =
        backend.read("GetServices", &storage_v2::GetTracesRequest::default()).await.decoded();
    assert!(services[0].services.is_empty());
    assert!(backend.get(&[0x11]).await.is_empty());
    let get = Request::get("/purge").body(Body::empty()).unwrap();
    assert_eq!(backend.storage.clone().oneshot(get).await.unwrap().status(), 405);
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let backend = backend().await;
    for (name, message) in [
        ("FindTraces", &[][..]),
        ("FindTraceIDs", &[]),
        ("FindTraceSummaries", &[]),
        ("GetTraces", &[0x0a, 0]),
        ("GetTraces", &[0x0a, 5, 0x0a, 3, 1, 2, 3]),
        ("GetTraces", &[0xff]),
        // A filter, which the capabilities do not offer.
        ("FindTraces", &[0x0a, 2, 0x4a, 0]),
    ] {
        let called = call_bytes(&backend.storage, &format!("{READER}/{name}"), message).await;
        assert_eq!(called.code, 3, "{name} {message:?}");
    }
    let params = GetTraceRequest { trace_id: vec![1; 16].into(), ..Default::default() };
    let request = storage_v2::GetTracesRequest { query: vec![params; 10_001] };
    let called = call(&backend.storage, &format!("{READER}/GetTraces"), &request).await;
    // Over the bound on ids or, before that, on bytes.
    assert!([3, 8].contains(&called.code));
}
