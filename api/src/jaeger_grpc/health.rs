//! `grpc.health.v1.Health`: whether traffic should come to the services of a port, which is what
//! `/readyz` says of the node. A watcher is told of every change, and its stream ends when the
//! doors close.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::any;
use model::admin::Readiness;
use model::{Answer, ClusterAdmin};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::calls::{Source, admission, ask, only_grpc, streamed, unary};
use super::limits;
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

/// Whether the services of a node are to be used.
#[derive(Clone)]
pub struct Serving {
    is_ready: Arc<dyn Fn() -> bool + Send + Sync>,
    stopping: CancellationToken,
}

impl fmt::Debug for Serving {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Serving").field("is_now", &self.is_now()).finish_non_exhaustive()
    }
}

impl Serving {
    /// While the node is ready, and until `stopping` is cancelled.
    pub fn new<A: ClusterAdmin>(admin: A, stopping: CancellationToken) -> Self {
        let is_ready = Arc::new(move || admin.readiness() == Readiness::Ready);
        Self { is_ready, stopping }
    }

    fn is_now(&self) -> bool {
        !self.stopping.is_cancelled() && (self.is_ready)()
    }

    /// Waits until this is something else than `now`, or the doors close.
    async fn changed(&self, now: bool) {
        // A node says when it is asked whether it is ready, and not by itself.
        let changed = async {
            while self.is_now() == now {
                tokio::time::sleep(limits::READINESS_INTERVAL).await;
            }
        };
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = changed => {}
        }
    }
}

#[derive(Clone)]
struct Health {
    services: Arc<[&'static str]>,
    admission: Admission,
    serving: Serving,
}

/// The health of `services`, and of the port as a whole.
pub fn router(services: &[&'static str], serving: Serving) -> Router {
    let health = Health { services: services.into(), admission: admission(), serving };
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
        if self.serving.is_now() { SERVING } else { NOT_SERVING }
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

/// Tells the status and its changes; ends when the doors close.
struct Watch {
    health: Health,
    known: bool,
    told: Option<i32>,
}

impl Source for Watch {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        let stopping = &self.health.serving.stopping;
        match self.told {
            None => {}
            Some(NOT_SERVING) if stopping.is_cancelled() => return Ok(None),
            // Nothing but the end is new of what is not known.
            Some(SERVICE_UNKNOWN) => stopping.cancelled().await,
            Some(told) => self.health.serving.changed(told == SERVING).await,
        }
        let status = match self.told {
            None if !self.known => SERVICE_UNKNOWN,
            Some(NOT_SERVING) if stopping.is_cancelled() => return Ok(None),
            _ => self.health.status(),
        };
        self.told = Some(status);
        Ok(Some(HealthCheckResponse { status }.encode_to_vec()))
    }

    fn completeness(&self) -> String {
        "complete".to_owned()
    }
}
