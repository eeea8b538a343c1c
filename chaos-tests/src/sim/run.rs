//! One seed, from beginning to end: a cluster forms, clients write and read while a plan of faults
//! happens; then all faults end, and the cluster must heal, serve and be equal everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cluster::task::Task;
use futures_util::FutureExt as _;
use model::ClusterAdmin as _;
use model::admin::Readiness;
use model::testing::Random;
use storage::log::{GroupId, LogIndex};

use super::clients::{Clients, Habit};
use super::counters::Counters;
use super::faults::{Plan, Weather};
use super::nemesis::Nemesis;
use super::node::Shape;
use super::observer::Observer;
use super::panics;
use super::world::{Handle, World};

/// How long a cluster may take to form.
const FORM_WITHIN: Duration = Duration::from_secs(30);

/// How long a cluster may take, when faults have ended, to serve and to be equal everywhere.
const HEAL_WITHIN: Duration = Duration::from_secs(20);

/// The same where a disk was lost for good: its node is given up after half a minute, and the new
/// one has everything to learn.
const REPLACE_WITHIN: Duration = Duration::from_mins(2);

/// How long a damaged block may take to be found and replaced, once it is looked for.
const REPAIR_WITHIN: Duration = Duration::from_mins(1);

/// How long a healed cluster may take for a write.
const SERVE_WITHIN: Duration = Duration::from_secs(5);

/// How often everything is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// How often some node is asked to seal and merge.
const COMPACT_PERIOD: Duration = Duration::from_secs(2);

/// How often all nodes are asked instead: what is lost then, is lost everywhere.
const ALL_COMPACT_ONE_IN: u64 = 4;

/// Traces that are read by id through every node at the end, beside all of them by search.
const SAMPLE: usize = 25;

/// What a run is made of, besides its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The cluster.
    pub shape: Shape,
    /// How long faults go on.
    pub millis: u64,
    /// Which faults.
    pub weather: Weather,
    /// Clients that write.
    pub writers: u64,
    /// Clients that read.
    pub readers: u64,
    /// One seal in so many is followed by a merge; 0 for none.
    pub merge_one_in: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shape: Shape { nodes: 3, replication_factor: 3, shards: 2 },
            millis: 60_000,
            weather: Weather::ALL,
            writers: 4,
            readers: 2,
            merge_one_in: 2,
        }
    }
}

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What happened that must not.
    pub violation: Option<String>,
    /// The numbers.
    pub counters: Counters,
    /// A name for everything that happened.
    pub history: u64,
    /// What happened, the end of it.
    pub lines: Vec<String>,
}

impl Outcome {
    /// Whether the run is worth anything: it reached what it was for.
    pub fn too_weak(&self) -> Option<String> {
        self.counters.too_weak()
    }
}

/// Runs a seed with a plan drawn from it.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut random = Random::new(seed ^ 0x5eed);
    let plan = Plan::draw(&mut random, options.shape.nodes, options.millis, options.weather);
    run_plan(seed, options, &plan)
}

/// Runs a plan; everything that the plan leaves open follows from the seed.
pub fn run_plan(seed: u64, options: &Options, plan: &Plan) -> Outcome {
    cluster::raft::seed_chance(seed);
    panics::watch();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let violation = Some(format!("there is no runtime: {error}"));
            let counters = Counters::default();
            return Outcome { seed, violation, counters, history: 0, lines: Vec::new() };
        }
    };
    runtime.block_on(simulate(seed, options, plan))
}

async fn simulate(seed: u64, options: &Options, plan: &Plan) -> Outcome {
    let world = World::new(seed, options.shape);
    let lived = std::panic::AssertUnwindSafe(live(&world, seed, options, plan));
    if lived.catch_unwind().await.is_err() {
        world.violation("the simulation panicked");
    }
    for panic in panics::taken() {
        world.violation(&format!("a panic: {panic}"));
    }
    world.count(|counters| counters.simulated_millis = world.now_millis());
    let (history, counters) = (world.history(), world.counters());
    Outcome { seed, violation: world.violated(), counters, history, lines: world.lines() }
}

