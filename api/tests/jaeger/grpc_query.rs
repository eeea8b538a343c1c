//! Jaeger's query services over gRPC: whole answers as goldens, refusals, bad input.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "goldens are files of the repository, and an environment variable rewrites them"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use api::jaeger_grpc::messages::api_v2;
use api::jaeger_grpc::messages::parameters::FindTracesRequest;
use api::jaeger_grpc::messages::standard::{Duration, Timestamp};
use api::jaeger_grpc::{ports, reflection};
use api::read_context::{ReadContext, ReadLimits};
use api::tenant::Tenancy;
use axum::Router;
use http::{HeaderMap, HeaderName};
use model::testing::{ManualClock, MemoryStore, Random, simple_span, write_spans};
use model::{Tenant, Timestamp as Moment};
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::calls::{call, call_bytes, call_framed, call_with};
use crate::fixture::{NOON, server, serving};

const V2: &str = "jaeger.api_v2.QueryService";
const V3: &str = "jaeger.api_v3.QueryService";
const SECOND: u64 = 1_000_000_000;

fn port(store: MemoryStore, limits: ReadLimits, tenancy: Tenancy) -> Router {
    let clock = std::sync::Arc::new(ManualClock::new(Moment(NOON + 3_600 * SECOND)));
    ports::query(ReadContext::new(store, clock, limits), tenancy, serving(CancellationToken::new()))
}

async fn queries() -> (MemoryStore, Router) {
    let store = server().await.0;
    (store.clone(), port(store, ReadLimits::default(), Tenancy::Off))
}

#[expect(clippy::unnecessary_wraps, reason = "the field of a message")]
fn time(offset_seconds: i64) -> Option<Timestamp> {
    let seconds = i64::try_from(NOON / SECOND).unwrap() + offset_seconds;
    Some(Timestamp { seconds, nanos: 0 })
}

fn trace_id(hex: &str) -> Vec<u8> {
    model::TraceId::from_hex(hex).unwrap().as_bytes().to_vec()
}

fn v2_query() -> api_v2::TraceQueryParameters {
    let (start_time_min, start_time_max) = (time(-60), time(60));
    api_v2::TraceQueryParameters { start_time_min, start_time_max, ..Default::default() }
}

fn v3_query() -> api_v2::TraceQueryParameters {
    let (start_time_min, start_time_max) = (time(-60), time(60));
    api_v2::TraceQueryParameters { start_time_min, start_time_max, ..Default::default() }
}

/// Compares with, or writes, a golden file.
pub(crate) fn check(name: &str, answered: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/jaeger").join(name);
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, answered).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap();
    assert_eq!(answered, known, "{name}: see UPDATE_GOLDENFILES in golden.rs");
}

#[test]
fn the_descriptions_are_what_the_committed_set_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = [
        "jaeger_api_v2.proto",
        "jaeger_api_v3.proto",
        "jaeger_storage_v2.proto",
        "otlp_collector.proto",
        "health.proto",
    ];
    let set = protox::compile(files.map(|file| folder.join(file)), [&folder]).unwrap();
    // Compared as messages without what is only for readers.
    let mut set = set;
    set.file.iter_mut().for_each(|file| file.source_code_info = None);
    let path = folder.join("descriptors.bin");
    let bytes = set.encode_to_vec();
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == bytes, "UPDATE_GOLDENFILES=1 compiles anew");
    assert!(!reflection::DESCRIPTORS.is_empty());
}

