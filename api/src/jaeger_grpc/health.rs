//! `grpc.health.v1.Health`: whether the services of a port are served. They are, until the node
//! stops; a watcher is told so and its stream ends.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::any;
use model::Answer;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::calls::{Source, admission, ask, only_grpc, streamed, unary};
use crate::ingest::Admission;

#[derive(Clone, PartialEq, Eq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The service's full name.
pub const SERVICE: &str = "grpc.health.v1.Health";

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;

#[derive(Clone)]
struct Health {
    services: Arc<[&'static str]>,
    admission: Admission,
    stopping: CancellationToken,
}

/// The health of `services`, and of the port as a whole, until `stopping` is cancelled.
pub fn router(services: &[&'static str], stopping: CancellationToken) -> Router {
    let health = Health { services: services.into(), admission: admission(), stopping };
    Router::new()
        .route("/grpc.health.v1.Health/Check", any(check))
        .route("/grpc.health.v1.Health/Watch", any(watch))
        .layer(from_fn(only_grpc))
        .with_state(health)
}

impl Health {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }

    fn status(&self) -> i32 {
        if self.stopping.is_cancelled() { NOT_SERVING } else { SERVING }
    }
}

async fn check(State(health): State<Health>, request: Request) -> Response {
    let answer = ask::<HealthCheckRequest>(&health.admission, request).await;
    unary(answer.and_then(|asked| {
        if health.knows(&asked.message.service) {
            Ok(Answer::complete(HealthCheckResponse { status: health.status() }))
        } else {
            Err(Status::not_found("unknown service"))
        }
    }))
}

async fn watch(State(health): State<Health>, request: Request) -> Response {
    let answer = ask::<HealthCheckRequest>(&health.admission, request).await;
    streamed(answer.map(|asked| {
        let known = health.knows(&asked.message.service);
        Watch { health, known, told: None }
    }))
}

/// Tells the status, then its change, then ends.
struct Watch {
    health: Health,
    known: bool,
    told: Option<i32>,
}

impl Source for Watch {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        if self.told == Some(NOT_SERVING) {
            return Ok(None);
        }
        if self.told.is_some() {
            self.health.stopping.cancelled().await;
        }
        let status = match self.told {
            None if !self.known => SERVICE_UNKNOWN,
            _ => self.health.status(),
        };
        self.told = Some(status);
        Ok(Some(HealthCheckResponse { status }.encode_to_vec()))
    }

    fn completeness(&self) -> String {
        "complete".to_owned()
    }
}
