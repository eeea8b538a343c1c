//! The UI's port, health and metrics, and how a server stops.

use api::limits::DIGEST_REQUESTS_MAX;
use axum::body::Body;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::Request;
use model::admin::Readiness;
use model::{ShardId, TraceId};

use crate::client::{get, good_request, send, start, start_as, start_with};
use crate::recorded;
use crate::reference::walk;
use api::ApiConfig;
use api::tenant::Tenancy;

#[tokio::test]
async fn a_raw_trace_comes_back_as_it_was_sent() {
    let node = start().await;
    let message = &recorded::hipster()[0];
    let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
    let answer = send(node.addresses.otlp_http, request, Body::from(message.clone())).await;
    assert_eq!(answer.status, 200);
    let sent = walk(message).unwrap().0;
    let trace_id = sent[0].trace_id;
    let answer = get(node.addresses.ui, &format!("/api/skua/v1/traces/{trace_id}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    assert_eq!(answer.header("skua-completeness"), "complete");
    let mut wanted: Vec<_> = sent.into_iter().filter(|it| it.trace_id == trace_id).collect();
    let mut got = walk(&answer.body).unwrap().0;
    wanted.sort_by_cached_key(model::canonical::fingerprint);
    got.sort_by_cached_key(model::canonical::fingerprint);
    assert_eq!(got, wanted);
}

#[tokio::test]
async fn unknown_and_unreachable_traces_are_told_apart() {
    let node = start().await;
    let (_, trace_id) = good_request(1);
    let path = format!("/api/skua/v1/traces/{trace_id}");
    let answer = get(node.addresses.ui, &path).await;
    assert_eq!((answer.status.as_u16(), answer.header("skua-completeness")), (404, "complete"));
    let ShardId(shard) = node.store.shard_of(trace_id);
    node.store.set_missing([ShardId(shard)].into());
    let answer = get(node.addresses.ui, &path).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.header("skua-completeness"), format!("partial; missing={shard}"));
    assert!(answer.text().contains(&format!("shards {shard} did not answer")), "{answer:?}");
    for bad in ["xyz", "0123456789abcdef0123456789abcdef0", "1?stale=maybe"] {
        let answer = get(node.addresses.ui, &format!("/api/skua/v1/traces/{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    assert!(TraceId::from_hex("xyz").is_err());
}

#[tokio::test]
async fn the_cluster_is_shown_as_json() {
    let node = start().await;
    let answer = get(node.addresses.ui, "/api/skua/v1/cluster").await;
    let cluster: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(cluster["nodes"][0]["id"], "07".repeat(16));
    assert_eq!(cluster["nodes"][0]["state"], "ready");
    assert_eq!(cluster["nodes"][0]["disk"]["free_bytes"], 2);
    assert_eq!(cluster["shards"][0]["leader"], "07".repeat(16));
}

#[tokio::test]
async fn requests_for_digests_leave_room_for_others() {
    let node = start().await;
    let path = "/api/skua/v1/cluster?digest=true";
    let mut answers: FuturesUnordered<_> =
        (0..=DIGEST_REQUESTS_MAX).map(|_| get(node.addresses.ui, path)).collect();
    let refused = answers.next().await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"));
    let answer = get(node.addresses.ui, "/api/skua/v1/cluster").await;
    assert_eq!(answer.status, 200);
    node.digests.add_permits(DIGEST_REQUESTS_MAX);
    while let Some(answer) = answers.next().await {
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_form_of_another_page_does_not_compact() {
    let node = start().await;
    let post = |content_type: Option<&str>| {
        let request = Request::post("/api/skua/v1/admin/compact");
        let request = request.header("origin", "https://elsewhere.example");
        match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        }
    };
    for content_type in [None, Some("application/x-www-form-urlencoded"), Some("text/plain")] {
        let answer = send(node.addresses.ui, post(content_type), Body::empty()).await;
        assert_eq!(answer.status, 415, "{content_type:?}");
    }
    // Nobody compacts here, which is said to who may ask.
    let answer = send(node.addresses.ui, post(Some("application/json")), Body::empty()).await;
    assert_eq!(answer.status, 501);
}

#[tokio::test]
async fn other_paths_show_the_page_and_unknown_api_paths_do_not() {
    let node = start().await;
    for path in ["/", "/search", "/trace/abc"] {
        let answer = get(node.addresses.ui, path).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("assets/app.js"));
    }
    let answer = get(node.addresses.ui, "/api/nothing").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().starts_with("404 page not found"));
}

#[tokio::test]
async fn everything_of_the_port_lies_below_the_base_path() {
    let config = ApiConfig { base_path: "/jaeger".to_owned(), ..ApiConfig::default() };
    let node = start_as(config, Readiness::Ready).await;
    for (path, status) in [
        ("/jaeger/api/services", 200),
        ("/jaeger/api/operations?service=a", 200),
        ("/jaeger/search", 200),
        ("/jaeger/", 200),
        ("/jaeger", 307),
        ("/jaeger/api/nothing", 404),
        ("/", 404),
        ("/api/services", 404),
        ("/jaegerish/api/services", 404),
    ] {
        let answer = get(node.addresses.ui, path).await;
        assert_eq!(answer.status, status, "{path}");
        if status == 200 {
            assert_eq!(answer.headers["traceresponse"], "", "{path}");
        }
    }
    let answer = get(node.addresses.ui, "/jaeger/trace/abc").await;
    assert!(answer.text().contains("<base href=\"../\""), "the page leads back to its root");
}

#[tokio::test]
async fn health_says_whether_to_send_traffic() {
    let ready = start().await;
    for (path, text) in [("/livez", "ok\n"), ("/readyz", "ok\n")] {
        let answer = get(ready.addresses.health, path).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, text));
    }
    let status = get(ready.addresses.health, "/status").await;
    assert_eq!(status.text(), r#"{"healthy":true,"status":"StatusOK"}"#);
    let metrics = get(ready.addresses.metrics, "/metrics").await.text();
    assert!(metrics.starts_with("skua_up 1\n"), "{metrics}");
    assert!(metrics.ends_with("skua_red_groups_left_out 0\n"), "{metrics}");
    // Metrics are no tenant's.
    let tenancy = Tenancy::Header { name: "x-tenant".parse().unwrap(), allowed: None };
    let with_tenants = start_with(tenancy, Readiness::Ready).await;
    assert_eq!(get(with_tenants.addresses.metrics, "/metrics").await.text(), "skua_up 1\n");

    let starting = start_with(Tenancy::Off, Readiness::NotReady("replaying".to_owned())).await;
    assert_eq!(get(starting.addresses.health, "/livez").await.status, 200);
    let answer = get(starting.addresses.health, "/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (503, "not ready: replaying\n"));
    assert_eq!(get(starting.addresses.health, "/status").await.status, 503);
}

#[tokio::test]
async fn a_server_stops_when_told_and_its_ports_are_free_again() {
    let mut node = start().await;
    assert_eq!(get(node.addresses.ui, "/").await.status, 200);
    node.shutdown.cancel();
    node.serving.join().await;
    for address in [node.addresses.otlp_grpc, node.addresses.ui, node.addresses.health] {
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let node = start().await;
    let taken = node.addresses.ui.port();
    let ports = api::Ports { ui: taken, ..api::Ports::FREE };
    let error = api::bind(api::ApiConfig { ports, ..api::ApiConfig::default() }).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on 127.0.0.1:{taken} for UI and query APIs")
    );
}
