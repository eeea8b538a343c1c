//! A cluster as a value: the real meta state, and nodes and groups that do as they are told.

use std::collections::{BTreeMap, BTreeSet};

use cluster::identity::{ClusterId, META_GROUP, ReplicaId};
use cluster::meta::{EpochId, MetaCommand, MetaOutcome, MetaState, NodeRecord, Refusal};
use cluster::plan::{
    Answer, At, BootstrapConfig, Configuration, DataState, Decision, DiskMark, Facts, Gossip,
    GroupFacts, Held, Hello, Myself, NodeFacts, Plan, Progress, Step, Told, decide, plan,
};
use cluster::transport::Incarnation;
use model::time::Monotonic;
use model::{Duration, NodeId, Timestamp};
use storage::log::{GroupId, LogIndex};

/// A node and its process.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) is_up: bool,
    pub(crate) gossip: Gossip,
    pub(crate) unreachable_from: BTreeMap<NodeId, Monotonic>,
    pub(crate) disk: DiskMark,
    pub(crate) is_draining: bool,
    pub(crate) held: BTreeMap<GroupId, Held>,
}

/// A Raft group, as its leader would tell of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raft {
    pub(crate) configuration: Configuration,
    pub(crate) leader: Option<ReplicaId>,
    pub(crate) fenced: EpochId,
    /// Replicas that are behind, and how far.
    pub(crate) lags: BTreeMap<ReplicaId, (u64, Duration)>,
}

/// The whole cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) state: MetaState,
    pub(crate) machines: BTreeMap<NodeId, Machine>,
    pub(crate) rafts: BTreeMap<GroupId, Raft>,
    pub(crate) now: Monotonic,
    pub(crate) transfers_under_way: usize,
    /// Damaged replicas that vote all the same: what is damaged is a block, not the log.
    pub(crate) with_damaged_block: BTreeSet<ReplicaId>,
    /// The next change of voters stops between its halves, because its newest voter is elected.
    pub(crate) stops_halfway: bool,
    /// Since when shards have had no leader.
    leaderless: BTreeMap<GroupId, Monotonic>,
    /// Groups whose replicas have begun to be created, with the list each was given.
    begun: BTreeMap<GroupId, BTreeSet<ReplicaId>>,
    index: u64,
}

/// What a new learner lacks.
const EVERYTHING: (u64, Duration) = (1 << 30, Duration::from_secs(3_600));

pub(crate) fn record(name: &str, zone: &str) -> NodeRecord {
    NodeRecord {
        name: name.to_owned(),
        addresses: vec![format!("{name}:7947")],
        zone: zone.to_owned(),
        version: 1,
    }
}

impl World {
    /// Founds a cluster as nodes do that know only each other's addresses.
    pub(crate) fn found(nodes: &[(NodeId, NodeRecord)], factor: u32, shards: u32) -> Self {
        let mut world = Self { now: Monotonic(3_600_000_000_000), ..Self::default() };
        let incarnation = Incarnation { start: 1, nonce: 1 };
        let hello = |(node, record): &(NodeId, NodeRecord)| Answer {
            seed: "seed".to_owned(),
            address: format!("10.0.0.{}:7947", node.0[0]).parse().unwrap(),
            hello: Some(Hello {
                node: *node,
                incarnation,
                record: record.clone(),
                told: Told::Empty,
            }),
        };
        let answers: Vec<Answer> = nodes.iter().map(hello).collect();
        let first = nodes.iter().min_by_key(|(node, _)| *node).unwrap();
        let me = Myself { node: first.0, incarnation, record: first.1.clone() };
        let config = BootstrapConfig {
            expected_nodes: nodes.len(),
            join_only: false,
            replication_factor: factor,
            shard_count: shards,
        };
        let fresh = ClusterId([0xC1; 16]);
        let Decision::Promise(founding) = decide(&me, config, &DataState::Empty, &answers, fresh)
        else {
            panic!("no plan")
        };
        for (node, _) in nodes {
            world.machines.insert(*node, Machine::new());
        }
        let members = founding.meta_members();
        world.propose(&MetaCommand::Found { founding, at: Timestamp(0) }).unwrap();
        for (replica, node) in &members {
            let held = Held { replica: *replica, is_damaged: false };
            world.machine(*node).held.insert(META_GROUP, held);
        }
        world.start(META_GROUP, members.iter().map(|(replica, _)| *replica).collect());
        world
    }