#[tokio::test]
async fn api_v2() {
    let (store, router) = queries().await;
    let mut out = String::new();
    let by_id = |id: &str, raw_traces| api_v2::GetTraceRequest {
        trace_id: trace_id(id).into(),
        raw_traces,
        ..Default::default()
    };
    let find = |query| FindTracesRequest { query };
    let method = |name: &str| format!("{V2}/{name}");
    let mut say = async |title: &str, name: &str, message: Vec<u8>| {
        let called = call_bytes(&router, &method(name), &message).await;
        let _ = writeln!(out, "# {title}\n{}", called.print(&method(name)));
    };
    say("one trace", "GetTrace", by_id("1", false).encode_to_vec()).await;
    say("the same, raw", "GetTrace", by_id("1", true).encode_to_vec()).await;
    say("shared ids", "GetTrace", {
        by_id("5b8efff798038103d269b633813fc60c", false).encode_to_vec()
    })
    .await;
    say("a short id", "GetTrace", {
        let trace_id = trace_id("3")[8..].to_vec().into();
        api_v2::GetTraceRequest { trace_id, ..Default::default() }.encode_to_vec()
    })
    .await;
    say("not known", "GetTrace", by_id("ffff", false).encode_to_vec()).await;
    say("no id", "GetTrace", Vec::new()).await;
    say("an id of three bytes", "GetTrace", {
        let trace_id = vec![1, 2, 3].into();
        api_v2::GetTraceRequest { trace_id, ..Default::default() }.encode_to_vec()
    })
    .await;
    let tags = BTreeMap::from([("error".to_owned(), "true".to_owned())]);
    let query = api_v2::TraceQueryParameters {
        service_name: "frontend".to_owned(),
        operation_name: "charge".to_owned(),
        attributes: tags,
        duration_min: Some(Duration { seconds: 0, nanos: 50_000_000 }),
        duration_max: Some(Duration { seconds: 0, nanos: 50_000_000 }),
        search_depth: 5,
        ..v2_query()
    };
    say("search", "FindTraces", find(Some(query)).encode_to_vec()).await;
    let nothing = api_v2::TraceQueryParameters { service_name: "x".to_owned(), ..v2_query() };
    say("nothing found", "FindTraces", find(Some(nothing)).encode_to_vec()).await;
    say("no query", "FindTraces", find(None).encode_to_vec()).await;
    say("services", "GetServices", Vec::new()).await;
    let operations = |service: &str, span_kind: &str| api_v2::GetOperationsRequest {
        service: service.to_owned(),
        span_kind: span_kind.to_owned(),
    };
    say("operations", "GetOperations", operations("frontend", "").encode_to_vec()).await;
    say("of one kind", "GetOperations", operations("payment", "server").encode_to_vec()).await;
    let window = api_v2::GetDependenciesRequest { start_time: time(-60), end_time: time(60) };
    say("dependencies", "GetDependencies", window.encode_to_vec()).await;
    let half = api_v2::GetDependenciesRequest { start_time: None, ..window };
    say("without a start", "GetDependencies", half.encode_to_vec()).await;
    let archive =
        |id: &str| api_v2::GetTraceRequest { trace_id: trace_id(id).into(), ..Default::default() };
    say("archive", "ArchiveTrace", archive("1").encode_to_vec()).await;
    say("archive what is not known", "ArchiveTrace", archive("ffff").encode_to_vec()).await;
    store.set_missing([store.shard_of(model::TraceId::from_hex("1").unwrap())].into());
    say("a shard is missing", "GetTrace", by_id("1", false).encode_to_vec()).await;
    let rest = api_v2::TraceQueryParameters { service_name: "x".to_owned(), ..v2_query() };
    say("a search without it", "FindTraces", find(Some(rest)).encode_to_vec()).await;
    check("grpc_api_v2.txt", &out);
}

