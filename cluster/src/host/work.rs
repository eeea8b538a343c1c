//! Steps of the plan, done on this node's replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::NodeId;
use storage::log::{GroupId, LogIndex};

use super::handle::{Shared, std};
use super::limits::WORK_DEADLINE;
use super::messages::{LeaderWork, MetaReply, Work};
use super::replicas::Hosted;
use crate::identity::{ReplicaId, shard_of_group};
use crate::raft::{Change, LogPosition, Place, Role};

impl Shared {
    /// Does a step, in bounded time.
    pub(super) async fn work(self: &Arc<Self>, work: Work) -> MetaReply {
        let done = tokio::time::timeout(std(WORK_DEADLINE), self.perform(work)).await;
        match done {
            Ok(Ok(())) => MetaReply::Done,
            Ok(Err(reason)) => MetaReply::Failed(reason),
            Err(_) => MetaReply::Failed("it takes too long".into()),
        }
    }

    async fn perform(self: &Arc<Self>, work: Work) -> Result<(), String> {
        match work {
            Work::Create { group, replica, members } => {
                let (group, replica) = (GroupId(group), ReplicaId(replica));
                if self.state().is_buried(group, replica) {
                    return Err(format!("replica {replica} was removed"));
                }
                let members: BTreeMap<ReplicaId, NodeId> =
                    members.into_iter().map(|(r, node)| (ReplicaId(r), NodeId(node))).collect();
                let created = self.replicas.create(group, replica, &members).await;
                created.map_err(|error| error.to_string())
            }
            Work::Delete { group, replica } => {
                let deleted = self.replicas.delete(GroupId(group), ReplicaId(replica)).await;
                deleted.map_err(|error| error.to_string())
            }
            // Done again it changes nothing, so that no configuration has to be the expected one.
            Work::Lead { group, work: LeaderWork::Fence(epoch), .. } => {
                let shard = shard_of_group(GroupId(group)).ok_or("the group is no shard's")?;
                self.fence_here(shard, epoch).await
            }
            Work::Lead { group, expected, work } => {
                let hosted = self.replicas.get(GroupId(group));
                let hosted = hosted.ok_or("the group has no replica here")?;
                lead(&hosted, expected, work).await
            }
        }
    }
}

/// Does a leader's work, if the configuration is the one that it was planned on.
async fn lead(hosted: &Hosted, expected: (u64, u64), work: LeaderWork) -> Result<(), String> {
    let replica = &hosted.replica;
    let status = replica.status();
    if status.leadership.role != Role::Leader {
        return Err("this replica does not lead the group".into());
    }
    let is_expected = |id: &LogPosition| (id.term, id.index) == (expected.0, LogIndex(expected.1));
    let id = status.configuration.id.filter(is_expected);
    let id = id.ok_or("the membership is another by now")?;
    let change = match work {
        LeaderWork::AddLearner { replica, node } => {
            Change::AddLearner(Place { replica: ReplicaId(replica), node: NodeId(node) })
        }
        LeaderWork::SetVoters(voters) => {
            let wanted: BTreeSet<ReplicaId> = voters.into_iter().map(ReplicaId).collect();
            let gone: BTreeSet<ReplicaId> =
                status.configuration.voters.iter().flatten().copied().collect();
            let gone: BTreeSet<ReplicaId> = gone.difference(&wanted).copied().collect();
            let changed = replica.change_membership_if(Some(id), Change::SetVoters(wanted)).await;
            let position = changed.map_err(|error| error.to_string())?;
            if gone.is_empty() {
                return Ok(());
            }
            // Who voted and does no more stays as a learner, and nobody means it to.
            let removed = replica.change_membership_if(Some(position), Change::Remove(gone)).await;
            return removed.map(|_| ()).map_err(|error| error.to_string());
        }
        LeaderWork::Fence(_) => return Err("a fence is no change of the membership".into()),
        LeaderWork::RemoveLearner(replica) => Change::Remove([ReplicaId(replica)].into()),
        LeaderWork::Transfer(to) => {
            let transferred = replica.transfer_leader(ReplicaId(to)).await;
            return transferred.map_err(|error| error.to_string());
        }
        LeaderWork::ConfirmGone(gone) => {
            // A majority says that this replica still leads, so its configuration is the newest.
            replica.read_barrier().await.map_err(|error| error.to_string())?;
            let configuration = replica.status().configuration;
            let is_gone =
                configuration.is_committed && !configuration.members.contains_key(&ReplicaId(gone));
            return if is_gone { Ok(()) } else { Err("a configuration has the replica".into()) };
        }
    };
    let changed = replica.change_membership_if(Some(id), change).await;
    changed.map(|_| ()).map_err(|error| error.to_string())
}
