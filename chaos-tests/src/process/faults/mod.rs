//! The catalogue of faults: one small type each, with what it takes to make it and to end it, and a
//! count that proves that it bit.
//!
//! - [`process`]: what ends, stops or doubles a process.
//! - [`network`]: what happens between nodes.
//! - [`late`]: packets between nodes that come late, out of order or twice.
//! - [`disk`]: what happens to a disk, its file system and its files.
//! - [`preload`]: what a library that is loaded before the node does to its calls.
//! - [`names`]: what happens to names and addresses.
//! - [`load`]: too much of it.
//! - [`shards`]: more shards, in the middle of it.

pub(crate) use load::{FIRST_FLOODER, LAST_FLOODER};

mod disk;
mod late;
mod load;
mod names;
mod network;
mod preload;
mod process;
mod shards;

use std::time::Duration;

use anyhow::Result;

use super::chance::Chance;
use super::holder::Holder;
use super::tool;
use super::workload::Clients;

/// What a fault is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) clients: &'a Clients<'a>,
    /// The node that leads most shards, and the one that leads fewest.
    pub(crate) leader: usize,
    pub(crate) follower: usize,
    /// A node by chance.
    pub(crate) victim: usize,
}

impl<'a> Scene<'a> {
    pub(crate) fn world(&self) -> &'a super::world::World {
        self.clients.world
    }

    fn others(&self, of: usize) -> Vec<usize> {
        (0..self.world().nodes.len()).filter(|node| *node != of).collect()
    }
}

/// What a fault means for the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Nodes that need not serve while it lasts.
    pub(crate) victims: Vec<usize>,
    /// Do the others have to?
    pub(crate) others_serve: bool,
    /// How long writes may be refused, before the machine's own slowness is added.
    pub(crate) limit: Duration,
    /// How long it lasts.
    pub(crate) hold: Duration,
}

/// Proof that a fault was there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) bites: u64,
    pub(crate) note: String,
}

/// A fault that can be made and ended.
pub(crate) trait Fault {
    fn terms(&self) -> Terms;
    /// Makes it. What it was at the beginning of the run is there again after [`Fault::heal`].
    fn inject(&mut self, scene: &Scene<'_>) -> Result<()>;
    /// Ends it, and says what it did.
    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence>;
    /// Whether something damaged is still there: what nobody meets at the start has to be found
    /// first, and then be made good.
    fn has_damage(&self) -> bool {
        false
    }
}

/// Limits on the time without writes, by what kind of fault it is.
pub(crate) const KILL_LIMIT: Duration = Duration::from_secs(3);
pub(crate) const PAUSE_LIMIT: Duration = Duration::from_secs(5);
pub(crate) const RESTART_LIMIT: Duration = Duration::from_secs(10);

/// What a kind of fault needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Rules of the bridge.
    Bridge,
    /// `tc` with token buckets.
    Shaping,
    /// Packets that wait in a queue of the kernel, or `tc` with netem.
    Lateness,
    /// Rules that double what goes out of a device.
    Doubling,
    /// The preloaded library: a C compiler.
    Preload,
    /// The tool that cuts an ext4's power: a C compiler.
    Power,
}

impl Need {
    /// Why it is not there.
    fn missing(self) -> Option<&'static str> {
        let compiler = || (!tool::exists("cc")).then_some("there is no C compiler `cc`");
        match self {
            Self::Bridge => None,
            Self::Shaping => tc("tbf rate 1mbit burst 16k latency 50ms")
                .then_some("the kernel has no token buckets (sch_tbf)"),
            Self::Lateness => (!Holder::is_possible() && tc("netem delay 1ms"))
                .then_some("neither queues of packets (iptables, xt_NFQUEUE) nor netem are there"),
            Self::Doubling => (!late::can_double())
                .then_some("the kernel doubles no packets (nft egress chains, nft_dup_netdev)"),
            Self::Preload | Self::Power => compiler(),
        }
    }
}

/// Is such a queue refused?
fn tc(queue: &str) -> bool {
    // In a network of its own, which goes with the command.
    tool::run(&format!("unshare --net tc qdisc add dev lo root {queue}")).is_err()
}

/// How a kind of fault is made.
type Make = fn(&Scene<'_>, &mut Chance) -> Box<dyn Fault>;

/// A kind of fault.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    needs: &'static [Need],
    pub(crate) make: Make,
    /// Why the product is known not to survive it yet. Such a kind runs in a cluster of its own and
    /// is expected to fail; when it does not, the run says so, and the line is to go.
    pub(crate) known: Option<&'static str>,
    /// Runs only where it is named: one of its kind takes a minute to be made good, or makes what
    /// follows slower, and a run of ten minutes would have too few of the others.
    pub(crate) by_name: bool,
    /// It costs a replica its data. The next fault waits until others have made that good: two at
    /// a time could take a majority's disks, which nothing survives.
    pub(crate) costs_data: bool,
}

impl Kind {
    /// The same, where it is named only.
    const fn named(self) -> Self {
        Self { by_name: true, ..self }
    }

    /// Why it cannot be made here.
    pub(crate) fn skipped(&self) -> Option<&'static str> {
        self.needs.iter().find_map(|need| need.missing())
    }
}

