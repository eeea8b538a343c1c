//! `/metrics`: the node's metrics in the text that Prometheus scrapes, and the figures of what is
//! traced behind them.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::{HeaderValue, header};
use model::TraceStore;

use super::red::RedMetrics;

/// Writes out all metrics; node knows the recorder.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// The one path.
pub(crate) fn router<S: TraceStore>(text: MetricsText, red: Option<RedMetrics<S>>) -> Router {
    Router::new().route(
        "/metrics",
        get(async move || {
            let mut all = text();
            if let Some(red) = &red {
                all.push_str(&red.text().await);
            }
            let content_type = HeaderValue::from_static("text/plain; version=0.0.4");
            ([(header::CONTENT_TYPE, content_type)], all)
        }),
    )
}
