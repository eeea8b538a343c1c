//! Faults, and a plan of them drawn from a seed.

use std::fmt;

use model::testing::Random;
use storage::env::Crash;

use super::disk::Kind;

/// How a disk comes back after a power loss.
const CRASHES: [Crash; 4] = [Crash::Lost, Crash::Torn, Crash::Torn, Crash::Kept];

/// Before a log loses its end nothing else happens for so long, so that all others are well.
const QUIET_BEFORE_MILLIS: u64 = 12_000;

/// And so long afterwards, so that others refill what was lost.
const QUIET_AFTER_MILLIS: u64 = 12_000;

/// One crash in so many is followed by a long absence.
const LONG_ABSENCE_ONE_IN: u64 = 3;

/// Something that goes wrong for a while. Times are milliseconds, nodes are places.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are called what they are")]
pub enum Fault {
    /// Messages disappear, in percent.
    Loss { percent: u64, millis: u64 },
    /// Messages arrive twice, in percent.
    Duplication { percent: u64, millis: u64 },
    /// Messages take up to so long, so that calls overtake each other.
    Delay { up_to: u64, millis: u64 },
    /// One node and all others do not reach each other.
    Isolation { node: usize, millis: u64 },
    /// One node hears nothing of another.
    Deafness { from: usize, to: usize, millis: u64 },
    /// One node hears nobody, but is heard.
    DeafToAll { node: usize, millis: u64 },
    /// Two nodes do not reach each other, and others reach both.
    Bridge { one: usize, other: usize, millis: u64 },
    /// Messages between two nodes wait, and then arrive all at once.
    Hold { one: usize, other: usize, millis: u64 },
    /// Power is lost on a node, a few changes of its disk from now.
    PowerLoss { node: usize, after: u64, crash: Crash, millis: u64 },
    /// Power is lost everywhere.
    Blackout { crash: Crash, millis: u64 },
    /// A process is killed.
    Kill { node: usize, millis: u64 },
    /// A disk does not answer.
    Stall { node: usize, millis: u64 },
    /// A disk is full.
    Full { node: usize, millis: u64 },
    /// A wall clock jumps.
    ClockJump { node: usize, ahead_millis: i64 },
    /// All nodes are started again, one after another; what they lead they give away first.
    RollingRestart,
    /// A node is drained, which moves its leaders, and started again.
    Drain { node: usize },
    /// One bit of a disk flips while its node is down.
    BitFlip { node: usize, kind: Kind, millis: u64 },
    /// The log loses its last bytes while its node is down. Only while all others are well: what
    /// was cut off, and was in no block, nobody misses.
    CutLog { node: usize, millis: u64 },
    /// All of the log is gone while its node is down, and nothing else of its disk.
    LogLost { node: usize, millis: u64 },
    /// A node comes back with an empty disk, as another node.
    EmptyDisk { node: usize, millis: u64 },
    /// An operator adds shards.
    ShardsAdded { count: u32 },
    /// One more node joins.
    NodeAdded,
    /// An operator removes a node; others get what it held.
    NodeRemoved { node: usize },
    /// Another cluster on the same network, of one node; from then on both take the other's
    /// addresses for their own. A node of each is started again, so that it asks there.
    Strangers { node: usize, millis: u64 },
}

