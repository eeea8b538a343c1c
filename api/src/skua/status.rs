//! The cluster as JSON. The wire form is stated here and nowhere else: scripts read it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use model::admin::{
    AlarmStatus, ClusterStatus, EpochState, EpochStatus, EventStatus, NodeFigures, NodeState,
    NodeStatus, ProcessStatus, ReplicaState, ReplicaStatus, SamplingStatus, ShardStatus,
};
use model::{ClusterAdmin, Duration, ShardId};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::ingest::Overload;
use crate::limits;

#[derive(Serialize)]
struct Cluster {
    nodes: Vec<Node>,
    shards: Vec<Shard>,
    epochs: Vec<Epoch>,
    alarms: Vec<Alarm>,
    /// The latest first.
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampling: Option<Sampling>,
    /// For how long spans are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_seconds: Option<u64>,
}

/// A version of the ring.
#[derive(Serialize)]
struct Epoch {
    id: u32,
    shards: u32,
    state: &'static str,
}

/// The sampling strategies in force.
#[derive(Serialize)]
struct Sampling {
    digest: String,
    bytes: u64,
    revision: u64,
}

#[derive(Serialize)]
struct Alarm {
    kind: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<u32>,
    seconds: u64,
}

/// Something that happened.
#[derive(Serialize)]
struct Event {
    /// In nanoseconds of Unix time.
    at_ns: u64,
    kind: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

#[derive(Serialize)]
struct Node {
    id: String,
    name: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ui: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<Down>,
    version: String,
    disk: Disk,
    #[serde(skip_serializing_if = "String::is_empty")]
    zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_ahead_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queries: Option<Queries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spans_taken: Option<u64>,
    /// When the hour began in which its oldest spans came, in nanoseconds of Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_ns: Option<u64>,
}

#[derive(Serialize)]
struct Queries {
    /// Since the start of the node.
    answered: u64,
    /// Of the last ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Process {
    uptime_seconds: u64,
    cpu_seconds: f64,
    resident_bytes: u64,
}

/// Of a node that does not answer.
#[derive(Serialize)]
struct Down {
    /// In nanoseconds of Unix time.
    since_ns: u64,
    seconds: u64,
}

#[derive(Serialize)]
struct Disk {
    used_bytes: u64,
    free_bytes: u64,
    /// What data may take; beyond it the oldest hour goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_bytes_max: Option<u64>,
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
    state: &'static str,
    /// This and what follows is left out of a replica that nobody told of.
    #[serde(flatten)]
    present: Option<Present>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

#[derive(Serialize)]
struct Present {
    applied: u64,
    lag: u64,
    spans: u64,
    bytes: u64,
}

/// What is asked for.
#[derive(Deserialize)]
pub(super) struct Detail {
    /// Whether each replica is to say what it holds at a mark.
    #[serde(default)]
    digest: bool,
    /// The replicas of this shard alone.
    shard: Option<u32>,
}

/// Room for requests for digests.
#[derive(Clone)]
pub(super) struct DigestRoom(Arc<Semaphore>);

impl Default for DigestRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::DIGEST_REQUESTS_MAX)))
    }
}

