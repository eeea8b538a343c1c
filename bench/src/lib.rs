//! The load generator and the whole-system benchmarks.
//!
//! [`replay`] sends recorded traces to anything that takes OTLP over gRPC, as often and as fast as
//! asked (`skua load` is a thin face of it). [`transfer`] moves traces between stores and files on
//! the same wire (`skua import`, `skua export`). [`synthetic`] makes traces that look like recorded
//! ones, in any number. [`measure`] starts a server, loads it and reads what that cost it; the
//! binaries under `src/bin` are its faces. [`thrift`] writes what Jaeger's old clients send.
//!
//! Everything works on the wire bytes of spans: what is sent is what was recorded, byte for byte,
//! but for the ids, times and values that were asked to change, and the generator stays cheap
//! beside the server it measures.
//!
//! What is absent on purpose: owned span types and a protobuf library (a decode and re-encode
//! would lose unknown fields, and cost more than the server under test).

pub mod convert;
mod feed;
pub mod limits;
pub mod measure;
mod outside;
pub mod recording;
pub mod redraw;
pub mod replay;
pub mod synthetic;
pub mod thrift;
pub mod transfer;
pub mod wire;

pub use recording::{InputFormat, Recording};
pub use replay::{LoadOptions, LoadProgress, LoadReport, Progress, load};
