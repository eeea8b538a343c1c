//! Every bound of this crate, each with its reason.
//!
//! What a client may cost is bounded before the cost arises: connections when they are
//! accepted, requests when their head was read, bytes as they come in and again as they grow
//! under decompression, time by a deadline. Whoever is over a bound learns it in a form that
//! the client's retry logic understands.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// One write request.

/// Largest body as it comes over the wire. OTLP exporters and collectors stay below 4 MiB by
/// default; whoever raises that limit rarely goes beyond four times of it.
pub const REQUEST_BYTES_MAX: usize = 16 * MIB;
/// Largest body after decompression: what the walker sees. A small body that grows beyond is a
/// bomb or a mistake.
pub const DECOMPRESSED_BYTES_MAX: usize = 16 * MIB;
/// Most spans of one request: 30 times the largest recorded one, and few enough that their
/// places (28 bytes each) cost less than the request itself.
pub const REQUEST_SPANS_MAX: usize = 250_000;
/// Most resources and scopes of one request. One of each for every span of a usual request is
/// fine; more is a generator gone wild, and each costs 80 bytes of notes.
pub const REQUEST_GROUPS_MAX: usize = 100_000;

// One span. What is over these limits is rejected alone; its neighbours are kept.

/// Largest span: SDKs with default limits stay a hundred times below. With the groups above it,
/// it must fit an entry of the log.
pub const SPAN_BYTES_MAX: usize = MIB;
/// Most attributes of a span, those of its events and links included: twice what an SDK with
/// default limits (128 attributes, 128 events and links of 128 attributes each) can produce.
pub const SPAN_ATTRIBUTES_MAX: usize = 65_536;
/// Most events of a span; SDKs stop at 128 by default.
pub const SPAN_EVENTS_MAX: usize = 65_536;
/// Most links of a span; SDKs stop at 128 by default.
pub const SPAN_LINKS_MAX: usize = 65_536;
/// Longest attribute key. Keys become columns and stand in dictionaries that stay in memory.
pub const KEY_BYTES_MAX: usize = 16 * KIB;
/// Largest resource or scope: it is kept once per batch and in memory while a batch is open.
pub const GROUP_BYTES_MAX: usize = MIB;

// All write requests together.

/// Most write requests at work at the same time. Each waits for one fsync, so a few hundred keep
/// every disk busy; more only wait longer.
pub const CONCURRENT_WRITES_MAX: usize = 512;
/// Most bytes of write requests in memory, as received and decompressed: the share of requests
/// in the node's memory table, with room for the largest request twice over.
pub const IN_FLIGHT_BYTES_MAX: usize = 40 * MIB;
/// A client over these two bounds is asked to come back after this long: about the time in which
/// the requests at work are done.
pub const OVERLOAD_RETRY: Duration = Duration::from_millis(500);
/// Requests that are at most this large when they are plain are walked where they were received:
/// some 100 usual spans, less than half a millisecond; 2,000 of the smallest, a few milliseconds.
/// Larger ones go to the blocking pool so that no other connection waits.
pub const INLINE_WALK_BYTES_MAX: usize = 64 * KIB;
/// Compressed requests up to this size are decompressed where they were received, up to
/// [`INLINE_WALK_BYTES_MAX`]: the worst of them unfolds ten thousandfold.
pub const INLINE_DECOMPRESSION_BYTES_MAX: usize = 4 * KIB;
/// Largest window of a zstd frame as a power of two: the 8 MiB that the format's description
/// asks every decoder to support. The decoder's memory is not charged to the request.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Plans kept for reuse: about as many as are at work at the same time on a usual machine.
pub const POOLED_PLANS_MAX: usize = 32;
/// Largest plan kept for reuse; a larger one was for an exceptional request.
pub const POOLED_PLAN_BYTES_MAX: usize = 256 * KIB;
/// Steps in which a body grows under decompression; each is charged before it is filled.
pub const DECOMPRESSION_STEP_BYTES: usize = 64 * KIB;

// Time.