pub(super) async fn show<A: ClusterAdmin>(
    State(admin): State<A>,
    Extension(DigestRoom(room)): Extension<DigestRoom>,
    detail: Result<Query<Detail>, QueryRejection>,
) -> Response {
    let Ok(Query(Detail { digest, shard })) = detail else {
        return Problem::parameter("digest is true or false, and shard a number").into_response();
    };
    let of = shard.map(ShardId);
    if of.is_some() && !digest {
        return Problem::parameter("shard says whose digest is asked for: with digest=true")
            .into_response();
    }
    let status = if digest {
        let Ok(_place) = room.try_acquire() else {
            return Problem::Api(Overload::Requests.into()).into_response();
        };
        admin.status_with_digests(of).await
    } else {
        admin.status().await
    };
    if let Some(of) = of.filter(|of| !status.shards.iter().any(|shard| shard.id == *of)) {
        return Problem::parameter(format!("there is no shard {}", of.0)).into_response();
    }
    let body = render(status);
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn render(status: ClusterStatus) -> Vec<u8> {
    let cluster = Cluster {
        nodes: status.nodes.into_iter().map(node).collect(),
        shards: status.shards.iter().map(shard).collect(),
        epochs: status.epochs.into_iter().map(epoch).collect(),
        alarms: status.alarms.into_iter().map(alarm).collect(),
        events: status.events.into_iter().map(event).collect(),
        sampling: status.sampling.map(sampling),
        retention_seconds: status.retention.map(whole_seconds),
    };
    let mut body = serde_json::to_vec(&cluster).unwrap_or_default();
    body.push(b'\n');
    body
}

fn epoch(epoch: EpochStatus) -> Epoch {
    let state = match epoch.state {
        EpochState::Preparing => "preparing",
        EpochState::Fencing => "fencing",
        EpochState::Active => "active",
    };
    Epoch { id: epoch.id, shards: epoch.shard_count, state }
}

fn node(status: NodeStatus) -> Node {
    Node {
        id: status.id.to_string(),
        name: status.name,
        address: status.address,
        ui: status.ui,
        state: match status.state {
            NodeState::Ready => "ready",
            NodeState::Draining => "draining",
            NodeState::Down { .. } => "down",
        },
        down: match status.state {
            NodeState::Down { since, lasts } => {
                Some(Down { since_ns: since.0, seconds: whole_seconds(lasts) })
            }
            NodeState::Ready | NodeState::Draining => None,
        },
        version: status.version,
        disk: Disk {
            used_bytes: status.disk_used_bytes,
            free_bytes: status.disk_free_bytes,
            data_bytes_max: status.figures.and_then(|figures| figures.data_bytes_max),
        },
        zone: status.zone,
        process: status.process.map(process),
        clock_ahead_ns: status.clock_ahead_nanos,
        queries: status.figures.map(queries),
        spans_taken: status.figures.map(|figures| figures.spans_taken),
        oldest_ns: status.figures.and_then(|figures| figures.oldest).map(|oldest| oldest.0),
    }
}

fn queries(figures: NodeFigures) -> Queries {
    let p99_seconds = figures.query_p99.map(|took| took.0 as f64 / 1e9);
    Queries { answered: figures.queries, p99_seconds }
}

fn process(status: ProcessStatus) -> Process {
    let ProcessStatus { uptime, cpu, resident_bytes } = status;
    let cpu_seconds = cpu.0 as f64 / 1e9;
    Process { uptime_seconds: whole_seconds(uptime), cpu_seconds, resident_bytes }
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.0 / 1_000_000_000
}

fn alarm(status: AlarmStatus) -> Alarm {
    Alarm {
        kind: status.kind,
        text: status.text,
        shard: status.shard.map(|shard| shard.0),
        seconds: whole_seconds(status.stands),
    }
}

fn event(status: EventStatus) -> Event {
    let EventStatus { at, kind, text, shard, node } = status;
    let (shard, node) = (shard.map(|shard| shard.0), node.map(|node| node.to_string()));
    Event { at_ns: at.0, kind, text, shard, node }
}

fn sampling(status: SamplingStatus) -> Sampling {
    let SamplingStatus { digest, bytes, revision } = status;
    Sampling { digest: format!("{digest:032x}"), bytes, revision }
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
        state: match status.state {
            ReplicaState::Present { .. } => "present",
            ReplicaState::Unreachable => "unreachable",
            ReplicaState::Absent => "absent",
        },
        present: match status.state {
            ReplicaState::Present { applied, lag, spans, bytes } => {
                Some(Present { applied, lag, spans, bytes })
            }
            ReplicaState::Unreachable | ReplicaState::Absent => None,
        },
        digest: status.digest.map(|digest| format!("{digest:032x}")),
    }
}

#[cfg(test)]
mod tests {
    use model::{NodeId, Timestamp};

    use super::*;

    fn node_of(number: u8, state: NodeState) -> NodeStatus {
        NodeStatus {
            id: NodeId([number; 16]),
            name: format!("node-{number}"),
            address: "a:1".into(),
            ui: (state == NodeState::Ready).then(|| "http://a:2/".into()),
            state,
            version: String::new(),
            disk_used_bytes: 1,
            disk_free_bytes: 2,
            zone: if number == 1 { "rack-1".into() } else { String::new() },
            process: (number == 1).then_some(ProcessStatus {
                uptime: Duration(61_900_000_000),
                cpu: Duration(1_500_000_000),
                resident_bytes: 3,
            }),
            clock_ahead_nanos: (number == 1).then_some(-4),
            figures: (number == 1).then_some(NodeFigures {
                spans_taken: 8,
                queries: 5,
                query_p99: Some(Duration(250_000_000)),
                oldest: Some(Timestamp(6)),
                data_bytes_max: Some(7),
            }),
        }
    }

