//! Makes a plan of faults happen, and ends what it began.

use std::time::Duration;

use cluster::transport::Link;
use model::admin::{ClusterChange, Readiness};
use model::testing::Random;
use model::{ClusterAdmin as _, NodeId};
use storage::env::Crash;

use super::faults::{Fault, Plan};
use super::world::{Handle, SOUND_LINK, World};

/// A crash that is planned some changes of the disk ahead comes at the latest after this.
const CRASH_WITHIN_MILLIS: u64 = 300;

/// How often more shards are asked for: a node that is down takes none, and may stay so.
const SHARDS_ASKED_FOR_MAX: usize = 40;

/// How long a node may take to give away what it leads.
const DRAIN_WITHIN: Duration = Duration::from_secs(12);

/// How long a node may take to start during a rolling restart.
const START_WITHIN: Duration = Duration::from_secs(10);

/// How long everybody may take to be well before a log is cut.
const WELL_WITHIN: Duration = Duration::from_secs(5);

/// The one that makes it happen.
#[derive(Debug, Clone)]
pub struct Nemesis {
    world: World,
}

impl Nemesis {
    /// Of a world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    /// Carries out a plan; returns when its time is over. Faults overlap: each is a future of its
    /// own, and all end when this is dropped.
    pub async fn carry_out(&self, plan: &Plan, seed: u64) {
        let began = tokio::time::Instant::now();
        let faults = plan.faults.iter().enumerate().map(|(number, (at, fault))| {
            let at = began + Duration::from_millis(*at);
            let mut random = Random::new(seed ^ (number as u64).rotate_left(17));
            async move {
                tokio::time::sleep_until(at).await;
                self.world.note(&format!("FAULT {fault}"));
                self.world.count(|counters| counters.fault(fault.kind()));
                self.happen(fault, &mut random).await;
            }
        });
        let all = futures_util::future::join_all(faults);
        let end = began + Duration::from_millis(plan.millis);
        // What is not over by then is ended by whoever ends the faults.
        let _ = tokio::time::timeout_at(end, all).await;
        tokio::time::sleep_until(end).await;
    }

    /// Ends all faults: what is left is for the cluster to heal.
    pub fn end(&self) {
        let world = &self.world;
        world.network().heal();
        world.network().set_usual(SOUND_LINK);
        for number in 0..world.places() {
            if let Some(disk) = world.disk(number) {
                disk.env.set_full(false);
                disk.unstall();
                if disk.env.has_crashed() {
                    world.kill(number, Crash::Lost);
                }
            }
            if let Some(clock) = world.clock(number) {
                clock.set_wall_ahead(0);
            }
            // A node that was drained to be started again is started again.
            let is_draining = |handle: Handle| handle.store.readiness() != Readiness::Ready;
            if world.handle(number).is_some_and(is_draining) {
                world.kill(number, Crash::Process);
            }
            world.start(number);
        }
        if let Some(strangers) = world.strangers() {
            strangers.start(0);
        }
        world.note("all faults are over");
    }

