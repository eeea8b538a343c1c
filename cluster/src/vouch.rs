//! A barrier in one round trip: the leader says what it knows to be committed, voters say for whom
//! they voted, and whoever asked puts that together. `ReadIndex` (Ongaro's thesis, section 6.4)
//! with the votes gathered by the reader instead of by the leader: no core of any group is asked,
//! and one call to each node serves all of its shards.
//!
//! Why [`barrier`] covers every write that was acknowledged, and every write that an answer has
//! shown, before the vouches were asked for (QRY-3):
//!
//! 1. *Nobody above this leader was elected before.* Vouches of a majority of the voters under the
//!    leader's membership say, later than the question, that they never voted above its ballot. A
//!    leader above it needs a majority of that membership or of one next to it, and those have a
//!    voter in common. (Memberships change by joint steps, each after the last is committed.) That
//!    voter's ballot is noted before its vote leaves the node.
//! 2. *What leaders below it committed is in its log before its own first entry*, and an entry of
//!    its own is applied, so all of those are.
//! 3. *What it acknowledged itself it had applied before it said so.* It has led since it was
//!    elected: a core that starts again does not lead before it is elected anew.
//! 4. *What somebody has shown this leader had noted as committed before.* A replica shows what its
//!    machine was given; the leader notes that before it gives it to its own, and before it tells
//!    another that it may. What it has applied would not do: followers are often ahead of that, and
//!    a write that nobody acknowledged yet would be seen, and then not be seen.
//!
//! Nothing rests on clocks. If vouches do not suffice (an election, a leader that is gone, a
//! membership in change) there is no barrier, and the leader is asked for one.

use std::collections::BTreeSet;

use storage::log::LogIndex;
use storage::mutant::{self, Mutant};

use crate::identity::ReplicaId;

/// For whom a replica voted last: in which term, and for which replica. Ordered as votes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ballot {
    /// The term.
    pub term: u64,
    /// The candidate or leader.
    pub candidate: ReplicaId,
}

/// What one replica says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouch {
    /// The replica.
    pub replica: ReplicaId,
    /// For whom it voted last; for nobody if it never did.
    pub voted: Option<Ballot>,
    /// What it knows as the leader of its ballot.
    pub led: Option<Led>,
}

/// What a leader knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// The last index of which anybody was told that it is committed. An entry of the leader's own
    /// is applied there, at this index or before it.
    pub committed: LogIndex,
    /// The voters: one set, or two while they change.
    pub voters: Vec<BTreeSet<ReplicaId>>,
}

/// The barrier that vouches of one group amount to, if they do: see the top of this file.
pub fn barrier(vouches: &[Vouch]) -> Option<LogIndex> {
    let led = |vouch: &Vouch| Some((vouch.voted?, vouch.led.clone()?));
    let (ballot, led) = vouches.iter().filter_map(led).max_by_key(|(ballot, _)| *ballot)?;
    if mutant::is(Mutant::BarrierWithoutMajority) {
        return Some(led.committed);
    }
    let faithful: BTreeSet<ReplicaId> = vouches
        .iter()
        .filter(|vouch| vouch.voted <= Some(ballot))
        .map(|vouch| vouch.replica)
        .collect();
    let has_majority =
        |voters: &BTreeSet<ReplicaId>| voters.intersection(&faithful).count() > voters.len() / 2;
    let is_agreed = !led.voters.is_empty() && led.voters.iter().all(has_majority);
    is_agreed.then_some(led.committed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot(term: u64, candidate: u64) -> Ballot {
        Ballot { term, candidate: ReplicaId(candidate) }
    }

    fn follower(replica: u64, voted: Ballot) -> Vouch {
        Vouch { replica: ReplicaId(replica), voted: Some(voted), led: None }
    }

    fn leader(voted: Ballot, committed: u64, voters: &[&[u64]]) -> Vouch {
        let set = |set: &&[u64]| set.iter().copied().map(ReplicaId).collect();
        let voters = voters.iter().map(set).collect();
        let led = Some(Led { committed: LogIndex(committed), voters });
        Vouch { led, ..follower(voted.candidate.0, voted) }
    }

    #[test]
    fn a_majority_that_never_voted_above_the_leader_makes_a_barrier() {
        let leads = leader(ballot(4, 1), 70, &[&[1, 2, 3]]);
        assert_eq!(barrier(std::slice::from_ref(&leads)), None, "one of three");
        let with = |others: &[Vouch]| barrier(&[std::slice::from_ref(&leads), others].concat());
        assert_eq!(with(&[follower(2, ballot(4, 1))]), Some(LogIndex(70)));
        assert_eq!(with(&[follower(2, ballot(3, 2))]), Some(LogIndex(70)), "it may vote later");
        let never = Vouch { voted: None, ..follower(2, ballot(0, 0)) };
        assert_eq!(with(&[never]), Some(LogIndex(70)));
        assert_eq!(with(&[follower(2, ballot(5, 3))]), None, "somebody else may lead");
        assert_eq!(with(&[follower(2, ballot(4, 3))]), None, "in the same term too");
        assert_eq!(
            with(&[follower(2, ballot(5, 2)), follower(3, ballot(4, 1))]),
            Some(LogIndex(70)),
            "a candidate that one voter has voted for leads nobody",
        );
        assert_eq!(with(&[follower(9, ballot(4, 1))]), None, "no voter");
        let twice = [follower(9, ballot(4, 1)), leads.clone()];
        assert_eq!(with(&twice), None, "one voter that is heard twice");
    }

    #[test]
    fn of_two_that_lead_the_later_one_counts() {
        let old = leader(ballot(4, 1), 70, &[&[1, 2, 3]]);
        let new = leader(ballot(5, 2), 60, &[&[1, 2, 3]]);
        assert_eq!(barrier(&[old.clone(), new.clone()]), Some(LogIndex(60)));
        assert_eq!(barrier(&[old, follower(3, ballot(5, 2))]), None);
        assert_eq!(barrier(&[new, follower(3, ballot(4, 1))]), Some(LogIndex(60)));
    }

    #[test]
    fn while_voters_change_both_sets_are_asked() {
        let leads = leader(ballot(4, 1), 70, &[&[1, 2, 3], &[1, 4, 5]]);
        let follows = |replica| follower(replica, ballot(4, 1));
        assert_eq!(barrier(&[leads.clone(), follows(2)]), None);
        assert_eq!(barrier(&[leads.clone(), follows(4), follows(5)]), None);
        assert_eq!(barrier(&[leads, follows(2), follows(4)]), Some(LogIndex(70)));
        assert_eq!(barrier(&[leader(ballot(4, 1), 70, &[])]), None, "no voters are no majority");
        assert_eq!(barrier(&[leader(ballot(4, 1), 7, &[&[1]])]), Some(LogIndex(7)));
        assert_eq!(barrier(&[]), None);
    }
}
