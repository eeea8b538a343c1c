//! The seam under the coordinator: where the shards are, whoever leads and holds them.
//!
//! The coordinator in front of it is the same on a node that is alone and in a cluster: it fills
//! batches, asks questions and merges answers. Behind it stand the shards of one node
//! (`crate::local`) or those of a cluster (`crate::host`).
//!
//! Invariant (API-1): a write is answered `Ok` only when its batch is durable on a majority of the
//! shard's replicas and applied. The same bytes may be written again: apply drops a batch whose id
//! it has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use model::admin::{ClusterChange, ClusterStatus, Readiness};
use model::store::ReadScope;
use model::time::Monotonic;
use model::{NodeId, ShardId, StoreError, Tenant, Timestamp, TraceId};
use storage::Shard;
use storage::shard::FirstHits;

use crate::error::Error;
use crate::local::Answer;
use crate::placement::Ring;
use crate::wire::{ReadEnd, ReadItem, ReadOperation, RingEpoch};

/// What a replica held at its shard's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// The mark, which the replica has applied.
    pub(crate) mark: u64,
    /// The sum over its spans.
    pub(crate) digest: u128,
}

/// By shard and node.
pub(crate) type Digests = BTreeMap<(ShardId, NodeId), Held>;

/// The shards, as the coordinator sees them.
pub(crate) trait Shards: fmt::Debug + Send + Sync + 'static {
    /// How traces are led to shards, as far as is known here.
    fn routes(&self) -> Arc<Routes>;

    /// Waits until the routes have an epoch; false if they do not in time.
    fn learn_epoch(&self, epoch: RingEpoch, until: Monotonic) -> BoxFuture<'static, bool>;

    /// The time that every clock of some majority of the members has reached, if so many are known.
    fn time(&self) -> Option<Timestamp> {
        None
    }

    /// Writes a batch; `answer` is told how that ended. Never blocks. [`Error::Fenced`] means that
    /// the routes have a later epoch by now, by which the spans can be routed anew.
    fn write(&self, batch: RoutedBatch, answer: Answer);

    /// Removes all data of a tenant from a shard.
    fn purge(&self, shard: ShardId, tenant: Tenant) -> BoxFuture<'static, Result<(), Error>>;

    /// Asks shards the same question. One answer for each, in any order, each as soon as it is
    /// there.
    fn ask(&self, question: Question, shards: Vec<ShardId>) -> BoxStream<'static, Answered>;

    /// Everything that can be seen from here.
    fn status(&self, is_draining: bool) -> BoxFuture<'static, ClusterStatus>;

    /// What the replicas of one shard or of each held at one mark each; empty where none can
    /// differ.
    fn digests(&self, _of: Option<ShardId>) -> BoxFuture<'static, Digests> {
        Box::pin(std::future::ready(Digests::new()))
    }

    /// Whether this node can serve.
    fn readiness(&self) -> Readiness;

    /// Replicas of shards on this node.
    fn local_shards(&self) -> Vec<Arc<Shard>>;

    /// Begins a change that somebody asked for.
    fn change(&self, change: ClusterChange) -> BoxFuture<'static, Result<(), Error>>;

    /// Gives up what others can take over, and makes durable what was taken in.
    fn drain(&self) -> BoxFuture<'static, ()>;
}

/// What a shard answered, or why it did not.
pub(crate) type Answered = (ShardId, Result<ShardAnswer, StoreError>);

/// A closed batch on its way.
#[derive(Debug, Clone)]
pub(crate) struct RoutedBatch {
    /// Its shard.
    pub(crate) shard: ShardId,
    /// The ring epoch by which its spans were routed.
    pub(crate) epoch: RingEpoch,
    /// As it was encoded.
    pub(crate) bytes: Bytes,
}

/// What shards are asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Who asks, and what it may cost.
    pub(crate) scope: ReadScope,
    /// What is asked.
    pub(crate) operation: ReadOperation,
    /// What the shards have told that are asked together and are on this node.
    pub(crate) first: Option<Arc<FirstHits>>,
}

impl Question {
    /// A question that no shard has been asked yet.
    pub(crate) fn new(scope: ReadScope, operation: ReadOperation) -> Self {
        let first = match &operation {
            ReadOperation::Search { query, together: true, .. } => {
                Some(Arc::new(FirstHits::new(query.limit)))
            }
            _ => None,
        };
        Self { scope, operation, first }
    }
}

/// One shard's whole answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShardAnswer {
    /// The results, in the order of the shard.
    pub(crate) items: Vec<ReadItem>,
    /// What the answer lacks, and how far the replica was.
    pub(crate) end: ReadEnd,
}

/// The rings of all live epochs, as they were at one moment.
#[derive(Debug)]
pub(crate) struct Routes {
    /// The epoch that new spans are routed by.
    pub(crate) epoch: RingEpoch,
    /// Its ring.
    pub(crate) ring: Ring,
    /// The last epoch whose shards may have data: this one, or the one that is being brought in.
    pub(crate) last: RingEpoch,
    /// Rings of the other epochs whose shards may have data.
    pub(crate) others: Vec<Ring>,
    /// Between one epoch and the next, ascending.
    pub(crate) fences: Vec<Fence>,
}

/// Where one ring epoch ended and the next began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    /// When the first shard may have been fenced.
    pub(crate) from: Timestamp,
    /// When the next epoch came into force: the end of time if it has not.
    pub(crate) until: Timestamp,
    /// Shards before it.
    pub(crate) before: u32,
    /// Shards after it; the first of them are those before it.
    pub(crate) after: u32,
}

impl Routes {
    /// The routes of a store that has one epoch.
    pub(crate) fn first(shard_count: u32) -> Self {
        Self {
            epoch: RingEpoch(1),
            ring: Ring::new(shard_count),
            last: RingEpoch(1),
            others: Vec::new(),
            fences: Vec::new(),
        }
    }

    /// Every shard that may have data: a ring has those of the rings before it.
    pub(crate) fn shards(&self) -> Vec<ShardId> {
        let count = self.rings().map(Ring::shard_count).max().unwrap_or_default();
        (0..count).map(ShardId).collect()
    }

    fn rings(&self) -> impl Iterator<Item = &Ring> {
        std::iter::once(&self.ring).chain(&self.others)
    }

    /// The shards that may have spans of a trace, each once.
    pub(crate) fn shards_of(&self, trace_id: TraceId) -> Vec<ShardId> {
        let mut shards: Vec<ShardId> = self.rings().map(|ring| ring.shard_of(trace_id)).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }
}
