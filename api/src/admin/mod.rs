//! What operators and their machines ask a node: is it alive, is it ready, how is it doing.
//!
//! These doors have no tenant and no credentials. Of data they tell nothing but how often services
//! and operations are called, and that only where there is one tenant and nobody turned it off.

mod health;
mod metrics;
mod red;

pub use health::router as health_router;
pub use metrics::MetricsText;
pub(crate) use metrics::router as metrics_router;
pub(crate) use red::RedMetrics;
