//! The cluster as JSON. The wire form is stated here and nowhere else: scripts read it.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use model::ClusterAdmin;
use model::admin::{ClusterStatus, NodeState, NodeStatus, ReplicaStatus, ShardStatus};
use serde::{Deserialize, Serialize};

use super::problem::Problem;

#[derive(Serialize)]
struct Cluster {
    nodes: Vec<Node>,
    shards: Vec<Shard>,
}

#[derive(Serialize)]
struct Node {
    id: String,
    name: String,
    address: String,
    state: &'static str,
    version: String,
    disk: Disk,
}

#[derive(Serialize)]
struct Disk {
    used_bytes: u64,
    free_bytes: u64,
}

#[derive(Serialize)]
struct Shard {
    id: u32,
    epoch: u32,
    leader: Option<String>,
    replicas: Vec<Replica>,
}

#[derive(Serialize)]
struct Replica {
    node: String,
    applied: u64,
    lag: u64,
    spans: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// What is asked for.
#[derive(Deserialize)]
pub(super) struct Detail {
    /// Whether each replica is to say what it holds at a mark.
    #[serde(default)]
    digest: bool,
}

pub(super) async fn show<A: ClusterAdmin>(
    State(admin): State<A>,
    detail: Result<Query<Detail>, QueryRejection>,
) -> Response {
    let Ok(Query(Detail { digest })) = detail else {
        return Problem::parameter("digest is true or false").into_response();
    };
    let status = if digest { admin.status_with_digests().await } else { admin.status().await };
    let body = render(status);
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn render(status: ClusterStatus) -> Vec<u8> {
    let cluster = Cluster {
        nodes: status.nodes.into_iter().map(node).collect(),
        shards: status.shards.iter().map(shard).collect(),
    };
    let mut body = serde_json::to_vec(&cluster).unwrap_or_default();
    body.push(b'\n');
    body
}

fn node(status: NodeStatus) -> Node {
    Node {
        id: status.id.to_string(),
        name: status.name,
        address: status.address,
        state: match status.state {
            NodeState::Starting => "starting",
            NodeState::Ready => "ready",
            NodeState::Draining => "draining",
        },
        version: status.version,
        disk: Disk { used_bytes: status.disk_used_bytes, free_bytes: status.disk_free_bytes },
    }
}

fn shard(status: &ShardStatus) -> Shard {
    Shard {
        id: status.id.0,
        epoch: status.epoch,
        leader: status.leader.map(|node| node.to_string()),
        replicas: status.replicas.iter().map(replica).collect(),
    }
}

fn replica(status: &ReplicaStatus) -> Replica {
    Replica {
        node: status.node.to_string(),
        applied: status.applied,
        lag: status.lag,
        spans: status.spans,
        bytes: status.bytes,
        digest: status.digest.map(|digest| format!("{digest:032x}")),
    }
}
