//! Every bound and patience of the planner, each with its reason.

use model::Duration;

/// How far a learner may be behind to become a voter: what a node takes in within a fraction of a
/// second, so that a majority with it commits without a pause.
pub const PROMOTE_LAG_BYTES_MAX: u64 = 8 << 20;

/// The same in time: the age of the oldest entry it lacks.
pub const PROMOTE_LAG_MAX: Duration = Duration::from_secs(1);

/// How long a voter may be silent and still count as up: two dozen heartbeats.
pub const VOTER_SILENCE_MAX: Duration = Duration::from_secs(3);

/// How long a voter may be silent while leaders are evened out: a few heartbeats, so that a node
/// that has just failed is not taken for one that leads too little.
pub const CALM_SILENCE_MAX: Duration = Duration::from_millis(500);

/// How long a node must be gone before a new one with its name takes its place.
pub const REPLACE_AFTER: Duration = Duration::from_secs(30);

/// How long a node must be gone before its replicas move without a successor. Moving costs hours
/// of disk and network; most machines come back within minutes.
pub const DEAD_AFTER: Duration = Duration::from_secs(600);

/// How long a shard that is to be fenced may have no leader: then the epoch is abandoned. Shards
/// that are fenced refuse writes until then, and a process that is started again is back by then.
pub const FENCING_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long a shard may have no leader while an epoch's shards are formed, which stops nothing but
/// other changes: as long as its nodes may be gone before they are taken for dead.
pub const PREPARING_WAIT_MAX: Duration = DEAD_AFTER;

/// How long an epoch may wait for a shard before somebody should know: longer than elections take.
pub const EPOCH_WAIT_TOLD_AFTER: Duration = Duration::from_secs(5);

/// Groups whose replicas are on the move at the same time, for repairs and new factors: each takes
/// network and disk from the writes.
pub const MOVES_MAX: usize = 2;

/// Groups whose leaders are on the move at the same time: writes of a shard pause meanwhile.
pub const TRANSFERS_MAX: usize = 2;

/// Points a node has on the ring that proposes where shards lie. More would not help: there are few
/// shards, and the bounded pass evens out what chance does not.
pub const POINTS_PER_NODE: u32 = 64;

/// Voters of the meta group.
pub const META_VOTERS_MAX: usize = crate::meta::limits::META_VOTERS_MAX;

/// How long to wait before the seeds are asked again while something is under way.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The same while nothing can happen until another node comes.
pub const WAIT_BEFORE_ASKING: Duration = Duration::from_secs(1);
