//! Which deliberate defects of the product are found, by what, and how soon.
//!
//! A checker that never failed proves nothing. Each defect of [`Mutant`] is given to the product in
//! turn. Most are looked for by the simulator: seeds are run, in the conditions in which the defect
//! can do harm, until one of them fails. What a second line of defence hides from a whole cluster
//! is looked for by the test of the part that has the defect.

use storage::env::Crash;
use storage::mutant::Mutant;

use super::disk::Kind;
use super::faults::{Fault, Plan, Weather};
use super::node::Shape;
use super::run::{Options, Outcome, run, run_plan};

/// Seeds that a defect may survive at most.
pub const SEEDS_MAX: u64 = 60;

/// What looks for a defect.
#[derive(Debug, Clone, Copy)]
pub enum Hunt {
    /// Seeds with plans drawn in this weather.
    Weather(Options),
    /// Seeds with this plan.
    Plan(Options, fn(u64) -> Plan),
    /// A test, by its name; and why no simulated cluster.
    Test(&'static str, &'static str),
}

impl Hunt {
    /// Runs a seed, if a simulator is what looks for it.
    pub fn run(&self, seed: u64) -> Option<Outcome> {
        match self {
            Self::Weather(options) => Some(run(seed, options)),
            Self::Plan(options, plan) => Some(run_plan(seed, options, &plan(seed))),
            Self::Test(..) => None,
        }
    }
}

/// What looks for a defect, and in which conditions.
pub fn hunt(mutant: Mutant) -> Hunt {
    let usual = Options { millis: 40_000, ..Options::default() };
    let weather = |network, crashes, other| Weather { network, crashes, other, ..Weather::ONLY };
    let cut_often = Options { weather: weather(2, 6, 0), ..usual };
    match mutant {
        // A shard is out of reach only where it has one replica.
        Mutant::PartialNotSaid => {
            let shape = Shape { nodes: 3, replication_factor: 1, shards: 3 };
            Hunt::Weather(Options { shape, weather: weather(1, 2, 0), readers: 6, ..usual })
        }
        Mutant::BarrierSkipped | Mutant::BarrierWithoutMajority | Mutant::StaleNotSaid => {
            Hunt::Weather(Options { weather: weather(1, 0, 0), readers: 8, writers: 6, ..usual })
        }
        Mutant::AckBeforeSync
        | Mutant::VoteNotSynced
        | Mutant::BlockNotSynced
        | Mutant::SealBeforeLog
        | Mutant::LeaderRestored
        | Mutant::SealCutTooHigh => Hunt::Weather(Options { weather: weather(1, 3, 0), ..usual }),
        Mutant::ConflictKeepsTail | Mutant::AckBeforeCommit | Mutant::ConflictAcknowledged => {
            Hunt::Weather(Options { weather: weather(3, 2, 0), writers: 6, ..usual })
        }
        Mutant::PurgePastSealCut => Hunt::Weather(cut_often),
        Mutant::SnapshotWithoutBlock | Mutant::SnapshotNotInstalled => {
            Hunt::Plan(Options { writers: 6, readers: 6, ..usual }, left_behind)
        }
        Mutant::MergeDropsInput | Mutant::FilterLies | Mutant::TenantIgnored => {
            Hunt::Weather(usual)
        }
        Mutant::FastClockDrops => Hunt::Plan(Options { millis: 24_000, ..usual }, fast_clock),
        Mutant::ReplicaReused | Mutant::DamageCutOff => Hunt::Plan(usual, damaged_logs),
        // Others give a node what it lacks, if they have it; and a merge makes names durable too.
        Mutant::DirectoryNotSynced => {
            Hunt::Plan(Options { merge_one_in: 0, writers: 8, ..usual }, blackout)
        }
        Mutant::BarrierBehindOthers => Hunt::Test(
            "vouches::a_barrier_covers_what_a_follower_shows_before_its_leader",
            "in the simulator a machine applies at once",
        ),
        Mutant::ShortLogTaken => Hunt::Test(
            "a_node_whose_log_is_gone_gets_new_replicas",
            "a replica does not start over a log that lacks what it applied, until others say so",
        ),
        Mutant::ChecksumIgnored => Hunt::Test(
            "crash_points::a_bit_that_is_flipped_on_the_way_is_refused",
            "what a bit breaks is nearly always malformed too, and its replica is made anew",
        ),
        Mutant::DamageForgotten => Hunt::Test(
            "crash_points::what_is_set_aside_stays_so_after_a_start",
            "a replica with damage is made anew before many restarts",
        ),
        Mutant::DamageOffered => Hunt::Test(
            "keeping::a_leader_with_damage_that_nobody_met_is_replaced_too",
            "damage is met by reads and by scrubbing long before a block is offered",
        ),
        Mutant::BatchIdIgnored => Hunt::Test(
            "apply::a_batch_id_is_added_once",
            "contents are a set, and requests are known by their digests too",
        ),
        Mutant::DigestXors => Hunt::Test(
            "apply::a_digest_is_the_sum_over_its_spans",
            "equal spans are one span before they are added",
        ),
        Mutant::EpochFenceSkipped => Hunt::Test(
            "apply::a_fence_refuses_what_was_routed_before_it_and_outlives_the_log",
            "reads ask every shard that some epoch leads to, the fenced ones too",
        ),
        Mutant::FenceSkipped => Hunt::Test(
            "raft::log_store::tests::parts_of_a_former_generation_write_nothing",
            "cores do not die in the simulator",
        ),
        Mutant::OfferOfAnother => Hunt::Test(
            "raft::receive::tests::the_end_of_one_snapshot_is_not_that_of_another",
            "the leader's next entries do not follow, and it begins anew",
        ),
        Mutant::SentBehindGap => Hunt::Test(
            "raft::log_store::tests::what_follows_purged_entries_is_not_sent_in_their_place",
            "a replica refuses to apply behind a gap, and is made anew",
        ),
    }
}

