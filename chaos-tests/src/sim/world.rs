//! The world of a simulation: nodes, their disks and clocks, the network between them, and what
//! happened so far.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cluster::Coordinator;
use cluster::task::Task;
use cluster::transport::{Link, MemoryNetwork};
use model::NodeId;
use model::testing::Random;
use model::time::Clock;
use storage::env::Crash;
use tokio::time::Instant;
use twox_hash::XxHash3_64;

use super::clock::NodeClock;
use super::counters::Counters;
use super::disk::NodeDisk;
use super::journal::Journal;
use super::node::{self, Life, NodeParts, Running, Shape, StartError};

/// Lines of the record that are kept: the end of a long run tells most.
const LINES_MAX: usize = 4_000;

/// A start that failed is tried again after this: what supervises the process would.
const RESTART_MILLIS: u64 = 400;

/// What the network does when nothing is wrong: a message takes up to a millisecond.
pub const SOUND_LINK: Link = Link {
    cut: false,
    hold: false,
    drop: 0.0,
    duplicate: 0.0,
    delay: (model::Duration(0), model::Duration(1_000_000)),
};

/// Everything there is. Clones are the same world.
#[derive(Debug, Clone)]
pub struct World {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: MemoryNetwork,
    shape: Shape,
    origin: Instant,
    members: Mutex<Vec<Member>>,
    record: Mutex<Record>,
    /// Tasks that run to their own end. As many as nodes end in a run.
    endings: Mutex<Vec<Task>>,
    /// Logs that were damaged, and made room for empty ones.
    logs_set_aside: Arc<AtomicU64>,
    /// Nodes that are being removed, and their places.
    leaving: Mutex<BTreeMap<usize, NodeId>>,
    /// Chance of places that are added.
    random: Mutex<Random>,
    /// Which cluster of the network this is.
    cluster: u8,
    /// Addresses of another cluster that nodes look for their own at.
    misled: Mutex<Vec<(String, SocketAddr)>>,
    /// The other cluster.
    strangers: OnceLock<World>,
}

/// A place for a node, and the node there.
#[derive(Debug)]
struct Member {
    disk: NodeDisk,
    clock: Arc<NodeClock>,
    random: Random,
    state: State,
    /// Lives so far.
    lives: u64,
    /// The id of the node there, once it had one.
    node: Option<NodeId>,
    join_only: bool,
    /// How often its disk lost what it had promised to keep.
    forgiven: u64,
    /// Whether its node was removed: nothing runs here any more.
    is_retired: bool,
    /// Histories of disks that were here before.
    past: u64,
}

#[derive(Debug)]
enum State {
    Down,
    Starting { life: Life, task: Task },
    Up { life: Life, running: Box<Running> },
}

#[derive(Debug, Default)]
struct Record {
    lines: std::collections::VecDeque<String>,
    history: u64,
    violation: Option<String>,
    counters: Counters,
}

/// A node that runs, as others use it.
#[derive(Debug, Clone)]
pub struct Handle {
    /// Its place.
    pub number: usize,
    /// How often a node was started there.
    pub lives: u64,
    /// Its id.
    pub node: NodeId,
    /// Its door for clients.
    pub store: Arc<Coordinator>,
    /// Its part in the cluster.
    pub host: Arc<cluster::host::Host>,
    /// Its log.
    pub log: Arc<super::disk::SimLog>,
    /// Its upkeep.
    pub upkeep: Arc<node::Upkeep>,
    /// Its life.
    pub life: Life,
    /// Its clocks.
    pub clock: Arc<NodeClock>,
    /// How often its disk lost what it had promised to keep.
    pub forgiven: u64,
}

impl World {
    /// Places for the nodes of a cluster; none runs yet.
    pub fn new(seed: u64, shape: Shape) -> Self {
        let mut random = Random::new(seed);
        let network = MemoryNetwork::new(random.next_u64());
        network.set_usual(SOUND_LINK);
        Self::on(network, seed, random, shape, 0)
    }

    fn on(network: MemoryNetwork, seed: u64, random: Random, shape: Shape, cluster: u8) -> Self {
        let (origin, mut random) = (Instant::now(), random);
        let members = (0..shape.nodes).map(|_| Member::new(&mut random, origin, false)).collect();
        let record = Mutex::new(Record { history: seed, ..Record::default() });
        let members = Mutex::new(members);
        let endings = Mutex::default();
        let logs_set_aside = Arc::default();
        let (leaving, random) = (Mutex::default(), Mutex::new(random));
        Self {
            inner: Arc::new(Inner {
                network,
                shape,
                origin,
                members,
                record,
                endings,
                logs_set_aside,
                leaving,
                random,
                cluster,
                misled: Mutex::default(),
                strangers: OnceLock::new(),
            }),
        }
    }

