//! A group of replicas on nodes of their own, in one process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cluster::identity::ReplicaId;
use cluster::raft::{
    Blocking, Change, FatalHook, GroupRouter, GroupRouterHandle, Outcome, Place, ProposalBudget,
    ProposeError, Replica, ReplicaParts, Role,
};
use cluster::transport::{Incarnation, MemoryNetwork};
use model::NodeId;
use storage::env::FaultEnv;
use storage::log::{GroupId, LogEngine, LogOptions, MemoryLog, SegmentLog};

use crate::faulty_log::FaultyLog;
use crate::map_machine::MapMachine;

pub(crate) const GROUP: GroupId = GroupId(5);

/// Mostly of paused time: no promise about speed, only an end to a test that hangs.
const PATIENCE: Duration = Duration::from_mins(15);

pub(crate) fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

/// One node with one replica, or with what its disk holds after the replica ended.
pub(crate) struct Member {
    pub(crate) number: u8,
    pub(crate) log: Arc<FaultyLog>,
    pub(crate) machine: MapMachine,
    pub(crate) router: Arc<GroupRouter>,
    pub(crate) replica: Option<Replica>,
    pub(crate) failures: Arc<AtomicU32>,
    lives: u64,
}

impl Member {
    pub(crate) fn replica(&self) -> &Replica {
        self.replica.as_ref().unwrap()
    }

    pub(crate) fn place(&self) -> Place {
        Place { replica: ReplicaId(u64::from(self.number)), node: node(self.number) }
    }

    pub(crate) fn leads(&self) -> bool {
        let replica = self.replica.as_ref();
        replica.is_some_and(|replica| replica.status().leadership.role == Role::Leader)
    }
}

pub(crate) struct Group {
    pub(crate) network: MemoryNetwork,
    pub(crate) members: Vec<Member>,
    blocking: Blocking,
}

impl Group {
    /// `count` replicas, of which the first three are initialized as voters.
    pub(crate) async fn start(seed: u64, count: u8) -> Self {
        Self::start_with(seed, count, Blocking::Inline).await
    }

    /// With logs that write on threads of their own, if work that may block has threads too.
    pub(crate) async fn start_with(seed: u64, count: u8, blocking: Blocking) -> Self {
        println!("seed {seed}");
        let network = MemoryNetwork::new(seed);
        let mut group = Self { network, members: Vec::new(), blocking };
        for number in 1..=count {
            group.add(number).await;
        }
        let voters: BTreeMap<ReplicaId, NodeId> =
            (1..=count.min(3)).map(|n| (ReplicaId(u64::from(n)), node(n))).collect();
        group.members[0].replica().initialize(&voters).await.unwrap();
        group.leader().await;
        group
    }

    pub(crate) async fn add(&mut self, number: u8) {
        let log: Arc<dyn LogEngine> = match self.blocking {
            Blocking::Inline => Arc::new(MemoryLog::new()),
            Blocking::Threads => {
                let env = Arc::new(FaultEnv::new(u64::from(number)));
                let options = LogOptions::new(|| 0, |failure| panic!("{failure}"));
                Arc::new(SegmentLog::open(env, Path::new("log"), &options).unwrap().0)
            }
        };
        self.members.push(Member {
            number,
            log: Arc::new(FaultyLog::over(log)),
            machine: MapMachine::default(),
            router: Arc::new(GroupRouter::new()),
            replica: None,
            failures: Arc::default(),
            lives: 0,
        });
        self.revive(self.members.len() - 1).await;
    }

