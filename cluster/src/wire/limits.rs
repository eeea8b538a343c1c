//! Every bound of what nodes say to each other, each with its reason.

use crate::transport;

/// Most bytes of one frame of an answer, below 1 MiB: a stream's frames under way are counted, so
/// this and that count bound what a slow reader makes a node hold.
pub const FRAME_BYTES_MAX: usize = (1 << 20) - 1;

/// Bytes at which a part of a long list is closed: far enough below a frame that no estimate has
/// to be exact.
pub const PART_BYTES_CLOSE: usize = 1 << 19;

/// Bytes in a builder at which a batch of a trace's spans is closed. Packing makes fewer of them.
pub const SPANS_BYTES_CLOSE: usize = 5 << 17;

/// Spans at which such a batch is closed: further ones hardly pack better, and a reader unpacks a
/// whole batch.
pub const SPANS_CLOSE: usize = 8_192;

/// Most bytes of a part that had to be cut into pieces because one thing in it (a span, a text) is
/// larger than a frame. A span came through an entry of the log, so several of these fit.
pub const PART_BYTES_MAX: usize = 16 << 20;

/// Most bytes of a question: a hundred times what people ask, and what it decodes to stays small
/// beside the memory for requests.
pub const REQUEST_BYTES_MAX: usize = 1 << 18;

/// Most bytes of an answer that is one message (barrier, write, status): a line for each shard.
pub const REPLY_BYTES_MAX: usize = 1 << 20;

/// Most bytes of a request that carries batches: what the transport takes.
pub const WRITE_BYTES_MAX: usize = transport::FRAME_BYTES_MAX;

/// Bytes of batches that always fit a request of at most [`SHARDS_MAX`] batches, with what is put
/// around them.
pub const WRITE_PAYLOAD_BYTES_MAX: usize = WRITE_BYTES_MAX - 32 * SHARDS_MAX;

/// Most shards (or batches, or replicas) in one message: a node holds a few dozen.
pub const SHARDS_MAX: usize = 4_096;

/// Most sets of voters of a group: two, while they change.
pub const VOTER_SETS_MAX: usize = 2;

/// Most voters in one of them: what a group may have.
pub const VOTERS_MAX: usize = 32;

/// Most trace ids of one question: half of what a question may have.
pub const KNOWN_IDS_MAX: usize = REQUEST_BYTES_MAX / 2 / 16;

/// Most traces that a question leaves out: 64 KiB, a quarter of what a question may have.
pub const WITHOUT_IDS_MAX: usize = REQUEST_BYTES_MAX / 4 / 16;

/// Most parts of a query's predicate, on traces and spans together.
pub const PREDICATE_NODES_MAX: usize = 4_096;

/// Most patterns of one query.
pub use model::query::PATTERNS_MAX;

/// Largest number that is added up when answers are merged: thousands of them do not overflow, and
/// the number of spans on earth fits. Beyond 2^50 ranks of durations would not be exact as well.
pub const COUNT_MAX: u64 = 1 << 48;

/// Bytes after which a text for people is cut off.
pub const REASON_BYTES_MAX: usize = 1_024;

const _: () = assert!(FRAME_BYTES_MAX < transport::FRAME_BYTES_MAX);
const _: () = assert!(REPLY_BYTES_MAX < transport::FRAME_BYTES_MAX);
const _: () = assert!(PART_BYTES_CLOSE < FRAME_BYTES_MAX && SPANS_BYTES_CLOSE < FRAME_BYTES_MAX);
const _: () = assert!(SPANS_CLOSE < model::batch::SPANS_MAX);
// A level of a predicate is one message within another, and prost refuses more than a hundred.
const _: () = assert!(2 * model::query::PREDICATE_DEPTH_MAX + 16 < 100);
