//! Which deliberate defects of the product the simulator finds, and how soon.
//!
//! A checker that never failed proves nothing. Each defect of [`Mutant`] is given to the product in
//! turn; seeds are run, in the conditions in which the defect can do harm, until one of them fails.

use storage::mutant::Mutant;

use super::faults::Weather;
use super::node::Shape;
use super::run::Options;

/// Seeds that a defect may survive at most.
pub const SEEDS_MAX: u64 = 60;

/// Whether, and in which conditions, a defect can do harm.
pub fn conditions(mutant: Mutant) -> Option<Options> {
    let usual = Options { millis: 40_000, ..Options::default() };
    let weather =
        |network, crashes, other| Weather { network, crashes, other, lost_disk_one_in: 0 };
    match mutant {
        // Nobody purges the logs of shards yet. What is applied twice is the same span, and sets
        // hide it. A leader that leads on without an election does no harm that is known, as long
        // as its state is what it was.
        Mutant::PurgePastSealCut | Mutant::BatchIdIgnored | Mutant::LeaderRestored => None,
        // A shard is out of reach only where it has one replica.
        Mutant::PartialNotSaid => {
            let shape = Shape { nodes: 3, replication_factor: 1, shards: 3 };
            Some(Options { shape, weather: weather(1, 2, 0), readers: 6, ..usual })
        }
        Mutant::BarrierSkipped | Mutant::BarrierWithoutMajority | Mutant::StaleNotSaid => {
            Some(Options { weather: weather(1, 0, 0), readers: 8, writers: 6, ..usual })
        }
        Mutant::AckBeforeSync
        | Mutant::VoteNotSynced
        | Mutant::BlockNotSynced
        | Mutant::DirectoryNotSynced
        | Mutant::SealBeforeLog
        | Mutant::SealCutTooHigh => Some(Options { weather: weather(1, 3, 0), ..usual }),
        Mutant::ConflictKeepsTail | Mutant::AckBeforeCommit => {
            Some(Options { weather: weather(3, 2, 0), writers: 6, ..usual })
        }
        Mutant::MergeDropsInput => Some(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_defects_can_be_looked_for() {
        let reachable = Mutant::ALL.iter().filter(|mutant| conditions(**mutant).is_some());
        assert!(reachable.count() >= 10);
    }
}
