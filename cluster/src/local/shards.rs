//! [`Shards`] of one node, which leads all of them and needs nobody's consent.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use model::admin::{
    ClusterChange, ClusterStatus, EpochState, EpochStatus, NodeState, NodeStatus, Readiness,
    ReplicaState, ReplicaStatus, ShardStatus,
};
use model::time::Monotonic;
use model::{NodeId, ShardId, StoreError, Tenant};
use storage::Shard;
use storage::env::Env;
use storage::log::LogEngine;

use super::group::{Answer, LocalGroup};
use crate::coordinator::{Answered, Question, ReadPools, RoutedBatch, Routes, Shards, serve_whole};
use crate::error::Error;
use crate::upkeep::{Frozen, frozen_alarm};
use crate::wire::RingEpoch;

/// What the shards of one node are made of.
pub(crate) struct LocalShardsParts {
    pub(crate) routes: Routes,
    /// In the order of their shards.
    pub(crate) groups: Vec<Arc<LocalGroup>>,
    /// Reads have threads of their own, so that writes and reads do not queue for each other.
    pub(crate) read_pools: ReadPools,
    pub(crate) log: Arc<dyn LogEngine>,
    pub(crate) frozen: Arc<Frozen>,
    pub(crate) disk: (Arc<dyn Env>, PathBuf),
    pub(crate) node_id: NodeId,
    pub(crate) node_name: String,
    pub(crate) version: String,
}

/// The shards of one node.
#[derive(Debug)]
pub(crate) struct LocalShards {
    routes: Arc<Routes>,
    groups: Vec<Arc<LocalGroup>>,
    read_pools: Arc<ReadPools>,
    log: Arc<dyn LogEngine>,
    frozen: Arc<Frozen>,
    disk: (Arc<dyn Env>, PathBuf),
    node_id: NodeId,
    node_name: String,
    version: String,
}

impl LocalShards {
    pub(crate) fn new(parts: LocalShardsParts) -> Self {
        Self {
            routes: Arc::new(parts.routes),
            groups: parts.groups,
            read_pools: Arc::new(parts.read_pools),
            log: parts.log,
            frozen: parts.frozen,
            disk: parts.disk,
            node_id: parts.node_id,
            node_name: parts.node_name,
            version: parts.version,
        }
    }

    fn group(&self, shard: ShardId) -> Result<&Arc<LocalGroup>, Error> {
        let group = self.groups.get(shard.0 as usize);
        let reason = || format!("shard {shard} is not on this node");
        group.ok_or_else(|| Error::Unknown { reason: reason() })
    }
}

impl Shards for LocalShards {
    fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes)
    }

    fn learn_epoch(&self, epoch: RingEpoch, _: Monotonic) -> BoxFuture<'static, bool> {
        std::future::ready(self.routes.last >= epoch).boxed()
    }

    fn write(&self, batch: RoutedBatch, answer: Answer) {
        match self.group(batch.shard) {
            Ok(group) => group.propose_batch(&batch.bytes, answer),
            Err(error) => answer(Err(error)),
        }
    }

    fn purge(&self, shard: ShardId, tenant: Tenant) -> BoxFuture<'static, Result<(), Error>> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let answer: Answer = Box::new(move |result| {
            // Whoever asked may have left; the purge happens all the same.
            let _ = sender.send(result);
        });
        match self.group(shard) {
            Ok(group) => group.propose_purge(&tenant, answer),
            Err(error) => answer(Err(error)),
        }
        let lost = |_| Error::Unknown { reason: "the shard is stopping".into() };
        async move { receiver.await.map_err(lost)? }.boxed()
    }

    fn ask(&self, question: Question, shards: Vec<ShardId>) -> BoxStream<'static, Answered> {
        let question = Arc::new(question);
        let asked = shards.into_iter().map(|id| {
            let group = self.group(id).cloned();
            let (question, pools) = (Arc::clone(&question), Arc::clone(&self.read_pools));
            async move {
                let group = match group {
                    Ok(group) => group,
                    Err(error) => return (id, Err(StoreError::from(error))),
                };
                let pool = pools.of(&question.operation);
                (id, serve_whole(pool, group.shard(), &question).await)
            }
        });
        asked.collect::<FuturesUnordered<_>>().boxed()
    }

    fn status(&self, is_draining: bool) -> BoxFuture<'static, ClusterStatus> {
        let shards: Vec<ShardStatus> = self
            .groups
            .iter()
            .map(|group| {
                let stats = group.shard().stats();
                ShardStatus {
                    id: group.shard().id(),
                    epoch: 1,
                    leader: Some(self.node_id),
                    replicas: vec![ReplicaStatus {
                        node: self.node_id,
                        state: ReplicaState::Present {
                            applied: stats.applied.map_or(0, |index| index.0),
                            lag: 0,
                            spans: stats.spans,
                            bytes: stats.bytes,
                        },
                        digest: None,
                    }],
                }
            })
            .collect();
        let (env, directory) = &self.disk;
        let blocks: u64 = self.groups.iter().map(|group| group.shard().block_bytes()).sum();
        let node = NodeStatus {
            id: self.node_id,
            name: self.node_name.clone(),
            address: String::new(),
            ui: None,
            state: if is_draining { NodeState::Draining } else { NodeState::Ready },
            version: self.version.clone(),
            disk_used_bytes: self.log.stats().segment_bytes.saturating_add(blocks),
            disk_free_bytes: env.free_bytes(directory).unwrap_or(0),
            zone: String::new(),
            process: None,
            clock_ahead_nanos: None,
            figures: None,
        };
        std::future::ready(ClusterStatus {
            nodes: vec![node],
            epochs: vec![EpochStatus {
                id: self.routes.epoch.0,
                shard_count: self.routes.ring.shard_count(),
                state: EpochState::Active,
            }],
            shards,
            alarms: self.frozen.left().map(frozen_alarm).into_iter().collect(),
            events: Vec::new(),
            sampling: None,
            retention: None,
        })
        .boxed()
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn local_shards(&self) -> Vec<Arc<Shard>> {
        self.groups.iter().map(|group| Arc::clone(group.shard())).collect()
    }

    fn change(&self, change: ClusterChange) -> BoxFuture<'static, Result<(), Error>> {
        match change {
            ClusterChange::Drain => self.drain().map(Ok).boxed(),
            ClusterChange::RemoveNode(_)
            | ClusterChange::ReplicationFactor(_)
            | ClusterChange::AddShards(_) => {
                let reason =
                    "this node is alone: start nodes with --seeds for a cluster".to_owned();
                std::future::ready(Err(Error::Refused { reason })).boxed()
            }
        }
    }

    fn drain(&self) -> BoxFuture<'static, ()> {
        let (log, pools) = (Arc::clone(&self.log), Arc::clone(&self.read_pools));
        async move {
            let synced = pools.lookups().run(move || log.barrier()).await;
            if !matches!(synced, Ok(Ok(()))) {
                tracing::warn!("the log could not be synced before the stop");
            }
        }
        .boxed()
    }
}
