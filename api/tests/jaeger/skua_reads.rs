//! Skua's own reads: columns to the byte, the free query, figures, suggestions.
#![cfg(test)]

use std::fmt::Write as _;
use std::io::Read as _;

use api::read_context::{ReadContext, ReadLimits};
use api::skua;
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use model::query::{Pattern, SpanPredicate};
use model::store::Revision;
use model::testing::{Generator, ManualClock, MemoryStore, Random, write_spans};
use model::trace::columns;
use model::{ShardId, Span, Tenant, Timestamp, TraceId};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::fixture::{NOON, Nobody, server};
use crate::grpc_query::check;

fn port(store: MemoryStore) -> Router {
    let clock = std::sync::Arc::new(ManualClock::new(Timestamp(NOON)));
    skua::router(ReadContext::new(store, clock, ReadLimits::default()), Nobody)
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn ask(
    router: &Router,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Got {
    let mut request = Request::builder().method(method).uri(format!("/api/skua/v1/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    request.extensions_mut().insert(Tenant::default());
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got { status: parts.status, headers: parts.headers, body }
}

async fn get(router: &Router, path: &str) -> Got {
    ask(router, "GET", path, "", &[]).await
}

async fn post(router: &Router, path: &str, body: &str) -> Got {
    ask(router, "POST", path, body, &[]).await
}

/// A body taken apart as the format's description says.
struct Columns {
    head: Value,
    bytes: Bytes,
}

impl Columns {
    fn of(body: &Bytes) -> Self {
        let line = body.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        assert_eq!(line % 8, 0, "the columns are aligned");
        let head: Value = serde_json::from_slice(&body[..line]).unwrap();
        let bytes = body.slice(line..);
        assert_eq!(head["column_bytes"].as_u64().unwrap(), bytes.len() as u64);
        Self { head, bytes }
    }

    fn column(&self, name: &str, type_: &str) -> &[u8] {
        let columns = self.head["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["name"] == name).unwrap();
        assert_eq!(column["type"], type_);
        let of = |member: &str| usize::try_from(column[member].as_u64().unwrap()).unwrap();
        &self.bytes[of("offset")..of("offset") + of("bytes")]
    }

    fn u64s(&self, name: &str) -> Vec<u64> {
        let chunks = self.column(name, "u64").chunks_exact(8);
        chunks.map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    fn u32s(&self, name: &str) -> Vec<u32> {
        let chunks = self.column(name, "u32").chunks_exact(4);
        chunks.map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }
}

/// Several pieces' worth of spans, hostile ones among them.
async fn generated(seed: u64) -> (MemoryStore, TraceId, Vec<Span>) {
    let mut generator = Generator::new(seed);
    let mut spans = Vec::new();
    let trace_id = TraceId([5; 16]);
    while spans.len() < 5_000 {
        spans.extend(generator.trace().into_iter().map(|span| Span { trace_id, ..span }));
    }
    let store = MemoryStore::new();
    write_spans(&store, &Tenant::default(), &spans).await.unwrap();
    (store, trace_id, model::trace::distinct(spans))
}

#[tokio::test]
async fn columns_hold_what_the_store_holds() {
    for seed in [1, 2] {
        let (store, trace_id, spans) = generated(seed).await;
        let router = port(store);
        let got = get(&router, &format!("traces/{trace_id}/columns")).await;
        assert_eq!((got.status.as_u16(), got.header("skua-completeness")), (200, "complete"));
        assert_eq!(got.header("content-type"), "application/vnd.skua.columns");
        assert_eq!(got.header("content-length"), got.body.len().to_string());
        let columns_got = Columns::of(&got.body);
        let wanted = columns(&spans, Revision::default());
        let head = &columns_got.head;
        assert_eq!(head["format"], "skua-columns");
        assert_eq!(head["version"], 1);
        assert_eq!(head["trace_id"], trace_id.to_string());
        assert_eq!(head["spans"].as_u64().unwrap(), spans.len() as u64, "seed {seed}");
        let base: u64 = head["start_time_unix_nano"].as_str().unwrap().parse().unwrap();
        assert_eq!(base, spans[0].start.0);
        let ids: Vec<u8> = wanted.span_ids.iter().flat_map(|id| *id.as_bytes()).collect();
        assert_eq!(columns_got.column("span_id", "bytes8"), ids);
        let starts: Vec<u64> = wanted.starts.iter().map(|start| start.0 - base).collect();
        assert_eq!(columns_got.u64s("start"), starts);
        let durations: Vec<u64> = wanted.durations.iter().map(|duration| duration.0).collect();
        assert_eq!(columns_got.u64s("duration"), durations);
        assert_eq!(columns_got.u32s("parent"), wanted.parents);
        assert_eq!(columns_got.u32s("service"), wanted.service);
        assert_eq!(columns_got.u32s("operation"), wanted.operation);
        assert_eq!(columns_got.column("flags", "u8"), wanted.flags);
        let names = |member: &str| head[member].as_array().unwrap().len();
        let counts = (wanted.services.len(), wanted.operations.len());
        assert_eq!((names("services"), names("operations")), counts);
        let zipped = [("accept-encoding", "gzip")];
        let path = format!("traces/{trace_id}/columns");
        let small = ask(&router, "GET", &path, "", &zipped).await;
        assert_eq!(
            (small.header("content-encoding"), small.header("content-length")),
            ("gzip", "")
        );
        let mut whole = Vec::new();
        flate2::read::GzDecoder::new(&small.body[..]).read_to_end(&mut whole).unwrap();
        assert_eq!(whole, got.body);
    }
}

#[tokio::test]
async fn what_is_found_is_a_bit_a_row() {
    let (store, trace_id, spans) = generated(4).await;
    let router = port(store);
    let path = format!("traces/{trace_id}/find");
    let find = async |body: &str| ask(&router, "POST", &path, body, &[]).await;
    let name = String::from_utf8_lossy(spans[7].name.as_bytes()).to_uppercase();
    let words = Pattern::words(&name).unwrap();
    for (body, predicate) in [
        (r#"{"where":true}"#.to_owned(), SpanPredicate::True),
        (
            serde_json::json!({"where": {"mentions": name}, "stale": true}).to_string(),
            SpanPredicate::Mentions(words),
        ),
    ] {
        let got = find(&body).await;
        assert_eq!((got.status.as_u16(), got.header("skua-completeness")), (200, "complete"));
        let wanted = model::trace::find(&predicate, &spans);
        assert!(wanted.count() > 0);
        let json = got.json();
        let bits = STANDARD.decode(json["rows"].as_str().unwrap()).unwrap();
        assert_eq!(bits, wanted.bits(), "{body}");
        assert_eq!(json["spans"].as_u64().unwrap(), spans.len() as u64);
        assert_eq!(json["found"].as_u64().unwrap(), wanted.count() as u64);
        assert_eq!(json["trace_id"], trace_id.to_string());
    }
    for (body, words) in [
        ("{}", "where: missing"),
        (r#"{"where":true,"limit":1}"#, "limit: unknown; one of where, stale"),
        (r#"{"where":{"mentions":5}}"#, "where.mentions: not a string"),
        (r#"{"where":{"mentions":null}}"#, "where.mentions: missing"),
    ] {
        let got = find(body).await;
        assert_eq!(got.status, 400, "{body}");
        let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{body}: {message}");
    }
    let absent = ask(&router, "POST", "traces/77/find", r#"{"where":true}"#, &[]).await;
    assert_eq!((absent.status.as_u16(), absent.header("skua-completeness")), (404, "complete"));
}

#[tokio::test]
async fn a_revision_holds_until_the_trace_changes() {
    let (store, trace_id, spans) = generated(3).await;
    let router = port(store.clone());
    let path = format!("traces/{trace_id}/columns");
    let first = get(&router, &path).await;
    let revision = Columns::of(&first.body).head["revision"].as_str().unwrap().to_owned();
    let tag = first.header("etag").to_owned();
    assert_eq!(tag, format!("W/\"{revision}\""));
    let known = async |tag: &str| {
        ask(&router, "GET", &path, "", &[("if-none-match", tag)]).await.status.as_u16()
    };
    assert_eq!(known(&tag).await, 304);
    assert_eq!(known(&format!("\"x\", {tag}")).await, 304);
    assert_eq!(known("\"x\"").await, 200);
    let at = format!("{path}?revision={revision}");
    assert_eq!(get(&router, &at).await.status, 200);
    // What happens to other traces is nothing to this one.
    let other = Span { trace_id: TraceId([0x77; 16]), ..spans[0].clone() };
    write_spans(&store, &Tenant::default(), &[other]).await.unwrap();
    write_spans(&store, &Tenant::default(), &spans[..1]).await.unwrap();
    assert_eq!(known(&tag).await, 304);
    write_spans(&store, &Tenant::default(), &[Span { name: "new".into(), ..spans[0].clone() }])
        .await
        .unwrap();
    let moved = get(&router, &at).await;
    assert_eq!(moved.status, 409);
    let now = moved.json()["revision"].as_str().unwrap().to_owned();
    assert_ne!(now, revision);
    assert_eq!(get(&router, &format!("{path}?revision={now}")).await.status, 200);
    assert_eq!(known(&tag).await, 200);
}

#[tokio::test]
async fn a_trace_that_is_not_there_is_told_apart_from_one_that_cannot_be_reached() {
    let router = port(MemoryStore::new());
    let got = get(&router, "traces/77/columns").await;
    assert_eq!((got.status.as_u16(), got.header("skua-completeness")), (404, "complete"));
    let store = MemoryStore::new();
    let ShardId(shard) = store.shard_of(TraceId::from_hex("77").unwrap());
    store.set_missing([ShardId(shard)].into());
    let got = get(&port(store), "traces/77/columns").await;
    assert_eq!(got.header("skua-completeness"), format!("partial; missing={shard}"));
    for bad in ["traces/x/columns", "traces/1/columns?stale=maybe"] {
        let got = get(&router, bad).await;
        assert_eq!(got.status, 400);
        assert!(got.json()["error"]["message"].is_string());
    }
}

/// Answers of everything but columns, whole.
#[tokio::test]
async fn answers() {
    let (store, _) = server().await;
    let router = port(store.clone());
    let mut out = String::new();
    let mut say = async |method: &str, path: &str, body: &str| {
        let got = ask(&router, method, path, body, &[]).await;
        let _ = writeln!(out, "{method} {path}");
        if !body.is_empty() {
            let _ = writeln!(out, "| {body}");
        }
        let kind = got.header("content-type");
        let completeness = got.header("skua-completeness");
        let _ = writeln!(out, "{} {kind} [{completeness}]", got.status.as_u16());
        let _ = writeln!(out, "{}", String::from_utf8_lossy(&got.body));
    };
    say("GET", "search", "").await;
    say("POST", "search", "").await;
    say("POST", "search", r#"{"limit":1,"order":"longest"}"#).await;
    say("POST", "search", r#"{"where":{"span":{"attribute":"double","op":">","value":72}}}"#).await;
    say("POST", "search", r#"{"where":{"error_count":{"op":">=","value":1}},"stale":true}"#).await;
    say("POST", "search", r#"{"where":{"root_service":{"op":"~","value":"^zip"}}}"#).await;
    say("POST", "search", r#"{"window":{"end":"2024-12-13T12:00:01Z"},"limit":9}"#).await;
    say("GET", "search?q=%7B%22limit%22%3A2%7D", "").await;
    say("GET", "search?q=nonsense", "").await;
    say("POST", "search", r#"{"where":{"span":{"field":"colour"}}}"#).await;
    let window = r#""window":{"start":"2024-12-13T12:00:00Z","end":"2024-12-13T12:00:10Z"}"#;
    say("POST", "aggregate", r#"{"kind":"totals"}"#).await;
    say("POST", "aggregate", &format!(r#"{{"kind":"heatmap","step":"1s",{window}}}"#)).await;
    let errors = r#"{"field":"status","op":"=","value":"error"}"#;
    say("POST", "aggregate", &format!(r#"{{"kind":"totals","where":{errors}}}"#)).await;
    let host = r#""key":"host.name","scope":"resource""#;
    say("POST", "aggregate", &format!(r#"{{"kind":"top_values",{host},"limit":1}}"#)).await;
    say("POST", "aggregate", r#"{"kind":"top_values","field":"kind","key":"x"}"#).await;
    say("GET", "search?progress=perhaps", "").await;
    let red = r#""kind":"red","step":"2s","group_by":"operation","quantiles":[0.5,1]"#;
    say("POST", "aggregate", &format!("{{{red},{window}}}")).await;
    for bad in [
        "{}",
        r#"{"kind":"sum"}"#,
        r#"{"kind":"totals","step":"1s"}"#,
        r#"{"kind":"heatmap","step":"1s"}"#,
        &format!(r#"{{"kind":"heatmap","step":0,{window}}}"#),
        &format!(r#"{{"kind":"heatmap","step":1,{window}}}"#),
        r#"{"kind":"top_values"}"#,
        &format!(r#"{{"kind":"red","step":"1s","quantiles":[2],{window}}}"#),
        r#"{"kind":"totals","where":{"duration":{"op":">","value":1}}}"#,
    ] {
        say("POST", "aggregate", bad).await;
    }
    say("GET", "suggest/services", "").await;
    say("GET", "suggest/services?prefix=zip&limit=1", "").await;
    say("GET", "suggest/operations?service=payment", "").await;
    say("GET", "suggest/operations?prefix=ch", "").await;
    say("GET", "suggest/keys?prefix=host", "").await;
    say("GET", "suggest/values?key=host.name&scope=resource", "").await;
    say("GET", "suggest/values?key=host.name&prefix=p", "").await;
    say("GET", "suggest/values", "").await;
    say("GET", "suggest/values?key=a&scope=here", "").await;
    say("GET", "suggest/keys?limit=0", "").await;
    store.set_missing([ShardId(1), ShardId(2)].into());
    say("POST", "search", "{}").await;
    say("GET", "suggest/services", "").await;
    say("POST", "aggregate", r#"{"kind":"totals"}"#).await;
    check("skua_reads.txt", &out);
}

#[tokio::test]
async fn pages_hold_each_trace_once() {
    let store = MemoryStore::new();
    let mut generator = Generator::new(9);
    for spans in generator.traces(60) {
        write_spans(&store, &Tenant::default(), &spans).await.unwrap();
    }
    let router = port(store);
    for order in ["newest", "oldest", "longest", "shortest", "most_spans", "most_errors"] {
        let ids = async |limit: u32| {
            let mut ids = Vec::new();
            let mut cursor = Value::Null;
            loop {
                let query = serde_json::json!({ "order": order, "limit": limit, "cursor": cursor });
                let got = post(&router, "search", &query.to_string()).await;
                let lines = String::from_utf8(got.body.to_vec()).unwrap();
                for line in lines.lines() {
                    let line: Value = serde_json::from_str(line).unwrap();
                    if let Some(trace) = line.get("trace") {
                        ids.push(trace["trace_id"].as_str().unwrap().to_owned());
                    } else {
                        cursor = line["end"]["cursor"].clone();
                    }
                }
                if cursor.is_null() {
                    return ids;
                }
            }
        };
        let whole = ids(10_000).await;
        assert!(whole.len() > 20);
        assert_eq!(ids(7).await, whole, "{order}");
    }
}

#[tokio::test]
async fn junk_is_refused_and_nothing_panics() {
    let router = port(server().await.0);
    let seed = 5;
    let mut random = Random::new(seed);
    let template = concat!(
        r#"{"where":{"span":{"attribute":"a","op":">=","value":5}},"limit":3,"kind":"red","#,
        r#""window":{"start":1,"end":2},"step":"1s","quantiles":[0.5]}"#,
    );
    for path in ["search", "aggregate"] {
        for _ in 0..1_000 {
            let mut bytes = template.as_bytes().to_vec();
            for _ in 0..=random.below(3) {
                let at = random.index(bytes.len());
                bytes[at] = b"{}[]\",:0a \\"[random.index(11)];
            }
            let text = String::from_utf8(bytes).unwrap();
            let got = post(&router, path, &text).await;
            assert!([200, 400].contains(&got.status.as_u16()), "seed {seed}: {text}");
        }
        let large = " ".repeat(300 << 10);
        assert_eq!(post(&router, path, &large).await.status, 413);
        let nested = "[".repeat(100_000);
        assert_eq!(post(&router, path, &nested).await.status, 400);
    }
}
