//! The replicas on this node: created and deleted as the plan says, started again after a restart.
//!
//! Invariant (REP-3): a replica is on the node's list, flushed, before it starts; one that is on
//! the list starts under its id and no other. Creating what is there, and deleting what is not, do
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use model::{NodeId, ShardId};
use storage::Shard;
use storage::log::{GroupId, LogEngine};
use tokio::sync::{Mutex, oneshot};

use super::durable::Durable;
use super::error::HostError;
use super::meta_machine::MetaMachine;
use super::parts::{ForgetShard, OpenShard};
use crate::identity::{META_GROUP, ReplicaId, group_of_shard, shard_of_group};
use crate::raft::{
    Blocking, FatalHook, GroupRouter, InitializeFailure, Machine, ProposalBudget, Replica,
    ReplicaParts, Role, ShardMachine, Witness,
};
use crate::transport::Transport;

/// What replicas are made of.
#[derive(Clone)]
pub(crate) struct ReplicasParts {
    pub(crate) durable: Durable,
    pub(crate) log: Arc<dyn LogEngine>,
    pub(crate) meta: Arc<MetaMachine>,
    pub(crate) open_shard: OpenShard,
    pub(crate) forget_shard: ForgetShard,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) blocking: Blocking,
    pub(crate) fatal: FatalHook,
}

/// A replica of this node.
#[derive(Debug)]
pub(crate) struct Hosted {
    pub(crate) replica: Replica,
    /// The shard, unless it is the meta group.
    pub(crate) shard: Option<Arc<Shard>>,
}

impl Hosted {
    pub(crate) fn leads(&self) -> bool {
        self.replica.leadership().borrow().role == Role::Leader
    }
}

/// The replicas of this node.
pub(crate) struct Replicas {
    parts: ReplicasParts,
    pub(crate) router: Arc<GroupRouter>,
    budget: ProposalBudget,
    hosted: RwLock<BTreeMap<GroupId, Arc<Hosted>>>,
    /// What is on the node's list. Locked while replicas come and go.
    list: Mutex<BTreeMap<GroupId, ReplicaId>>,
    /// The list as it was last written, for those who must not wait.
    listed: RwLock<BTreeMap<GroupId, ReplicaId>>,
    /// Replicas that were here and never will be again.
    burned: RwLock<BTreeSet<ReplicaId>>,
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Replicas").finish_non_exhaustive()
    }
}

impl Replicas {
    /// None yet; [`Self::start_all`] starts those of the list.
    pub(crate) fn new(parts: ReplicasParts, list: BTreeMap<GroupId, ReplicaId>) -> Self {
        Self {
            parts,
            router: Arc::new(GroupRouter::new()),
            budget: ProposalBudget::default(),
            hosted: RwLock::default(),
            listed: RwLock::new(list.clone()),
            burned: RwLock::default(),
            list: Mutex::new(list),
        }
    }

    pub(crate) fn get(&self, group: GroupId) -> Option<Arc<Hosted>> {
        self.hosted.read().unwrap_or_else(PoisonError::into_inner).get(&group).cloned()
    }

    pub(crate) fn of_shard(&self, shard: ShardId) -> Option<Arc<Hosted>> {
        self.get(group_of_shard(shard))
    }

    pub(crate) fn all(&self) -> Vec<(GroupId, Arc<Hosted>)> {
        let hosted = self.hosted.read().unwrap_or_else(PoisonError::into_inner);
        hosted.iter().map(|(group, hosted)| (*group, Arc::clone(hosted))).collect()
    }

    /// The replicas that lie on this node's disk, whether they run or are about to.
    pub(crate) fn listed(&self) -> BTreeMap<GroupId, ReplicaId> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts every replica of the list, and brings deletions to their end that were begun.
    pub(crate) async fn start_all(&self) -> Result<(), HostError> {
        let list = self.list.lock().await;
        for group in self.parts.log.groups() {
            if !list.contains_key(&group) {
                self.erase(group).await?;
            }
        }
        for (group, replica) in list.iter() {
            self.start(*group, *replica).await?;
        }
        Ok(())
    }

    /// What this node saw of replicas elsewhere.
    pub(crate) fn witness(&self) -> &Witness {
        &self.router.witness
    }

    pub(crate) fn log(&self) -> &Arc<dyn LogEngine> {
        &self.parts.log
    }

