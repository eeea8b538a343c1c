//! Sampling strategies over HTTP and gRPC, from files good and bad, and from throughput.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use ::http::Request;
use api::ingest::{Admission, Counters, Encoding, Format, Receiver, WriteRequest};
use api::jaeger_grpc::messages::sampling::SamplingStrategyParameters;
use api::jaeger_grpc::ports;
use api::otlp::encode::traces_data;
use api::sampling::{AdaptiveOptions, AdaptiveSampling, Peers, Sampling, StrategiesHandle, http};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use model::span::ParentId;
use model::testing::{ManualClock, MemoryStore, Random, simple_span};
use model::{Attribute, Duration, NodeId, Resource, Span, SpanId, Tenant};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::calls::{call, call_bytes};
use crate::fixture::serving;
use crate::grpc_query::check;

const FILE: &str = r#"{
  "default_strategy": {"type": "probabilistic", "param": 0.5, "operation_strategies": [
    {"operation": "/health", "type": "probabilistic", "param": 0},
    {"operation": "/metrics", "type": "probabilistic", "param": 0.00001}
  ]},
  "service_strategies": [
    {"service": "foo", "type": "probabilistic", "param": 0.8, "operation_strategies": [
      {"operation": "op1", "type": "probabilistic", "param": 0.2},
      {"operation": "/health", "type": "probabilistic", "param": 1},
      {"operation": "op2", "type": "ratelimiting", "param": 10}
    ]},
    {"service": "bar", "type": "ratelimiting", "param": 5.9},
    {"service": "baz", "type": "nonsense", "param": 3},
    {"service": "limited", "type": "ratelimiting", "param": 1, "operation_strategies": [
      {"operation": "op", "type": "probabilistic", "param": 0.3}
    ]},
    null
  ]
}"#;

async fn get(router: &Router, target: &str) -> String {
    let request = Request::get(target).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let kind = parts.headers["content-type"].to_str().unwrap().to_owned();
    let body = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    format!("{} {kind}\n{text}", parts.status.as_u16())
}

#[tokio::test]
async fn a_file_answers_as_jaeger_does() {
    let handle = StrategiesHandle::default();
    let sampling = Sampling::File(handle.clone());
    let router = http::router(sampling.clone());
    let collector = http::collector_router(sampling.clone());
    let grpc = ports::sampling(sampling, serving(CancellationToken::new()));
    let method = "jaeger.api_v2.SamplingManager/GetSamplingStrategy";
    let mut out = String::new();
    let mut say = |title: &str, answer: String| {
        let _ = writeln!(out, "# {title}\n{}\n", answer.trim_end());
    };
    say("no file", get(&router, "/sampling?service=foo").await);
    for warning in handle.replace(FILE.as_bytes()).unwrap() {
        say("warning", warning.to_string());
    }
    for service in ["foo", "bar", "baz", "limited", "unknown"] {
        say(service, get(&router, &format!("/sampling?service={service}")).await);
        let service_name = service.to_owned();
        let called = call(&grpc, method, &SamplingStrategyParameters { service_name }).await;
        say(&format!("{service}, gRPC"), called.print(method));
    }
    for target in ["/?service=bar", "/api/sampling?service=bar", "/any/path?service=bar"] {
        say(target, get(&router, target).await);
    }
    say("collector's port", get(&collector, "/api/sampling?service=bar").await);
    for target in ["/", "/sampling", "/sampling?service=a&service=b", "/sampling?services=a"] {
        say(target, get(&router, target).await);
    }
    check("sampling.txt", &out);
}

#[tokio::test]
async fn bad_content_keeps_the_old_and_says_so() {
    let handle = StrategiesHandle::default();
    handle.replace(FILE.as_bytes()).unwrap();
    let before = handle.strategy("foo");
    for bad in [
        "",
        "{",
        "[]",
        r#"{"service_strategies":{}}"#,
        r#"{"service_strategies":[{"service":1}]}"#,
        r#"{"default_strategy":{"type":"probabilistic","param":"high"}}"#,
    ] {
        let refused = handle.replace(bad.as_bytes()).unwrap_err().to_string();
        assert!(refused.starts_with("failed to unmarshal sampling strategies: "), "{refused}");
        assert_eq!(handle.strategy("foo"), before);
    }
    let large = vec![b' '; 5 << 20];
    assert!(handle.replace(&large).unwrap_err().to_string().contains("1048576"));
    let seed = 3;
    let mut random = Random::new(seed);
    for _ in 0..2_000 {
        let mut bytes = FILE.as_bytes().to_vec();
        let at = random.index(bytes.len());
        bytes[at] = random.next_u64().to_le_bytes()[0] & 0x7f;
        let _ = handle.replace(&bytes);
        let _ = handle.strategy("foo").to_json();
    }
    handle.replace(b"null").unwrap();
    assert_eq!(handle.strategy("foo"), StrategiesHandle::default().strategy("foo"));
}

fn root(id: u64, service: &str, operation: &str, tags: &[(&str, &str)]) -> Span {
    let mut span = simple_span(id, id, 1, 2);
    span.name = operation.into();
    let attributes = vec![Attribute::new("service.name", service)];
    span.resource =
        std::sync::Arc::new(Resource { present: true, attributes, ..Resource::default() });
    span.attributes = tags.iter().map(|(key, value)| Attribute::new(*key, *value)).collect();
    span
}

