//! Why a replica did not do what it was asked for, by what the caller should do next.

use std::fmt;
use std::sync::Arc;

use openraft::errors::{
    ChangeMembershipError, ClientWriteError, Fatal, ForwardReason, ForwardToLeader,
    InitializeError, LinearizableReadError, RaftError,
};
use storage::log::GroupId;

use super::types::{Consensus, Place};
use crate::identity::ReplicaId;

/// Why a proposal was not answered with an outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// It was not proposed: this replica does not lead.
    #[error("this replica does not lead the group")]
    NotLeader {
        /// Who leads, if it is known.
        leader: Option<Place>,
    },
    /// It was not proposed: the leader has not heard from a majority lately. Ask it again.
    #[error("the leader has not heard from a majority lately")]
    NoQuorum,
    /// It was not proposed: there is no room now.
    #[error("{what} is full")]
    Busy {
        /// What is full.
        what: &'static str,
    },
    /// It was not proposed, and never can be.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// It may have been applied, it may still be, it may never be.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// What was lost sight of.
        reason: String,
    },
}

/// Why there is no index that a read may rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// This replica does not lead.
    #[error("this replica does not lead the group")]
    NotLeader {
        /// Who leads, if it is known.
        leader: Option<Place>,
    },
    /// The leader could not make sure that it still leads. Ask again.
    #[error("the leader has not heard from a majority lately")]
    NoQuorum,
    /// The replica has stopped, or is about to start again.
    #[error("the replica is not running")]
    NotRunning,
}

/// Why a membership was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// This replica does not lead.
    #[error("this replica does not lead the group")]
    NotLeader {
        /// Who leads, if it is known.
        leader: Option<Place>,
    },
    /// The leader has not heard from a majority lately. Ask it again.
    #[error("the leader has not heard from a majority lately")]
    NoQuorum,
    /// The membership is not the one that the change was meant for, or it is changing. Look again.
    #[error("the membership is another by now")]
    Stale,
    /// The change makes no sense.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// It may have happened, wholly or as far as the joint configuration. Look again.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// What was lost sight of.
        reason: String,
    },
}

/// Why leadership was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// This replica does not lead.
    #[error("this replica does not lead the group")]
    NotLeader {
        /// Who leads, if it is known.
        leader: Option<Place>,
    },
    /// The replica is no voter of the group, or the one that leads.
    #[error("replica {to} cannot take over")]
    NotEligible {
        /// The replica.
        to: ReplicaId,
    },
    /// The replica lacks entries, or has not been heard from within a heartbeat: asking it to take
    /// over could leave the group without a leader.
    #[error("replica {to} is not ready to take over")]
    NotReady {
        /// The replica.
        to: ReplicaId,
    },
    /// It did not take over; the old leader starts anew, because one that failed at this is mute.
    #[error("replica {to} did not take over")]
    Failed {
        /// The replica.
        to: ReplicaId,
    },
}

/// Why a group was not initialized.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitializeFailure {
    /// It has been already.
    #[error("the group is initialized already")]
    AlreadyDone,
    /// The members make no sense.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The replica has stopped, or is about to start again.
    #[error("the replica is not running")]
    NotRunning,
}

/// Why a log was not purged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// The replica has stopped, or is about to start again.
    #[error("the replica is not running")]
    NotRunning,
    /// The core has not taken note of the machine's cut in time. Nothing was purged.
    #[error("the machine's cut was not noted in time")]
    NotNoted,
}

/// A replica that has ended for good in this process: its storage failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("replica {replica} of group {group} failed: {reason}")]
pub struct ReplicaFailure {
    /// Its group.
    pub group: GroupId,
    /// Its id.
    pub replica: ReplicaId,
    /// What failed.
    pub reason: String,
}

/// Is told, once per replica, that its storage failed. Production ends the process.
#[derive(Clone)]
pub struct FatalHook(Arc<dyn Fn(&ReplicaFailure) + Send + Sync>);

impl FatalHook {
    /// A hook. It must not block.
    pub fn new(hook: impl Fn(&ReplicaFailure) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    pub(crate) fn call(&self, failure: &ReplicaFailure) {
        (self.0)(failure);
    }
}

impl fmt::Debug for FatalHook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FatalHook")
    }
}

fn leader_of(forward: &ForwardToLeader<Consensus>) -> Option<Place> {
    let replica = forward.leader_id.map(ReplicaId)?;
    forward.leader_node.map(|host| Place { replica, node: host.node })
}

/// Whether the replica leads, and only its majority is missing.
fn lacks_quorum(forward: &ForwardToLeader<Consensus>) -> bool {
    forward.reason == ForwardReason::LeaseExpired
}

pub(crate) fn propose_error(
    error: RaftError<Consensus, ClientWriteError<Consensus>>,
) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            if lacks_quorum(&forward) {
                ProposeError::NoQuorum
            } else {
                ProposeError::NotLeader { leader: leader_of(&forward) }
            }
        }
        RaftError::APIError(other) => ProposeError::Unknown { reason: other.to_string() },
        RaftError::Fatal(fatal) => ProposeError::Unknown { reason: fatal.to_string() },
    }
}

pub(crate) fn barrier_error(
    error: RaftError<Consensus, LinearizableReadError<Consensus>>,
) -> BarrierError {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
            if lacks_quorum(&forward) {
                BarrierError::NoQuorum
            } else {
                BarrierError::NotLeader { leader: leader_of(&forward) }
            }
        }
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => BarrierError::NoQuorum,
        RaftError::Fatal(_) => BarrierError::NotRunning,
    }
}

pub(crate) fn change_error(
    error: RaftError<Consensus, ClientWriteError<Consensus>>,
) -> ChangeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            if lacks_quorum(&forward) {
                ChangeError::NoQuorum
            } else {
                ChangeError::NotLeader { leader: leader_of(&forward) }
            }
        }
        RaftError::APIError(
            ClientWriteError::PreconditionFailed(_)
            | ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_)
                | ChangeMembershipError::UncommittedLeaderLog(_),
            ),
        ) => ChangeError::Stale,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(refused)) => {
            ChangeError::Refused { reason: refused.to_string() }
        }
        RaftError::APIError(other) => ChangeError::Unknown { reason: other.to_string() },
        RaftError::Fatal(fatal) => ChangeError::Unknown { reason: fatal.to_string() },
    }
}

pub(crate) fn initialize_failure(
    error: RaftError<Consensus, InitializeError<Consensus>>,
) -> InitializeFailure {
    match error {
        RaftError::APIError(InitializeError::NotAllowed(_)) => InitializeFailure::AlreadyDone,
        RaftError::APIError(other) => InitializeFailure::Refused { reason: other.to_string() },
        RaftError::Fatal(_) => InitializeFailure::NotRunning,
    }
}

/// The reason of a core's end, if its storage is to blame.
pub(crate) fn storage_failure(end: &Result<(), Fatal<Consensus>>) -> Option<String> {
    match end {
        Err(Fatal::StorageError(error)) => Some(error.to_string()),
        Ok(()) | Err(Fatal::Panicked | Fatal::Stopped) => None,
    }
}
