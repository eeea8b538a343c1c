//! `POST admin/compact` asks this node to seal and merge now; `GET` says how that stands. The wire
//! form is stated here and nowhere else: scripts read it. A `POST` must say that it is JSON, as
//! other changes must, and may be empty.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::ClusterAdmin;
use model::admin::CompactionStatus;
use serde::Serialize;

use super::changes::{must_be_json, problem};

#[derive(Serialize)]
struct Compaction {
    is_running: bool,
    runs: u64,
    shards: u64,
    shards_done: u64,
    sealed_spans: u64,
    merged_spans: u64,
    written_bytes: u64,
    failure: Option<String>,
}

impl From<CompactionStatus> for Compaction {
    fn from(status: CompactionStatus) -> Self {
        Self {
            is_running: status.is_running,
            runs: status.runs,
            shards: status.shards,
            shards_done: status.shards_done,
            sealed_spans: status.sealed_spans,
            merged_spans: status.merged_spans,
            written_bytes: status.written_bytes,
            failure: status.failure,
        }
    }
}

/// Asks for one.
pub(super) async fn begin<A: ClusterAdmin>(State(admin): State<A>, headers: HeaderMap) -> Response {
    if let Err((status, message)) = must_be_json(&headers) {
        return problem(status, &message);
    }
    answer(StatusCode::ACCEPTED, admin.compact())
}

/// How it stands.
pub(super) async fn show<A: ClusterAdmin>(State(admin): State<A>) -> Response {
    answer(StatusCode::OK, admin.compaction())
}

fn answer(status: StatusCode, compaction: Option<CompactionStatus>) -> Response {
    let Some(compaction) = compaction else { return StatusCode::NOT_IMPLEMENTED.into_response() };
    let mut body = serde_json::to_vec(&Compaction::from(compaction)).unwrap_or_default();
    body.push(b'\n');
    let content_type = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
