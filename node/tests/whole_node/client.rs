//! A client of a node: any request, byte for byte, over HTTP/1 or as gRPC.
//!
//! The gRPC framing is written by hand, so that nothing is tidied on its way to the node.
#![cfg(test)]

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::request::Builder;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::server::Ports;

/// Longer than any deadline of the node's own.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(1);

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Connections to one node. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http1: Pool<HttpConnector, Full<Bytes>>,
    http2: Pool<HttpConnector, Full<Bytes>>,
    ports: Ports,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    trailers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the node says of the completeness of a read.
    pub(crate) fn completeness(&self) -> &str {
        self.header("skua-completeness")
    }

    /// gRPC's status, wherever it stands.
    pub(crate) fn grpc_status(&self) -> i32 {
        let value = self.trailers.get("grpc-status").or(self.headers.get("grpc-status"));
        value.map_or(-1, |value| value.to_str().unwrap().parse().unwrap())
    }
}

/// What became of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every span is acknowledged.
    Acknowledged,
    /// Nobody knows, or not now: to be sent again.
    Unknown,
}

impl Client {
    /// Connects when first used.
    pub(crate) fn of(ports: Ports) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http1 = Pool::builder(TokioExecutor::new()).build(connector.clone());
        let http2 = Pool::builder(TokioExecutor::new()).http2_only(true).build(connector);
        Self { http1, http2, ports }
    }

    /// A GET at the port of the UI.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_at(self.ports.ui, path).await
    }

    /// A GET at a port.
    pub(crate) async fn get_at(&self, port: u16, path: &str) -> Answer {
        self.get_from(&format!("127.0.0.1:{port}"), path).await
    }

    /// A GET at any address.
    pub(crate) async fn get_from(&self, address: &str, path: &str) -> Answer {
        let request = Request::get(format!("http://{address}{path}"));
        send(&self.http1, request, Bytes::new()).await.unwrap()
    }

    /// A request for the port of OTLP over HTTP.
    pub(crate) fn post(&self) -> Builder {
        Request::post(format!("http://127.0.0.1:{}/v1/traces", self.ports.otlp_http))
    }

    /// Sends a request over HTTP/1.
    pub(crate) async fn send(&self, request: Builder, body: Bytes) -> Result<Answer, String> {
        send(&self.http1, request, body).await
    }

    /// Sends one gRPC call of one message.
    pub(crate) async fn call(&self, message: &[u8], encoding: &str) -> Result<Answer, String> {
        let mut framed = Vec::with_capacity(message.len() + 5);
        framed.push(u8::from(encoding != "identity"));
        framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        framed.extend(message);
        let request = Request::post(format!("http://127.0.0.1:{}{EXPORT}", self.ports.otlp_grpc))
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .header("te", "trailers");
        send(&self.http2, request, framed.into()).await
    }

    /// The frame with what the query services' port says of its health.
    pub(crate) async fn health_over_grpc(&self) -> Vec<u8> {
        const CHECK: &str = "/grpc.health.v1.Health/Check";
        let request = Request::post(format!("http://127.0.0.1:{}{CHECK}", self.ports.query_grpc))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        send(&self.http2, request, Bytes::from_static(&[0; 5])).await.unwrap().body.to_vec()
    }

    /// Exports over gRPC.
    pub(crate) async fn export_grpc(&self, message: &[u8]) -> Outcome {
        const OK: i32 = 0;
        const RESOURCE_EXHAUSTED: i32 = 8;
        const UNAVAILABLE: i32 = 14;
        let Ok(answer) = self.call(message, "identity").await else { return Outcome::Unknown };
        match answer.grpc_status() {
            OK => {
                assert_eq!(&answer.body[..], [0; 5], "a partial success: {answer:?}");
                Outcome::Acknowledged
            }
            RESOURCE_EXHAUSTED | UNAVAILABLE => Outcome::Unknown,
            _ => panic!("a good request is refused: {answer:?}"),
        }
    }

    /// Exports over HTTP.
    pub(crate) async fn export_http(&self, message: Bytes) -> Outcome {
        let request = self.post().header("content-type", "application/x-protobuf");
        let Ok(answer) = self.send(request, message).await else { return Outcome::Unknown };
        match answer.status {
            StatusCode::OK => {
                assert!(answer.body.is_empty(), "a partial success: {answer:?}");
                Outcome::Acknowledged
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Outcome::Unknown,
            _ => panic!("a good request is refused: {answer:?}"),
        }
    }

    /// Spans that the node says it holds, repeats among them as it counts them.
    pub(crate) async fn spans_held(&self) -> u64 {
        let cluster = self.get("/api/skua/v1/cluster").await.json();
        let shards = cluster["shards"].as_array().unwrap();
        shards.iter().map(|shard| shard["replicas"][0]["spans"].as_u64().unwrap()).sum()
    }

    /// The sum of the metrics whose line starts with `name` and holds every one of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let text = self.get_at(self.ports.metrics, "/metrics").await.text();
        let is_it =
            |line: &&str| line.starts_with(name) && labels.iter().all(|label| line.contains(label));
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        text.lines().filter(is_it).map(value).sum()
    }
}

async fn send(
    pool: &Pool<HttpConnector, Full<Bytes>>,
    request: Builder,
    body: Bytes,
) -> Result<Answer, String> {
    let request = request.body(Full::new(body)).unwrap();
    let answering = async {
        let (head, body) = pool.request(request).await?.into_parts();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let body = collected.to_bytes();
        let (status, headers) = (head.status, head.headers);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Answer {
            status,
            headers,
            trailers,
            body,
        })
    };
    let answered = tokio::time::timeout(ANSWER_TIME_MAX, answering).await;
    answered.expect("no answer at all").map_err(|error| error.to_string())
}
