//! Health, on its own port: `/livez`, `/readyz` and `/status` in the shape of Jaeger's health
//! check.
//!
//! `/livez` answers as long as the event loop turns, and looks at nothing: a node that waits for
//! its peers must not be killed for it. `/readyz` says whether traffic should come here.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use model::ClusterAdmin;
use model::admin::Readiness;
use serde::Serialize;

/// The three paths.
pub fn router<A: ClusterAdmin>(admin: A) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready::<A>))
        .route("/status", get(status::<A>))
        .with_state(admin)
}

async fn ready<A: ClusterAdmin>(State(admin): State<A>) -> Response {
    match admin.readiness() {
        Readiness::Ready => "ok\n".into_response(),
        Readiness::NotReady(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response()
        }
    }
}

/// As Jaeger's `healthcheckv2` writes it, without times.
#[derive(Serialize)]
struct Health {
    healthy: bool,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

async fn status<A: ClusterAdmin>(State(admin): State<A>) -> Response {
    let (code, health) = match admin.readiness() {
        Readiness::Ready => {
            (StatusCode::OK, Health { healthy: true, status: "StatusOK", error: None })
        }
        Readiness::NotReady(why) => {
            let health =
                Health { healthy: false, status: "StatusRecoverableError", error: Some(why) };
            (StatusCode::SERVICE_UNAVAILABLE, health)
        }
    };
    let body = serde_json::to_vec(&health).unwrap_or_default();
    let content_type = HeaderValue::from_static("application/json");
    (code, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
