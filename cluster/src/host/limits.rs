//! Every bound and patience of a node's part in a cluster, each with its reason.

use model::Duration;

/// How long a batch may be on its way to an acknowledgement: an election takes a second, three in
/// the worst case, and a client's own patience is longer than this.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// How long one attempt of it may take. A leader that lost its majority keeps proposals; asking
/// again, with the same bytes, finds the next leader.
pub const WRITE_ATTEMPT: Duration = Duration::from_secs(2);

/// How long to wait between two looks at whether a leader that was just elected may write: a
/// follower's answer takes a few milliseconds.
pub const LEASE_WAIT: Duration = Duration::from_millis(4);

/// How often to look: for a little longer than it is to the next heartbeat.
pub const LEASE_WAITS_MAX: u32 = 30;

/// The first pause between attempts; it doubles each time.
pub const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest of these pauses: a new leader that no replica here hears of is found within this.
pub const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Batches on their way at a time. The bytes are bounded by the coordinator; this bounds the tasks.
pub const WRITES_MAX: usize = 16_384;

/// Write calls to one node at a time: one on the wire, one at its disk, and two to keep both busy.
pub const LANE_CALLS_MAX: usize = 4;

/// Bytes of batches that wait for a call to one node; what comes beyond waits with its caller.
pub const LANE_BYTES_MAX: usize = 16 << 20;

/// The share of a read's time that its barriers may take.
pub const BARRIER_SHARE: u64 = 3;

/// How long one attempt at a barrier may take: a leader that does not answer by then is not one.
pub const BARRIER_ATTEMPT: Duration = Duration::from_secs(1);

/// How long vouches are waited for before leaders are asked for barriers: a round trip within a
/// zone takes a hundredth of it, and a node that is paused costs a read no more than a heartbeat.
pub const VOUCH_WITHIN: Duration = Duration::from_millis(100);

/// Barriers that a node works on at a time for one request.
pub const BARRIER_DEADLINE_MAX: Duration = Duration::from_secs(10);

/// How long a replica is waited for that has not applied what a barrier says, before another one is
/// asked: ten heartbeats, so that all but a replica that is really behind are in time.
pub const BEHIND_WAIT: Duration = Duration::from_secs(1);

/// Entries behind a barrier from which on a replica here is not waited for: more than it can be
/// expected to apply in [`BEHIND_WAIT`], and far more than one that keeps up is ever behind.
pub const BEHIND_ENTRIES_MAX: u64 = 1_000;

/// The longest read: whoever asks for more gets this.
pub const READ_DEADLINE_MAX: Duration = Duration::from_secs(120);

/// Bytes of decoded data that a node may read for another one's question. The asker counts what
/// arrives against the budget of its own caller.
pub const READ_BYTES_MAX: u64 = 4 << 30;

/// Bytes of answers that are not whole yet, for one stream.
pub const READ_HELD_BYTES_MAX: usize = 64 << 20;

/// How long a command for the meta group may take.
pub const META_DEADLINE: Duration = Duration::from_secs(5);

/// How often new sampling strategies are offered when those of other nodes come first: more nodes
/// do not find theirs at the same time.
pub const SAMPLING_OFFERS_MAX: usize = 16;

/// How long a question among members about themselves may take.
pub const REPORT_DEADLINE: Duration = Duration::from_secs(1);

/// How long a node that starts waits for all members' word on what its replicas acknowledged: one
/// that is dead must not hold up a start for longer.
pub const WITNESSES_ALL_WITHIN: Duration = Duration::from_secs(2);

/// How long it waits for a majority's. Without one a group elects nobody; its node may as well say
/// so.
pub const WITNESSES_MOST_WITHIN: Duration = Duration::from_secs(10);

/// How long a node may take for a step of the plan: a leader's transfer takes two seconds at most.
pub const WORK_DEADLINE: Duration = Duration::from_secs(5);

/// How long an address may take to say who is there.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(1);

/// How long an address may take to let a node join: the meta group may have to elect.
pub const JOIN_DEADLINE: Duration = Duration::from_secs(5);

/// How long an address may take to say whether a node can be done without: it asks all members.
pub const SPARE_DEADLINE: Duration = Duration::from_secs(3);

/// How long to wait before the next attempt to join.
pub const JOIN_PAUSE: Duration = Duration::from_millis(200);

/// Addresses that are asked while a node looks for its cluster.
pub const SEEDS_MAX: usize = 1_024;

/// How often a node that has no replica of the meta group asks for the map.
pub const MAP_PERIOD: Duration = Duration::from_secs(1);