    pub(crate) fn join(&mut self, node: NodeId, record: NodeRecord) -> Result<(), Refusal> {
        self.machines.entry(node).or_insert_with(Machine::new);
        // It finds nobody there either.
        let now = self.now;
        for machine in self.machines.values_mut().filter(|machine| !machine.is_up) {
            machine.unreachable_from.entry(node).or_insert(now);
        }
        self.propose(&MetaCommand::PutNode { node, record, at: Timestamp(0) })
    }

    pub(crate) fn propose(&mut self, command: &MetaCommand) -> Result<(), Refusal> {
        // Without a majority of the meta group nothing is agreed on.
        if self.state.cluster().is_some() && self.meta_leader().is_none() {
            return Err(Refusal::NotFounded);
        }
        self.index += 1;
        // As it goes through the log.
        let command = MetaCommand::decode(&command.encode()).unwrap();
        match self.state.apply(LogIndex(self.index), &command) {
            MetaOutcome::Applied(_) => {
                // Groups that are meant no more are buried: none of them speaks any more.
                let groups = self.state.groups();
                self.rafts.retain(|id, _| groups.contains_key(id));
                self.begun.retain(|id, _| groups.contains_key(id));
                self.note_leaders();
                Ok(())
            }
            MetaOutcome::Refused(refusal) => Err(refusal),
        }
    }

    pub(crate) fn machine(&mut self, node: NodeId) -> &mut Machine {
        self.machines.get_mut(&node).unwrap()
    }

    /// The process stops, and everybody (or only these) notices.
    pub(crate) fn down(&mut self, node: NodeId, observers: Option<&[NodeId]>) {
        let now = self.now;
        let others: Vec<NodeId> = match observers {
            Some(observers) => observers.to_vec(),
            None => self.machines.keys().copied().filter(|other| *other != node).collect(),
        };
        let machine = self.machine(node);
        machine.is_up = false;
        machine.gossip = Gossip::Down { since: now };
        machine.unreachable_from = others.into_iter().map(|other| (other, now)).collect();
        self.elect();
    }

    pub(crate) fn up(&mut self, node: NodeId) {
        let machine = self.machine(node);
        machine.is_up = true;
        machine.gossip = Gossip::Up;
        machine.unreachable_from.clear();
        machine.is_draining = false;
        self.elect();
    }

    /// What the leader of the meta group plans, if there is one.
    pub(crate) fn plan(&self) -> Plan {
        match self.meta_leader() {
            Some(_) => plan(&self.state, &self.facts(), self.now),
            None => Plan::default(),
        }
    }

    fn meta_leader(&self) -> Option<NodeId> {
        let leader = self.rafts.get(&META_GROUP)?.leader?;
        self.holder(META_GROUP, leader)
    }

    /// What the meta leader would gather.
    pub(crate) fn facts(&self) -> Facts {
        let mut facts = Facts {
            meta_leader: self.meta_leader().unwrap_or_default(),
            transfers_under_way: self.transfers_under_way,
            leaderless: self.leaderless.clone(),
            ..Facts::default()
        };
        for (node, machine) in &self.machines {
            let told = NodeFacts {
                gossip: machine.gossip,
                unreachable_from: machine.unreachable_from.clone(),
                disk: machine.disk,
                is_draining: machine.is_draining,
                held: machine.is_up.then(|| machine.held.clone()),
            };
            facts.nodes.insert(*node, told);
        }
        for (id, raft) in &self.rafts {
            facts.groups.insert(*id, self.group_facts(*id, raft));
        }
        facts
    }

    fn group_facts(&self, id: GroupId, raft: &Raft) -> GroupFacts {
        let configuration = raft.configuration.clone();
        let all: BTreeSet<ReplicaId> =
            [&configuration.voters, &configuration.outgoing, &configuration.learners]
                .into_iter()
                .flatten()
                .copied()
                .collect();
        let progress = |replica: &ReplicaId| {
            let (lag_bytes, lag) = raft.lags.get(replica).copied().unwrap_or_default();
            let is_up = self.is_up(id, *replica);
            let silent_for = if is_up { Duration(0) } else { Duration::from_secs(60) };
            let has_last = is_up && lag_bytes == 0;
            (*replica, Progress { lag_bytes, lag, silent_for, has_last })
        };
        let progress =
            all.iter().filter(|replica| Some(**replica) != raft.leader).map(progress).collect();
        GroupFacts { leader: raft.leader, progress, fenced: raft.fenced, configuration }
    }

    /// The node that has a replica on its disk.
    pub(crate) fn holder(&self, group: GroupId, replica: ReplicaId) -> Option<NodeId> {
        let holds = |machine: &Machine| {
            machine.held.get(&group).is_some_and(|held| held.replica == replica)
        };
        self.machines.iter().find(|(_, machine)| holds(machine)).map(|(node, _)| *node)
    }

