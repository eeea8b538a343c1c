//! Every bound of the crate, each with its reason.

use model::Duration;

/// Between the heartbeats of a group's leader. Shorter costs processor time in every group; a dead
/// leader is noticed after the election timeout, not after a heartbeat.
pub const HEARTBEAT: Duration = Duration::from_millis(125);

/// How recently a follower must have been heard from to be handed the leadership: two heartbeats,
/// because the newest answer may be under way.
pub const HEARD_WITHIN: Duration = Duration(2 * HEARTBEAT.0);

/// Spans at which an open batch is closed: beyond, another thousand saves less than 2 % of the
/// bytes (docs/adr/0004), and a reader unpacks the whole batch for one trace.
pub const BATCH_SPANS_CLOSE: usize = 2_000;

/// Payload bytes at which an open batch is closed, so that an entry stays about this small.
pub const BATCH_PAYLOAD_BYTES_CLOSE: usize = 1 << 20;

/// Spans at which an open batch is closed even if too many are on their way already: another
/// part of a request must always fit.
pub const BATCH_SPANS_MAX: usize = model::batch::SPANS_MAX - model::sink::PART_SPANS_MAX;

/// The same for payload bytes: with the largest part that may follow, what comes of it must fit
/// an entry of the log (just below 4 MiB).
pub const BATCH_PAYLOAD_BYTES_MAX: usize = 3 << 19;

/// How long a batch stays open for company while the processors are mostly idle.
pub const LINGER_CALM: Duration = Duration::from_millis(2);

/// The same while they are busy: larger batches cost less processor time per span, which is then
/// what there is too little of. Most batches then wait behind one in flight anyway: twice as long
/// makes them hardly larger, and acknowledgements later.
pub const LINGER_BUSY: Duration = Duration::from_millis(4);

/// The same while there is nothing left of them: whoever waits then waits for a processor, and gets
/// one sooner where batches are larger. With four milliseconds a span cost a third more.
pub const LINGER_FULL: Duration = Duration::from_millis(8);

/// How long a batch waits for company behind one that is on its way already, while the processors
/// are mostly idle: half of what a batch takes to a majority's disks and back.
pub const LINGER_BEHIND: Duration = Duration::from_millis(4);

/// The share of the machine's processors above which it counts as busy.
pub const BUSY_SHARE: f32 = 0.7;

/// The share above which nothing is left of them.
pub const FULL_SHARE: f32 = 0.9;

/// Batches of one shard that may be on their way to the disk before others must wait: enough to
/// encode one while another is written and a third applied.
pub const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// Bytes of spans taken in and not yet acknowledged, for the whole node; over it writers are
/// asked to come back later. The log's queue (16 MiB) and open builders both lie within.
pub const WRITE_BYTES_IN_FLIGHT_MAX: usize = 64 << 20;

/// How many times the free part of these bytes one tenant may hold: alone it can use four fifths of
/// them, two can use four ninths each, and there is always some left for another.
pub const TENANT_TO_FREE: usize = 4;

/// Tenants with bytes in flight at the same moment, in all shards together.
pub const TENANTS_IN_FLIGHT_MAX: usize = 4 * OPEN_BATCHES_MAX;

/// How often a question starts over because shards were added meanwhile: once is likely, and nobody
/// adds shards many times within a question's time.
pub const EPOCHS_MET_MAX: usize = 4;

/// When a refused writer should come back: a few group commits later.
pub const RETRY_AFTER_MS: u64 = 200;

/// Open batches of one shard, which is to say tenants writing at the same moment.
pub const OPEN_BATCHES_MAX: usize = 1_024;

/// Empty builders kept per shard for their room.
pub const SPARE_BUILDERS_MAX: usize = 4;

/// Entries that were written and wait to be applied, per shard. More than can be in flight, so
/// handing one over never waits.
pub const APPLY_QUEUE_ENTRIES_MAX: usize = 4_096;

/// Jobs that may wait for a thread of a pool.
pub const POOL_QUEUE_JOBS_MAX: usize = 4_096;

/// Most spans of a trace that can be archived: they are in memory while they are copied.
pub const ARCHIVED_SPANS_MAX: usize = 100_000;

/// How long reading the trace may take that is archived.
pub const ARCHIVE_READ_SECONDS: u64 = 15;
/// Bytes that it may decode: as many as any other read of a trace.
pub const ARCHIVE_READ_BYTES_MAX: u64 = 1 << 30;

const _: () = assert!(BATCH_SPANS_CLOSE < BATCH_SPANS_MAX);
const _: () = assert!(BATCH_PAYLOAD_BYTES_CLOSE < BATCH_PAYLOAD_BYTES_MAX);

/// When to try again after a refusal for lack of room on the disk: room does not come back at once.
pub const NO_SPACE_RETRY_AFTER_MS: u64 = 5_000;

/// How far from a fence traces are looked for that lie across it: longer than all but a few take.
pub const NEAR_FENCE: Duration = Duration::from_secs(3_600);

/// Most traces across fences that a search judges one by one, and tells shards to leave out; with
/// more it says that it is partial.
pub const ACROSS_TRACES_MAX: usize = 4_096;

/// The share of a read's time that looking for them may take. Beyond it the read goes on without
/// those that are not known, and says so.
pub const ACROSS_SHARE: u64 = 3;

/// How many of them are read at the same time.
pub const ACROSS_AT_ONCE_MAX: usize = 8;

/// Old shards that are gone through at the same time: each tells some MiB of ids at once.
pub const ACROSS_WALKS_MAX: usize = 4;

/// How often a search begins again because further traces came to lie across a fence meanwhile.
/// That happens in the first seconds behind one.
pub const ACROSS_ROUNDS_MAX: usize = 3;

/// For how many tenants, fences and old shards it is remembered which traces lie across: some dozen
/// KiB each at most, mostly none.
pub const ACROSS_CACHED_MAX: usize = 256;

/// Most ids that are remembered of traces that may come to lie across, in all: 16 MiB. Old shards
/// that have more are asked each time, until the fence is long past.
pub const MOVED_CACHED_IDS_MAX: usize = 1 << 20;

const _: () = assert!(ACROSS_TRACES_MAX <= crate::wire::limits::WITHOUT_IDS_MAX);

/// How long a purge looks for shards that its node does not know of: as long as a write waits for
/// a leader.
pub const PURGE_LOOK_SECONDS: u64 = 10;
