//! Every bound of the load generator, each with its reason.

use std::time::Duration;

/// Bytes of one input file after decompression. The largest recording of this project is 58 MB;
/// a compressed bomb stops here.
pub const FILE_BYTES_MAX: u64 = 2 << 30;

/// Spans of one loaded recording: their index takes 32 bytes each, and is addressed by `u32`.
pub const RECORDING_SPANS_MAX: usize = 1 << 28;

/// Bytes of one request, where a single span does not exceed it alone. gRPC servers take 4 MiB by
/// default; the rest is room for framing.
pub const REQUEST_BYTES_MAX: usize = (4 << 20) - (64 << 10);

/// Requests on their way at once on one connection: what an HTTP/2 server grants by default.
pub const IN_FLIGHT_MAX: u32 = 100;

/// Connections of one load: file descriptors are 1,024 by default.
pub const CONNECTIONS_MAX: u32 = 512;

/// Nested messages of one value: deeper ones are sent as they are, not re-drawn.
pub const VALUE_DEPTH_MAX: u32 = 32;

/// Different tokens that the survey of one key remembers. Further ones count as seen once, which
/// is what makes a token variable.
pub const TOKENS_PER_KEY_MAX: usize = 1 << 20;

/// How long one request may take before its outcome is unknown and it is sent again.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// The first pause before a request is sent again, where the server gave no hint.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// The longest pause before a request is sent again, hint or not.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Bytes of an HTTP answer that a measurement reads: more than any page of results.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Recorded children, for each exemplar of an operation, that say what its children are; further
/// ones say nothing new.
pub const CHILDREN_PER_EXEMPLAR_MAX: usize = 64;

/// Spans of one synthetic trace: they are in memory until they are in messages.
pub const SYNTHETIC_TRACE_SPANS_MAX: u64 = 1 << 22;

/// Recorded spans that stand for one operation in a fitted profile.
pub const EXEMPLARS_MAX: usize = 256;

const _: () = assert!(REQUEST_BYTES_MAX < 4 << 20, "requests must pass a default gRPC server");