/// How often the leader of the meta group looks at the cluster.
pub const PLAN_PERIOD: Duration = Duration::from_millis(500);

/// How long an alarm must not have been seen to be over: four looks, in which a group elects and
/// its new leader hears from the others.
pub const ALARM_OVER_AFTER: Duration = Duration::from_secs(2);

/// Alarms that a node tells of, those that stand longest: some hundred bytes each.
pub const ALARMS_TOLD_MAX: usize = 256;

/// Events that a node keeps, the latest: some hundred bytes each, and days of a cluster in which
/// little happens.
pub const EVENTS_KEPT_MAX: usize = 256;

/// Events that a cluster tells of, the latest of all nodes'.
pub const EVENTS_TOLD_MAX: usize = 256;

/// What two nodes saw within so long is the same: they look every [`REACH_PERIOD`], wait as long
/// for an answer, and their clocks differ.
pub const SAME_EVENT_WITHIN: Duration = Duration::from_secs(10);

/// How often a member looks whether the others can be reached.
pub const REACH_PERIOD: Duration = Duration::from_secs(1);

/// How often members that cannot be reached are looked for where the seeds lead: of ten seconds
/// that a start waits for a majority, several must be left once they have been found.
pub const WHEREABOUTS_PERIOD: Duration = Duration::from_secs(1);

/// Commands after which the cluster's own state is written down. They are rare and small.
pub const META_CHECKPOINT_ENTRIES: u64 = 256;

/// Entries of the meta group that are kept behind the last checkpoint for members that lag.
pub const META_LOG_KEPT: u64 = 1_024;

/// How often logs are looked at for what may go.
pub const UPKEEP_PERIOD: Duration = Duration::from_secs(10);

/// Default of how many bytes of the node's log, the last written ones, are kept for replicas that
/// lag: what is older is in blocks, and a replica that needs it gets these.
pub const LOG_KEPT_BYTES: u64 = 256 << 20;

/// Places in the log that are remembered to find the end of what is kept: the resolution of it.
pub const TRIM_MARKS_MAX: usize = 64;

/// How long a member's word on its clock counts: ten times as long as between two of them.
pub const CLOCK_FRESH: Duration = Duration::from_secs(10);

/// How often the log is asked whether a sync hangs.
pub const SYNC_WATCH_PERIOD: Duration = Duration::from_millis(500);

/// A sync under way for longer costs this node its leaderships.
pub const SYNC_SLOW_AFTER: Duration = Duration::from_secs(2);

/// A sync under way for longer ends the node.
pub const SYNC_DEADLINE: Duration = Duration::from_secs(20);

/// How long a replica is waited for that has not applied a mark.
pub const MARK_DEADLINE: Duration = Duration::from_secs(5);

/// How long a node may take for the digest of one replica: over a hundred million spans, of some
/// 500,000 or more each second.
pub const DIGEST_DEADLINE: Duration = Duration::from_secs(240);

/// Shards of which digests are asked for at a time, and digests that a node makes at a time, each
/// on a thread: nobody is in a hurry for them, and the node has other things to do.
pub const DIGESTS_AT_ONCE: usize = 2;

/// How long a node tries to give away what it leads before it stops.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// How long nobody has to have been there to take over, for a node that stops to stop waiting: a
/// report or two that are lost do not count.
pub const DRAIN_HOPELESS: Duration = Duration::from_secs(1);

/// How long to wait before the next transfers of a drain.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(50);

/// Bytes free below which a disk counts as low, and a fourth of which counts as very low.
pub const DISK_LOW_BYTES: u64 = 1 << 30;

/// Bytes of a message about the cluster: a frame with room to spare around it.
pub const MESSAGE_BYTES_MAX: usize = crate::transport::FRAME_BYTES_MAX - (64 << 10);

const _: () = assert!(ALARM_OVER_AFTER.0 > PLAN_PERIOD.0);
const _: () = assert!(WRITE_ATTEMPT.0 < WRITE_DEADLINE.0);
const _: () = assert!(
    DIGEST_DEADLINE.0 / 1_000_000_000 < crate::transport::limits::CALL_DEADLINE_MAX.as_secs()
);
const _: () = assert!(crate::raft::limits::MEMBERS_MAX <= crate::wire::limits::VOTERS_MAX);

/// Bytes of the note that a node keeps for others: what a frame carries, with room for what is put
/// around it.
pub const NOTE_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// How long a node may take to say its note: some megabytes, and nobody waits for them.
pub const NOTE_DEADLINE: Duration = Duration::from_secs(5);
