//! Jaeger's answers are its repairs of the originals, and its searches find what the reference
//! evaluator finds.
//!
//! The recording is sent once, request after request, to an ephemeral node. What must come back is
//! made from the originals without the node: the reference decoder's spans, put through sanitizer,
//! adjusters and translation, and asked by `model::query`'s evaluator.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use api::adjust::{EditableTrace, adjust, sanitize};
use api::jaeger_http::{push_trace, translate};
use model::pace::{Unhurried, unstopped};
use model::query::{
    Comparison, Field, Literal, Order, SpanPredicate, TracePredicate, TraceQuery, ValueTest,
    evaluate,
};
use model::{Duration, Span, TimeRange, Timestamp, TraceId, effective};
use tokio::task::JoinSet;

use crate::client::{Client, Outcome};
use crate::originals;
use crate::server::Server;

/// Spans of the recording that last no time at all.
const INSTANT_SPANS: usize = 3_896;

/// Reads under way at a time.
const READERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jaeger_shows_and_finds_what_its_rules_make_of_the_originals() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--ephemeral"]);
    let client = Client::of(server.ports);
    for message in originals::messages() {
        assert_eq!(client.export_grpc(message).await, Outcome::Acknowledged);
    }
    let traces = Arc::new(originals::traces());
    names_are_those_of_the_originals(&client, &traces).await;
    let shown = Arc::new(shown(&traces));
    every_trace_is_shown_as_jaeger_would(&client, &shown).await;
    for search in searches(&traces) {
        search.check(&client, &traces, &shown).await;
    }
}

/// Each trace as Jaeger writes it.
type Shown = BTreeMap<TraceId, Vec<u8>>;

fn shown(traces: &BTreeMap<TraceId, Vec<Span>>) -> Shown {
    let show = |(trace_id, spans): (&TraceId, &Vec<Span>)| {
        let mut trace = EditableTrace::from_spans(*trace_id, spans.clone());
        unstopped(sanitize(&mut trace, &Unhurried));
        unstopped(adjust(&mut trace, Duration(0), &Unhurried));
        let mut json = Vec::new();
        push_trace(&mut json, &translate(trace));
        (*trace_id, json)
    };
    traces.iter().map(show).collect()
}

/// The answer that holds these traces.
fn envelope<'a>(traces: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut body = b"{\"data\":[".to_vec();
    for (number, trace) in traces.into_iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(trace);
    }
    body.extend_from_slice(b"],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}");
    body
}

async fn every_trace_is_shown_as_jaeger_would(client: &Client, shown: &Arc<Shown>) {
    let left = Arc::new(Mutex::new(shown.keys().copied().collect::<Vec<_>>()));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (client, left, shown) = (client.clone(), Arc::clone(&left), Arc::clone(shown));
        readers.spawn(async move {
            let mut repaired = 0;
            loop {
                let next = left.lock().unwrap().pop();
                let Some(trace_id) = next else { return repaired };
                let answer = client.get(&format!("/api/traces/{trace_id}")).await;
                assert_eq!(answer.status, 200, "trace {trace_id}");
                assert_eq!(answer.completeness(), "complete", "trace {trace_id}");
                let expected = envelope([&shown[&trace_id]]);
                assert_same(&answer.body, &expected, &format!("trace {trace_id}"));
                repaired += answer.text().matches("\"Negative duration detected").count();
            }
        });
    }
    let mut repaired = 0;
    while let Some(ended) = readers.join_next().await {
        repaired += ended.unwrap();
    }
    assert_eq!(repaired, INSTANT_SPANS);
}

/// Compares long texts without printing them whole.
fn assert_same(given: &[u8], expected: &[u8], what: &str) {
    if given == expected {
        return;
    }
    let at = given.iter().zip(expected).take_while(|(left, right)| left == right).count();
    let around = |text: &[u8]| {
        let piece = &text[at.saturating_sub(200).min(text.len())..(at + 200).min(text.len())];
        String::from_utf8_lossy(piece).into_owned()
    };
    let (given, expected) = (around(given), around(expected));
    panic!("{what} differs at byte {at}:\n{given}\ninstead of\n{expected}");
}

async fn names_are_those_of_the_originals(client: &Client, traces: &BTreeMap<TraceId, Vec<Span>>) {
    let mut operations: BTreeMap<String, BTreeSet<(String, &str)>> = BTreeMap::new();
    for span in traces.values().flatten() {
        let service = effective::span_service(span).to_string();
        let operation = effective::span_operation(span).to_string();
        operations.entry(service).or_default().insert((operation, span.kind.name()));
    }
    let strings = |list: &serde_json::Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items.map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let answer = client.get("/api/services").await.json();
    assert_eq!(strings(&answer["data"]), operations.keys().cloned().collect::<Vec<_>>());
    assert_eq!(answer["total"].as_u64(), Some(operations.len() as u64));
    for (service, expected) in operations {
        let answer = client.get(&format!("/api/services/{service}/operations")).await.json();
        let names: BTreeSet<_> = expected.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(strings(&answer["data"]), names.into_iter().collect::<Vec<_>>(), "{service}");
        let answer = client.get(&format!("/api/operations?service={service}")).await.json();
        let given: Vec<_> = answer["data"].as_array().unwrap().iter().collect();
        assert_eq!(given.len(), expected.len(), "{service}");
        for item in given {
            let name = item["name"].as_str().unwrap().to_owned();
            let kind = item["spanKind"].as_str().unwrap();
            assert!(expected.contains(&(name, kind)), "{service}: {item}");
        }
    }
}