    async fn happen(&self, fault: &Fault, random: &mut Random) {
        let world = &self.world;
        match *fault {
            Fault::Loss { percent, millis } => {
                let drop = percent as f64 / 100.0;
                self.usual(Link { drop, ..SOUND_LINK }, millis).await;
            }
            Fault::Duplication { percent, millis } => {
                let duplicate = percent as f64 / 100.0;
                self.usual(Link { duplicate, ..SOUND_LINK }, millis).await;
            }
            Fault::Delay { up_to, millis } => {
                let longest = model::Duration::from_millis(up_to);
                self.usual(Link { delay: (model::Duration(0), longest), ..SOUND_LINK }, millis)
                    .await;
            }
            Fault::Isolation { node, millis } => {
                self.cut(&self.pairs(|one, other| one == node || other == node), millis).await;
            }
            Fault::Deafness { from, to, millis } => {
                self.cut(&self.pairs(|one, other| (one, other) == (from, to)), millis).await;
            }
            Fault::DeafToAll { node, millis } => {
                self.cut(&self.pairs(|_, other| other == node), millis).await;
            }
            Fault::Bridge { one, other, millis } => {
                let is_cut = |from, to| (from, to) == (one, other) || (to, from) == (one, other);
                self.cut(&self.pairs(is_cut), millis).await;
            }
            Fault::Hold { one, other, millis } => {
                let is_held = |from, to| (from, to) == (one, other) || (to, from) == (one, other);
                let held = Link { hold: true, ..SOUND_LINK };
                self.links(&self.pairs(is_held), held, millis).await;
            }
            Fault::PowerLoss { node, after, crash, millis } => {
                self.lose_power(node, after, crash).await;
                self.rest(millis).await;
                world.start(node);
            }
            Fault::Blackout { crash, millis } => {
                for number in 0..world.places() {
                    world.kill(number, crash);
                }
                self.rest(millis).await;
                for number in 0..world.places() {
                    world.start(number);
                }
            }
            Fault::Kill { node, millis } => {
                world.kill(node, Crash::Process);
                self.rest(millis).await;
                world.start(node);
            }
            Fault::Stall { node, millis } => {
                if let Some(disk) = world.disk(node) {
                    disk.stall(millis);
                }
            }
            Fault::Full { node, millis } => {
                let Some(disk) = world.disk(node) else { return };
                disk.env.set_full(true);
                self.rest(millis).await;
                disk.env.set_full(false);
            }
            Fault::ClockJump { node, ahead_millis } => {
                if let Some(clock) = world.clock(node) {
                    clock.set_wall_ahead(ahead_millis.saturating_mul(1_000_000));
                }
            }
            Fault::RollingRestart => {
                for number in 0..world.places() {
                    self.restart(number).await;
                }
            }
            Fault::Drain { node } => self.restart(node).await,
            Fault::BitFlip { node, kind, millis } => {
                world.kill(node, Crash::Kept);
                let flipped = world.disk(node).and_then(|disk| disk.flip(kind, random));
                // Nothing behind it says that these bytes were synced: they may be a torn write.
                if flipped.as_ref().is_some_and(|flipped| flipped.is_last) {
                    world.forgive(node);
                }
                world.note(&format!("flipped {flipped:?} of node {node}"));
                self.rest(millis).await;
                world.start(node);
            }
            Fault::LogLost { node, millis } => {
                world.kill(node, Crash::Kept);
                let lost = world.disk(node).map(|disk| disk.lose_log());
                world.note(&format!("node {node} lost its log: {lost:?} files"));
                self.rest(millis).await;
                world.start(node);
            }
            Fault::CutLog { node, millis } => self.cut_log(node, millis, random).await,
            Fault::NodeAdded => {
                let number = world.add_place();
                world.start(number);
            }
            Fault::ShardsAdded { count } => self.add_shards(count).await,
            Fault::NodeRemoved { node } => self.remove(node).await,
            Fault::Strangers { node, millis } => self.meet_strangers(node, millis).await,
            Fault::EmptyDisk { node, millis } => {
                world.kill(node, Crash::Lost);
                world.wipe(node);
                self.rest(millis).await;
                world.start(node);
            }
        }
    }