    /// Starts a member from what its log and its checkpoint hold.
    pub(crate) async fn revive(&mut self, at: usize) {
        let network = self.network.clone();
        let member = &mut self.members[at];
        assert!(member.replica.is_none());
        member.lives += 1;
        member.machine = member.machine.restarted();
        let incarnation = Incarnation { start: member.lives, nonce: member.lives };
        let handler = Arc::new(GroupRouterHandle(Arc::clone(&member.router)));
        let transport = network.attach(node(member.number), incarnation, handler);
        let failures = Arc::clone(&member.failures);
        let parts = ReplicaParts {
            group: GROUP,
            replica: ReplicaId(u64::from(member.number)),
            log: Arc::clone(&member.log) as Arc<dyn LogEngine>,
            machine: Arc::new(member.machine.clone()),
            transport,
            router: Arc::clone(&member.router),
            budget: ProposalBudget::default(),
            blocking: self.blocking,
            fatal: FatalHook::new(move |_| {
                failures.fetch_add(1, Ordering::SeqCst);
            }),
        };
        member.replica = Some(Replica::start(parts).await.unwrap());
    }

    /// Takes a member off the network and ends it.
    pub(crate) async fn kill(&mut self, at: usize) {
        let member = &mut self.members[at];
        self.network.detach(node(member.number));
        member.replica.take().unwrap().shutdown().await;
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.find(what, |group| holds(group).then_some(())).await;
    }

    /// Waits until something is there, and returns it.
    async fn find<T>(&self, what: &str, find: impl Fn(&Self) -> Option<T>) -> T {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let finding = async {
            loop {
                if let Some(found) = find(self) {
                    return found;
                }
                ticks.tick().await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, finding).await;
        found.unwrap_or_else(|_| panic!("it never came to pass that {what}"))
    }

    /// The member that leads, by its own word and by that of a majority of those who run.
    pub(crate) async fn leader(&self) -> usize {
        self.find("there is a leader", |group| {
            let running: Vec<&Member> =
                group.members.iter().filter(|member| member.replica.is_some()).collect();
            group.members.iter().position(|member| {
                let place = member.place();
                let follows = |other: &&&Member| other.replica().leader() == Some(place);
                member.leads() && running.iter().filter(follows).count() * 2 > running.len()
            })
        })
        .await
    }

    /// Writes through whoever leads, again and again until it is acknowledged.
    pub(crate) async fn write(&self, key: &str, value: &str) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let writing = async {
            loop {
                ticks.tick().await;
                let leader = self.leader().await;
                match self.write_to(leader, key, value).await {
                    Ok(Outcome::Applied(_)) => return,
                    Ok(other) => panic!("the outcome is {other:?}"),
                    Err(_) => {}
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, writing).await.is_ok(), "{key} was never written");
    }

    pub(crate) async fn write_to(
        &self,
        at: usize,
        key: &str,
        value: &str,
    ) -> Result<Outcome, ProposeError> {
        let replica = self.members[at].replica();
        replica.propose(Bytes::from(format!("{key}={value}"))).await
    }

    /// Reads through any replica that runs, after a barrier at the leader.
    pub(crate) async fn read(&self, at: usize, key: &str) -> Option<String> {
        loop {
            let leader = self.leader().await;
            if let Ok(index) = self.members[leader].replica().read_barrier().await {
                assert!(self.members[at].replica().wait_applied(index).await);
                return self.members[at].machine.get(key);
            }
        }
    }

    /// Waits until all members that run hold the same, and returns it.
    pub(crate) async fn settled(&self) -> BTreeMap<String, String> {
        let running = |group: &Self| -> Vec<BTreeMap<String, String>> {
            let members = group.members.iter().filter(|member| member.replica.is_some());
            members.map(|member| member.machine.map()).collect()
        };
        let leader = self.leader().await;
        self.write("settled", &leader.to_string()).await;
        self.until("all replicas hold the same", |group| {
            let maps = running(group);
            maps.iter().all(|map| *map == maps[0])
        })
        .await;
        running(self).remove(0)
    }

    /// Changes the members through the leader until that has worked.
    pub(crate) async fn change(&self, change: Change) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let replica = self.members[self.leader().await].replica();
            let expected = replica.status().configuration.id;
            match replica.change_membership_if(expected, change.clone()).await {
                Ok(_) => return,
                Err(error) => println!("{change:?}: {error}"),
            }
        }
    }
}
