//! `POST admin/...`: changes of the cluster that somebody asks for. The wire form is stated here
//! and nowhere else: scripts rely on it.
//!
//! A body must say that it is JSON: a page of another origin cannot send that without being asked,
//! so that nobody's browser removes nodes.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::admin::{ChangeError, ClusterChange};
use model::{ClusterAdmin, NodeId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::jaeger_http::json_text::push_string;

/// When to ask again if nobody who could decide answered: an election takes a second.
const RETRY_AFTER_SECONDS: u64 = 2;

/// What is wrong with a request.
pub(super) type Refusal = (StatusCode, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveNode {
    node: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplicationFactor {
    factor: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddShards {
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {}

/// `{"node":"<id>"}`: moves a node's replicas elsewhere and removes it.
pub(super) async fn remove_node<A: ClusterAdmin>(
    State(admin): State<A>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let change = read::<RemoveNode>(&headers, &body).and_then(|asked| {
        let node = NodeId::from_hex(&asked.node);
        node.map(ClusterChange::RemoveNode)
            .map_err(|error| (StatusCode::BAD_REQUEST, format!("`{}`: {error}", asked.node)))
    });
    begin(&admin, change).await
}

/// `{"factor":3}`: how many replicas each shard has.
pub(super) async fn set_replication_factor<A: ClusterAdmin>(
    State(admin): State<A>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let change = read::<ReplicationFactor>(&headers, &body);
    begin(&admin, change.map(|asked| ClusterChange::ReplicationFactor(asked.factor))).await
}

/// `{"count":3}`: so many shards more. Answered when they have been decided on.
pub(super) async fn add_shards<A: ClusterAdmin>(
    State(admin): State<A>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let change = read::<AddShards>(&headers, &body).and_then(|asked| match asked.count {
        0 => Err((StatusCode::BAD_REQUEST, "count: at least one shard is added".to_owned())),
        count => Ok(ClusterChange::AddShards(count)),
    });
    begin(&admin, change).await
}

/// `{}`: this node gives away what it leads. Answered when it has.
pub(super) async fn drain<A: ClusterAdmin>(
    State(admin): State<A>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    begin(&admin, read::<Drain>(&headers, &body).map(|Drain {}| ClusterChange::Drain)).await
}

async fn begin<A: ClusterAdmin>(admin: &A, change: Result<ClusterChange, Refusal>) -> Response {
    let change = match change {
        Ok(change) => change,
        Err((status, message)) => return problem(status, &message),
    };
    match admin.change(change).await {
        Ok(()) => json(StatusCode::ACCEPTED, b"{}\n".to_vec()),
        Err(ChangeError::Refused { reason }) => problem(StatusCode::CONFLICT, &reason),
        Err(ChangeError::Unavailable { reason }) => {
            let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, &reason);
            let after = HeaderValue::from(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, after);
            response
        }
    }
}

/// Refuses a request that does not say that its body is JSON.
pub(super) fn must_be_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim() == "application/json"
    });
    if is_json {
        return Ok(());
    }
    let what = "the body must be JSON, and content-type must say so: application/json";
    Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, what.to_owned()))
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    must_be_json(headers)?;
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// A refusal in JSON.
pub(super) fn problem(status: StatusCode, message: &str) -> Response {
    let mut body = b"{\"error\":{\"message\":".to_vec();
    push_string(&mut body, message.as_bytes());
    body.extend_from_slice(b"}}\n");
    json(status, body)
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    #[test]
    fn only_json_that_says_so_is_read() {
        let json = headers("application/json; charset=utf-8");
        let asked: ReplicationFactor = read(&json, br#"{"factor":3}"#).ok().unwrap();
        assert_eq!(asked.factor, 3);
        let status = |headers: &HeaderMap, body: &[u8]| {
            read::<ReplicationFactor>(headers, body).err().map(|(status, _)| status)
        };
        let form = headers("application/x-www-form-urlencoded");
        let unsupported = Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(status(&form, br#"{"factor":3}"#), unsupported);
        assert_eq!(status(&HeaderMap::new(), br#"{"factor":3}"#), unsupported);
        for bad in ["{}", "", r#"{"factor":-1}"#, r#"{"factor":3,"x":1}"#] {
            assert_eq!(status(&json, bad.as_bytes()), Some(StatusCode::BAD_REQUEST), "{bad}");
        }
    }
}
