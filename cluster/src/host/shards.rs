//! [`Shards`] of a cluster, for this node's coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::BoxStream;
use model::admin::{
    ClusterChange, ClusterStatus, EpochStatus, NodeFigures, NodeState, NodeStatus, ProcessStatus,
    Readiness, ReplicaState, ReplicaStatus, ShardStatus,
};
use model::time::Monotonic;
use model::{NodeId, ShardId, Tenant, Timestamp};
use storage::Shard;

use super::events::gathered;
use super::handle::{Host, Shared};
use super::limits::{META_DEADLINE, REPORT_DEADLINE};
use super::messages::{EventMessage, MetaReply, MetaRequest, Notice, Report};
use super::notice::alarms;
use super::sampling::sampling_status;
use crate::coordinator::{Answered, Digests, Question, RoutedBatch, Routes, Shards};
use crate::error::Error;
use crate::identity::shard_of_group;
use crate::local::Answer;
use crate::meta::{Epoch, EpochState, Group, MetaCommand};
use crate::plan::add_shards;
use crate::transport::Method;
use crate::wire::{ReplicaFacts, ReplicaRole, RingEpoch, StatusReply, StatusRequest};

impl Shards for Host {
    fn routes(&self) -> Arc<Routes> {
        self.shared.routes()
    }

    fn learn_epoch(&self, epoch: RingEpoch, until: Monotonic) -> BoxFuture<'static, bool> {
        let shared = Arc::clone(&self.shared);
        let until = until.min(shared.now().plus(META_DEADLINE));
        async move { shared.learns(until, |routes| routes.last >= epoch).await }.boxed()
    }

    fn time(&self) -> Option<Timestamp> {
        self.shared.members_time()
    }

    fn write(&self, batch: RoutedBatch, answer: Answer) {
        let shared = Arc::clone(&self.shared);
        // What is not taken is dropped, and whoever waits for it is told so.
        let is_taken = self.shared.writes.take(async move { answer(shared.deliver(batch).await) });
        if !is_taken {
            metrics::counter!("skua_write_refusals_total", "reason" => "writes").increment(1);
        }
    }

    fn purge(&self, shard: ShardId, tenant: Tenant) -> BoxFuture<'static, Result<(), Error>> {
        Arc::clone(&self.shared).purge(shard, tenant).boxed()
    }

    fn ask(&self, question: Question, shards: Vec<ShardId>) -> BoxStream<'static, Answered> {
        Arc::clone(&self.shared).ask(question, shards)
    }

    fn status(&self, _: bool) -> BoxFuture<'static, ClusterStatus> {
        let shared = Arc::clone(&self.shared);
        async move { shared.cluster_status().await }.boxed()
    }

    fn digests(&self, of: Option<ShardId>) -> BoxFuture<'static, Digests> {
        Arc::clone(&self.shared).digests(of).boxed()
    }

    fn readiness(&self) -> Readiness {
        self.shared.readiness()
    }

    fn local_shards(&self) -> Vec<Arc<Shard>> {
        self.shards()
    }

    fn change(&self, change: ClusterChange) -> BoxFuture<'static, Result<(), Error>> {
        let shared = Arc::clone(&self.shared);
        let command = match change {
            ClusterChange::RemoveNode(node) => MetaCommand::RemoveNode { node },
            ClusterChange::ReplicationFactor(factor) => {
                MetaCommand::SetReplicationFactor { factor }
            }
            ClusterChange::AddShards(count) => {
                return async move { shared.add_shards(count).await }.boxed();
            }
            ClusterChange::Drain => {
                return async move {
                    shared.drain().await;
                    Ok(())
                }
                .boxed();
            }
        };
        async move { shared.propose_meta(&command, META_DEADLINE).await.map(|_| ()) }.boxed()
    }

    fn drain(&self) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.shared);
        async move { shared.drain().await }.boxed()
    }
}

impl Shared {
    /// Whether the replicas that are meant to be here are, and have heard of a leader. Once ready,
    /// a lost majority changes nothing: this node serves what it can.
    fn readiness(&self) -> Readiness {
        if self.is_draining() {
            return Readiness::NotReady("the node is draining".into());
        }
        if self.was_ready.load(Ordering::Relaxed) {
            return Readiness::Ready;
        }
        let state = self.state();
        for (group, replica) in state.replicas_on(self.node) {
            let hosted = self.replicas.get(group);
            let hosted = hosted.filter(|hosted| hosted.replica.id() == replica.id);
            let Some(hosted) = hosted else {
                return Readiness::NotReady(format!("group {group} has not come to this node yet"));
            };
            let status = hosted.replica.status();
            let is_behind = status.applied < status.committed;
            if hosted.replica.leader().is_none() || is_behind {
                return Readiness::NotReady(format!("group {group} has not caught up yet"));
            }
        }
        self.was_ready.store(true, Ordering::Relaxed);
        Readiness::Ready
    }

    /// Has a ring epoch with more shards begin, placed by what members say of themselves.
    async fn add_shards(&self, count: u32) -> Result<(), Error> {
        let state = self.state();
        let facts = self.gather(&state).await;
        let command = add_shards(&state, &facts, self.now(), count);
        let refused =
            |refusal: crate::meta::Refusal| Error::Refused { reason: refusal.to_string() };
        self.propose_meta(&command.map_err(refused)?, META_DEADLINE).await.map(|_| ())
    }

