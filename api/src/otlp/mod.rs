//! OTLP, the protocol that OpenTelemetry speaks: how most spans come in, and how raw ones go
//! out.
//!
//! Reading order: [`wire`] (the protobuf wire format), [`walk`] (a request becomes calls to a
//! visitor), [`schema`] and [`normal`] (rare forms of messages), [`json`] (JSON becomes protobuf,
//! then the same walk), [`encode`] (spans become OTLP again), [`response`] (what clients are
//! told), [`grpc`] and [`http`] (the two doors).

pub mod wire;

pub mod walk;

pub mod normal;
pub mod schema;

pub mod json;

mod door;
pub mod encode;

pub mod response;

pub mod grpc;
pub mod http;
