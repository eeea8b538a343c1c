//! Jaeger's ports for reading and sampling, with a gRPC client that is not ours.

use std::marker::PhantomData;
use std::net::SocketAddr;

use api::Doors;
use api::jaeger_grpc::messages::api_v2::{GetServicesResponse, GetTraceRequest};
use api::jaeger_grpc::messages::sampling::{SamplingStrategyParameters, SamplingStrategyResponse};
use api::jaeger_grpc::messages::storage_v2::GetTracesRequest;
use api::tenant::Tenancy;
use axum::body::Body;
use bytes::BufMut as _;
use http::Request;
use http::uri::PathAndQuery;
use model::admin::Readiness;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::client::{get, send, send_http2, start, start_with};
use crate::recorded;
use crate::reference::walk;

struct Prost<T, U>(PhantomData<(T, U)>);

impl<T: Message + 'static, U: Message + Default + 'static> Codec for Prost<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<T: Message, U> Encoder for Prost<T, U> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put_slice(&item.encode_to_vec());
        Ok(())
    }
}

impl<T, U: Message + Default> Decoder for Prost<T, U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(source).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

async fn client(address: SocketAddr) -> tonic::client::Grpc<Channel> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    client
}

/// All messages of a call that is answered with a stream.
async fn stream<T: Message + 'static, U: Message + Default + 'static>(
    address: SocketAddr,
    path: &'static str,
    message: T,
) -> Result<Vec<U>, Status> {
    let path = PathAndQuery::from_static(path);
    let mut client = client(address).await;
    let codec = Prost(PhantomData);
    let response = client.server_streaming(tonic::Request::new(message), path, codec).await?;
    let mut messages = Vec::new();
    let mut body = response.into_inner();
    while let Some(message) = body.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

async fn unary<T: Message + 'static, U: Message + Default + 'static>(
    address: SocketAddr,
    path: &'static str,
    message: T,
) -> Result<U, Status> {
    let path = PathAndQuery::from_static(path);
    let mut client = client(address).await;
    let codec = Prost(PhantomData);
    Ok(client.unary(tonic::Request::new(message), path, codec).await?.into_inner())
}

#[tokio::test]
async fn what_is_written_to_remote_storage_is_read_from_every_port() {
    let node = start().await;
    let message = &recorded::hipster()[0];
    let address = format!("http://{}", node.addresses.remote_storage);
    let mut writer = TraceServiceClient::connect(address).await.unwrap();
    let request = ExportTraceServiceRequest::decode(message.as_slice()).unwrap();
    writer.export(request).await.unwrap();
    let spans = walk(message).unwrap().0;
    let trace_id = spans[0].trace_id;
    let count = spans.iter().filter(|span| span.trace_id == trace_id).count();
    let params =
        GetTraceRequest { trace_id: trace_id.as_bytes().to_vec().into(), ..Default::default() };
    let stored: Vec<TracesData> = stream(
        node.addresses.remote_storage,
        "/jaeger.storage.v2.TraceReader/GetTraces",
        GetTracesRequest { query: vec![params] },
    )
    .await
    .unwrap();
    let request =
        || GetTraceRequest { trace_id: trace_id.to_string().into(), ..Default::default() };
    let path = "/jaeger.api_v3.QueryService/GetTrace";
    let shown: Vec<TracesData> = stream(node.addresses.query_grpc, path, request()).await.unwrap();
    for data in [stored, shown] {
        let resources = data.iter().flat_map(|data| &data.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        assert_eq!(scopes.map(|scope| scope.spans.len()).sum::<usize>(), count);
    }
    let unknown = GetTraceRequest { trace_id: "77".into(), ..Default::default() };
    let refused = stream::<_, TracesData>(node.addresses.query_grpc, path, unknown).await;
    let status = refused.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "trace not found"));
    let services: GetServicesResponse =
        unary(node.addresses.query_grpc, "/jaeger.api_v2.QueryService/GetServices", ())
            .await
            .unwrap();
    assert!(!services.services.is_empty());
    let refused = unary::<_, GetServicesResponse>(node.addresses.query_grpc, "/a.B/C", ()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let purge = send(node.addresses.remote_storage, Request::post("/purge"), Body::empty()).await;
    assert_eq!(purge.status, 403);
}

#[tokio::test]
async fn strategies_are_told_on_four_ports() {
    let node = start().await;
    let wanted =
        r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.001}}"#;
    assert_eq!(get(node.addresses.sampling_http, "/sampling?service=a").await.text(), wanted);
    assert_eq!(get(node.addresses.jaeger_http, "/api/sampling?service=a").await.text(), wanted);
    for address in [node.addresses.sampling_grpc, node.addresses.jaeger_grpc] {
        let message = SamplingStrategyParameters { service_name: "a".to_owned() };
        let path = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy";
        let response: SamplingStrategyResponse = unary(address, path, message).await.unwrap();
        assert!(response.probabilistic_sampling.is_some_and(|it| it.sampling_rate > 0.0));
    }
    // Ports of gRPC answer strangers in words.
    assert_eq!(
        get(node.addresses.query_grpc, "/jaeger.api_v2.QueryService/GetTrace").await.status,
        415
    );
}

/// What a port says of its health: a message with the number of a status.
async fn health(address: SocketAddr) -> i32 {
    let path = "/grpc.health.v1.Health/Check";
    unary::<_, HealthResponse>(address, path, ()).await.unwrap().status
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct HealthResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[tokio::test]
async fn health_says_on_every_port_what_readiness_says() {
    const SERVING: i32 = 1;
    const NOT_SERVING: i32 = 2;
    for (readiness, expected) in
        [(Readiness::Ready, SERVING), (Readiness::NotReady("it drains".to_owned()), NOT_SERVING)]
    {
        let node = start_with(Tenancy::Off, readiness).await;
        let Doors { query_grpc, remote_storage, sampling_grpc, .. } = node.addresses;
        for address in [query_grpc, remote_storage, sampling_grpc] {
            assert_eq!(health(address).await, expected);
        }
    }
}

/// A body that never comes.
fn never() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>())
}

#[tokio::test]
async fn calls_that_never_send_their_request_do_not_keep_others_out() {
    let node = start().await;
    let address = node.addresses.query_grpc;
    let path = "/jaeger.api_v3.QueryService/GetServices";
    let request = || Request::post(path).header("content-type", "application/grpc");
    let mut idle = tokio::task::JoinSet::new();
    // As many as two connections carry.
    for _ in 0..512 {
        idle.spawn(send_http2(address, request(), never()));
    }
    // One that says how long it waits is told then.
    let hurried = request().header("grpc-timeout", "50m");
    assert_eq!(send_http2(address, hurried, never()).await.grpc_status(), Code::Unavailable as i32);
    for path in
        ["/jaeger.api_v3.QueryService/GetServices", "/jaeger.api_v2.QueryService/GetServices"]
    {
        unary::<_, GetServicesResponse>(address, path, ()).await.unwrap();
    }
}

#[tokio::test]
async fn a_watcher_of_health_does_not_hold_up_the_end() {
    let mut node = start().await;
    let address = node.addresses.query_grpc;
    let mut client = client(address).await;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Watch");
    let codec = Prost::<(), SamplingStrategyResponse>(PhantomData);
    let response = client.server_streaming(tonic::Request::new(()), path, codec).await.unwrap();
    let mut body = response.into_inner();
    assert!(body.message().await.unwrap().is_some());
    node.shutdown.cancel();
    assert!(body.message().await.unwrap().is_some(), "told that it stops");
    assert!(body.message().await.unwrap().is_none());
    drop(client);
    node.serving.join().await;
}
