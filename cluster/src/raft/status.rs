//! What a replica knows of itself and its group, in our words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Duration, NodeId};
use openraft::async_runtime::WatchReceiver as _;
use openraft::{Instant as _, RaftMetrics, ServerState};
use storage::log::LogIndex;

use super::ledger::Lag;
use super::router::Raft;
use super::types::{Consensus, LogPosition, Place, StoredMembership};
use crate::identity::ReplicaId;

/// What a replica is in its group at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It has no core: it has stopped, or is about to start again.
    #[default]
    Down,
    /// It receives entries and does not vote.
    Learner,
    /// It votes.
    Follower,
    /// It wants to lead.
    Candidate,
    /// It leads.
    Leader,
}

/// Who leads a group, as one replica believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The term it knows.
    pub term: u64,
    /// What the replica is.
    pub role: Role,
    /// Who leads, if anybody does.
    pub leader: Option<Place>,
}

/// The members of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The entry that says so; none before the group was initialized.
    pub id: Option<LogPosition>,
    /// Whether that entry is committed.
    pub is_committed: bool,
    /// The voters: one set, or two while they change.
    pub voters: Vec<BTreeSet<ReplicaId>>,
    /// All members and where they live.
    pub members: BTreeMap<ReplicaId, NodeId>,
}

/// How far a follower or learner is, as its leader knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowerStatus {
    /// The last entry it is known to have.
    pub matching: Option<LogIndex>,
    /// How long ago it was last heard from; none if it never was.
    pub silent_for: Option<Duration>,
    /// What it lacks; none if that is more than is remembered of the leader's log.
    pub lag: Option<Lag>,
}

/// A replica at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Its role, term and leader.
    pub leadership: Leadership,
    /// The last entry of its log.
    pub last: Option<LogIndex>,
    /// The last entry it knows to be committed.
    pub committed: Option<LogPosition>,
    /// The last entry it applied.
    pub applied: Option<LogPosition>,
    /// The last entry that the snapshot covers, as far as consensus took note.
    pub snapshot: Option<LogPosition>,
    /// The last entry that was purged.
    pub purged: Option<LogPosition>,
    /// The members.
    pub configuration: Configuration,
    /// The others, if it leads.
    pub followers: BTreeMap<ReplicaId, FollowerStatus>,
}

/// Who leads, by a running core.
pub(crate) fn leadership(raft: &Raft) -> Leadership {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    Leadership {
        term: metrics.vote.leader_id.term,
        role: role(metrics.state),
        leader: place(metrics.current_leader, &metrics.membership_config),
    }
}

/// All that a running core tells.
pub(crate) fn status(raft: &Raft) -> ReplicaStatus {
    // Cloned, because the core waits for whoever holds it.
    let metrics: RaftMetrics<Consensus> = raft.metrics().borrow_watched().clone();
    let position = |id: &Option<_>| id.as_ref().map(LogPosition::from_log_id);
    let heard = metrics.heartbeat.unwrap_or_default();
    let silence = |replica: &u64| {
        let at = heard.get(replica).copied().flatten()?;
        Some(Duration(u64::try_from(at.into_inner().elapsed().as_nanos()).unwrap_or(u64::MAX)))
    };
    let followers = metrics.replication.unwrap_or_default();
    let followers = followers.iter().filter(|(replica, _)| **replica != metrics.id);
    ReplicaStatus {
        leadership: Leadership {
            term: metrics.current_term,
            role: role(metrics.state),
            leader: place(metrics.current_leader, &metrics.membership_config),
        },
        last: metrics.last_log_index.map(LogIndex),
        committed: position(&metrics.local_committed),
        applied: position(&metrics.last_applied),
        snapshot: position(&metrics.snapshot),
        purged: position(&metrics.purged),
        configuration: configuration(
            &metrics.membership_config,
            &metrics.committed_membership_config,
        ),
        followers: followers
            .map(|(replica, matching)| {
                let matching = matching.map(|id| LogIndex(id.index));
                let status = FollowerStatus { matching, silent_for: silence(replica), lag: None };
                (ReplicaId(*replica), status)
            })
            .collect(),
    }
}

fn configuration(
    effective: &Arc<StoredMembership>,
    committed: &Arc<StoredMembership>,
) -> Configuration {
    let set = |config: &BTreeSet<u64>| config.iter().copied().map(ReplicaId).collect();
    Configuration {
        id: effective.log_id().as_ref().map(LogPosition::from_log_id),
        is_committed: effective.log_id() == committed.log_id(),
        voters: effective.get_joint_config().iter().map(set).collect(),
        members: effective.nodes().map(|(id, host)| (ReplicaId(*id), host.node)).collect(),
    }
}

fn place(replica: Option<u64>, membership: &StoredMembership) -> Option<Place> {
    let replica = replica?;
    let host = membership.get_node(&replica)?;
    Some(Place { replica: ReplicaId(replica), node: host.node })
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Learner => Role::Learner,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Leader => Role::Leader,
        ServerState::Shutdown => Role::Down,
    }
}
