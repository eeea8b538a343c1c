//! What this node saw other replicas make durable.
//!
//! A log that was cut off at its end looks like one that never went further: nothing on that disk
//! says otherwise. Whoever led the replica knows better, for what it acknowledged. So each node
//! remembers, of every replica that answered it, the last entry that it acknowledged and the
//! highest term that it voted in, and tells the replica's node when that starts again (DUR-3).
//!
//! In memory only: a witness that starts again has seen nothing. That is no harm to a cluster in
//! which one disk lies, and no help to one in which all power fails as well.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use storage::log::GroupId;

use super::limits::WITNESSED_MAX;
use super::types::LogPosition;
use crate::identity::ReplicaId;

/// What was seen of a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The last entry that it acknowledged.
    pub last: Option<LogPosition>,
    /// The highest term in which it gave its vote.
    pub voted: u64,
}

impl Seen {
    /// Whether a log that holds this much lacks something of what was seen.
    pub fn is_more_than(&self, own: &Self) -> bool {
        self.last > own.last || self.voted > own.voted
    }
}

/// Remembers what was seen of replicas elsewhere.
#[derive(Debug, Default)]
pub struct Witness {
    seen: Mutex<BTreeMap<(GroupId, ReplicaId), Seen>>,
}

impl Witness {
    /// Notes that a replica acknowledged an entry, and everything before it.
    pub(crate) fn saw_entry(&self, group: GroupId, replica: ReplicaId, last: LogPosition) {
        self.note(group, replica, |seen| seen.last = seen.last.max(Some(last)));
    }

    /// Notes that a replica gave its vote.
    pub(crate) fn saw_vote(&self, group: GroupId, replica: ReplicaId, term: u64) {
        self.note(group, replica, |seen| seen.voted = seen.voted.max(term));
    }

    /// What was seen of a replica.
    pub fn of(&self, group: GroupId, replica: ReplicaId) -> Seen {
        self.seen().get(&(group, replica)).copied().unwrap_or_default()
    }

    fn note(&self, group: GroupId, replica: ReplicaId, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen();
        // A cluster has far fewer; those beyond it are not watched.
        if seen.len() < WITNESSED_MAX || seen.contains_key(&(group, replica)) {
            change(seen.entry((group, replica)).or_default());
        }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<(GroupId, ReplicaId), Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use storage::log::LogIndex;

    use super::*;

    #[test]
    fn a_log_that_lost_its_end_has_less_than_was_seen() {
        let at = |term, index| LogPosition { term, leader: ReplicaId(1), index: LogIndex(index) };
        let witness = Witness::default();
        let (group, replica) = (GroupId(3), ReplicaId(7));
        let holds = |term, index, voted| Seen { last: Some(at(term, index)), voted };
        assert!(!witness.of(group, replica).is_more_than(&Seen::default()));
        witness.saw_entry(group, replica, at(2, 50));
        witness.saw_entry(group, replica, at(2, 49));
        witness.saw_vote(group, replica, 3);
        let seen = witness.of(group, replica);
        assert!(!seen.is_more_than(&holds(2, 50, 3)));
        assert!(seen.is_more_than(&holds(2, 49, 3)), "an entry is gone");
        assert!(seen.is_more_than(&holds(2, 50, 2)), "a vote is gone");
        // What a later leader put in its place is another matter.
        assert!(!seen.is_more_than(&holds(4, 48, 4)));
        assert_eq!(witness.of(group, ReplicaId(8)), Seen::default());
    }
}