const fn kind(name: &'static str, needs: &'static [Need], make: Make) -> Kind {
    Kind { name, needs, make, known: None, by_name: false, costs_data: false }
}

const fn costly(name: &'static str, needs: &'static [Need], make: Make) -> Kind {
    Kind { name, needs, make, known: None, by_name: false, costs_data: true }
}

use Need::{Bridge, Doubling, Lateness, Power, Preload, Shaping};

/// Every kind of fault.
pub(crate) const KINDS: &[Kind] = &[
    kind("kill-leader", &[], |scene, chance| process::Kill::one(scene.leader, chance)),
    kind("kill-follower", &[], |scene, chance| process::Kill::one(scene.follower, chance)),
    kind("kill-all", &[], |scene, _| process::Kill::all(scene)),
    kind("kill-at-sync", &[Preload], |scene, chance| preload::KillAtSync::boxed(scene, chance)),
    kind("pause-leader", &[], |scene, chance| process::Pause::boxed(scene.leader, chance)),
    kind("pause-follower", &[], |scene, chance| process::Pause::boxed(scene.follower, chance)),
    kind("rolling-restart", &[], |_, _| process::Roll::boxed()),
    kind("isolate-leader", &[Bridge], |scene, _| network::Cut::isolate(scene, scene.leader)),
    kind("isolate-follower", &[Bridge], |scene, _| network::Cut::isolate(scene, scene.follower)),
    kind("one-way-out", &[Bridge], |scene, _| network::Cut::one_way(scene, true)),
    kind("one-way-in", &[Bridge], |scene, _| network::Cut::one_way(scene, false)),
    kind("partial-cut", &[Bridge], |scene, _| network::Cut::partial(scene)),
    kind("calls-cut", &[Bridge], |scene, _| network::Cut::port(scene, "call_cuts")),
    kind("gossip-cut", &[Bridge], |scene, _| network::Cut::port(scene, "gossip_cuts")),
    kind("loss", &[Bridge], |scene, _| network::Loss::boxed(scene)),
    kind("delay", &[Lateness], |scene, chance| late::Late::delay(scene, chance)),
    kind("reorder", &[Lateness], |scene, chance| late::Late::reorder(scene, chance)),
    kind("duplicates", &[Doubling], |scene, _| late::Doubled::boxed(scene)),
    kind("slow-network", &[Shaping], |scene, _| network::Slow::boxed(scene)),
    kind("cable-out", &[], |scene, _| network::Unplugged::boxed(scene)),
    kind("new-address", &[], |scene, _| names::Moved::one(scene)),
    kind("new-addresses", &[], |scene, _| names::Moved::all(scene)),
    kind("names-silent", &[], |scene, _| names::Names::boxed(scene, super::dns::Mood::Silent)),
    kind("names-failing", &[], |scene, _| names::Names::boxed(scene, super::dns::Mood::Failing)),
    kind("names-empty", &[], |scene, _| names::Names::boxed(scene, super::dns::Mood::Empty)),
    kind("power-cut", &[Power], |scene, _| disk::PowerCut::one(scene)),
    kind("power-cut-all", &[Power], |scene, _| disk::PowerCut::all(scene)),
    kind("disk-full", &[], |scene, _| disk::Full::boxed(scene)),
    kind("disk-stalls", &[], |scene, chance| disk::Stall::boxed(scene, chance)),
    kind("sync-fails", &[Preload], |scene, _| preload::SyncFails::boxed(scene)),
    kind("slow-syncs", &[Preload], |scene, chance| preload::SlowSyncs::boxed(scene, chance)),
    kind("clock-forward", &[Preload], |scene, _| preload::Clock::boxed(scene, 3_600)),
    kind("clock-back", &[Preload], |scene, _| preload::Clock::boxed(scene, -3_600)),
    kind("overload", &[], |_, _| load::Overload::boxed()),
    kind("shards-added", &[], |scene, chance| shards::Added::boxed(scene, chance)).named(),
    costly("identity-twice", &[], |scene, _| process::Twice::boxed(scene)),
    costly("empty-disk", &[], |scene, _| disk::Empty::boxed(scene)),
    costly("flip-log", &[], |scene, chance| disk::Damage::flip(scene, chance, disk::Part::Log)),
    costly("flip-block", &[], |scene, chance| disk::Damage::flip(scene, chance, disk::Part::Block)),
    costly("flip-manifest", &[], |scene, chance| {
        disk::Damage::flip(scene, chance, disk::Part::Manifest)
    }),
    costly("flip-store", &[], |scene, chance| disk::Damage::flip(scene, chance, disk::Part::Store))
        .named(),
    costly("truncate-log", &[], |scene, chance| {
        disk::Damage::truncate(scene, chance, disk::Part::Log)
    }),
    costly("truncate-block", &[], |scene, chance| {
        disk::Damage::truncate(scene, chance, disk::Part::Block)
    }),
    costly("truncate-manifest", &[], |scene, chance| {
        disk::Damage::truncate(scene, chance, disk::Part::Manifest)
    })
    .named(),
    costly("read-fails", &[Preload], |scene, _| preload::ReadsFail::boxed(scene)),
];