    #[test]
    fn what_does_not_answer_is_down_and_its_replicas_are_named() {
        let replica =
            |number, state| ReplicaStatus { node: NodeId([number; 16]), state, digest: None };
        let present = ReplicaState::Present { applied: 7, lag: 1, spans: 2, bytes: 3 };
        let since = NodeState::Down { since: Timestamp(5), lasts: Duration(2_900_000_000) };
        let status = ClusterStatus {
            nodes: vec![node_of(1, NodeState::Ready), node_of(2, since)],
            shards: vec![ShardStatus {
                id: ShardId(4),
                epoch: 1,
                leader: None,
                replicas: vec![
                    replica(1, present),
                    replica(2, ReplicaState::Unreachable),
                    replica(3, ReplicaState::Absent),
                ],
            }],
            epochs: vec![EpochStatus { id: 2, shard_count: 9, state: EpochState::Fencing }],
            alarms: vec![AlarmStatus {
                kind: "under-replicated".into(),
                text: "shard 4 is thin".into(),
                shard: Some(ShardId(4)),
                stands: Duration(61_000_000_000),
            }],
            events: vec![EventStatus {
                at: Timestamp(17),
                kind: "silent".into(),
                text: "Node node-2 stopped answering.".into(),
                shard: None,
                node: Some(NodeId([2; 16])),
            }],
            sampling: Some(SamplingStatus { digest: 0x1f, bytes: 9, revision: 3 }),
            retention: Some(Duration(604_800_000_000_000)),
        };
        let json: serde_json::Value = serde_json::from_slice(&render(status)).unwrap();
        assert_eq!(
            (&json["nodes"][0]["state"], &json["nodes"][0]["ui"]),
            (&"ready".into(), &"http://a:2/".into())
        );
        assert!(json["nodes"][0].get("down").is_none() && json["nodes"][1].get("ui").is_none());
        let process =
            serde_json::json!({"uptime_seconds": 61, "cpu_seconds": 1.5, "resident_bytes": 3});
        assert_eq!(json["nodes"][0]["process"], process);
        assert_eq!(
            (&json["nodes"][0]["zone"], &json["nodes"][0]["clock_ahead_ns"]),
            (&"rack-1".into(), &(-4).into())
        );
        let queries = serde_json::json!({"answered": 5, "p99_seconds": 0.25});
        assert_eq!(json["nodes"][0]["queries"], queries);
        assert_eq!(json["nodes"][0]["spans_taken"], 8);
        assert_eq!(json["nodes"][0]["disk"]["data_bytes_max"], 7);
        assert_eq!(
            (&json["nodes"][0]["oldest_ns"], &json["retention_seconds"]),
            (&6.into(), &604_800.into())
        );
        for name in ["zone", "process", "clock_ahead_ns", "queries", "spans_taken", "oldest_ns"] {
            assert!(json["nodes"][1].get(name).is_none(), "{name} is not known and not told");
        }
        let epoch = serde_json::json!({"id": 2, "shards": 9, "state": "fencing"});
        assert_eq!(json["epochs"], serde_json::json!([epoch]));
        assert_eq!(json["nodes"][1]["state"], "down");
        assert_eq!(json["nodes"][1]["down"], serde_json::json!({"since_ns": 5, "seconds": 2}));
        let replicas = &json["shards"][0]["replicas"];
        assert_eq!((&replicas[0]["applied"], &replicas[0]["lag"]), (&7.into(), &1.into()));
        assert_eq!(replicas[1]["state"], "unreachable");
        assert!(replicas[1].get("lag").is_none(), "what is not known is not told");
        assert_eq!(replicas[2]["state"], "absent");
        let alarm = serde_json::json!({"kind": "under-replicated", "text": "shard 4 is thin",
            "shard": 4, "seconds": 61});
        assert_eq!(json["alarms"][0], alarm);
        let event = serde_json::json!({"at_ns": 17, "kind": "silent",
            "text": "Node node-2 stopped answering.", "node": NodeId([2; 16]).to_string()});
        assert_eq!(json["events"][0], event);
        let digest = format!("{:032x}", 0x1f);
        let sampling = serde_json::json!({"digest": digest, "bytes": 9, "revision": 3});
        assert_eq!(json["sampling"], sampling);
    }
}