#[tokio::test]
async fn api_v3() {
    let (_, router) = queries().await;
    let mut out = String::new();
    let by_id = |id: &str, raw_traces| api_v2::GetTraceRequest {
        trace_id: id.to_owned().into(),
        raw_traces,
        ..Default::default()
    };
    let find = |query| FindTracesRequest { query };
    let mut say = async |title: &str, name: &str, message: Vec<u8>| {
        let method = format!("{V3}/{name}");
        let called = call_bytes(&router, &method, &message).await;
        let _ = writeln!(out, "# {title}\n{}", called.print(&method));
    };
    say("one trace", "GetTrace", by_id("3", false).encode_to_vec()).await;
    say("raw", "GetTrace", by_id("0000000000000001", true).encode_to_vec()).await;
    say("not known", "GetTrace", by_id("ffff", false).encode_to_vec()).await;
    say("not an id", "GetTrace", by_id("x", false).encode_to_vec()).await;
    let query = api_v2::TraceQueryParameters {
        attributes: BTreeMap::from([("double".to_owned(), "72.5".to_owned())]),
        ..v3_query()
    };
    say("search", "FindTraceSummaries", find(Some(query)).encode_to_vec()).await;
    say("summaries", "FindTraceSummaries", find(Some(v3_query())).encode_to_vec()).await;
    let open = api_v2::TraceQueryParameters { start_time_max: None, ..v3_query() };
    say("without an end", "FindTraces", find(Some(open)).encode_to_vec()).await;
    say("no query", "FindTraces", find(None).encode_to_vec()).await;
    let filter = Some(bytes::Bytes::from_static(b"\x0a\x02eq"));
    let filtered = api_v2::TraceQueryParameters { filter, ..v3_query() };
    say("a filter", "FindTraces", find(Some(filtered)).encode_to_vec()).await;
    say("services", "GetServices", Vec::new()).await;
    let operations =
        api_v2::GetOperationsRequest { service: "frontend".to_owned(), span_kind: String::new() };
    say("operations", "GetOperations", operations.encode_to_vec()).await;
    let window = api_v2::GetDependenciesRequest { start_time: time(-60), end_time: time(60) };
    say("dependencies", "GetDependencies", window.encode_to_vec()).await;
    let back = api_v2::GetDependenciesRequest { start_time: time(60), end_time: time(-60) };
    say("backwards", "GetDependencies", back.encode_to_vec()).await;
    check("grpc_api_v3.txt", &out);
}

#[tokio::test]
async fn long_traces_come_in_chunks_of_ten_spans_and_in_messages_that_clients_take() {
    let store = MemoryStore::new();
    let mut spans: Vec<_> = (1..=45).map(|id| simple_span(7, id, NOON + id, NOON + 99)).collect();
    for span in &mut spans {
        span.name = "x".repeat(200_000).into();
    }
    write_spans(&store, &Tenant::default(), &spans).await.unwrap();
    let router = port(store, ReadLimits::default(), Tenancy::Off);
    let request = api_v2::GetTraceRequest { trace_id: trace_id("7").into(), ..Default::default() };
    let called = call(&router, &format!("{V2}/GetTrace"), &request).await;
    assert_eq!(called.messages.len(), 5);
    let request = api_v2::GetTraceRequest { trace_id: "7".into(), ..Default::default() };
    let called = call(&router, &format!("{V3}/GetTrace"), &request).await;
    assert!(called.messages.iter().all(|message| message.len() < 4 << 20));
    let data: Vec<opentelemetry_proto::tonic::trace::v1::TracesData> = called.decoded();
    let spans = data.iter().flat_map(|data| &data.resource_spans);
    let count: usize = spans.flat_map(|it| &it.scope_spans).map(|scope| scope.spans.len()).sum();
    assert_eq!(count, 45);
}

#[tokio::test]
async fn a_tenant_sees_its_own_and_none_is_refused() {
    let store = server().await.0;
    let name = HeaderName::from_static("x-tenant");
    let allowed = Some([Tenant::new("other").unwrap()].into());
    let router = port(store, ReadLimits::default(), Tenancy::Header { name, allowed });
    let method = format!("{V3}/GetServices");
    let of = async |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-tenant", value.parse().unwrap());
        }
        let called = call_with(&router, &method, &[], headers).await;
        let services: Vec<api_v2::GetServicesResponse> = called.decoded();
        (called.code, services.into_iter().flat_map(|it| it.services).collect::<Vec<_>>())
    };
    assert_eq!(of(&["other"]).await, (0, vec!["secret".to_owned()]));
    assert_eq!(of(&[]).await.0, 16);
    assert_eq!(of(&["other", "other"]).await.0, 7);
    assert_eq!(of(&["default"]).await.0, 7);
}

