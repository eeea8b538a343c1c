//! `/metrics`: the node's metrics in the text that Prometheus scrapes.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::{HeaderValue, header};

/// Writes out all metrics; node knows the recorder.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// The one path.
pub fn router(text: MetricsText) -> Router {
    Router::new().route(
        "/metrics",
        get(async move || {
            let content_type = HeaderValue::from_static("text/plain; version=0.0.4");
            ([(header::CONTENT_TYPE, content_type)], text())
        }),
    )
}
