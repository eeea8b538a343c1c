//! A node's doors over a store in memory, and a client that can send anything to them.

use std::net::SocketAddr;
use std::sync::Arc;

use api::task::Tasks;
use api::tenant::Tenancy;
use api::{ApiConfig, ApiState, Doors, Meter, Ports, bind};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::admin::{ClusterAdmin, ClusterStatus, NodeState, NodeStatus, Readiness, ShardStatus};
use model::budget::Budget;
use model::store::{ReadScope, TraceRequest};
use model::testing::{ManualClock, MemoryStore};
use model::{Clock, Duration, NodeId, ShardId, Span, Tenant, TraceId, TraceStore};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A cluster of one node that is as ready as it is told to be.
#[derive(Debug, Clone)]
pub(crate) struct OneNode {
    pub(crate) readiness: Readiness,
    /// Who asks for digests takes one and waits for it.
    pub(crate) digests: Arc<Semaphore>,
}

impl ClusterAdmin for OneNode {
    async fn status(&self) -> ClusterStatus {
        let id = NodeId([7; 16]);
        ClusterStatus {
            nodes: vec![NodeStatus {
                id,
                name: "one".to_owned(),
                address: "127.0.0.1:7947".to_owned(),
                ui: None,
                state: NodeState::Ready,
                version: "0.1.0".to_owned(),
                disk_used_bytes: 1,
                disk_free_bytes: 2,
                zone: String::new(),
                process: None,
                clock_ahead_nanos: None,
                figures: None,
            }],
            shards: vec![ShardStatus {
                id: ShardId(0),
                epoch: 1,
                leader: Some(id),
                replicas: Vec::new(),
            }],
            epochs: Vec::new(),
            alarms: Vec::new(),
            events: Vec::new(),
            sampling: None,
            retention: None,
        }
    }

    async fn status_with_digests(&self, _: Option<ShardId>) -> ClusterStatus {
        self.digests.acquire().await.unwrap().forget();
        self.status().await
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }
}

/// A serving node; everything ends when it is dropped.
pub(crate) struct Node {
    pub(crate) addresses: Doors<SocketAddr>,
    pub(crate) store: MemoryStore,
    /// How many requests for digests may be answered.
    pub(crate) digests: Arc<Semaphore>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: Tasks,
    clock: Arc<dyn Clock>,
}

/// A node without tenancy.
pub(crate) async fn start() -> Node {
    start_with(Tenancy::Off, Readiness::Ready).await
}

pub(crate) async fn start_with(tenancy: Tenancy, readiness: Readiness) -> Node {
    start_as(ApiConfig { tenancy, ..ApiConfig::default() }, readiness).await
}

pub(crate) async fn start_as(config: ApiConfig, readiness: Readiness) -> Node {
    let config = ApiConfig {
        ports: Ports::FREE,
        otlp_cors_origins: vec!["https://shop.example".parse().unwrap()],
        ..config
    };
    let bound = bind(config).await.unwrap();
    let (store, shutdown) = (MemoryStore::new(), CancellationToken::new());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let meter = Arc::<Meter>::default();
    let digests = Arc::new(Semaphore::new(0));
    let state = ApiState {
        store: store.clone(),
        admin: OneNode { readiness, digests: Arc::clone(&digests) },
        clock: Arc::clone(&clock),
        metrics_text: Arc::new(|| "skua_up 1\n".to_owned()),
        meter: Arc::clone(&meter),
    };
    let addresses = bound.addresses();
    let mut serving = Tasks::default();
    serving.spawn("api", bound.serve(state, shutdown.clone()));
    Node { addresses, store, digests, meter, shutdown, serving, clock }
}

impl Node {
    /// The spans of a trace, if the store knows it.
    pub(crate) async fn spans(&self, trace_id: TraceId) -> Vec<Span> {
        self.spans_of(Tenant::default(), trace_id).await
    }

    pub(crate) async fn spans_of(&self, tenant: Tenant, trace_id: TraceId) -> Vec<Span> {
        let deadline = self.clock.monotonic().plus(Duration::from_secs(1));
        let budget = Budget::new(Arc::clone(&self.clock), deadline, u64::MAX);
        let scope = ReadScope { tenant, budget, stale: false };
        let request = TraceRequest { scope, trace_id, spans_max: 1_000_000 };
        let trace = self.store.trace(request).await.unwrap().value;
        trace.map(|trace| trace.spans).unwrap_or_default()
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// gRPC's status, wherever it stands.
    pub(crate) fn grpc_status(&self) -> i32 {
        let value = self.trailers.get("grpc-status").or(self.headers.get("grpc-status"));
        value.unwrap().to_str().unwrap().parse().unwrap()
    }
}

async fn whole(response: Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes();
    Answer { status: head.status, headers: head.headers, trailers, body }
}

/// A body in pieces, sent without a length.
pub(crate) fn in_pieces(bytes: &[u8], piece_bytes: usize) -> Body {
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        bytes.chunks(piece_bytes).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, Request::get(path), Body::empty()).await
}

/// Sends over HTTP/1.
pub(crate) async fn send(
    address: SocketAddr,
    request: http::request::Builder,
    body: Body,
) -> Answer {
    send_over(Client::builder(TokioExecutor::new()).build_http(), address, request, body).await
}

/// Sends over HTTP/2, as gRPC clients do.
pub(crate) async fn send_http2(
    address: SocketAddr,
    request: http::request::Builder,
    body: Body,
) -> Answer {
    let mut client = Client::builder(TokioExecutor::new());
    send_over(client.http2_only(true).build_http(), address, request, body).await
}

async fn send_over(
    client: Client<HttpConnector, Body>,
    address: SocketAddr,
    request: http::request::Builder,
    body: Body,
) -> Answer {
    let mut request = request.body(body).unwrap();
    let path = request.uri().path_and_query().unwrap().to_string();
    *request.uri_mut() = format!("http://{address}{path}").parse().unwrap();
    whole(client.request(request).await.unwrap()).await
}

/// A request of one good span, whose ids are made of `number`.
pub(crate) fn good_request(number: u8) -> (Vec<u8>, TraceId) {
    let mut span = model::testing::simple_span(1, 1, 5, 9);
    span.trace_id = TraceId([number; 16]);
    (api::otlp::encode::traces_data(std::slice::from_ref(&span)), span.trace_id)
}
