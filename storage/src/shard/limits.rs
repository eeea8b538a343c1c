//! Every bound of shards and their entries, each with its reason.
//!
//! A bound that is not here (or in [`crate::limits`]) does not exist.

use model::Duration;

use crate::block::limits::{BUILD_BYTES_MAX, BUILD_ROWS_BYTES_MIN, PLAN_PART_BYTES, RUN_PAGES_MAX};
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

/// Digests that a shard remembers at most; at some 70 bytes each they are the smaller part of a
/// shard's memory. Beyond it the window is shorter than [`DIGEST_WINDOW`], and repeats that it
/// misses vanish on reading.
pub const DIGESTS_MAX: usize = 32_768;

/// Tenants in one shard of which there are data. Each costs a few maps; the names come from
/// clients.
pub const TENANTS_MAX: usize = 4_096;

/// Operations that a tenant's catalog in memory lists. A tenant with more (ids in span names) has
/// its names read from the batches instead.
pub const CATALOG_OPERATIONS_MAX: usize = 10_000;

/// Default of the decoded cache of a node: its share of the memory table.
pub const DECODED_CACHE_BYTES: usize = 24 * 1024 * 1024;

/// Memory for what is kept of tables of traces. Of five million traces all has room; the tables of
/// others are read slice by slice.
pub const TABLES_CACHE_BYTES: usize = 6 * 1024 * 1024;

/// Memory for zones of blocks: those of a hundred million spans have room, 600 bytes a page.
pub const ZONES_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Memory for rollups and names of blocks.
pub const FIGURES_CACHE_BYTES: usize = 6 * 1024 * 1024;

/// Of what finds pages and has no room, one in so many takes the place of others all the same: the
/// cache learns what is asked for, and does not turn over with each question.
pub const FINDERS_ADMITTED_EVERY: u64 = 8;

/// The same of tables, of which a lookup without them reads a thousandth.
pub const TABLES_ADMITTED_EVERY: u64 = 1024;

/// A part of the cache that one item may take: one large batch must not push out all others.
pub const DECODED_CACHE_ITEM_FRACTION: usize = 4;

/// Bytes of entries that re-applying a log reads at a time.
pub const RECOVER_BYTES: usize = 4 * 1024 * 1024;

/// Predicates on spans whose result is kept per trace while searching: bits of a word. Further
/// ones are not used to rule traces out.
pub const PREFILTER_LEAVES_MAX: usize = 64;

/// Pieces whose marks a search keeps, because further traces that are cut over several pieces may
/// lie on them.
pub const MARKS_KEPT_MAX: usize = 64;

/// Bytes that a budget is charged for a span that is materialised: what one takes on average.
pub const SPAN_BYTES_ESTIMATE: u64 = 512;

/// What the spans of a search's hits may take, by that estimate: whoever puts the answer together
/// holds all of them, and as JSON they take several times as much, more than one answer has. A
/// search that would tell more ends there, says so, and goes on with its cursor.
pub const HIT_SPANS_BYTES_MAX: u64 = 128 << 20;

/// Pieces that a search looks into before it puts the traces together that it has found: until then
/// that can wait for other shards, and no longer, so that a search whose time ends has something to
/// show.
pub const DEFERRING_PIECES_MAX: usize = 64;

/// Spans that are materialised between two looks at the budget: a millisecond or two.
pub const STRETCH_SPANS: usize = 512;

/// Traces of a seal or a merge for whose parts in other blocks tables are asked at a time: their
/// ids with their hashes take 24 bytes each, beside all that is known of the traces.
pub const ELSEWHERE_TRACES_MAX: usize = 1 << 16;

const _: () = assert!(
    MERGE_TRACES_MAX <= ((BUILD_BYTES_MAX - BUILD_ROWS_BYTES_MIN) / PLAN_PART_BYTES) as u64
);
const _: () = assert!(MERGE_TRACES_MAX / 2 > SEAL_SPANS + SEAL_SPANS / 8);
const _: () = assert!(ENTRY_BYTES_MAX < LOG_ENTRY_BYTES_MAX);
const _: () = assert!(PREFILTER_LEAVES_MAX <= 64);

/// Spans in the head at which it is sealed: blocks of this size pack well, and a search reads this
/// much without any index.
pub const SEAL_SPANS: u64 = 256 * 1024;

/// Bytes of the head's batches in the log at which it is sealed, for spans that are large.
pub const SEAL_BYTES: u64 = 32 << 20;

/// Memory of a shard's head at which it is sealed: a part of the node's share for heads.
pub const SEAL_RESIDENT_BYTES: u64 = 8 << 20;

/// Log time after which the head is sealed, however little there is, so that a start has little to
/// re-apply and the log can be purged.
pub const SEAL_AGE: Duration = Duration::from_secs(10 * 60);

/// Of a full head, the smallest part at which a shard's first one is sealed.
pub const FIRST_SEAL_PARTS: u64 = 16;

/// Heads that wait to be sealed, in what a head is sealed at: one is being sealed, one is filling,
/// and two more are what a slow disk may cost before writers have to wait.
pub const HEAD_SEALS_MAX: u64 = 4;

/// Spans after which it is looked at again whether sealing has fallen behind: a small part of what
/// may wait.
pub const PRESSURE_SPANS: u64 = SEAL_SPANS / 16;

/// An hour of stamps is a bucket.
pub const BUCKET_NANOSECONDS: u64 = 3_600_000_000_000;

/// Blocks of a bucket that are merged at once, and by that the most that wait.
pub const MERGE_INPUTS: usize = 16;

/// Pages of one tenant that are merged into a run: half of what a run may have, so that it is not
/// full although rows come to lie otherwise.
pub const MERGE_PAGES_MAX: usize = RUN_PAGES_MAX / 2;

/// Traces of one tenant that are merged into a run: its plan takes 32 bytes for each while it is
/// made, which comes to 20 MiB and leaves as much for rows. Two seals of traces of one span each
/// fit, and such a seal is less than half, so that it is merged.
pub const MERGE_TRACES_MAX: u64 = 5 << 17;

/// About so many batch ids and parts of requests are a chunk in the manifest, which comes to less
/// than 64 KiB: what larger values took of memory, allocators give back late.
pub const WINDOW_CHUNK_THINGS: usize = 1_024;

/// Chunks of what a shard remembers of requests that its manifest may name: at least one a seal.
pub const WINDOW_CHUNKS_MAX: usize = 100_000;

/// Blocks of a shard that are read at a start.
pub const BLOCKS_MAX: usize = 1 << 20;

/// Batches and pages whose dictionaries suggest values, the newest ones: a suggestion need not be
/// complete, and says so if it is not.
pub const VALUE_PIECES_MAX: usize = 512;

/// Rows of traces that lie in several blocks of which it is kept what rollups need: some 16 bytes
/// each, for each tenant that asks. A tenant with more has its figures made from columns.
pub const APART_ROWS_MAX: usize = 1 << 18;

/// Pages full of rows of one such trace from which on nothing is kept of it, so that a huge trace
/// does not take the place of all others.
pub const APART_TRACE_PAGES_MAX: usize = 4;

/// Tenants of a shard of which that is kept.
pub const APART_TENANTS_MAX: usize = 4;

/// Classes and services among those rows that are numbered before numbers begin anew.
pub const APART_NAMES_MAX: usize = 1 << 15;

/// Most ids that a shard tells at once when it is asked which traces it has: 4 MiB of them. Each
/// further so many take another look at all rows of the time that is asked for.
pub const TRACE_IDS_MAX: usize = 1 << 18;
