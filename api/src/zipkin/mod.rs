//! Zipkin's door, port 9411: v1 and v2 in JSON, v1 in Thrift, v2 in protobuf.
//!
//! Zipkin says a span's service in the span, and its fields come in any order, so a span cannot
//! be written while it is read. It is gathered in a [`draft`] that is used again for the next
//! one, and then written into the request's arena (see [`crate::jaeger_thrift`]): nothing is
//! allocated per span.
//!
//! Reading order: [`draft`], the formats [`json`], [`protobuf`] and [`thrift`], the rules [`v2`]
//! and [`v1`], `encoded` (attributes inside texts), [`http`].

pub mod draft;

pub mod json;
mod json_values;
pub mod protobuf;
pub mod thrift;

mod encoded;
mod resource_keys;
pub mod v1;
pub mod v2;

pub mod http;
