//! What can be seen of a cluster from outside, and asked of it.

use std::future::Future;

use crate::{Duration, NodeId, ShardId, Timestamp};

/// A view of the cluster through one of its nodes.
pub trait ClusterAdmin: Clone + Send + Sync + 'static {
    /// The cluster as this node knows it.
    fn status(&self) -> impl Future<Output = ClusterStatus> + Send;

    /// The same with a digest of every replica, of one shard or of each, at a fresh mark of its
    /// shard. Reads everything that they hold, and takes that long.
    fn status_with_digests(
        &self,
        of: Option<ShardId>,
    ) -> impl Future<Output = ClusterStatus> + Send {
        let _ = of;
        self.status()
    }

    /// Whether this node can serve: joined, its shards recovered, not draining.
    fn readiness(&self) -> Readiness;

    /// Asks for a change. Returns when it is decided on; what follows from it takes its time, and
    /// the status shows how far it is.
    fn change(
        &self,
        change: ClusterChange,
    ) -> impl Future<Output = Result<(), ChangeError>> + Send {
        let reason = format!("nobody does this here: {change:?}");
        std::future::ready(Err(ChangeError::Refused { reason }))
    }

    /// Asks this node to seal and merge now and to purge what may go, and says how that stands.
    /// Asking again while it runs asks for nothing more. Nothing if it cannot.
    fn compact(&self) -> Option<CompactionStatus> {
        None
    }

    /// How the compaction that runs, or the last one, stands; nothing if there can be none.
    fn compaction(&self) -> Option<CompactionStatus> {
        None
    }
}

/// A change of the cluster that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterChange {
    /// The replicas of a node move elsewhere, and it belongs to the cluster no more.
    RemoveNode(NodeId),
    /// Each shard has so many replicas.
    ReplicationFactor(u32),
    /// So many shards more.
    AddShards(u32),
    /// The node that is asked gives away what it leads, and is not ready any more until it is
    /// started again.
    Drain,
}

/// Why a change did not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It cannot be done as things are.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// Nobody who could begin it answers; it may have begun.
    #[error("{reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// How far a compaction is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactionStatus {
    /// It is asked for, and not done.
    pub is_running: bool,
    /// Compactions that have ended since the start.
    pub runs: u64,
    /// Shards on the node.
    pub shards: u64,
    /// Of these, those that are done.
    pub shards_done: u64,
    /// Spans that went from heads into blocks.
    pub sealed_spans: u64,
    /// Spans that were merged.
    pub merged_spans: u64,
    /// Bytes of the new blocks.
    pub written_bytes: u64,
    /// Why it ended early, if it did.
    pub failure: Option<String>,
}

/// Whether a node can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// Not yet, or not any more; in words.
    NotReady(String),
}

/// The cluster as one node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterStatus {
    /// Every node.
    pub nodes: Vec<NodeStatus>,
    /// Every shard.
    pub shards: Vec<ShardStatus>,
    /// Every ring epoch, ascending.
    pub epochs: Vec<EpochStatus>,
    /// What somebody should know, what stands longest first.
    pub alarms: Vec<AlarmStatus>,
    /// What happened, as far as nodes that answer saw it since they were started; the latest first.
    pub events: Vec<EventStatus>,
    /// The sampling strategies that all nodes serve; none if none were set.
    pub sampling: Option<SamplingStatus>,
    /// For how long spans are kept, unless a disk cap takes them before; none if nobody said.
    pub retention: Option<Duration>,
}

/// A version of the ring that leads traces to shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStatus {
    /// Its number; the first is 1.
    pub id: u32,
    /// Shards on its ring, those of earlier epochs included.
    pub shard_count: u32,
    /// How far it has come.
    pub state: EpochState,
}

/// How far a ring epoch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochState {
    /// Its new shards are being made.
    Preparing,
    /// Older shards are being told to refuse what was routed before it.
    Fencing,
    /// New spans are routed by it, unless a later one is active.
    Active,
}

/// Which sampling strategies are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplingStatus {
    /// A name for the content (128 bits of xxh3 over its bytes).
    pub digest: u128,
    /// Its size.
    pub bytes: u64,
    /// The change of the cluster's own state that put it in force; 0 on a node that is alone.
    pub revision: u64,
}

impl SamplingStatus {
    /// Of this content.
    pub fn of(content: &[u8], revision: u64) -> Self {
        let digest = twox_hash::XxHash3_128::oneshot(content);
        Self { digest, bytes: content.len() as u64, revision }
    }
}