#[tokio::test]
async fn health_is_told_until_the_end() {
    let store = MemoryStore::new();
    let clock = std::sync::Arc::new(ManualClock::new(Moment(NOON)));
    let context = ReadContext::new(store, clock, ReadLimits::default());
    let stopping = CancellationToken::new();
    let router = ports::query(context, Tenancy::Off, serving(stopping.clone()));
    let service = |name: &str| {
        // A request with the one field.
        let response =
            api_v2::GetOperationsRequest { service: name.to_owned(), ..Default::default() };
        response.encode_to_vec()
    };
    let check = "grpc.health.v1.Health/Check";
    for name in ["", V2, V3] {
        let called = call_bytes(&router, check, &service(name)).await;
        assert_eq!((called.code, called.messages), (0, vec![vec![8, 1].into()]), "{name}");
    }
    assert_eq!(call_bytes(&router, check, &service("no.Service")).await.code, 5);
    stopping.cancel();
    let called = call_bytes(&router, "grpc.health.v1.Health/Watch", &service(V2)).await;
    assert_eq!(called.messages, [vec![8, 2]], "not serving, and the stream ends");
    assert_eq!(call_bytes(&router, check, &[]).await.messages, [vec![8, 2]]);
}

#[tokio::test]
async fn reflection_lists_what_is_served() {
    let (_, router) = queries().await;
    for version in ["v1", "v1alpha"] {
        let method = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        // list_services = 7: ""
        let listed = call_bytes(&router, &method, &[0x3a, 0]).await;
        let text = String::from_utf8_lossy(&listed.messages[0]).into_owned();
        assert!(text.contains(V2) && text.contains(V3), "{text}");
        // file_containing_symbol = 4
        let mut symbol = vec![0x22, u8::try_from(V3.len()).unwrap()];
        symbol.extend_from_slice(V3.as_bytes());
        let found = call_bytes(&router, &method, &symbol).await;
        assert_eq!(found.code, 0);
        assert!(String::from_utf8_lossy(&found.messages[0]).contains("FindTraceSummaries"));
    }
}

#[tokio::test]
async fn junk_is_refused_and_nothing_panics() {
    let (_, router) = queries().await;
    let methods = [
        (V2, "GetTrace"),
        (V2, "FindTraces"),
        (V2, "GetOperations"),
        (V2, "GetDependencies"),
        (V2, "ArchiveTrace"),
        (V3, "GetTrace"),
        (V3, "FindTraces"),
        (V3, "FindTraceSummaries"),
        (V3, "GetDependencies"),
        ("grpc.health.v1.Health", "Check"),
    ];
    let seed = 20;
    let mut random = Random::new(seed);
    for (service, name) in methods {
        let method = format!("{service}/{name}");
        for length in 0..60 {
            let junk: Vec<u8> = (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect();
            let _ = call_bytes(&router, &method, &junk).await.code;
        }
        let large = vec![0x0a; 300 << 10];
        assert_eq!(call_bytes(&router, &method, &large).await.code, 8, "{method}");
        for framed in [vec![], vec![0, 0, 0, 0], vec![0, 255, 255, 255, 255, 1], vec![2; 6]] {
            let called = call_framed(&router, &method, framed, HeaderMap::new()).await;
            assert_eq!(called.code, 3, "{method}, seed {seed}");
        }
        let mut gzip = HeaderMap::new();
        gzip.insert("grpc-encoding", "gzip".parse().unwrap());
        let called = call_framed(&router, &method, vec![1, 0, 0, 0, 1, 7], gzip).await;
        assert_eq!(called.code, 3, "{method}");
    }
    assert_eq!(call_bytes(&router, "jaeger.api_v2.QueryService/Nothing", &[]).await.code, 12);
}