    /// Replicas that were here and never will be again.
    pub(crate) fn burned(&self) -> BTreeSet<ReplicaId> {
        self.burned.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells which they are.
    pub(crate) fn set_burned(&self, burned: BTreeSet<ReplicaId>) {
        *self.burned.write().unwrap_or_else(PoisonError::into_inner) = burned;
    }

    /// Gives up every replica, none of which runs: their ids are burned, what they held goes.
    pub(crate) async fn give_up(&self) -> Result<(), HostError> {
        let mut list = self.list.lock().await;
        let (durable, given_up) = (self.parts.durable.clone(), list.clone());
        let burning = self.parts.blocking.run(move || {
            let mut burned = durable.burned()?;
            burned.extend(given_up.values().copied());
            durable.burn(&burned, &BTreeMap::new())?;
            Ok::<_, HostError>(burned)
        });
        self.set_burned(burning.await??);
        self.listed.write().unwrap_or_else(PoisonError::into_inner).clear();
        for group in std::mem::take(&mut *list).into_keys() {
            self.erase(group).await?;
        }
        Ok(())
    }

    /// Creates a replica, unless it is there; with members, initializes its group with them,
    /// unless it was.
    pub(crate) async fn create(
        &self,
        group: GroupId,
        replica: ReplicaId,
        members: &BTreeMap<ReplicaId, NodeId>,
    ) -> Result<(), HostError> {
        let mut list = self.list.lock().await;
        match list.get(&group) {
            Some(other) if *other != replica => {
                let reason = format!("replica {other} of group {group} is here, not {replica}");
                return Err(HostError::Replica { reason });
            }
            Some(_) => {}
            None => {
                let durable = self.parts.durable.clone();
                let burned = self.parts.blocking.run(move || durable.burned()).await??;
                if burned.contains(&replica) {
                    let reason = format!("replica {replica} was here, and its log was damaged");
                    return Err(HostError::Replica { reason });
                }
                // What a deletion left that was not brought to its end is not this replica's.
                if self.parts.log.groups().contains(&group) {
                    self.erase(group).await?;
                }
                let mut longer = list.clone();
                longer.insert(group, replica);
                self.write_list(longer.clone()).await?;
                *list = longer;
            }
        }
        let hosted = match self.get(group) {
            Some(hosted) => hosted,
            None => self.start(group, replica).await?,
        };
        drop(list);
        if members.is_empty() {
            return Ok(());
        }
        match hosted.replica.initialize(members).await {
            Ok(()) | Err(InitializeFailure::AlreadyDone) => Ok(()),
            Err(error) => Err(HostError::Replica { reason: error.to_string() }),
        }
    }

    /// Deletes a replica and all that it holds.
    pub(crate) async fn delete(&self, group: GroupId, replica: ReplicaId) -> Result<(), HostError> {
        let mut list = self.list.lock().await;
        if list.get(&group) != Some(&replica) {
            return Ok(());
        }
        self.router.bury(group, replica);
        let hosted = self.hosted.write().unwrap_or_else(PoisonError::into_inner).remove(&group);
        if let Some(hosted) = hosted {
            hosted.replica.shutdown().await;
            if let Some(shard) = hosted.shard.clone() {
                self.parts.blocking.run(move || shard.close()).await?;
            }
        }
        // From here on, a start brings it to its end.
        let mut shorter = list.clone();
        shorter.remove(&group);
        self.write_list(shorter.clone()).await?;
        *list = shorter;
        self.erase(group).await
    }

    /// Removes what the node holds of a group that is not on its list, the log last: as long as it
    /// is there, a start tries again.
    async fn erase(&self, group: GroupId) -> Result<(), HostError> {
        if let Some(shard) = shard_of_group(group) {
            let forget = Arc::clone(&self.parts.forget_shard);
            self.parts.blocking.run(move || forget(shard)).await??;
        } else if group == META_GROUP {
            let meta = Arc::clone(&self.parts.meta);
            self.parts.blocking.run(move || meta.clear()).await??;
        }
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |result| {
            // Whoever waits may have been cancelled.
            let _ = sender.send(result);
        });
        let failed = |reason: String| HostError::Replica { reason };
        let removed = self.parts.log.remove_group(group, done);
        removed.map_err(|rejected| failed(rejected.error.to_string()))?;
        let removed = receiver.await.map_err(|_| failed("the log has ended".into()))?;
        removed.map_err(|error| failed(error.to_string()))
    }

    /// Ends every replica and waits until nothing of them touches the log any more.
    pub(crate) async fn shutdown(&self) {
        let _list = self.list.lock().await;
        let hosted =
            std::mem::take(&mut *self.hosted.write().unwrap_or_else(PoisonError::into_inner));
        let ends = hosted.values().map(|hosted| hosted.replica.shutdown());
        futures_util::future::join_all(ends).await;
    }

    async fn write_list(&self, list: BTreeMap<GroupId, ReplicaId>) -> Result<(), HostError> {
        let (durable, written) = (self.parts.durable.clone(), list.clone());
        self.parts.blocking.run(move || durable.set_replicas(&written)).await??;
        *self.listed.write().unwrap_or_else(PoisonError::into_inner) = list;
        Ok(())
    }

    async fn start(&self, group: GroupId, replica: ReplicaId) -> Result<Arc<Hosted>, HostError> {
        let parts = &self.parts;
        let (machine, shard): (Arc<dyn Machine>, _) = match shard_of_group(group) {
            None if group == META_GROUP => (Arc::clone(&parts.meta) as Arc<dyn Machine>, None),
            None => {
                let reason = format!("group {group} is no shard's");
                return Err(HostError::Replica { reason });
            }
            Some(id) => {
                let open = Arc::clone(&parts.open_shard);
                let shard = parts.blocking.run(move || open(id, group)).await??;
                (Arc::new(ShardMachine::new(Arc::clone(&shard))), Some(shard))
            }
        };
        let started = Replica::start(ReplicaParts {
            group,
            replica,
            log: Arc::clone(&parts.log),
            machine,
            transport: Arc::clone(&parts.transport),
            router: Arc::clone(&self.router),
            budget: self.budget.clone(),
            blocking: parts.blocking,
            fatal: parts.fatal.clone(),
        });
        let hosted = Arc::new(Hosted { replica: started.await?, shard });
        let mut all = self.hosted.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(group, Arc::clone(&hosted));
        Ok(hosted)
    }
}