/// A search in Jaeger's words and in the model's.
struct Search {
    parameters: String,
    query: TraceQuery,
}

impl Search {
    async fn check(&self, client: &Client, traces: &BTreeMap<TraceId, Vec<Span>>, shown: &Shown) {
        let path = format!("/api/traces?{}", self.parameters);
        let slices = traces.values().map(Vec::as_slice);
        let expected: Vec<TraceId> =
            evaluate(&self.query, slices).into_iter().map(|(key, _)| key.trace_id).collect();
        assert!(!expected.is_empty(), "nothing is searched for by {path}");
        let answer = client.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.completeness()), (200, "complete"), "{path}");
        let json = answer.json();
        let id = |trace: &serde_json::Value| {
            TraceId::from_hex(trace["traceID"].as_str().unwrap()).unwrap()
        };
        let given: Vec<TraceId> = json["data"].as_array().unwrap().iter().map(id).collect();
        println!("{} traces: {path}", given.len());
        assert_eq!(given, expected, "{path}");
        let expected = envelope(expected.iter().map(|trace_id| &shown[trace_id]));
        assert_same(&answer.body, &expected, &path);
    }
}

fn searches(traces: &BTreeMap<TraceId, Vec<Span>>) -> Vec<Search> {
    let starts = || traces.values().flatten().map(|span| span.start.micros());
    let (first, last) = (starts().min().unwrap(), starts().max().unwrap());
    let all = (first, last);
    let half = (first, first + (last - first) / 2);
    let second = (last - 3_000_000, last - 2_000_000);
    let service = |name| field(Field::Service, Comparison::Equal, Literal::String(name));
    let operation = |name| field(Field::Operation, Comparison::Equal, Literal::String(name));
    let at_least = |nanos| field(Field::Duration, Comparison::GreaterOrEqual, Literal::Int(nanos));
    let at_most = |nanos| field(Field::Duration, Comparison::LessOrEqual, Literal::Int(nanos));
    let frontend = || service("frontend".into());
    let proxy = || service("frontend-proxy".into());
    vec![
        search("", all, 20, vec![]),
        search("", second, 500, vec![]),
        search("service=frontend", all, 1, vec![frontend()]),
        search("service=frontend", all, 100, vec![frontend()]),
        search("service=frontend-proxy", half, 300, vec![proxy()]),
        search(
            "service=frontend&operation=GET%20/api/cart",
            all,
            50,
            vec![frontend(), operation("GET /api/cart".into())],
        ),
        search("operation=ingress", second, 200, vec![operation("ingress".into())]),
        search("tag=error:true", all, 40, vec![tag("error", "true")]),
        search(
            "service=frontend&tag=http.status_code:500",
            all,
            30,
            vec![frontend(), tag("http.status_code", "500")],
        ),
        search(
            "tags=%7B%22rpc.system%22%3A%22grpc%22%2C%22span.kind%22%3A%22server%22%7D",
            half,
            25,
            vec![tag("rpc.system", "grpc"), tag("span.kind", "server")],
        ),
        search(
            "tag=app.product.id:HQTGWGPNH4",
            all,
            1_000,
            vec![tag("app.product.id", "HQTGWGPNH4")],
        ),
        search("service=frontend&minDuration=50ms", all, 60, {
            vec![frontend(), at_least(50_000_000)]
        }),
        search("maxDuration=100us", second, 100, vec![at_most(100_000)]),
        search(
            "minDuration=1ms&maxDuration=2ms&tag=component:proxy",
            all,
            70,
            vec![at_least(1_000_000), at_most(2_000_000), tag("component", "proxy")],
        ),
        search(
            "tag=resource.service.name:flagd&tag=rpc.system:connect_rpc",
            all,
            35,
            vec![tag("resource.service.name", "flagd"), tag("rpc.system", "connect_rpc")],
        ),
        search(
            "service=frontend-proxy&operation=ingress&tag=response_size:2621&minDuration=100us",
            all,
            15,
            vec![
                proxy(),
                operation("ingress".into()),
                tag("response_size", "2621"),
                at_least(100_000),
            ],
        ),
    ]
}

fn search(parameters: &str, window: (u64, u64), limit: u32, all: Vec<SpanPredicate>) -> Search {
    let (start, end) = window;
    Search {
        parameters: format!("{parameters}&start={start}&end={end}&limit={limit}"),
        query: TraceQuery {
            window: TimeRange {
                start: Timestamp::from_micros(start),
                end: Timestamp::from_micros(end),
            },
            predicate: TracePredicate::HasSpan(SpanPredicate::All(all)),
            order: Order::Newest,
            limit,
            cursor: None,
        },
    }
}

fn field(field: Field, comparison: Comparison, literal: Literal) -> SpanPredicate {
    SpanPredicate::Field(field, ValueTest::Compare(comparison, literal))
}

fn tag(key: &'static str, value: &'static str) -> SpanPredicate {
    SpanPredicate::JaegerTag { key: key.into(), value: value.into() }
}
