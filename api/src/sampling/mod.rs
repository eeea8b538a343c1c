//! Remote sampling: what clients ask to know which traces to begin.
//!
//! Two sources, one at a time ([`Sampling`]): a strategies file in Jaeger's format
//! ([`StrategiesHandle`]), or probabilities that are computed from the throughput of root spans
//! so that every operation is sampled about equally often ([`AdaptiveSampling`]). Both answer
//! with a [`Strategy`], whose wire forms are here for HTTP ([`http`]) and in `jaeger_grpc` for
//! gRPC.
//!
//! ```text
//! a file's bytes -> strategies -> StrategiesHandle -+
//! root spans -> throughput -> together -> adaptive -+-> Sampling -> http, gRPC
//!                  other nodes' notes --^
//! ```
//!
//! Everything but [`http`] is pure or a lock around something pure. What is not here: reading
//! files and noticing that they changed (the node does), and how notes travel between nodes
//! ([`Peers`], which the node makes of its cluster).

pub mod adaptive;
pub mod http;
pub mod limits;
mod note;
mod provider;
mod strategies;
mod strategy;
mod throughput;
mod together;

pub use adaptive::{AdaptiveOptions, Calculator, Probabilities};
pub use note::Note;
pub use provider::{AdaptiveSampling, Peers, Sampling, StrategiesHandle};
pub use strategies::{Strategies, StrategiesError, Warning};
pub use strategy::{Main, OperationStrategies, Strategy};
pub(crate) use throughput::Roots;
pub use throughput::{OperationThroughput, Throughput, ThroughputCounter};
pub use together::Together;
