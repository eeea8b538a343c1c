//! Tests of the doors as a client sees them, and of the walker against the reference decoder.
#![cfg(test)]

mod client;
mod encode;
mod json;
mod recorded;
mod reference;
mod walker;

mod bad_input;
mod grpc;
mod http;
mod jaeger_ports;
mod ui;
