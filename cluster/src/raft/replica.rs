//! A replica of a group: what the rest of the node asks of consensus.
//!
//! Behind it stands a core that may die and be rebuilt (`supervisor`); this
//! handle stays. While there is no core, it leads nothing, and what is asked of it is refused or,
//! where something was under way, of unknown outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration as StdDuration;

use bytes::Bytes;
use model::{Duration, NodeId};
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::Precondition;
use openraft::{ChangeMembers, Config, RaftMetrics, ReadPolicy};
use storage::log::{GroupId, LogEngine, LogIndex};
use storage::mutant::{self, Mutant};
use tokio::sync::{mpsc, oneshot};

use super::blocking::Blocking;
use super::budget::ProposalBudget;
use super::config::config;
use super::failure::{
    BarrierError, ChangeError, FatalHook, InitializeFailure, ProposeError, PurgeError,
    TransferError, barrier_error, change_error, initialize_failure, propose_error,
};
use super::fence::Fence;
use super::ledger::Lag;
use super::limits::{MEMBERS_MAX, SNAPSHOT_NOTED_WITHIN, TRANSFER_WITHIN};
use super::log_handle::LogHandle;
use super::machine::Machine;
use super::record::HEADER_BYTES;
use super::router::{GroupRouter, Raft};
use super::standing::Standing;
use super::status::{self, Leadership, ReplicaStatus, Role};
use super::supervisor::{Order, Supervisor};
use super::types::{Command, Consensus, Host, LogPosition, Outcome, Place};
use crate::identity::ReplicaId;
use crate::limits::HEARD_WITHIN;
use crate::task::Task;
use crate::transport::Transport;
use crate::watch;

/// What a replica is made of.
#[derive(Clone, Debug)]
pub struct ReplicaParts {
    /// Its group, also in the log.
    pub group: GroupId,
    /// Its id.
    pub replica: ReplicaId,
    /// The node's log.
    pub log: Arc<dyn LogEngine>,
    /// What is replicated.
    pub machine: Arc<dyn Machine>,
    /// The way to other nodes.
    pub transport: Arc<dyn Transport>,
    /// Where messages from other nodes come in.
    pub router: Arc<GroupRouter>,
    /// The node's room for proposals.
    pub budget: ProposalBudget,
    /// Where work runs that may block.
    pub blocking: Blocking,
    /// Is told when the replica's storage has failed.
    pub fatal: FatalHook,
}

/// A change of a group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new member that receives entries and does not vote.
    AddLearner(Place),
    /// These members vote from now on, by way of a joint configuration; former voters stay as
    /// learners.
    SetVoters(BTreeSet<ReplicaId>),
    /// These learners are members no more.
    Remove(BTreeSet<ReplicaId>),
}

/// A replica that runs. Dropping it ends it; [`Replica::shutdown`] also waits for the end.
#[derive(Debug)]
pub struct Replica {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    supervisor: Mutex<Option<Task>>,
}

/// What a replica's handle and its supervisor share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) parts: ReplicaParts,
    pub(crate) handle: LogHandle,
    pub(crate) standing: Arc<Standing>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) config: Arc<Config>,
    /// The core, if there is one. Written by the supervisor.
    pub(crate) current: RwLock<Option<CurrentCore>>,
    /// Written by the supervisor.
    pub(crate) leadership: watch::Sender<Leadership>,
}

/// A core that runs.
#[derive(Clone)]
pub(crate) struct CurrentCore(pub(crate) Raft);

impl std::fmt::Debug for CurrentCore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CurrentCore")
    }
}

impl Shared {
    pub(crate) fn raft(&self) -> Option<Raft> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|CurrentCore(raft)| raft.clone())
    }
}

impl Replica {
    /// Starts a replica on the runtime that this is called on, from what its log and its machine
    /// hold. Returns when all is applied that was known to be committed.
    pub async fn start(parts: ReplicaParts) -> io::Result<Self> {
        let config = config().map_err(io::Error::other)?;
        let ReplicaParts { group, ref log, blocking, .. } = parts;
        let handle = LogHandle::new(group, Arc::clone(log), blocking);
        let (opened, machine) = (handle.clone(), Arc::clone(&parts.machine));
        let standing = blocking.run(move || Standing::open(opened, machine)).await??;
        let shared = Arc::new(Shared {
            parts,
            handle,
            standing: Arc::new(standing),
            fence: Arc::default(),
            config,
            current: RwLock::default(),
            leadership: watch::Sender::default(),
        });
        let (orders, received) = mpsc::channel(1);
        let supervisor =
            Supervisor::start(Arc::clone(&shared), received, orders.downgrade()).await?;
        let task = Task::spawn("raft-supervisor", supervisor.run());
        Ok(Self { shared, orders, supervisor: Mutex::new(Some(task)) })
    }

    /// Its group.
    pub fn group(&self) -> GroupId {
        self.shared.parts.group
    }

    /// Its id.
    pub fn id(&self) -> ReplicaId {
        self.shared.parts.replica
    }

