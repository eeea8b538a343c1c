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

/// Bytes of one message of a file that is imported: a thousand times what exporters write.
pub const FILE_MESSAGE_BYTES_MAX: u64 = 256 << 20;

/// Bytes of one message of a Jaeger's answer. Its own limit is 4 MiB unless it was raised.
pub const ANSWER_MESSAGE_BYTES_MAX: usize = 256 << 20;

/// How long one search of a Jaeger may take: a store that is slow is still worth leaving.
pub const READ_DEADLINE: Duration = Duration::from_mins(2);

/// How long something that fails in passing is tried again.
pub const RETRY_FOR: Duration = Duration::from_mins(1);

/// Spans that are gathered before they are sent: several requests' worth, so that they can be on
/// their way at once.
pub const GATHERED_SPANS: usize = 16_384;

/// Bytes of messages that are gathered before they are sent.
pub const GATHERED_BYTES: usize = 16 << 20;

/// Spans of one request of an import: what makes a full batch in a store of few shards.
pub const IMPORT_REQUEST_SPANS: usize = 2_000;

/// Requests of an import on their way at once.
pub const IMPORT_IN_FLIGHT: usize = 8;

/// Traces that a Jaeger is asked for in one search for whole traces.
pub const SEARCH_TRACES: u32 = 200;

/// Ids that a Jaeger is asked for in one search for ids.
pub const SEARCH_IDS: u32 = 1_000;

/// The most that is asked for where a window cannot be narrower: several of Jaeger's stores refuse
/// more.
pub const SEARCH_MAX: u32 = 10_000;

/// Bytes of one document of Jaeger's JSON in an exported file; the UI reads it whole.
pub const JAEGER_DOCUMENT_BYTES: usize = 64 << 20;

/// Spans of one synthetic trace: they are in memory until they are in messages.
pub const SYNTHETIC_TRACE_SPANS_MAX: u64 = 1 << 22;

/// Recorded spans that stand for one operation in a fitted profile.
pub const EXEMPLARS_MAX: usize = 256;

const _: () = assert!(REQUEST_BYTES_MAX < 4 << 20, "requests must pass a default gRPC server");