    /// Places for another cluster on the same network, of one node; nothing if there is one.
    pub fn found_strangers(&self) -> Option<Self> {
        let mut random = self.inner.random.lock().unwrap_or_else(PoisonError::into_inner);
        let shape = Shape { nodes: 1, replication_factor: 1, shards: 1 };
        let (network, seed) = (self.inner.network.clone(), random.next_u64());
        let strangers =
            Self::on(network, seed, Random::new(random.next_u64()), shape, self.inner.cluster + 1);
        self.inner.strangers.set(strangers.clone()).is_ok().then_some(strangers)
    }

    /// The other cluster on the network.
    pub fn strangers(&self) -> Option<&Self> {
        self.inner.strangers.get()
    }

    /// From the next start on, nodes look for their own at the addresses of another cluster too.
    pub fn take_for_own(&self, other: &Self) {
        let places = (0..other.places()).map(|place| ("cluster".into(), other.address(place)));
        *self.inner.misled.lock().unwrap_or_else(PoisonError::into_inner) = places.collect();
    }

    fn address(&self, number: usize) -> SocketAddr {
        let host = u8::try_from(number + 1).unwrap_or(u8::MAX);
        SocketAddr::from(([10, 0, self.inner.cluster, host], 7947))
    }

    /// The network.
    pub fn network(&self) -> &MemoryNetwork {
        &self.inner.network
    }

    /// How the cluster began.
    pub fn shape(&self) -> Shape {
        self.inner.shape
    }

    /// Milliseconds since the world began.
    pub fn now_millis(&self) -> u64 {
        u64::try_from(self.inner.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A clock that is right.
    pub fn true_clock(&self) -> Arc<dyn Clock> {
        Arc::new(NodeClock::new(self.inner.origin))
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.inner.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.inner.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What happened.

    /// Writes a line into the record and into its history.
    pub fn note(&self, line: &str) {
        let line = format!("{:>7} ms  {line}", self.now_millis());
        Journal::note(&line);
        let mut record = self.record();
        record.history = XxHash3_64::oneshot_with_seed(record.history, line.as_bytes());
        if record.lines.len() >= LINES_MAX {
            record.lines.pop_front();
        }
        record.lines.push_back(line);
    }

    /// Something happened that must not. The first thing counts.
    pub fn violation(&self, what: &str) {
        self.note(&format!("VIOLATION {what}"));
        self.record().violation.get_or_insert_with(|| what.to_owned());
    }

    /// What happened that must not.
    pub fn violated(&self) -> Option<String> {
        self.record().violation.clone()
    }

    /// Counts.
    pub fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.record().counters);
    }

    /// What was counted, with what the nodes that run have counted themselves.
    pub fn counters(&self) -> Counters {
        let mut counters = self.record().counters.clone();
        for member in self.members().iter() {
            counters.disk_operations += member.disk.env.operations();
            if let State::Up { running, .. } = &member.state {
                counters.take_upkeep(&running.upkeep);
            }
        }
        counters.messages = self.inner.network.messages();
        counters.logs_set_aside = self.inner.logs_set_aside.load(Ordering::Relaxed);
        counters
    }

    /// The record, the newest lines at the end.
    pub fn lines(&self) -> Vec<String> {
        self.record().lines.iter().cloned().collect()
    }

    /// A name for everything that happened: messages, changes of disks, and the record.
    pub fn history(&self) -> u64 {
        let mut words = vec![self.record().history, self.inner.network.history()];
        for member in self.members().iter() {
            words.extend([member.past, member.disk.env.history(), member.disk.env.operations()]);
        }
        words.extend(self.strangers().map(Self::history));
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        XxHash3_64::oneshot(&bytes)
    }

    // The nodes.

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.members().len()
    }

    /// How many places have a node.
    pub fn living(&self) -> usize {
        self.members().iter().filter(|member| !member.is_retired).count()
    }

    /// Makes a place for one more node, which joins.
    pub fn add_place(&self) -> usize {
        let mut random = self.inner.random.lock().unwrap_or_else(PoisonError::into_inner);
        let member = Member::new(&mut random, self.inner.origin, true);
        let mut members = self.members();
        members.push(member);
        members.len() - 1
    }

    /// A node is being removed from the cluster; when it is, its process ends.
    pub fn is_leaving(&self, number: usize, node: NodeId) {
        self.leaving().insert(number, node);
    }

    /// Whether no node is being removed.
    pub fn nobody_leaves(&self) -> bool {
        self.leaving().is_empty()
    }

