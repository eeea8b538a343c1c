//! Every door of a node: receivers, query APIs, admin endpoints.
//!
//! This crate speaks to the world and knows no disk, no Raft and no peer: it is written against
//! [`model::TraceStore`] and [`model::ClusterAdmin`], which the coordinator implements and node
//! plugs in. What comes in is walked, not decoded ([`otlp::walk`]), and told to the store's
//! [`model::SpanSink`]; what goes out is `model`'s spans in each protocol's shape, and whatever
//! Jaeger changes about a span is applied on the way out ([`adjust`]), never on the way in.
//!
//! Reading order: [`server`] (which door is where), [`ingest`] and [`otlp`] (writes),
//! [`jaeger_thrift`], [`jaeger_grpc`], [`zipkin`] and [`kafka`] (other formats, rewritten into
//! OTLP bytes), [`jaeger_http`] with [`read_context`] and [`adjust`] (reads), [`sampling`] (what
//! clients are told), [`written`] (files), [`skua`] and [`admin`] (our own), [`error`],
//! [`limits`] and [`tenant`] (what holds for all of them).
//!
//! Absent on purpose: owned spans on the way in; state between requests; any retry (clients
//! retry, and are told when).

pub mod adjust;
pub mod admin;
pub mod assets;
mod connections;
pub mod error;
mod greeting;
pub mod ingest;
pub mod jaeger_grpc;
pub mod jaeger_http;
pub mod jaeger_thrift;
pub mod kafka;
pub mod limits;
mod meter;
pub mod otlp;
pub mod read_context;
mod read_room;
pub mod sampling;
mod seldom;
pub mod server;
pub mod skua;
pub mod task;
pub mod tenant;
pub mod written;
pub mod zipkin;

pub use meter::Meter;
pub use server::{ApiConfig, ApiState, BindError, Bound, Doors, Ports, bind};