impl Fault {
    /// Its kind, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Loss { .. } => "message loss",
            Self::Duplication { .. } => "message duplication",
            Self::Delay { .. } => "message delay and reordering",
            Self::Isolation { .. } => "symmetric partition",
            Self::Deafness { .. } | Self::DeafToAll { .. } => "asymmetric partition",
            Self::Bridge { .. } => "partial partition",
            Self::Hold { .. } => "messages held back",
            Self::PowerLoss { crash: Crash::Torn, .. } => "power loss with torn writes",
            Self::PowerLoss { .. } => "power loss",
            Self::Blackout { .. } => "power loss everywhere",
            Self::Kill { .. } => "killed process",
            Self::Stall { .. } => "stalled disk",
            Self::Full { .. } => "full disk",
            Self::ClockJump { .. } => "clock jump",
            Self::RollingRestart => "rolling restart",
            Self::Drain { .. } => "drained node",
            Self::BitFlip { kind: Kind::Log, .. } => "bit flip in the log",
            Self::BitFlip { kind: Kind::Block, .. } => "bit flip in a block",
            Self::CutLog { .. } => "log that lost its end",
            Self::LogLost { .. } => "log that is gone",
            Self::EmptyDisk { .. } => "empty disk",
            Self::ShardsAdded { .. } => "shards added",
            Self::NodeAdded => "node added",
            Self::NodeRemoved { .. } => "node removed",
            Self::Strangers { .. } => "two clusters that take each other for one",
        }
    }

    /// Whether a disk's contents are lost for good, so that a majority must keep theirs.
    pub fn loses_a_disk(&self) -> bool {
        matches!(
            self,
            Self::BitFlip { .. }
                | Self::CutLog { .. }
                | Self::LogLost { .. }
                | Self::EmptyDisk { .. }
                | Self::NodeRemoved { .. }
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What happens when.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Milliseconds after the cluster was ready, and the fault.
    pub faults: Vec<(u64, Fault)>,
    /// How long faults go on.
    pub millis: u64,
    /// Whether a disk is lost for good.
    pub loses_a_disk: bool,
}

/// Which faults a plan may draw, as parts of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Of the network.
    pub network: u64,
    /// Of processes and disks.
    pub crashes: u64,
    /// Clocks, drains, rolling restarts.
    pub other: u64,
    /// One run in so many loses a disk for good; 0 for none.
    pub lost_disk_one_in: u64,
    /// One run in so many has a log that loses its end; 0 for none.
    pub cut_log_one_in: u64,
    /// In one run in so many a node is added, and another one is removed later; 0 for none.
    pub moved_one_in: u64,
    /// To one run in so many shards are added; 0 for none.
    pub shards_one_in: u64,
    /// One run in so many has a second cluster on the network; 0 for none.
    pub strangers_one_in: u64,
}

impl Weather {
    /// Everything.
    pub const ALL: Self = Self {
        network: 5,
        crashes: 5,
        other: 2,
        lost_disk_one_in: 3,
        cut_log_one_in: 3,
        moved_one_in: 3,
        shards_one_in: 3,
        strangers_one_in: 4,
    };
    /// Nothing at all.
    pub const FAIR: Self = Self { network: 0, crashes: 0, other: 0, ..Self::ONLY };
    /// What others are made from: no disk is lost.
    pub const ONLY: Self = Self {
        network: 1,
        crashes: 1,
        other: 1,
        lost_disk_one_in: 0,
        cut_log_one_in: 0,
        moved_one_in: 0,
        shards_one_in: 0,
        strangers_one_in: 0,
    };
}

