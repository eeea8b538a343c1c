//! What the log counts about itself.

/// Counters and gauges of a log, as one consistent picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Bytes of frames written and synced, headers and closing frames included.
    pub written_bytes: u64,
    /// Entries written and synced.
    pub entries: u64,
    /// Bytes accepted and not yet synced.
    pub queued_bytes: usize,
    /// Bytes of entries held in memory, queued ones included.
    pub tail_bytes: usize,
    /// Segment files that hold live entries or are being written.
    pub segments: usize,
    /// Bytes of their frames; the files may be longer by room that is left.
    pub segment_bytes: u64,
    /// Reads that the tail could not answer.
    pub disk_reads: u64,
    /// Duration of the last write and sync.
    pub sync_last_nanoseconds: u64,
    /// Duration of the longest write and sync.
    pub sync_max_nanoseconds: u64,
    /// When the write and sync that is under way began, by the clock given at opening. A watchdog
    /// compares it with now: a stalled disk shows here before any counter moves.
    pub sync_started_nanoseconds: Option<u64>,
}
