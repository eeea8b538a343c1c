//! The messages of Jaeger's gRPC services, a file for each package, from their field numbers.
//!
//! Only what is asked, and small answers: a trace is never one of these.

pub mod api_v2;
pub mod api_v3;
pub mod parameters;
pub mod sampling;
pub mod standard;
pub mod storage_v2;