fn plan(faults: Vec<(u64, Fault)>, millis: u64) -> Plan {
    let loses_a_disk = faults.iter().any(|(_, fault)| fault.loses_a_disk());
    Plan { faults, millis, loses_a_disk }
}

/// Clocks run a year ahead, one at a time; blocks are old by then.
fn fast_clock(_: u64) -> Plan {
    const HOUR: i64 = 3_600_000;
    let jump = |node, ahead_millis| Fault::ClockJump { node, ahead_millis };
    // The hour that is written to is never dropped, so there has to be one before it.
    let later = (0..3).map(|node| (6_000, jump(node, 2 * HOUR)));
    let turn = |node: usize| {
        let at = 8_500 + 5_000 * node as u64;
        [(at, jump(node, 365 * 24 * HOUR)), (at + 3_500, jump(node, 2 * HOUR))]
    };
    plan(later.chain((0..3).flat_map(turn)).collect(), 24_000)
}

/// A node is away for so long that others cannot give it the entries that it lacks.
fn left_behind(seed: u64) -> Plan {
    let node = usize::try_from(seed % 3).unwrap_or_default();
    plan(vec![(4_000, Fault::Kill { node, millis: 18_000 })], 26_000)
}

/// What is forgotten by a replica that votes all the same, a majority may have forgotten: one node
/// of three is away for a while, the next one loses its log, and when both are back, the third one,
/// which has everything, is out of reach. Nobody else remembers what the second one acknowledged:
/// what members saw of each other goes with their processes.
fn forgetful_voter(seed: u64, fault: impl Fn(usize) -> Fault) -> Plan {
    let place = |step: u64| usize::try_from((seed + step) % 3).unwrap_or_default();
    let (behind, forgetful, away) = (place(0), place(1), place(2));
    plan(
        vec![
            (10_000, Fault::Kill { node: behind, millis: 4_000 }),
            (13_600, fault(forgetful)),
            (13_800, Fault::Isolation { node: away, millis: 12_000 }),
        ],
        30_000,
    )
}

fn damaged_logs(seed: u64) -> Plan {
    forgetful_voter(seed, |node| Fault::BitFlip { node, kind: Kind::Log, millis: 400 })
}

/// Power goes everywhere, late: by then what was sealed first is in no log any more. A node forgets
/// entries some twenty seconds after its start, so nothing else happens before.
fn blackout(_: u64) -> Plan {
    plan(vec![(36_000, Fault::Blackout { crash: Crash::Lost, millis: 300 })], 40_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the plans do is hard, and a sound product survives it.
    #[test]
    #[cfg(feature = "mutants")]
    fn plans_of_defects_are_survived_without_them() {
        for mutant in [Mutant::ReplicaReused, Mutant::DamageCutOff, Mutant::DirectoryNotSynced] {
            let outcome = hunt(mutant).run(1).unwrap();
            assert_eq!(outcome.violation, None, "{}", mutant.name());
        }
    }

    #[test]
    fn at_least_half_of_the_defects_are_for_the_simulator() {
        let by_test = |mutant: &&Mutant| matches!(hunt(**mutant), Hunt::Test(..));
        let by_test = Mutant::ALL.iter().filter(by_test).count();
        assert!(Mutant::ALL.len() >= 20 && by_test * 2 <= Mutant::ALL.len());
    }
}
