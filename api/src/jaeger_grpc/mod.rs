//! Jaeger's gRPC doors: so far the collector of api_v2, port 14250.
//!
//! Reading order: [`batch`] (the messages of api_v2, read where they lie), [`collector`] (the
//! door).

pub mod batch;

pub mod collector;
