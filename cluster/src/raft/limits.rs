//! Every bound of replication, each with its reason.

use model::Duration;

use crate::transport::FRAME_BYTES_MAX;

/// Between the moments at which the groups of a node look what is due: openraft looks every fifth
/// of a heartbeat, so this is as often, and all at once.
pub const TIMER_GRID: Duration = Duration::from_millis(25);

/// Threads that apply entries, one for each processor at most: a shard is applied by one at a time,
/// and a machine with many processors has other work for them.
pub const APPLY_THREADS_MAX: usize = 8;

/// Up to this long openraft's wait for more of its writes to be done is no wait: timers ring by the
/// millisecond, and an acknowledgement would be one later.
pub const TIMER_BRIEF: Duration = Duration(10_000);

/// Bytes of entries that one append request carries, unless a single entry is larger: small enough
/// that a request on the wire delays the next by milliseconds, large enough to fill a sync.
pub const APPEND_BYTES_MAX: usize = 1 << 20;

/// Entries of one append request, and entries appended to the log at once. The bytes are bounded
/// elsewhere; this bounds what tiny entries cost.
pub const APPEND_ENTRIES_MAX: u64 = 64;

/// Bytes of a record that leave for the log in one operation: what one of its syncs carries.
pub const LOG_OPERATION_BYTES_MAX: usize = 4 << 20;

/// Entries behind the end of the log that are still in memory for sure, so that reading them needs
/// no thread that may block: at 1 MiB each they are half of the log's tail.
pub const RECENT_ENTRIES: u64 = 4;

/// Append requests of one stream that are sent and not answered. It covers the way there and back
/// and one sync; more would only queue at the follower's disk.
pub const APPEND_REQUESTS_MAX: usize = 16;

/// Bytes of them. One follower that is slow must not hold more of a leader's memory.
pub const APPEND_WINDOW_BYTES: usize = 2 << 20;

/// How long the oldest unanswered append request of a stream may wait. A follower's sync may take
/// two seconds before its node gives up leaderships, so this is beyond it.
pub const APPEND_ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a follower may hear later than it could that entries are committed, while nobody reads:
/// so long that under load the next entries tell it, and short beside a heartbeat.
pub const COMMIT_TOLD_WITHIN: Duration = Duration::from_millis(50);

/// How much later than they could entries are applied that nobody waits for: about as long as those
/// who write the next ones wait for their answers.
pub const APPLY_PUT_OFF_BY: Duration = Duration::from_millis(6);

/// How long after a reader others are expected, so that none of them waits for that.
pub const READERS_EXPECTED_FOR: Duration = Duration::from_millis(500);

/// How long opening a stream may take. Election timeouts are shorter, so a dead peer is found by
/// heartbeats first; this only frees what waits here.
pub const OPEN_WITHIN: Duration = Duration::from_secs(2);

/// Bytes of proposals of a whole node that were accepted and not answered: the log's queue. Behind
/// it are queues that count entries and not bytes.
pub const PROPOSAL_BYTES_MAX: usize = 16 << 20;

/// Proposals are counted in units of this many bytes.
pub const PROPOSAL_UNIT_BYTES: usize = 1 << 10;

/// Members of a group, learners included. With their memberships a state value of the log, and a
/// message, stay small.
pub const MEMBERS_MAX: usize = 32;

/// Configurations a membership may consist of: two while it changes. The rest is room.
pub const CONFIGS_MAX: usize = 8;

/// Replicas elsewhere of which is remembered what they acknowledged: far more than a node's groups
/// have, at some 50 bytes each.
pub const WITNESSED_MAX: usize = 65_536;

/// Memberships remembered behind the position of the snapshot. There are two at most in flight, and
/// a cut is never many changes behind.
pub const MEMBERSHIPS_REMEMBERED_MAX: usize = 16;

/// Bytes of records that are applied where they are met and not on a thread of their own, if their
/// machine calls them brief. A shard applies a kibibyte in some 20 us; to have it done elsewhere
/// takes two threads waking each other, longer than that where they wait for a processor.
pub const APPLY_AT_ONCE_BYTES_MAX: usize = 8 << 10;

/// Spans that such a record adds at most.
pub const APPLY_AT_ONCE_SPANS_MAX: usize = 512;

/// Bytes that have to be unpacked for it at most: long names that repeat themselves take few.
pub const APPLY_AT_ONCE_UNPACKED_BYTES_MAX: usize = 64 << 10;

/// What a record costs there beside its bytes, in bytes.
pub const APPLY_RECORD_BYTES: usize = 512;

/// Records that are applied in one go, so that many small ones share the way to the thread that
/// applies them.
pub const APPLY_ENTRIES_MAX: usize = 64;