/// Something that is wrong with the cluster now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmStatus {
    /// What kind of thing, in a word that scripts may rely on.
    pub kind: String,
    /// The same for people.
    pub text: String,
    /// The shard it is about, if it is about one.
    pub shard: Option<ShardId>,
    /// For how long, as far as the node knows that watches.
    pub stands: Duration,
}

/// Something that happened in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStatus {
    /// When, by the clock of the node that saw it first.
    pub at: Timestamp,
    /// What kind of thing, in a word that scripts may rely on.
    pub kind: String,
    /// The same for people.
    pub text: String,
    /// The shard it is about, if it is about one.
    pub shard: Option<ShardId>,
    /// The node it is about, if it is about one.
    pub node: Option<NodeId>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its id.
    pub id: NodeId,
    /// Its label.
    pub name: String,
    /// Where peers reach it.
    pub address: String,
    /// The URL of its pages and queries, if it is known.
    pub ui: Option<String>,
    /// What it is doing.
    pub state: NodeState,
    /// Its version.
    pub version: String,
    /// Bytes its data directory holds.
    pub disk_used_bytes: u64,
    /// Bytes free on that disk.
    pub disk_free_bytes: u64,
    /// What may fail together with it, such as a rack; empty if nobody said.
    pub zone: String,
    /// What its process takes, if it has told.
    pub process: Option<ProcessStatus>,
    /// By how many nanoseconds its clock is ahead of that of the asked node, give or take the way
    /// of a message; negative if it is behind. Not known of a node that was not heard of lately.
    pub clock_ahead_nanos: Option<i64>,
    /// What it does and what it keeps, if it has told.
    pub figures: Option<NodeFigures>,
}

/// What a node does and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeFigures {
    /// Spans that it has acknowledged to those who sent them to it, since its start.
    pub spans_taken: u64,
    /// Queries that it has answered since its start.
    pub queries: u64,
    /// How long all but the slowest hundredth of the last ones took; none before the first.
    pub query_p99: Option<Duration>,
    /// When the hour began in which the oldest spans came that it holds; none if it holds none.
    pub oldest: Option<Timestamp>,
    /// How much its data may take of its disk; none if nobody knows the disk's size.
    pub data_bytes_max: Option<u64>,
}

/// What a node's process takes of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessStatus {
    /// For how long it has run.
    pub uptime: Duration,
    /// Time of processors that it has used since.
    pub cpu: Duration,
    /// Memory in use.
    pub resident_bytes: u64,
}

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Serving.
    Ready,
    /// Giving up its work before it stops.
    Draining,
    /// It does not answer.
    Down {
        /// Since when not, as far as the asked node knows.
        since: Timestamp,
        /// How long that is.
        lasts: Duration,
    },
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// Its id.
    pub id: ShardId,
    /// The ring epoch it belongs to.
    pub epoch: u32,
    /// The node that leads it, if one does.
    pub leader: Option<NodeId>,
    /// Its replicas.
    pub replicas: Vec<ReplicaStatus>,
}

/// What is known of a copy of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaState {
    /// Its node has told of it.
    Present {
        /// The last log entry it has applied.
        applied: u64,
        /// How many entries it lacks.
        lag: u64,
        /// Spans it holds, repeats included.
        spans: u64,
        /// Bytes it holds.
        bytes: u64,
    },
    /// It is meant to be on a node that does not answer.
    Unreachable,
    /// It is meant to be on a node that answers and does not have it (yet).
    Absent,
}

impl ReplicaState {
    /// How many entries it lacks, if that is known.
    pub fn lag(&self) -> Option<u64> {
        match self {
            Self::Present { lag, .. } => Some(*lag),
            Self::Unreachable | Self::Absent => None,
        }
    }

    /// The last log entry it has applied, if that is known.
    pub fn applied(&self) -> Option<u64> {
        match self {
            Self::Present { applied, .. } => Some(*applied),
            Self::Unreachable | Self::Absent => None,
        }
    }
}

/// One copy of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Where it lies, or is meant to.
    pub node: NodeId,
    /// What is known of it.
    pub state: ReplicaState,
    /// The sum of the hashes of all distinct spans at a mark, modulo 2^128; the same on all
    /// replicas of a shard at the same mark. None unless asked for.
    pub digest: Option<u128>,
}