    async fn rest(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    async fn usual(&self, link: Link, millis: u64) {
        self.world.network().set_usual(link);
        self.rest(millis).await;
        self.world.network().set_usual(SOUND_LINK);
    }

    /// Directed pairs of nodes, by their places: those that are down too, which come back into it.
    fn pairs(&self, is_meant: impl Fn(usize, usize) -> bool) -> Vec<(NodeId, NodeId)> {
        let known = self.world.known();
        let mut pairs = Vec::new();
        for (from, from_node) in &known {
            for (to, to_node) in known.iter().filter(|(to, _)| to != from) {
                if is_meant(*from, *to) {
                    pairs.push((*from_node, *to_node));
                }
            }
        }
        pairs
    }

    async fn cut(&self, pairs: &[(NodeId, NodeId)], millis: u64) {
        self.links(pairs, Link { cut: true, ..SOUND_LINK }, millis).await;
    }

    async fn links(&self, pairs: &[(NodeId, NodeId)], link: Link, millis: u64) {
        for (from, to) in pairs {
            self.world.network().set_link(*from, *to, link);
        }
        self.rest(millis).await;
        for (from, to) in pairs {
            self.world.network().set_link(*from, *to, SOUND_LINK);
        }
    }

    /// Lets power go at a change of the disk that is to come, or after a while without one.
    async fn lose_power(&self, node: usize, after: u64, crash: Crash) {
        let Some(disk) = self.world.disk(node) else { return };
        if self.world.handle(node).is_some() {
            disk.env.crash_at(disk.env.operations() + after);
            for _ in 0..CRASH_WITHIN_MILLIS / 5 {
                if disk.env.has_crashed() {
                    break;
                }
                self.rest(5).await;
            }
        }
        self.world.kill(node, crash);
    }

    /// Takes the end of a log away while its node is down, if all others are well.
    async fn cut_log(&self, node: usize, millis: u64, random: &mut Random) {
        let world = &self.world;
        let began = tokio::time::Instant::now();
        while !world.is_well() && began.elapsed() < WELL_WITHIN {
            self.rest(10).await;
        }
        // Nobody else may lack anything: without that, it is no fault that one survives.
        if !world.is_well() {
            return world.note("no log is cut: somebody is not well");
        }
        world.kill(node, Crash::Kept);
        let lost = world.disk(node).and_then(|disk| disk.cut_log(random));
        world.forgive(node);
        world.note(&format!("cut {lost:?} bytes off the log of node {node}"));
        self.rest(millis).await;
        world.start(node);
    }

    /// Founds another cluster, and has a node of each look for its own where the other one is.
    async fn meet_strangers(&self, node: usize, millis: u64) {
        let world = &self.world;
        let Some(strangers) = world.found_strangers() else { return };
        strangers.start(0);
        let began = tokio::time::Instant::now();
        let is_founded =
            || strangers.up().iter().any(|it| it.store.readiness() == Readiness::Ready);
        while !is_founded() && began.elapsed() < START_WITHIN {
            self.rest(50).await;
        }
        world.note(&format!("another cluster is founded: {}", is_founded()));
        world.take_for_own(&strangers);
        strangers.take_for_own(world);
        for (there, number) in [(&strangers, 0), (world, node)] {
            there.kill(number, Crash::Process);
            self.rest(millis).await;
            there.start(number);
        }
    }

    /// Asks through other nodes for a node's removal until one says yes. It ends when it is gone.
    async fn remove(&self, number: usize) {
        loop {
            let node = self.world.node_id(number);
            let through = self.world.up().into_iter().find(|handle| handle.number != number);
            if let (Some(node), Some(through)) = (node, through) {
                let change = through.store.change(ClusterChange::RemoveNode(node));
                let answer = tokio::select! {
                    biased;
                    () = through.life.gone.cancelled() => None,
                    answer = change => Some(answer),
                };
                self.world.note(&format!("the removal of node {number}: {answer:?}"));
                if let Some(Ok(())) = answer {
                    return self.world.is_leaving(number, node);
                }
            }
            self.rest(500).await;
        }
    }

    /// Asks one node after another for more shards, until one says that they will come.
    async fn add_shards(&self, count: u32) {
        for _ in 0..SHARDS_ASKED_FOR_MAX {
            if let Some(through) = self.world.up().into_iter().next() {
                let change = through.store.change(ClusterChange::AddShards(count));
                let answer = tokio::select! {
                    biased;
                    () = through.life.gone.cancelled() => None,
                    answer = change => Some(answer),
                };
                self.world.note(&format!("{count} shards are asked for: {answer:?}"));
                if let Some(Ok(())) = answer {
                    return;
                }
            }
            self.rest(500).await;
        }
    }

    /// Stops a node as an operator does, and starts it again.
    async fn restart(&self, number: usize) {
        let world = &self.world;
        if let Some(handle) = world.handle(number) {
            let drained = async {
                tokio::select! {
                    biased;
                    () = handle.life.gone.cancelled() => {}
                    () = handle.store.drain() => {}
                }
            };
            let is_drained = tokio::time::timeout(DRAIN_WITHIN, drained).await.is_ok();
            world.note(&format!("node {number} is drained: {is_drained}"));
        }
        world.kill(number, Crash::Process);
        self.rest(100).await;
        world.start(number);
        let began = tokio::time::Instant::now();
        while world.handle(number).is_none() && began.elapsed() < START_WITHIN {
            self.rest(50).await;
        }
        self.rest(500).await;
    }
}