    /// Whether a replica works: its process is up and its log sound.
    pub(crate) fn is_up(&self, group: GroupId, replica: ReplicaId) -> bool {
        self.holder(group, replica).is_some_and(|node| {
            let machine = &self.machines[&node];
            let votes = self.with_damaged_block.contains(&replica);
            machine.is_up && (votes || !machine.held[&group].is_damaged)
        })
    }

    pub(crate) fn has_majority(&self, group: GroupId, voters: &BTreeSet<ReplicaId>) -> bool {
        let up = voters.iter().filter(|replica| self.is_up(group, **replica)).count();
        up > voters.len() / 2
    }

    /// Every group has a leader that is up, if a majority is.
    pub(crate) fn elect(&mut self) {
        for (group, voters) in self.begun.clone() {
            if self.has_majority(group, &voters) {
                self.begun.remove(&group);
                self.start(group, voters);
            }
        }
        let leaders: Vec<(GroupId, Option<ReplicaId>)> = self
            .rafts
            .iter()
            .map(|(id, raft)| {
                let Configuration { voters, outgoing, .. } = &raft.configuration;
                let is_joint = !outgoing.is_empty();
                if !self.has_majority(*id, voters) || is_joint && !self.has_majority(*id, outgoing)
                {
                    return (*id, None);
                }
                let works = |replica: &ReplicaId| self.is_up(*id, *replica);
                let mut all = voters.union(outgoing).copied();
                let votes =
                    |leader: &ReplicaId| voters.contains(leader) || outgoing.contains(leader);
                let present = raft.leader.filter(|leader| works(leader) && votes(leader));
                (*id, present.or_else(|| all.find(works)))
            })
            .collect();
        for (id, leader) in leaders {
            self.rafts.get_mut(&id).unwrap().leader = leader;
        }
        self.note_leaders();
    }

    fn start(&mut self, group: GroupId, voters: BTreeSet<ReplicaId>) {
        let configuration =
            Configuration { voters, is_committed: true, ..Configuration::default() };
        self.rafts.entry(group).or_insert(Raft { configuration, ..Raft::default() });
        self.elect();
    }

    /// Does what a step asks for; an error says why it could not be done.
    pub(crate) fn perform(&mut self, step: &Step) -> Result<(), String> {
        let makes_or_deletes = matches!(
            step,
            Step::Propose(_) | Step::CreateGroup { .. } | Step::DeleteReplica { .. }
        );
        if step.group().is_some_and(|id| !makes_or_deletes && !self.rafts.contains_key(&id)) {
            return Err("the group is gone".to_owned());
        }
        match step {
            Step::Propose(command) => self.propose(command).map_err(|refusal| refusal.to_string()),
            Step::CreateGroup { group, members, on } => {
                self.create(*group, members, on);
                Ok(())
            }
            Step::AddLearner { at, replica, node } => {
                let held = Held { replica: *replica, is_damaged: false };
                let before = self.machine(*node).held.insert(at.group, held);
                assert!(before.is_none_or(|held| held.replica == *replica), "two on one node");
                self.reconfigure(*at, |configuration| {
                    configuration.learners.insert(*replica);
                })?;
                self.raft(at.group).lags.insert(*replica, EVERYTHING);
                Ok(())
            }
            Step::ChangeVoters { at, voters } => {
                let old = self.raft(at.group).configuration.voters.clone();
                assert!(self.has_majority(at.group, &old), "under a majority before");
                assert!(self.has_majority(at.group, voters), "under a majority after");
                if std::mem::take(&mut self.stops_halfway) {
                    return self.change_half(*at, voters);
                }
                self.reconfigure(*at, |configuration| {
                    configuration.learners.retain(|learner| !voters.contains(learner));
                    configuration.outgoing.clear();
                    configuration.voters.clone_from(voters);
                })
            }
            Step::RemoveLearner { at, replica } => self.reconfigure(*at, |configuration| {
                assert!(configuration.learners.remove(replica), "not a learner");
            }),
            Step::TransferLeader { at, to, node } => {
                self.check(*at)?;
                assert_eq!(self.holder(at.group, *to), Some(*node));
                let raft = self.raft(at.group);
                assert!(raft.configuration.voters.contains(to), "not a voter");
                assert!(!raft.lags.contains_key(to), "it is behind");
                raft.leader = Some(*to);
                Ok(())
            }
            Step::ConfirmGone { at, replica } => {
                self.check(*at)?;
                assert!(!self.raft(at.group).configuration.has(*replica), "still there");
                let command = MetaCommand::ConfirmGone { replica: *replica };
                self.propose(&command).map_err(|refusal| refusal.to_string())
            }
            Step::DeleteReplica { group, replica, node } => {
                let raft = self.rafts.get(group);
                let is_member = raft.is_some_and(|raft| raft.configuration.has(*replica));
                assert!(!is_member, "REP-3: data of a member deleted");
                let tombstone = self.state.tombstones().get(replica).copied();
                assert!(tombstone.is_none_or(|tombstone| tombstone.is_confirmed), "unconfirmed");
                let held = self.machine(*node).held.remove(group);
                assert!(held.is_none_or(|held| held.replica == *replica), "another replica's data");
                Ok(())
            }
            Step::StartFence { epoch } => {
                let command = MetaCommand::StartFence { epoch: *epoch, at: Timestamp(7) };
                self.propose(&command).map_err(|refusal| refusal.to_string())
            }
            Step::ActivateEpoch { epoch } => {
                let command = MetaCommand::ActivateEpoch { epoch: *epoch, at: Timestamp(9) };
                self.propose(&command).map_err(|refusal| refusal.to_string())
            }
            Step::Fence { at, epoch } => {
                self.check(*at)?;
                self.raft(at.group).fenced = *epoch;
                Ok(())
            }
        }
    }