    /// The whole cluster, as its members say within a second.
    async fn cluster_status(&self) -> ClusterStatus {
        let state = self.state();
        let asked = state.present().map(|(node, _)| async move { self.ask_status(node).await });
        let told: BTreeMap<NodeId, Told> = join_all(asked).await.into_iter().flatten().collect();
        let nodes = state.present().map(|(id, node)| {
            let told = told.get(&id);
            let report = told.map(|told| &told.report);
            NodeStatus {
                id,
                name: node.record.name.clone(),
                address: node.record.addresses.first().cloned().unwrap_or_default(),
                ui: told.map(|told| told.notice.ui.clone()).filter(|ui| !ui.is_empty()),
                state: match report {
                    None => self.down(id),
                    Some(report) if report.is_draining => NodeState::Draining,
                    Some(_) => NodeState::Ready,
                },
                version: report.map(|report| report.version.clone()).unwrap_or_default(),
                disk_used_bytes: report.map_or(0, |report| report.disk_used_bytes),
                disk_free_bytes: report.map_or(0, |report| report.disk_free_bytes),
                zone: node.record.zone.clone(),
                process: told.and_then(|told| told.process),
                clock_ahead_nanos: self.peer_clocks.ahead(id, self.clock.wall(), self.now()),
                figures: told.and_then(|told| told.figures),
            }
        });
        let nodes = nodes.collect();
        let shards = state.groups().iter().filter_map(|(group, intent)| {
            let id = shard_of_group(*group)?;
            Some(shard_status(id, intent, &told))
        });
        let notices = told.iter().map(|(node, told)| (*node, told.notice.clone())).collect();
        let (shards, alarms) = (shards.collect(), alarms(&notices));
        let epochs = state.epochs().iter().map(epoch_status).collect();
        let (sampling, retention) = (sampling_status(&state), Some(self.retention()));
        let events = told.into_values().flat_map(|told| told.events).map(Into::into);
        let events = gathered(events.collect());
        ClusterStatus { nodes, shards, epochs, alarms, events, sampling, retention }
    }

    /// A node that does not answer, and since when not: now, if it did a moment ago.
    fn down(&self, node: NodeId) -> NodeState {
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = unreachable.get(&node).map(|since| self.now().since(*since));
        let lasts = lasts.unwrap_or_default();
        NodeState::Down { since: Timestamp(self.clock.wall().0.saturating_sub(lasts.0)), lasts }
    }

    async fn ask_status(&self, node: NodeId) -> Option<(NodeId, Told)> {
        if node == self.node {
            let (report, replicas) = (self.report(), self.replica_facts());
            let (process, figures) = ((self.process)(), Some((self.figures)()));
            let (notice, events) = (self.notice(), self.event_messages());
            return Some((node, Told { report, replicas, notice, process, figures, events }));
        }
        let request = StatusRequest { digests: false }.encode().unwrap_or_default();
        let (report, replicas, notice, process, figures, events) = tokio::join!(
            self.ask_meta(node, &MetaRequest::Report, REPORT_DEADLINE),
            self.transport.call(node, Method::Status, request, REPORT_DEADLINE),
            self.ask_notice(node),
            self.ask_process(node),
            self.ask_figures(node),
            self.ask_events(node),
        );
        let Ok(MetaReply::Report(report)) = report else { return None };
        let replicas = replicas.ok().and_then(|reply| StatusReply::decode(reply).ok());
        let replicas = replicas.unwrap_or_default().replicas;
        Some((node, Told { report: *report, replicas, notice, process, figures, events }))
    }
}

fn epoch_status(epoch: &Epoch) -> EpochStatus {
    let state = match epoch.state {
        EpochState::Preparing => model::admin::EpochState::Preparing,
        EpochState::Fencing => model::admin::EpochState::Fencing,
        EpochState::Active => model::admin::EpochState::Active,
    };
    EpochStatus { id: epoch.id.0, shard_count: epoch.shard_count, state }
}

/// What a node that answered told.
struct Told {
    report: Report,
    replicas: Vec<ReplicaFacts>,
    notice: Notice,
    process: Option<ProcessStatus>,
    figures: Option<NodeFigures>,
    events: Vec<EventMessage>,
}

/// A shard: the replicas that nodes told of, and those that are meant to be elsewhere.
fn shard_status(id: ShardId, intent: &Group, told: &BTreeMap<NodeId, Told>) -> ShardStatus {
    let facts: BTreeMap<NodeId, ReplicaFacts> = told
        .iter()
        .filter_map(|(node, told)| {
            let own = told.replicas.iter().find(|facts| facts.shard == id);
            own.map(|facts| (*node, *facts))
        })
        .collect();
    let leading = facts.iter().filter(|(_, facts)| facts.role == ReplicaRole::Leader);
    let last = facts.values().map(|facts| facts.last.0).max().unwrap_or_default();
    let places: BTreeSet<NodeId> =
        intent.replicas.iter().map(|replica| replica.node).chain(facts.keys().copied()).collect();
    let replica = |node: NodeId| ReplicaStatus {
        node,
        state: match facts.get(&node) {
            Some(facts) => ReplicaState::Present {
                applied: facts.applied.0,
                lag: last.saturating_sub(facts.applied.0),
                spans: facts.spans,
                bytes: facts.bytes,
            },
            None if told.contains_key(&node) => ReplicaState::Absent,
            None => ReplicaState::Unreachable,
        },
        digest: None,
    };
    ShardStatus {
        id,
        epoch: intent.epoch.0,
        // Of two that say they lead, the one of the later term does.
        leader: leading.max_by_key(|(_, facts)| facts.term).map(|(node, _)| *node),
        replicas: places.into_iter().map(replica).collect(),
    }
}
