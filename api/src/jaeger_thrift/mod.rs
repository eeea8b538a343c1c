//! Jaeger's Thrift doors: datagrams on 6831 and 6832, HTTP on 14268; and what every door for a
//! format other than OTLP shares.
//!
//! A foreign format is never decoded into spans. It is read where it lies and written, field by
//! field, into an OTLP message in one vector, the request's arena, which goes the way of every
//! OTLP request from there on: the same checks, the same limits, the same walk.
//!
//! Reading order: [`protocol`], [`compact`] and [`binary`] (Thrift on the wire), [`arena`] (OTLP
//! being written), [`translate`] (Jaeger's model as OTLP, whatever the wire), [`batch`] (the
//! structures of `jaeger.thrift`), `door` (admission, threads, metrics), [`http`] and [`udp`].

pub mod limits;

pub mod protocol;

pub mod binary;
pub mod compact;

pub mod arena;
mod decisive;
pub mod translate;

pub mod batch;

pub(crate) mod door;

pub mod http;
pub mod udp;
