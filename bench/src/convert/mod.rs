//! From the JSON forms of recorded traces to OTLP protobuf.
//!
//! Pure functions over parsed JSON. Jaeger's form goes through OTLP/JSON, so there is one writer of
//! protobuf.

mod jaeger;
mod otlp;

pub use jaeger::jaeger_json;
pub use otlp::otlp_json;