impl Plan {
    /// Draws a plan.
    pub fn draw(random: &mut Random, nodes: usize, millis: u64, weather: Weather) -> Self {
        let mut faults = Vec::new();
        let total = weather.network + weather.crashes + weather.other;
        let mut at = 2_000 + random.below(1_500);
        while total > 0 && at + 3_000 < millis {
            let place = random.below(total);
            let fault = if place < weather.network {
                network_fault(random, nodes)
            } else if place < weather.network + weather.crashes {
                crash(random, nodes)
            } else {
                other_fault(random, nodes)
            };
            faults.push((at, fault));
            at += 800 + random.below(4_200);
        }
        let mut insert = |at: u64, fault: Fault| {
            let place = faults.partition_point(|(other, _)| *other < at);
            faults.insert(place, (at, fault));
        };
        let happens = |random: &mut Random, one_in| one_in > 0 && random.one_in(one_in);
        if happens(random, weather.lost_disk_one_in) {
            insert(8_000 + random.below(millis / 2), lost_disk(random, nodes));
        } else if happens(random, weather.cut_log_one_in) {
            let at = QUIET_BEFORE_MILLIS + random.below(millis / 2);
            let (millis, node) = (100 + random.below(2_000), random.index(nodes));
            insert(at, Fault::CutLog { node, millis });
            let is_quiet = |other: u64| {
                (at.saturating_sub(QUIET_BEFORE_MILLIS)..at + QUIET_AFTER_MILLIS).contains(&other)
            };
            faults.retain(|(other, fault)| !is_quiet(*other) || fault.loses_a_disk());
        } else if happens(random, weather.moved_one_in) {
            let added = 4_000 + random.below(millis / 4);
            insert(added, Fault::NodeAdded);
            let removed = added + 2_000 + random.below(millis / 4);
            insert(removed, Fault::NodeRemoved { node: random.index(nodes) });
        }
        if happens(random, weather.strangers_one_in) {
            let at = 4_000 + random.below(millis / 2);
            let place = faults.partition_point(|(other, _)| *other < at);
            let (node, millis) = (random.index(nodes), 100 + random.below(2_000));
            faults.insert(place, (at, Fault::Strangers { node, millis }));
        }
        if happens(random, weather.shards_one_in) {
            let at = 3_000 + random.below(millis / 2);
            let place = faults.partition_point(|(other, _)| *other < at);
            let count = 1 + u32::try_from(random.below(2)).unwrap_or_default();
            faults.insert(place, (at, Fault::ShardsAdded { count }));
        }
        let loses_a_disk = faults.iter().any(|(_, fault)| fault.loses_a_disk());
        Self { faults, millis, loses_a_disk }
    }
}

fn two(random: &mut Random, nodes: usize) -> (usize, usize) {
    let one = random.index(nodes);
    let step = 1 + random.index(nodes.saturating_sub(1));
    (one, (one + step) % nodes.max(1))
}

fn network_fault(random: &mut Random, nodes: usize) -> Fault {
    let millis = 300 + random.below(4_000);
    let (one, other) = two(random, nodes);
    match random.below(9) {
        0 => Fault::Loss { percent: 1 + random.below(30), millis },
        1 => Fault::Duplication { percent: 1 + random.below(40), millis },
        2 => Fault::Delay { up_to: 5 + random.below(300), millis },
        3 | 4 => Fault::Isolation { node: one, millis },
        5 => Fault::Deafness { from: one, to: other, millis },
        6 => Fault::DeafToAll { node: one, millis },
        7 => Fault::Bridge { one, other, millis },
        _ => Fault::Hold { one, other, millis },
    }
}

fn crash(random: &mut Random, nodes: usize) -> Fault {
    let longest = if random.one_in(LONG_ABSENCE_ONE_IN) { 16_000 } else { 4_000 };
    let millis = 100 + random.below(longest);
    let node = random.index(nodes);
    let crash = *random.pick(&CRASHES);
    match random.below(9) {
        0..=3 => Fault::PowerLoss { node, after: random.below(12), crash, millis },
        4 => Fault::Blackout { crash, millis },
        5 => Fault::Kill { node, millis },
        6 | 7 => Fault::Stall { node, millis },
        _ => Fault::Full { node, millis },
    }
}

fn other_fault(random: &mut Random, nodes: usize) -> Fault {
    let node = random.index(nodes);
    match random.below(4) {
        0 | 1 => {
            let millis = i64::try_from(random.below(7_200_000)).unwrap_or_default();
            Fault::ClockJump { node, ahead_millis: millis - 3_600_000 }
        }
        2 => Fault::Drain { node },
        _ => Fault::RollingRestart,
    }
}

fn lost_disk(random: &mut Random, nodes: usize) -> Fault {
    let millis = 100 + random.below(2_000);
    let node = random.index(nodes);
    match random.below(4) {
        0 => Fault::BitFlip { node, kind: Kind::Log, millis },
        1 => Fault::BitFlip { node, kind: Kind::Block, millis },
        2 => Fault::LogLost { node, millis },
        _ => Fault::EmptyDisk { node, millis },
    }
}
