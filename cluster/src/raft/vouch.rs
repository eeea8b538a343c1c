//! What a replica vouches for ([`crate::vouch`]), and what has to be noted for that: consensus
//! tells of votes and memberships too, but later than it tells other replicas.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use openraft::async_runtime::WatchReceiver as _;
use storage::log::LogIndex;
use storage::mutant::{self, Mutant};
use tokio::time::Instant;

use super::limits::READERS_EXPECTED_FOR;
use super::replica::Replica;
use super::status::Role;
use super::types::{LeaderId, LogId, StoredMembership, Vote};
use crate::identity::ReplicaId;
use crate::vouch::{Ballot, Led, Vouch};
use crate::watch;

impl Replica {
    /// What this replica says of itself now; nothing while it has no core. Cheap: no core is asked.
    pub fn vouch(&self) -> Option<Vouch> {
        let shared = self.shared();
        let raft = shared.raft()?;
        shared.handle.noted.reader();
        let noted = shared.handle.noted.get();
        let own = self.id();
        let led = || {
            let ballot = noted.ballot.filter(|ballot| ballot.candidate == own)?;
            let leadership = *shared.leadership.borrow();
            if leadership.role != Role::Leader || leadership.term != ballot.term {
                return None;
            }
            let applied = shared.standing.applied().0?;
            if ballot_of(&applied.leader_id) != ballot {
                return None;
            }
            let known = raft.server_metrics().borrow_watched().membership_config.clone();
            let newest = match &noted.membership {
                Some(membership) if membership.log_id() > known.log_id() => membership,
                _ => &*known,
            };
            let set = |set: &BTreeSet<u64>| set.iter().copied().map(ReplicaId).collect();
            let voters = newest.get_joint_config().iter().map(set).collect();
            let applied = LogIndex(applied.index);
            // Others may be ahead of what this replica has applied.
            let told = noted.committed.filter(|_| !mutant::is(Mutant::BarrierBehindOthers));
            Some(Led { committed: told.max(Some(applied)).unwrap_or(applied), voters })
        };
        Some(Vouch { replica: own, voted: noted.ballot, led: led() })
    }
}

/// Who reads from the replicas of a group, as its leader knows by their barriers.
#[derive(Debug)]
pub(crate) struct Readers {
    read: watch::Receiver<Option<Instant>>,
}

impl Readers {
    /// Waits until somebody reads, or did so a moment ago.
    pub(crate) async fn come(&mut self) {
        let is_near = |read: &Option<Instant>| {
            read.is_some_and(|at| at.elapsed().as_nanos() < u128::from(READERS_EXPECTED_FOR.0))
        };
        if self.read.wait_for(is_near).await.is_err() {
            // Of a replica that has ended nobody reads.
            std::future::pending::<()>().await;
        }
    }
}

fn ballot_of(leader: &LeaderId) -> Ballot {
    Ballot { term: leader.term, candidate: ReplicaId(leader.node_id) }
}

/// What a group's log was given last of what it vouches for.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    state: Mutex<NotedState>,
    /// When somebody last asked for a barrier.
    read: watch::Sender<Option<Instant>>,
}

#[derive(Clone, Debug, Default)]
struct NotedState {
    ballot: Option<Ballot>,
    /// Of an entry that was appended since the start and not cut off since.
    membership: Option<StoredMembership>,
    /// The most that anybody was told is committed, or that was given to the machine.
    committed: Option<LogIndex>,
}

impl Noted {
    /// Call it before anybody can hear of the vote.
    pub(crate) fn vote(&self, vote: &Vote) {
        let ballot = Some(ballot_of(&vote.leader_id));
        let mut state = self.state();
        state.ballot = state.ballot.max(ballot);
    }

    /// Call it before the entry is appended.
    pub(crate) fn membership(&self, membership: StoredMembership) {
        self.state().membership = Some(membership);
    }

    /// Call it before another replica is told that entries are committed, and before they are
    /// applied here: then nobody can have shown an entry that is not noted.
    pub(crate) fn committed(&self, last: Option<&LogId>) {
        let last = last.map(|last| LogIndex(last.index));
        let mut state = self.state();
        state.committed = state.committed.max(last);
    }

    /// Call it before somebody hears how far to wait: for a while all that is committed is told at
    /// once.
    pub(crate) fn reader(&self) {
        self.read.send_replace(Some(tokio::time::Instant::now()));
    }

    /// Follows whether anybody reads.
    pub(crate) fn readers(&self) -> Readers {
        Readers { read: self.read.subscribe() }
    }

    /// Entries behind `last` are gone.
    pub(crate) fn cut_off(&self, last: Option<&LogId>) {
        let last = last.map(|last| last.index);
        let mut state = self.state();
        let is_there = |noted: &StoredMembership| noted.log_id().map(|id| id.index) <= last;
        state.membership = state.membership.take().filter(is_there);
    }

    fn get(&self) -> NotedState {
        self.state().clone()
    }

    fn state(&self) -> MutexGuard<'_, NotedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
