//! OTLP over gRPC, end to end, with a client that is not ours.

use axum::body::Body;
use http::Request;
use model::TraceId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use crate::client::{Node, good_request, send, send_http2, start, start_with};
use crate::recorded;
use crate::reference::walk;

async fn client(node: &Node) -> TraceServiceClient<Channel> {
    let address = format!("http://{}", node.addresses.otlp_grpc);
    TraceServiceClient::connect(address).await.unwrap()
}

fn decoded(message: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(message).unwrap()
}

#[tokio::test]
async fn recorded_requests_are_stored_with_every_compression() {
    let node = start().await;
    let messages = recorded::hipster();
    let compressions = [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)];
    let mut sent = std::collections::BTreeMap::<TraceId, usize>::new();
    for (message, compression) in messages.iter().zip(compressions.iter().cycle()).take(6) {
        let mut client = client(&node).await;
        if let Some(compression) = compression {
            client = client.send_compressed(*compression);
        }
        let response = client.export(decoded(message)).await.unwrap();
        assert_eq!(response.into_inner().partial_success, None);
        for span in walk(message).unwrap().0 {
            *sent.entry(span.trace_id).or_default() += 1;
        }
    }
    for (trace_id, spans) in sent {
        assert_eq!(node.spans(trace_id).await.len(), spans);
    }
}

#[tokio::test]
async fn the_largest_recorded_request_is_taken() {
    let node = start().await;
    let messages = recorded::astronomy();
    let largest = messages.iter().max_by_key(|message| message.len()).unwrap();
    assert!(largest.len() > 5_000_000);
    client(&node).await.export(decoded(largest)).await.unwrap();
}

#[tokio::test]
async fn rejected_spans_are_counted_and_refused_requests_say_why() {
    let node = start().await;
    let (good, trace_id) = good_request(1);
    let mut request = decoded(&good);
    let mut bad = request.resource_spans[0].scope_spans[0].spans[0].clone();
    bad.trace_id = vec![1; 3];
    request.resource_spans[0].scope_spans[0].spans.push(bad);
    let response = client(&node).await.export(request.clone()).await.unwrap().into_inner();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("trace id"));
    assert_eq!(node.spans(trace_id).await.len(), 1);

    request.resource_spans[0].scope_spans[0].spans.remove(0);
    let status = client(&node).await.export(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("1 spans rejected"), "{}", status.message());
}

#[tokio::test]
async fn overload_carries_the_hint_that_exporters_need_to_retry() {
    let node = start().await;
    node.store.set_overloaded(true);
    let status = client(&node).await.export(decoded(&good_request(2).0)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("type.googleapis.com/google.rpc.RetryInfo"), "{details}");
    // RetryInfo { retry_delay: 100 ms }
    assert!(status.details().ends_with(&[0x0a, 7, 0x08, 0, 0x10, 0x80, 0xc2, 0xd7, 0x2f]));
}

#[tokio::test]
async fn tenants_come_from_metadata() {
    let name = http::HeaderName::from_static("x-tenant");
    let acme = model::Tenant::new("acme").unwrap();
    let allowed = Some(std::collections::BTreeSet::from([acme.clone()]));
    let tenancy = api::tenant::Tenancy::Header { name, allowed };
    let node = start_with(tenancy, model::admin::Readiness::Ready).await;
    let (good, trace_id) = good_request(3);
    let export = async |tenant: Option<&'static str>| {
        let mut request = tonic::Request::new(decoded(&good));
        if let Some(name) = tenant {
            request.metadata_mut().insert("x-tenant", name.parse().unwrap());
        }
        client(&node).await.export(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(export(None).await, Err(Code::Unauthenticated));
    assert_eq!(export(Some("other")).await, Err(Code::PermissionDenied));
    assert_eq!(export(Some("acme")).await, Ok(()));
    assert_eq!(node.spans_of(acme, trace_id).await.len(), 1);
}

#[tokio::test]
async fn what_is_not_our_method_or_not_grpc_is_said_so() {
    let node = start().await;
    let at = node.addresses.otlp_grpc;
    let request = Request::post("/some.Service/Method").header("content-type", "application/grpc");
    let answer = send_http2(at, request, Body::empty()).await;
    assert_eq!(answer.grpc_status(), Code::Unimplemented as i32);
    let request = Request::post(api::otlp::grpc::EXPORT_PATH);
    assert_eq!(send(at, request, Body::from("x")).await.status, 415);
}