/// How long a write request may take from its head to its answer. Exporters give up after ten
/// seconds by default; what is not durable by then is answered as unknown.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may take to send the head of a request, and to say which protocol it
/// speaks once it has begun to.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that says nothing at all is kept before its first byte.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_mins(1);
/// How often an idle HTTP/2 connection is asked whether it is still there.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a stopping server waits for requests at work.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before accepting again after the system refused a connection (no file
/// descriptors left, usually).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

// Connections.

/// Most open connections per listener; further ones wait in the system's queue. All listeners
/// together have a budget that follows from the descriptors that the process may open.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Most open connections of the ports of health and of metrics, each: probes and scrapers are few,
/// and must get in when nobody else does.
pub const WATCHERS_MAX: usize = 64;
/// How often it is said that connections wait or cannot be accepted; counters count each.
pub const CONNECTION_WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// Most requests at work on one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 256;
/// Receive window of an HTTP/2 stream: a usual request fits without waiting for the peer.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Receive window of an HTTP/2 connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Largest head of an HTTP/1 request.
pub const HEADER_BYTES_MAX: usize = 64 * KIB;

// All reads together.

/// Most reads over HTTP and gRPC at work at the same time, until their answers begin: each may hold
/// a whole trace. Pages ask for a few things at once, so this is for some dozens of people.
pub const READS_MAX: usize = 64;
/// Most requests at a time for digests of replicas, of which each keeps its place for minutes: one
/// is answered after the other, and reads of traces must not wait for them.
pub const DIGEST_REQUESTS_MAX: usize = 4;
/// How long a read waits for a place. Most are done by then; a longer queue only hides overload.
pub const READ_WAIT: Duration = Duration::from_secs(2);
/// Most bodies of reads that are coming in: far more than people send, so that a few connections
/// full of bodies that never come keep nobody out.
pub const READ_BODIES_MAX: usize = 4_096;
/// Most bytes of them: two of the largest uploads.
pub const READ_BODY_BYTES_MAX: usize = 40 * MIB;
/// How long a question in a body may take to come; it is 256 KiB at most.
pub const READ_BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How long an upload may take to come: 16 MiB from somebody's home.
pub const UPLOAD_DEADLINE: Duration = Duration::from_mins(1);
/// Most bytes of answers that wait to be sent: the largest single one, with what is around it.
pub const ANSWER_BYTES_MAX: usize = 272 * MIB;
/// Answers below this size are not charged: a connection's own buffers hold as much.
pub const SMALL_ANSWER_BYTES: usize = 256 * KIB;
/// What is handed to a connection at once of an answer that waits.
pub const ANSWER_PIECE_BYTES: usize = 256 * KIB;
/// A reader who takes nothing of an answer that waits, not even one piece, is given up after this
/// long, and at the latest after twice as long.
pub const SLOW_READER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes that a read of one trace may decode, as a multiple of the largest answer: spans in
/// memory take a few times what they take in JSON, and pages hold other traces too.
pub const TRACE_BYTES_FACTOR: u64 = 4;

// One read of Skua's own API.

/// Most spans of a trace in a raw read. Spans are owned while they are written, about a kilobyte
/// each; larger traces are for the columns.
pub const RAW_TRACE_SPANS_MAX: usize = 250_000;

/// Spans that a raw read writes at once: a few milliseconds of work.
pub const RAW_PIECE_SPANS: usize = 4_096;

const _: () = {
    assert!(SPAN_BYTES_MAX <= DECOMPRESSED_BYTES_MAX);
    assert!(GROUP_BYTES_MAX <= SPAN_BYTES_MAX);
    // The largest request must be admissible on an idle node, compressed and decompressed.
    assert!(IN_FLIGHT_BYTES_MAX >= REQUEST_BYTES_MAX + DECOMPRESSED_BYTES_MAX);
    // An upload is admissible whatever else is being asked; so is the largest answer.
    assert!(READ_BODY_BYTES_MAX >= 2 * DECOMPRESSED_BYTES_MAX);
    assert!(ANSWER_BYTES_MAX >= SMALL_ANSWER_BYTES);
    // Places in a request are 32-bit numbers.
    assert!(DECOMPRESSED_BYTES_MAX <= 1 << 29);
};