#[tokio::test]
async fn root_spans_that_name_their_sampler_change_the_probabilities() {
    let adaptive = AdaptiveSampling::new(AdaptiveOptions::default());
    let sampling = Sampling::Adaptive(adaptive.clone());
    let clock = std::sync::Arc::new(ManualClock::default());
    let store = MemoryStore::new();
    let counters = Counters { throughput: sampling.counter(), ..Counters::default() };
    let receiver = Receiver::counting(store, clock, Admission::default(), counters);
    let sampled = [("sampler.type", "probabilistic"), ("sampler.param", "0.001")];
    let mut spans: Vec<Span> = (1..=120).map(|id| root(id, "shop", "GET /", &sampled)).collect();
    spans.push(root(
        500,
        "shop",
        "rare",
        &[("sampler.type", "lowerbound"), ("sampler.param", "0.001")],
    ));
    spans.push(root(501, "shop", "no sampler", &[]));
    spans.push(root(
        502,
        "shop",
        "unknown sampler",
        &[("sampler.type", "x"), ("sampler.param", "1")],
    ));
    let mut child = root(503, "shop", "child", &sampled);
    child.parent = ParentId::Id(SpanId([1; 8]));
    spans.push(child);
    let body = traces_data(&spans).into();
    let admitted = receiver.admission().enter().unwrap();
    let (tenant, encoding, format) = (Tenant::default(), Encoding::Identity, Format::Protobuf);
    let request = WriteRequest { tenant, body, encoding, format, admitted };
    assert_eq!(receiver.receive(request).await.unwrap().spans, 124);
    assert_eq!(adaptive.close(1), Duration(0), "there is nobody to wait for");
    adaptive.step(1).await;
    let router = http::router(sampling.clone());
    let answer = get(&router, "/?service=shop").await;
    let wanted = concat!(
        "200 application/json\n",
        r#"{"strategyType":"PROBABILISTIC","operationSampling":{"#,
        r#""defaultSamplingProbability":0.001,"#,
        r#""defaultLowerBoundTracesPerSecond":0.016666666666666666,"perOperationStrategies":["#,
        r#"{"operation":"GET /","probabilisticSampling":{"samplingRate":0.0005}},"#,
        r#"{"operation":"rare","probabilisticSampling":{"samplingRate":0.002}}],"#,
        r#""defaultUpperBoundTracesPerSecond":0}}"#,
    );
    assert_eq!(answer, wanted);
    let other = get(&router, "/?service=other").await;
    assert!(other.contains(r#""perOperationStrategies":[]"#), "{other}");
    let grpc = ports::sampling(sampling, serving(CancellationToken::new()));
    let method = "jaeger.api_v2.SamplingManager/GetSamplingStrategy";
    for junk in [&[0xff; 3][..], &[0x0a, 9, 1], &[0x0a, 1, 0xff]] {
        assert_eq!(call_bytes(&grpc, method, junk).await.code, 3);
    }
}

/// The notes of three nodes in one place.
#[derive(Debug)]
struct Board {
    own: NodeId,
    notes: Arc<Mutex<BTreeMap<NodeId, Option<Bytes>>>>,
}

impl Peers for Board {
    fn own(&self) -> NodeId {
        self.own
    }

    fn say(&self, note: Bytes) {
        self.notes.lock().unwrap().insert(self.own, Some(note));
    }

    fn ask(&self) -> Pin<Box<dyn Future<Output = BTreeMap<NodeId, Option<Bytes>>> + Send>> {
        let mut notes = self.notes.lock().unwrap().clone();
        notes.remove(&self.own);
        Box::pin(std::future::ready(notes))
    }
}

#[tokio::test]
async fn nodes_of_a_cluster_answer_alike_whoever_took_the_spans() {
    let notes = Arc::<Mutex<BTreeMap<NodeId, Option<Bytes>>>>::default();
    let nodes: Vec<AdaptiveSampling> = (1..=3)
        .map(|number| {
            let node = AdaptiveSampling::new(AdaptiveOptions::default());
            let own = NodeId([number; 16]);
            notes.lock().unwrap().insert(own, None);
            node.share(Arc::new(Board { own, notes: Arc::clone(&notes) }));
            node
        })
        .collect();
    let told =
        |node: &AdaptiveSampling| String::from_utf8(node.strategy("shop").to_json()).unwrap();
    // All spans come to the third node, at ten a second.
    write_roots(&nodes[2], 600, "0.001").await;
    for window in [7, 8] {
        for node in &nodes {
            assert!(node.close(window) > Duration(0), "the others are waited for");
        }
        for node in &nodes {
            node.step(window).await;
            assert_eq!(told(node), told(&nodes[0]), "window {window}");
        }
        if window == 7 {
            assert!(told(&nodes[0]).contains(r#""samplingRate":0.0001}"#), "{}", told(&nodes[0]));
            // One node takes what all should.
            write_roots(&nodes[0], 60, "0.0001").await;
        }
    }
    assert!(told(&nodes[1]).contains(r#""samplingRate":0.0001}"#), "{}", told(&nodes[1]));
}

async fn write_roots(node: &AdaptiveSampling, count: u64, probability: &str) {
    let clock = Arc::new(ManualClock::default());
    let counter = Sampling::Adaptive(node.clone()).counter();
    let counters = Counters { throughput: counter, ..Counters::default() };
    let receiver = Receiver::counting(MemoryStore::new(), clock, Admission::default(), counters);
    let sampled = [("sampler.type", "probabilistic"), ("sampler.param", probability)];
    let spans: Vec<Span> = (1..=count).map(|id| root(id, "shop", "GET /", &sampled)).collect();
    let body = traces_data(&spans).into();
    let admitted = receiver.admission().enter().unwrap();
    let (tenant, encoding, format) = (Tenant::default(), Encoding::Identity, Format::Protobuf);
    let request = WriteRequest { tenant, body, encoding, format, admitted };
    assert_eq!(receiver.receive(request).await.unwrap().spans, count);
}
