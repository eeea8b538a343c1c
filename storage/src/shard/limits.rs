//! Every bound of shards and their entries, each with its reason.
//!
//! A bound that is not here (or in [`crate::limits`]) does not exist.

use model::Duration;

use crate::limits::LOG_ENTRY_BYTES_MAX;

/// Bytes of one entry. The log takes a little more, which is left to what consensus puts around it.
pub const ENTRY_BYTES_MAX: usize = LOG_ENTRY_BYTES_MAX - 4 * 1024;

/// Batches in one entry: far more than coordinators have builders, few enough for a quick decode.
pub const ENTRY_BATCHES_MAX: usize = 1024;

/// Batch ids that a shard remembers, so that a coordinator's repetition of a batch is dropped. A
/// repetition comes within a deadline; this many batches are minutes at full load.
pub const BATCH_IDS_MAX: usize = 65_536;

/// For how long of log time a request's digest marks its repetition by a client.
pub const DIGEST_WINDOW: Duration = Duration::from_secs(15 * 60);

/// Digests that a shard remembers at most; at some 80 bytes each they are the smaller part of a
/// shard's memory. Beyond it the window is shorter than [`DIGEST_WINDOW`], and repeats that it
/// misses vanish on reading.
pub const DIGESTS_MAX: usize = 32_768;

/// Tenants in one shard. Each costs a few maps; the names come from clients.
pub const TENANTS_MAX: usize = 4_096;

/// Operations that a tenant's catalog in memory lists. A tenant with more (ids in span names) has
/// its names read from the batches instead.
pub const CATALOG_OPERATIONS_MAX: usize = 10_000;

/// Default of the decoded cache of a node: its share of the memory table.
pub const DECODED_CACHE_BYTES: usize = 24 * 1024 * 1024;

/// A part of the cache that one item may take: one large batch must not push out all others.
pub const DECODED_CACHE_ITEM_FRACTION: usize = 4;

/// Bytes of entries that re-applying a log reads at a time.
pub const RECOVER_BYTES: usize = 4 * 1024 * 1024;

/// Predicates on spans whose result is kept per trace while searching: bits of a word. Further
/// ones are not used to rule traces out.
pub const PREFILTER_LEAVES_MAX: usize = 64;

/// Traces whose places are looked up under one hold of the head's lock.
pub const LOOKUPS_PER_LOCK: usize = 1_024;

/// Bytes that a budget is charged for a span that is materialised: what one takes on average.
pub const SPAN_BYTES_ESTIMATE: u64 = 512;

const _: () = assert!(ENTRY_BYTES_MAX < LOG_ENTRY_BYTES_MAX);
const _: () = assert!(PREFILTER_LEAVES_MAX <= 64);
