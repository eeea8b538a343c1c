//! Kafka: spans that a collector has put into topics, consumed as a member of a group.
//!
//! ```text
//!   librdkafka -> Source --(message)--> encoding -> Gathered --(one OTLP message)--> Receiver
//!                   ^                                                                  |
//!                   +---- offsets to commit ---- Ledger <------------ acknowledged ----+
//! ```
//!
//! Invariant: an offset is handed to Kafka only when its message and every earlier one of its
//! partition is durable, or can never be stored (it is not what it should be, or was refused for
//! good; both are counted, and the log names some). What was consumed and not committed when a node
//! goes away is consumed again by another member of the group; spans that were stored twice count
//! once.
//!
//! `ledger`, `gathered` and `encoding` are pure; `source` alone talks to Kafka.
//!
//! Absent on purpose: a position of our own (the group's is Kafka's affair); a dead-letter topic
//! (this door only reads).

pub mod config;
pub mod encoding;
pub mod gathered;
mod jaeger_json;
pub mod ledger;
mod limits;
#[cfg(feature = "kafka")]
mod source;

pub use config::{KafkaConfig, KafkaStart, Sasl, Tls};
pub use encoding::{KafkaEncoding, UnknownEncoding};
#[cfg(feature = "kafka")]
pub use source::{KafkaError, KafkaSource};
