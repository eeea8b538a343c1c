//! A cluster whose majority is lost for good goes on with what one node's disk holds.
//!
//! Done to the directory of a node that does not run. Every group that has a replica here gets it
//! as its only voter, in a configuration that nobody agreed on; groups that have none here begin
//! empty. What others acknowledged and this node never received is lost, and nobody can say how
//! much that is: the loss is the operator's decision, so nothing is written before it was taken.
//!
//! Invariants:
//! - the cluster gets another id first, in the node's small store: from then on former members
//!   are strangers, whatever happens in between;
//! - after a crash in the middle, doing it again does all of it;
//! - the node's copy of the cluster's state is written last: it is what its log leads to.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::{NodeId, ShardId};
use storage::entry;
use storage::kv::Kv;
use storage::log::{GroupId, LogEngine, LogIndex};

use super::durable::{Durable, Membership};
use super::error::HostError;
use crate::identity::{ClusterId, META_GROUP, ReplicaId, shard_of_group};
use crate::meta::{MetaCommand, MetaState};
use crate::plan::DataState;
use crate::raft::{self, LogPosition};

/// Bytes of the log that are read at a time.
const STRETCH_BYTES: usize = 4 << 20;

/// What one disk holds of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The node whose disk it is.
    pub node: NodeId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The names of the other members: they will be strangers.
    pub others: Vec<(NodeId, String)>,
    /// Every shard of the cluster.
    pub shards: BTreeMap<ShardId, Option<SurveyedShard>>,
}

/// A replica of a shard on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyedShard {
    /// Where its log ends. What the group took in behind that is not here.
    pub last: Option<LogPosition>,
    /// Whether it was meant to vote: a replica that was still catching up lacks more.
    pub is_voter: bool,
    /// The leader's clock when its last entry with spans was written, if that is in the log.
    pub newest: Option<model::Timestamp>,
}

/// The directory's stores, opened by nobody else.
#[derive(Debug)]
pub struct Recovery {
    durable: Durable,
    log: Arc<dyn LogEngine>,
    node: NodeId,
    cluster: ClusterId,
    list: BTreeMap<GroupId, ReplicaId>,
    state: MetaState,
}

impl Recovery {
    /// Reads what the directory holds; an error says why there is nothing to go on with. Blocks.
    pub fn open(
        kv: &Arc<dyn Kv>,
        log: &Arc<dyn LogEngine>,
        node: NodeId,
    ) -> Result<Self, HostError> {
        let unfit = |reason: &str| HostError::Replica { reason: reason.to_owned() };
        let durable = Durable::new(Arc::clone(kv));
        let DataState::Member(cluster) = durable.membership()?.data else {
            return Err(unfit("the node belongs to no cluster, so there is none to recover"));
        };
        let list = durable.replicas()?;
        if !list.contains_key(&META_GROUP) {
            return Err(unfit(
                "the node has no replica of the cluster's own state; recover on a node that has \
                 one: they are listed first by `skua status`, five at most",
            ));
        }
        let state = replayed(&durable, log)?;
        if state.cluster().is_none() || !state.nodes().contains_key(&node) {
            return Err(unfit("the node's copy of the cluster's state does not reach far enough"));
        }
        Ok(Self { durable, log: Arc::clone(log), node, cluster, list, state })
    }

    /// What would be left.
    pub fn survey(&self) -> Result<Survey, HostError> {
        let others = self.state.present().filter(|(node, _)| *node != self.node);
        let mut shards = BTreeMap::new();
        for (id, group) in self.state.groups() {
            let Some(shard) = shard_of_group(*id) else { continue };
            let surveyed = match self.list.get(id) {
                None => None,
                Some(replica) => Some(SurveyedShard {
                    last: raft::held_by(&self.log, *id)?.last,
                    is_voter: group.voters().any(|voter| voter.id == *replica),
                    newest: self.newest(*id)?,
                }),
            };
            shards.insert(shard, surveyed);
        }
        Ok(Survey {
            node: self.node,
            cluster: self.cluster,
            others: others.map(|(node, known)| (node, known.record.name.clone())).collect(),
            shards,
        })
    }

    /// Makes the node the whole of a cluster with this id. Blocks until it is durable.
    pub fn accept_loss(mut self, cluster: ClusterId) -> Result<(), HostError> {
        let member = Membership { data: DataState::Member(cluster), founding: None };
        self.durable.set_membership(&member)?;
        let command =
            MetaCommand::Recover { cluster, survivor: self.node, held: self.list.clone() };
        for (group, replica) in &self.list {
            let place = (*replica, self.node);
            let state = &mut self.state;
            raft::make_sole_voter(&self.log, *group, place, |index| {
                (*group == META_GROUP).then(|| {
                    state.apply(index, &command);
                    Bytes::from(command.encode())
                })
            })?;
        }
        self.durable.set_map(&self.state)?;
        Ok(())
    }

    /// The stamp of the newest entry of a shard's log.
    fn newest(&self, group: GroupId) -> Result<Option<model::Timestamp>, HostError> {
        let Some(last) = self.log.bounds(group).last else { return Ok(None) };
        let first = LogIndex(last.0.saturating_sub(NEWEST_ENTRIES));
        let records = self.log.read(group, first..last.next(), usize::MAX);
        let stamps = records.map_err(log_failed)?.into_iter().filter_map(|(_, record)| {
            let entry = raft::unwrap(&record)?;
            Some(entry::decode(&entry).ok()?.stamp)
        });
        Ok(stamps.max())
    }
}

/// Entries at the end of a log among which one with a stamp is looked for: the rest are Raft's own.
const NEWEST_ENTRIES: u64 = 64;

/// The cluster's state behind everything that the log of its group holds.
fn replayed(durable: &Durable, log: &Arc<dyn LogEngine>) -> Result<MetaState, HostError> {
    let mut state = durable.meta()?.unwrap_or_default();
    let Some(last) = log.bounds(META_GROUP).last else { return Ok(state) };
    let mut next = state.applied().next();
    while next <= last {
        let records = log.read(META_GROUP, next..last.next(), STRETCH_BYTES).map_err(log_failed)?;
        if records.is_empty() {
            break;
        }
        for (index, record) in records {
            let command = raft::unwrap(&record).map(|bytes| MetaCommand::decode(&bytes));
            match command {
                Some(Ok(command)) => drop(state.apply(index, &command)),
                _ => state.skip(index),
            }
            next = index.next();
        }
    }
    Ok(state)
}

fn log_failed(error: storage::log::LogError) -> HostError {
    HostError::Io(std::io::Error::other(error))
}
