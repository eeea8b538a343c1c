//! The doors for formats other than OTLP: what each format becomes, what each door answers, and
//! that nothing anybody sends does harm.
#![cfg(test)]

mod counted;
mod shown;
mod store;
mod thrift_writer;

mod fuzz;
mod jaeger_proto;
mod jaeger_thrift;
mod real_clients;
mod udp;
mod unfolding;
mod zipkin;
mod zipkin_http;