async fn live(world: &World, seed: u64, options: &Options, plan: &Plan) {
    let mut random = Random::new(seed ^ 0x1ff3);
    let observer = std::sync::Arc::new(Mutex::new(Observer::default()));
    let _watching = {
        let (world, observer) = (world.clone(), std::sync::Arc::clone(&observer));
        Task::spawn("sim observer", async move {
            loop {
                tokio::time::sleep(LOOK_PERIOD).await;
                observer.lock().unwrap_or_else(PoisonError::into_inner).look(&world);
                world.tend();
            }
        })
    };
    for number in 0..options.shape.nodes {
        world.start(number);
    }
    if !until(world, FORM_WITHIN, || is_ready(world, options.shape.nodes)).await {
        return world.violation("LIV-1: the cluster did not form");
    }
    world.note("the cluster is ready");
    let clients = Clients::new(world, random.next_u64());
    let mut crowd = Vec::new();
    for number in 0..options.writers + options.readers {
        let habit = if number < options.writers { Habit::Write(700) } else { Habit::Read(900) };
        crowd.push(Task::spawn("sim client", clients.clone().run(habit, random.next_u64())));
    }
    let compacting = compact(world.clone(), options.merge_one_in, random.next_u64());
    let compacting = Task::spawn("sim compaction", compacting);
    let nemesis = Nemesis::new(world);
    let carried_out = nemesis.carry_out(plan, random.next_u64());
    tokio::select! {
        biased;
        () = violation(world) => return,
        () = carried_out => {}
    }
    drop(crowd);
    nemesis.end();
    let ended = world.now_millis();
    let within = if plan.loses_a_disk { REPLACE_WITHIN } else { HEAL_WITHIN };
    let is_whole = until(world, within, || {
        world.nobody_leaves()
            && is_ready(world, world.living())
            && is_equal(world, options.shape.replication_factor)
    });
    if !is_whole.await {
        return world.violation(&format!("LIV-1: the cluster did not heal: {}", state(world)));
    }
    if !plan.loses_a_disk && world.counters().logs_set_aside > 0 {
        return world.violation("DUR-3: a log was set aside that nothing had damaged");
    }
    if let Some(strangers) = world.strangers()
        && !until(world, HEAL_WITHIN, || is_ready(strangers, 1)).await
    {
        return world.violation("LIV-1: the other cluster does not serve");
    }
    let healed = world.now_millis() - ended;
    world.count(|counters| counters.heal_millis_max = healed);
    world.note(&format!("healed after {healed} ms"));
    if let Some(strangers) = world.strangers()
        && !stay_apart(world, strangers)
    {
        return world.violation("PLC-1: two clusters became one");
    }
    drop(compacting);
    for handle in world.up() {
        if !clients.write_until(&handle, SERVE_WITHIN).await {
            let number = handle.number;
            return world.violation(&format!("LIV-1: no write through node {number} is served"));
        }
    }
    serve(world, &clients).await;
}