    fn leaving(&self) -> MutexGuard<'_, BTreeMap<usize, NodeId>> {
        self.inner.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retire_the_removed(&self) {
        let leaving = self.leaving().clone();
        for (number, node) in leaving {
            let is_removed = self.up().iter().any(|handle| {
                let state = handle.host.watch_state().borrow().clone();
                state.nodes().get(&node).is_some_and(cluster::meta::Node::is_removed)
            });
            if is_removed {
                self.leaving().remove(&number);
                if let Some(member) = self.members().get_mut(number) {
                    member.is_retired = true;
                }
                self.note(&format!("node {number} was removed"));
                self.kill(number, Crash::Lost);
            }
        }
    }

    /// The nodes that run.
    pub fn up(&self) -> Vec<Handle> {
        let members = self.members();
        members.iter().enumerate().filter_map(|(number, member)| member.handle(number)).collect()
    }

    /// The node at a place, if it runs.
    pub fn handle(&self, number: usize) -> Option<Handle> {
        self.members().get(number)?.handle(number)
    }

    /// Nodes that have had a place in the cluster, whether they run or not, and their places.
    pub fn known(&self) -> Vec<(usize, NodeId)> {
        let members = self.members();
        members.iter().enumerate().filter_map(|(place, it)| Some((place, it.node?))).collect()
    }

    /// The id of the node at a place, if it runs.
    pub fn node_id(&self, number: usize) -> Option<NodeId> {
        self.handle(number).map(|handle| handle.node)
    }

    /// The disk at a place.
    pub fn disk(&self, number: usize) -> Option<NodeDisk> {
        self.members().get(number).map(|member| member.disk.clone())
    }

    /// The clocks at a place.
    pub fn clock(&self, number: usize) -> Option<Arc<NodeClock>> {
        self.members().get(number).map(|member| Arc::clone(&member.clock))
    }

    /// Starts the node at a place, unless it runs or starts already.
    pub fn start(&self, number: usize) {
        let mut members = self.members();
        let places = members.len();
        let Some(member) = members.get_mut(number) else { return };
        if !matches!(member.state, State::Down) || member.is_retired {
            return;
        }
        member.lives += 1;
        let (lives, life) = (member.lives, Life::default());
        let own = (0..places).map(|place| ("cluster".to_owned(), self.address(place)));
        let misled = self.inner.misled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // One that knows no cluster yet cannot know which of two it is to join.
        let misled = if member.join_only { Vec::new() } else { misled };
        let parts = NodeParts {
            number,
            address: self.address(number),
            seeds: own.chain(misled).collect(),
            network: self.inner.network.clone(),
            disk: member.disk.clone(),
            clock: Arc::clone(&member.clock),
            shape: self.inner.shape,
            join_only: member.join_only,
            logs_set_aside: Arc::clone(&self.inner.logs_set_aside),
            random: Random::new(member.random.next_u64()),
        };
        let (world, starting) = (self.clone(), life.clone());
        let task = Task::spawn("sim node", async move {
            let started = node::start(parts, starting.clone()).await;
            world.started(number, lives, starting, started);
        });
        member.state = State::Starting { life, task };
        drop(members);
        self.note(&format!("node {number} starts, life {lives}"));
    }

    fn started(&self, number: usize, lives: u64, life: Life, started: Result<Running, StartError>) {
        match started {
            Ok(running) => {
                let mut members = self.members();
                let Some(member) = members.get_mut(number).filter(|it| it.lives == lives) else {
                    return;
                };
                let id = running.node;
                let groups: Vec<_> = running.host.replicas().into_iter().map(|it| it.0.0).collect();
                // The task that says this is the one that is dropped below: it is at its end.
                member.node = Some(id);
                let before = std::mem::replace(
                    &mut member.state,
                    State::Up { life, running: Box::new(running) },
                );
                drop(members);
                self.note(&format!(
                    "node {number} is in the cluster as {id} with groups {groups:?}"
                ));
                drop(before);
            }
            Err(error) => {
                self.note(&format!("node {number} did not start: {}", chain(&error)));
                self.count(|counters| counters.failed_starts += 1);
                life.gone.cancel();
                let world = self.clone();
                let again = Task::spawn("sim restart", async move {
                    tokio::time::sleep(Duration::from_millis(RESTART_MILLIS)).await;
                    world.end(number, lives, Crash::Process);
                    world.start(number);
                });
                let mut members = self.members();
                let Some(member) = members.get_mut(number).filter(|it| it.lives == lives) else {
                    return;
                };
                let before =
                    std::mem::replace(&mut member.state, State::Starting { life, task: again });
                drop(members);
                drop(before);
            }
        }
    }

    /// Ends the process at a place; what its disk keeps is what the crash says.
    pub fn kill(&self, number: usize, crash: Crash) {
        let lives = self.members().get(number).map(|member| member.lives);
        if let Some(lives) = lives {
            self.end(number, lives, crash);
        }
    }