    /// What it replicates.
    pub fn machine(&self) -> &Arc<dyn Machine> {
        &self.shared.parts.machine
    }

    /// Proposes a command and waits for its outcome, for as long as the caller likes: giving up
    /// does not take the proposal back.
    pub fn propose(
        &self,
        payload: Bytes,
    ) -> impl Future<Output = Result<Outcome, ProposeError>> + Send + 'static {
        let prepared = self.prepare(payload);
        async move {
            let (raft, command) = prepared?;
            // Counted until the answer is there, whoever drops the command before.
            let _counted = command.counted.clone();
            let written = raft.client_write(command).await.map_err(propose_error)?;
            Ok(written.data)
        }
    }

    fn prepare(&self, payload: Bytes) -> Result<(Raft, Command), ProposeError> {
        if payload.len() > storage::limits::LOG_ENTRY_BYTES_MAX - HEADER_BYTES {
            let reason = format!("{} bytes are more than an entry holds", payload.len());
            return Err(ProposeError::Refused { reason });
        }
        let Some(raft) = self.shared.raft() else {
            return Err(ProposeError::NotLeader { leader: None });
        };
        let counted = self.shared.parts.budget.take(payload.len());
        let Some(counted) = counted else {
            return Err(ProposeError::Busy { what: "the room for proposals" });
        };
        Ok((raft, Command { counted: Some(counted), ..Command::new(payload) }))
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// An index that covers everything acknowledged before this was called. A read that begins
    /// when some replica has applied it misses nothing. The leader makes sure, by asking a
    /// majority, that it is one.
    pub fn read_barrier(
        &self,
    ) -> impl Future<Output = Result<LogIndex, BarrierError>> + Send + 'static {
        let raft = self.shared.raft();
        self.shared.handle.noted.reader();
        async move {
            let raft = raft.ok_or(BarrierError::NotRunning)?;
            if mutant::is(Mutant::BarrierWithoutMajority) {
                let applied = raft.metrics().borrow_watched().last_applied;
                return Ok(LogIndex(applied.map_or(0, |id| id.index)));
            }
            let linearizer = raft.get_read_linearizer(ReadPolicy::ReadIndex).await;
            Ok(LogIndex(linearizer.map_err(barrier_error)?.read_log_id().index()))
        }
    }

    /// Waits until an index is applied here, which then is not put off. False if the replica has
    /// ended before.
    pub fn wait_applied(&self, index: LogIndex) -> impl Future<Output = bool> + Send + 'static {
        let mut applied = self.shared.standing.watch_applied();
        if *applied.borrow() < Some(index) {
            self.shared.handle.noted.reader();
        }
        async move { applied.wait_for(|applied| *applied >= Some(index)).await.is_ok() }
    }

    /// The last index that is applied here.
    pub fn applied(&self) -> Option<LogIndex> {
        *self.shared.standing.watch_applied().borrow()
    }

    /// The last index that is applied here, if the log here ends with it.
    pub fn all_applied(&self) -> Option<LogIndex> {
        let handle = &self.shared.handle;
        let last = handle.log.bounds(handle.group).last;
        self.applied().filter(|applied| last.is_none_or(|last| last <= *applied))
    }

    /// Who leads the group, as this replica believes.
    pub fn leader(&self) -> Option<Place> {
        self.shared.leadership.borrow().leader
    }

    /// Follows who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// What the replica knows of itself and its group.
    pub fn status(&self) -> ReplicaStatus {
        match self.shared.raft() {
            // A core that died still tells what it was; the supervisor knows better.
            Some(raft) if self.shared.leadership.borrow().role != Role::Down => {
                let mut status = status::status(&raft);
                for follower in status.followers.values_mut() {
                    let has_all = follower.matching >= status.last;
                    let lag = || self.shared.handle.ledger.behind(follower.matching);
                    follower.lag = if has_all { Some(Lag::default()) } else { lag() };
                }
                status
            }
            _ => ReplicaStatus::default(),
        }
    }

    /// Gives a group its first members. Every one of them may be told so, with the same list; the
    /// first that is told is likely to lead.
    pub async fn initialize(
        &self,
        members: &BTreeMap<ReplicaId, NodeId>,
    ) -> Result<(), InitializeFailure> {
        if members.len() > MEMBERS_MAX {
            let reason = format!("{} members, at most {MEMBERS_MAX}", members.len());
            return Err(InitializeFailure::Refused { reason });
        }
        let raft = self.shared.raft().ok_or(InitializeFailure::NotRunning)?;
        let hosts: BTreeMap<u64, Host> =
            members.iter().map(|(replica, node)| (replica.0, Host { node: *node })).collect();
        raft.initialize(hosts).await.map_err(initialize_failure)
    }

    /// Adds a learner to whatever the membership is now, and does not wait until it has caught up.
    pub async fn add_learner(&self, learner: Place) -> Result<LogPosition, ChangeError> {
        let expected = self.status().configuration.id;
        self.change_membership_if(expected, Change::AddLearner(learner)).await
    }

    /// Changes the members, if the membership is still the one of the entry `expected`. Returns
    /// the entry of the new one.
    pub async fn change_membership_if(
        &self,
        expected: Option<LogPosition>,
        change: Change,
    ) -> Result<LogPosition, ChangeError> {
        let Some(raft) = self.shared.raft() else {
            return Err(ChangeError::NotLeader { leader: None });
        };
        if let Change::AddLearner(place) = &change {
            let mut members = self.status().configuration.members;
            members.insert(place.replica, place.node);
            if members.len() > MEMBERS_MAX {
                let reason = format!("a group has at most {MEMBERS_MAX} members");
                return Err(ChangeError::Refused { reason });
            }
        }
        let ids = |replicas: BTreeSet<ReplicaId>| replicas.into_iter().map(|id| id.0).collect();
        let change: ChangeMembers<u64, Host> = match change {
            Change::AddLearner(place) => {
                let host = Host { node: place.node };
                ChangeMembers::AddNodes(BTreeMap::from([(place.replica.0, host)]))
            }
            Change::SetVoters(voters) => ChangeMembers::ReplaceAllVoters(ids(voters)),
            Change::Remove(replicas) => ChangeMembers::RemoveNodes(ids(replicas)),
        };
        let last_membership_log_id = expected.map(LogPosition::log_id);
        let precondition = Precondition::LastMembershipLogId { last_membership_log_id };
        let changed = raft.change_membership_if(change, true, [precondition]).await;
        Ok(LogPosition::from_log_id(&changed.map_err(change_error)?.log_id))
    }

    /// Hands leadership to a voter that is ready for it, and waits until it leads.
    pub async fn transfer_leader(&self, to: ReplicaId) -> Result<(), TransferError> {
        let status = self.status();
        let Some(raft) = self.shared.raft().filter(|_| status.leadership.role == Role::Leader)
        else {
            return Err(TransferError::NotLeader { leader: status.leadership.leader });
        };
        let is_voter = status.configuration.voters.iter().any(|voters| voters.contains(&to));
        if !is_voter || to == self.id() {
            return Err(TransferError::NotEligible { to });
        }
        // A transfer that fails leaves this leader mute, so only one that will succeed is begun.
        let follower = status.followers.get(&to).copied().unwrap_or_default();
        let heard = |silent_for: Duration| silent_for <= HEARD_WITHIN;
        if follower.matching != status.last || !follower.silent_for.is_some_and(heard) {
            return Err(TransferError::NotReady { to });
        }
        let mut leadership = self.leadership();
        if raft.trigger().transfer_leader(to.0).await.is_err() {
            return Err(TransferError::NotLeader { leader: None });
        }
        let term = status.leadership.term;
        let taken_over = leadership.wait_for(|now| now.term > term && now.leader.is_some());
        let within = StdDuration::from_nanos(TRANSFER_WITHIN.0);
        match tokio::time::timeout(within, taken_over).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(TransferError::NotLeader { leader: None }),
            Err(_) => {
                // If the supervisor is busy, it is rebuilding or ending: as good.
                let _ = self.orders.try_send(Order::Rebuild);
                Err(TransferError::Failed { to })
            }
        }
    }

    /// Lets the log forget entries up to an index, as far as the machine allows it. Returns when
    /// the core has been told; the last index that may go is returned.
    pub async fn purge(&self, upto: LogIndex) -> Result<Option<LogIndex>, PurgeError> {
        let raft = self.shared.raft().ok_or(PurgeError::NotRunning)?;
        let Some(upto) = self.machine().purgeable().map(|most| most.min(upto)) else {
            return Ok(None);
        };
        let noted = |noted: Option<u64>| noted >= Some(upto.0);
        if !noted(status::status(&raft).snapshot.map(|position| position.index.0)) {
            raft.trigger().snapshot().await.map_err(|_| PurgeError::NotRunning)?;
            let within = StdDuration::from_nanos(SNAPSHOT_NOTED_WITHIN.0);
            let is_noted =
                |metrics: &RaftMetrics<Consensus>| noted(metrics.snapshot.map(|id| id.index));
            let waited = raft.wait(Some(within)).metrics(is_noted, "the cut is noted").await;
            waited.map_err(|_| PurgeError::NotNoted)?;
        }
        raft.trigger().purge_log(upto.0).await.map_err(|_| PurgeError::NotRunning)?;
        tracing::debug!(group = %self.shared.parts.group, %upto, "the log may be purged");
        Ok(Some(upto))
    }

    /// Lets the replica campaign now. For tests, and for those who know why.
    pub async fn campaign(&self) {
        if let Some(raft) = self.shared.raft() {
            // A core that is gone does not campaign.
            let _ = raft.trigger().elect(true).await;
        }
    }

    /// Ends the replica and waits until nothing of it touches log or machine any more.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        // If the supervisor is gone, so is the replica.
        if self.orders.send(Order::Shutdown(reply)).await.is_ok() {
            let _ = done.await;
        }
        let task = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.join().await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // The supervisor is aborted with its task; what it would have taken down goes here.
        self.shared.take_down();
        self.shared.fence.close();
    }
}