/// Everything that was acknowledged is read through every node.
async fn serve(world: &World, clients: &Clients) {
    let mut counts = BTreeMap::new();
    for handle in world.up() {
        let number = handle.number;
        let began = tokio::time::Instant::now();
        // A damaged block is known when it is read; its replica is then made anew.
        let is_over = || began.elapsed() >= REPAIR_WITHIN || world.violated().is_some();
        let count = loop {
            let count = clients.read_all(&handle).await;
            if count.is_some() || is_over() {
                break count;
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        };
        let Some(count) = count else {
            let what = format!("LIV-1: an answer of node {number} lacks something for ever");
            return world.violation(&what);
        };
        counts.insert(number, count);
        while !clients.read_sample(&handle, SAMPLE).await {
            if is_over() {
                return world.violation(&format!("LIV-1: a trace cannot be read through {number}"));
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }
    // No more than a note: what clients gave up on may still be written between two reads.
    world.note(&format!("traces by node: {counts:?}"));
    compare_digests(world).await;
}

/// Every replica of a shard holds the same set of spans (REP-2).
async fn compare_digests(world: &World) {
    let began = tokio::time::Instant::now();
    let Some(handle) = world.up().into_iter().next() else { return };
    while began.elapsed() < REPAIR_WITHIN {
        let status = handle.store.status_with_digests(None).await;
        let mut shards = status.shards.iter().map(|shard| &shard.replicas);
        // A replica that was sealed since the mark does not know any more.
        if shards.clone().flatten().all(|replica| replica.digest.is_some()) {
            let count = shards.clone().map(Vec::len).sum::<usize>() as u64;
            world.count(|counters| counters.digests_compared += count);
            let differ = |replicas: &Vec<model::admin::ReplicaStatus>| {
                let digests: BTreeSet<_> = replicas.iter().map(|replica| replica.digest).collect();
                digests.len() > 1
            };
            if let Some(replicas) = shards.find(|replicas| differ(replicas)) {
                let digests: Vec<_> = replicas.iter().map(|it| (it.node, it.digest)).collect();
                world.violation(&format!("REP-2: the digests of a shard differ: {digests:?}"));
            }
            return;
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
    world.violation("LIV-1: some replica never told its digest");
}

async fn violation(world: &World) {
    while world.violated().is_none() {
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

/// Waits until something holds; false if it does not in time, or something else went wrong.
async fn until(world: &World, within: Duration, holds: impl Fn() -> bool) -> bool {
    let waiting = async {
        while !holds() {
            if world.violated().is_some() {
                return false;
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
        true
    };
    tokio::time::timeout(within, waiting).await.unwrap_or(false)
}

/// Clusters that took each other for one are two still: nobody knows a node of the other.
fn stay_apart(world: &World, strangers: &World) -> bool {
    let members = |of: &World| -> Vec<BTreeSet<_>> {
        let known =
            |handle: &Handle| handle.host.watch_state().borrow().nodes().keys().copied().collect();
        of.up().iter().map(known).collect()
    };
    let ids = |of: &World| -> BTreeSet<_> { of.up().iter().map(|handle| handle.node).collect() };
    let is_apart = |own: &World, other: &World| {
        members(own).iter().all(|known| known.is_disjoint(&ids(other)))
    };
    is_apart(world, strangers) && is_apart(strangers, world)
}

fn is_ready(world: &World, nodes: usize) -> bool {
    let up = world.up();
    up.len() == nodes && up.iter().all(|handle| handle.store.readiness() == Readiness::Ready)
}

/// How far a replica is.
#[derive(PartialEq, Eq)]
struct Progress {
    applied: Option<LogIndex>,
    last: Option<LogIndex>,
    voters: usize,
}

/// Whether every group has all its replicas, and all of them have applied the same, up to the last
/// entry of their logs.
fn is_equal(world: &World, replication_factor: u32) -> bool {
    let mut groups: BTreeMap<GroupId, Vec<Progress>> = BTreeMap::new();
    for handle in world.up() {
        for (group, status) in handle.host.replicas() {
            let applied = status.applied.map(|position| position.index);
            let voters = status.configuration.voters.first().map_or(0, BTreeSet::len);
            groups.entry(group).or_default().push(Progress { applied, last: status.last, voters });
        }
    }
    let wanted = usize::try_from(replication_factor).unwrap_or(usize::MAX).min(world.living());
    !groups.is_empty()
        && groups.values().all(|replicas| {
            let first = replicas.first();
            replicas.len() >= wanted
                && replicas.iter().all(|replica| Some(replica) == first)
                && replicas.iter().all(|replica| replica.applied == replica.last)
        })
}

/// What stands in the way of being whole, for people.
fn state(world: &World) -> String {
    // Writing into a string does not fail.
    let mut text = String::new();
    for number in 0..world.places() {
        let Some(handle) = world.handle(number) else {
            let _ = write!(text, "[node {number} does not run]");
            continue;
        };
        let _ = write!(text, "[node {number} {:?}", handle.store.readiness());
        for (group, status) in handle.host.replicas() {
            let applied = status.applied.map(|position| position.index.0);
            let (term, role) = (status.leadership.term, status.leadership.role);
            let last = status.last.map(|last| last.0);
            let _ = write!(text, ", {group}: {role:?} {term} {applied:?}/{last:?}");
        }
        text.push(']');
    }
    text
}

/// Asks one node after another to seal, now and then all of them at once, and some of the time to
/// merge what there is then.
async fn compact(world: World, merge_one_in: u64, seed: u64) {
    let mut random = Random::new(seed);
    loop {
        tokio::time::sleep(COMPACT_PERIOD).await;
        let (up, merges) = (world.up(), merge_one_in > 0 && random.one_in(merge_one_in));
        let chosen = random.index(up.len());
        let are_all = random.one_in(ALL_COMPACT_ONE_IN);
        for (place, handle) in up.iter().enumerate() {
            if are_all || place == chosen {
                handle.upkeep.compact(merges);
            }
        }
    }
}