    /// Keeps since when shards have had no leader.
    fn note_leaders(&mut self) {
        let (groups, rafts, now) = (self.state.groups(), &self.rafts, self.now);
        let is_led = |id: &GroupId| rafts.get(id).is_some_and(|raft| raft.leader.is_some());
        self.leaderless.retain(|id, _| groups.contains_key(id) && !is_led(id));
        for id in groups.keys().filter(|id| !is_led(id)) {
            self.leaderless.entry(*id).or_insert(now);
        }
    }

    fn raft(&mut self, group: GroupId) -> &mut Raft {
        self.rafts.get_mut(&group).unwrap()
    }

    /// Whether the step is still for this leader and configuration.
    fn check(&mut self, at: At) -> Result<(), String> {
        let raft = self.raft(at.group);
        let is_same = raft.leader == Some(at.leader) && raft.configuration.id == at.expected;
        if is_same { Ok(()) } else { Err("the configuration or the leader is another".to_owned()) }
    }

    fn reconfigure(
        &mut self,
        at: At,
        change: impl FnOnce(&mut Configuration),
    ) -> Result<(), String> {
        self.check(at)?;
        let raft = self.raft(at.group);
        change(&mut raft.configuration);
        raft.configuration.id.index += 1;
        self.elect();
        Ok(())
    }

    /// The first half of a change of voters, and an election that its leader loses.
    fn change_half(&mut self, at: At, voters: &BTreeSet<ReplicaId>) -> Result<(), String> {
        self.reconfigure(at, |configuration| {
            configuration.learners.retain(|learner| !voters.contains(learner));
            if configuration.outgoing.is_empty() {
                configuration.outgoing.clone_from(&configuration.voters);
            }
            configuration.voters.clone_from(voters);
        })?;
        let newest = voters.last().copied().filter(|voter| self.is_up(at.group, *voter));
        let raft = self.raft(at.group);
        raft.leader = newest.filter(|_| raft.leader.is_some()).or(raft.leader);
        Err("it stopped halfway".to_owned())
    }

    fn create(&mut self, group: GroupId, members: &[(ReplicaId, NodeId)], on: &[NodeId]) {
        if members.iter().any(|(replica, _)| self.state.is_buried(group, *replica)) {
            return;
        }
        for (replica, node) in members.iter().filter(|(_, node)| on.contains(node)) {
            let machine = self.machine(*node);
            if machine.is_up {
                machine.held.insert(group, Held { replica: *replica, is_damaged: false });
            }
        }
        let voters = members.iter().map(|(replica, _)| *replica).collect();
        self.begun.insert(group, voters);
        self.elect();
    }

    /// Everybody has everything that its leader can give: one with a damaged block has no snapshot
    /// for a new replica.
    pub(crate) fn catch_up(&mut self) {
        let helpers: Vec<GroupId> =
            self.rafts.keys().copied().filter(|group| !self.leader_is_damaged(*group)).collect();
        for group in helpers {
            self.raft(group).lags.clear();
        }
    }

    fn leader_is_damaged(&self, group: GroupId) -> bool {
        let leader = self.rafts[&group].leader;
        leader.is_some_and(|leader| self.with_damaged_block.contains(&leader))
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            is_up: true,
            gossip: Gossip::Up,
            unreachable_from: BTreeMap::new(),
            disk: DiskMark::Ample,
            is_draining: false,
            held: BTreeMap::new(),
        }
    }
}
