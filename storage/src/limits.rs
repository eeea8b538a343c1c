//! Every bound of this crate, each with its reason, and the relations between them.
//!
//! A bound that is not here does not exist: queues, buffers, frames and loops name theirs.

const KIBIBYTE: usize = 1024;
const MEBIBYTE: usize = 1024 * KIBIBYTE;

/// Bytes of frames that one write and one sync of the log carry. More would make the first waiter
/// of a batch wait for the transfer of the last; less would waste the sync, which costs the same.
pub const LOG_BATCH_BYTES_MAX: usize = 4 * MEBIBYTE;

/// Bytes of frames accepted and not yet synced. It is the log's share of the memory table: a full
/// queue refuses, because a disk that is behind must slow the writers and not fill the memory.
pub const LOG_QUEUE_BYTES_MAX: usize = 16 * MEBIBYTE;

/// Bytes of one entry: with its header it still fits a batch.
pub const LOG_ENTRY_BYTES_MAX: usize = LOG_BATCH_BYTES_MAX - 4 * KIBIBYTE;

/// Bytes of entries kept in memory: those not synced yet (they have no other home), however many,
/// then the most recent ones, which followers and apply read next. Half a second of a busy node's;
/// who is further behind reads from the disk.
pub const LOG_TAIL_BYTES_MAX: usize = LOG_QUEUE_BYTES_MAX / 2;

/// Entries in the tail whose eviction order is remembered; tiny entries end at this count first.
pub const LOG_TAIL_ENTRIES_MAX: usize = 65_536;

/// Bytes after which a segment is closed and the next begins, and of the room that a segment's file
/// is made with: large enough that the three syncs of a change are lost in the noise, small enough
/// that space comes back soon after a purge and that two files of zeros are nothing to a disk.
pub const LOG_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// The part of a segment that is written before the next one's file is made: a log that nobody
/// uses holds no room, and the file is there long before it is needed.
pub const LOG_SPARE_FRACTION: u64 = 16;

/// Largest segment size that may be configured: offsets inside a segment are kept in 32 bits.
pub const LOG_SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Groups one log may hold. A node carries some dozens; the bound keeps a segment header small.
pub const LOG_GROUPS_MAX: usize = 1024;

/// State slots of a group (vote, committed, last purged id, ...), numbered from zero.
pub const LOG_STATE_SLOTS_MAX: u8 = 8;

/// Bytes of one state value. Values are ids and votes, and every segment header repeats them all.
pub const LOG_STATE_BYTES_MAX: usize = KIBIBYTE;

/// Bytes of a segment header's payload that a decoder accepts.
pub const LOG_HEADER_BYTES_MAX: usize = 16 * MEBIBYTE;

/// Bytes of live entries that a change of segments may carry over from old segments which are
/// nearly dead, so that one idle group does not keep every file alive.
pub const LOG_MOVE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A closed segment is nearly dead when at most one part in this many is still live: carrying
/// entries over then adds at most a sixteenth to what the log writes.
pub const LOG_MOVE_LIVE_FRACTION: u64 = 16;

/// Segment numbers in one frame that announces deletions.
pub const LOG_DROPS_PER_FRAME_MAX: usize = 1024;

/// Bytes that recovery reads at a time.
pub const LOG_SCAN_BYTES: usize = MEBIBYTE;

/// Idle time after which the log confirms its last frames by a closing frame. Half of the promised
/// second, so that a slow sync still keeps the promise.
pub const LOG_CLOSE_AFTER_MILLISECONDS: u64 = 500;

// An operation that was accepted must be writable: one frame fits a batch, one batch the queue.
const _: () = assert!(LOG_ENTRY_BYTES_MAX < LOG_BATCH_BYTES_MAX);
const _: () = assert!(LOG_BATCH_BYTES_MAX <= LOG_QUEUE_BYTES_MAX);
const _: () = assert!(LOG_STATE_BYTES_MAX <= LOG_ENTRY_BYTES_MAX);
const _: () = assert!(LOG_DROPS_PER_FRAME_MAX * 8 <= LOG_ENTRY_BYTES_MAX);
// A header with every group and every slot full must be readable again. 64 bytes are more than the
// fixed part of a group and of a slot; half of the room is left for the list of segments.
const _: () = assert!(
    LOG_GROUPS_MAX * (64 + LOG_STATE_SLOTS_MAX as usize * (64 + LOG_STATE_BYTES_MAX))
        <= LOG_HEADER_BYTES_MAX / 4 * 3
);
// Offsets inside a segment fit 32 bits: the configured size, one batch, one header, the moves.
const _: () = assert!(
    LOG_SEGMENT_BYTES_MAX
        + (LOG_BATCH_BYTES_MAX + LOG_HEADER_BYTES_MAX) as u64
        + 4 * LOG_MOVE_BYTES_MAX
        < u32::MAX as u64
);
const _: () = assert!(LOG_SEGMENT_BYTES <= LOG_SEGMENT_BYTES_MAX);
