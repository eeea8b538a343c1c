//! What operators and their machines ask a node: is it alive, is it ready, how is it doing.
//!
//! These doors have no tenant and no credentials; they tell nothing about anyone's data.

mod health;
mod metrics;

pub use health::router as health_router;
pub use metrics::{MetricsText, router as metrics_router};