/// Bytes of them: what has been applied is answered before the rest is.
pub const APPLY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a snapshot's manifest. It names files and does not hold them.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// Bytes of a file's name.
pub const FILE_NAME_BYTES_MAX: usize = 128;

/// Files of one snapshot that a receiver may lack.
pub const SNAPSHOT_FILES_MAX: usize = 1 << 16;

/// Bytes of a stretch of a file: what a receiver holds in memory of a snapshot.
pub const STRETCH_BYTES_MAX: usize = 1 << 18;

/// Stretches that a node fetches at a time, of all its groups: a node that lost its disk fetches
/// all of them at once. They are put in their place one after another; what ends a file has it read
/// and verified. One more than one, so that a sender that has gone keeps no others waiting.
pub const STRETCHES_AT_ONCE: usize = 2;

/// How long fetching one stretch may take.
pub const STRETCH_WITHIN: Duration = Duration::from_secs(10);

/// How long a sender may take to read every byte of a file whose copy is damaged: the largest block
/// on a slow disk.
pub const DOUBT_WITHIN: Duration = Duration::from_secs(30);

/// Attempts to fetch a stretch before the transfer is given up; what was fetched stays.
pub const STRETCH_ATTEMPTS_MAX: usize = 3;

/// How long a receiver keeps the sender's question open while it fetches: it keeps the sender's
/// hold on the files alive and must be shorter than the sender waits.
pub const OFFER_HELD_FOR: Duration = Duration::from_secs(5);

/// How long a sender waits for an answer to its offer.
pub const OFFER_ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How long a sender offers without a byte being fetched.
pub const SNAPSHOT_STALLED_AFTER: Duration = Duration::from_secs(60);

/// Replicas whose ids are remembered as buried, per node. Each costs 16 bytes; the meta group knows
/// them all for good.
pub const TOMBSTONES_MAX: usize = 65_536;

/// How long a replica waits for a leader it has asked to take over. A transfer takes milliseconds,
/// under load a fifth of a second; one that fails leaves the old leader mute.
pub const TRANSFER_WITHIN: Duration = Duration::from_secs(2);

/// How long purging waits until the core has taken note of the machine's snapshot.
pub const SNAPSHOT_NOTED_WITHIN: Duration = Duration::from_secs(10);

/// The first pause before a core that died again is rebuilt; it doubles each time.
pub const REBUILD_PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest of these pauses: a core that dies at once must not keep a processor busy.
pub const REBUILD_PAUSE_MAX: Duration = Duration::from_secs(5);

/// A core that lived this long died of something new.
pub const REBUILD_FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// How long the parts of a dead core may linger before that is said.
pub const REBUILD_SLOW_AFTER: Duration = Duration::from_secs(10);

/// Marks of appends by which lag is measured: with the resolution they reach back 10 s at least,
/// ten times what a learner may lag to become a voter.
pub const LEDGER_MARKS_MAX: usize = 1_024;

/// Appends that are closer than this share a mark.
pub const LEDGER_RESOLUTION: Duration = Duration::from_millis(10);

/// Bytes of a message that are not its content, at most.
pub const MESSAGE_OVERHEAD_BYTES: usize = 4 << 10;

// Two heartbeats that are as late as the grid makes them, by one of its lines, fit the shortest
// wait for a leader: one that is lost is no reason to campaign.
const _: () = assert!(
    2 * (crate::limits::HEARTBEAT.0 + TIMER_GRID.0) <= super::config::ELECTION_MILLIS.0 * 1_000_000
);

const _: () = assert!(MANIFEST_BYTES_MAX + MESSAGE_OVERHEAD_BYTES <= FRAME_BYTES_MAX);
const _: () = assert!(STRETCH_BYTES_MAX + MESSAGE_OVERHEAD_BYTES <= FRAME_BYTES_MAX);
const _: () = assert!(APPEND_BYTES_MAX + MESSAGE_OVERHEAD_BYTES <= FRAME_BYTES_MAX);
// An entry that the log takes can be sent, alone if need be.
const _: () =
    assert!(storage::limits::LOG_ENTRY_BYTES_MAX + MESSAGE_OVERHEAD_BYTES + 8 <= FRAME_BYTES_MAX);
// A shard's largest entry fits a record of the log.
const _: () = assert!(
    storage::shard::limits::ENTRY_BYTES_MAX + super::record::HEADER_BYTES
        <= storage::limits::LOG_ENTRY_BYTES_MAX
);
// The position of a snapshot fits a state value: two log ids and a full membership.
const _: () = assert!(2 + 2 * 25 + 2 + MEMBERS_MAX * 25 <= storage::limits::LOG_STATE_BYTES_MAX);