    fn end(&self, number: usize, lives: u64, crash: Crash) {
        let mut members = self.members();
        let Some(member) = members.get_mut(number).filter(|it| it.lives == lives) else { return };
        let state = std::mem::replace(&mut member.state, State::Down);
        let disk = member.disk.clone();
        drop(members);
        match state {
            State::Down => {}
            State::Starting { life, task } => {
                life.gone.cancel();
                self.detach_unnamed(number);
                disk.restart(crash);
                drop(task);
                life.fail_log();
            }
            State::Up { life, running } => {
                self.inner.network.detach(running.node);
                disk.restart(crash);
                self.record().counters.take_upkeep(&running.upkeep);
                let ending = running.end(&life);
                self.keep(Task::spawn("sim end", ending));
            }
        }
        self.note(&format!("node {number} ends: {crash:?}"));
    }

    /// Takes a node off the network that was starting: nobody else knows its id yet.
    fn detach_unnamed(&self, number: usize) {
        if let Some(node) = self.inner.network.named(&self.address(number).to_string()) {
            self.inner.network.detach(node);
        }
    }

    /// Lets a task run to its end.
    fn keep(&self, task: Task) {
        self.inner.endings.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Gives the place an empty disk; its node must not run.
    pub fn wipe(&self, number: usize) {
        let mut members = self.members();
        let Some(member) = members.get_mut(number) else { return };
        let fresh = NodeDisk::new(member.random.next_u64(), self.inner.origin);
        let gone = std::mem::replace(&mut member.disk, fresh);
        let words = [member.past, gone.env.history(), gone.env.operations()];
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        member.past = XxHash3_64::oneshot(&bytes);
        member.join_only = true;
        member.node = None;
        drop(members);
        self.note(&format!("node {number} has an empty disk"));
    }

    /// The disk at a place has lost what it had promised to keep: its node is not blamed for it.
    pub fn forgive(&self, number: usize) {
        if let Some(member) = self.members().get_mut(number) {
            member.forgiven += 1;
        }
    }

    /// Whether every node runs, and every replica has applied all that any of its group has.
    pub fn is_well(&self) -> bool {
        let up = self.up();
        let mut reached = BTreeMap::new();
        up.len() == self.living()
            && up.iter().flat_map(|handle| handle.host.replicas()).all(|(group, status)| {
                let applied = status.applied.map(|position| position.index);
                let place = (applied, status.configuration.id);
                applied == status.last && *reached.entry(group).or_insert(place) == place
            })
    }

    /// Ends processes that have to end because their storage failed, and starts them again; and
    /// those of nodes that were removed.
    pub fn tend(&self) {
        self.retire_the_removed();
        self.strangers().into_iter().for_each(Self::tend);
        for handle in self.up() {
            let Some(reason) = handle.life.failure() else { continue };
            let number = handle.number;
            self.note(&format!("node {number} fails: {reason}"));
            self.count(|counters| counters.failed_lives += 1);
            let crash = match self.disk(number) {
                Some(disk) if disk.env.has_crashed() => continue,
                _ => Crash::Process,
            };
            self.kill(number, crash);
            let world = self.clone();
            self.keep(Task::spawn("sim restart", async move {
                tokio::time::sleep(Duration::from_millis(RESTART_MILLIS)).await;
                world.start(number);
            }));
        }
    }
}

impl Member {
    fn new(random: &mut Random, origin: Instant, join_only: bool) -> Self {
        Self {
            disk: NodeDisk::new(random.next_u64(), origin),
            clock: Arc::new(NodeClock::new(origin)),
            random: Random::new(random.next_u64()),
            state: State::Down,
            lives: 0,
            node: None,
            join_only,
            forgiven: 0,
            is_retired: false,
            past: 0,
        }
    }

    fn handle(&self, number: usize) -> Option<Handle> {
        let State::Up { life, running } = &self.state else { return None };
        Some(Handle {
            number,
            lives: self.lives,
            node: running.node,
            store: Arc::clone(&running.store),
            host: Arc::clone(&running.host),
            log: Arc::clone(&running.log),
            upkeep: Arc::clone(&running.upkeep),
            life: life.clone(),
            clock: Arc::clone(&self.clock),
            forgiven: self.forgiven,
        })
    }
}

impl Counters {
    fn take_upkeep(&mut self, upkeep: &node::Upkeep) {
        self.seals += u64::from(upkeep.seals.load(Ordering::Relaxed));
        self.merges += u64::from(upkeep.merges.load(Ordering::Relaxed));
    }
}

/// An error with what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        let more = behind.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        source = behind.source();
    }
    text
}
