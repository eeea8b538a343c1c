//! Looks at all nodes again and again, from outside, and compares what must be equal.
//!
//! - REP-1: a term of a group has one leader;
//! - REP-2: where two replicas applied an entry, it is the same entry;
//! - what a replica applied in one life, it does not take back;
//! - an entry that some replica applied is in the logs of a majority (or in blocks there), as long
//!   as all nodes are there to be asked.

use std::collections::BTreeMap;

use cluster::raft::Role;
use model::NodeId;
use storage::log::{GroupId, LogEngine as _, LogIndex};
use twox_hash::XxHash3_64;

use super::world::World;

/// Bytes of entries that are read at a time.
const READ_BYTES: usize = 4 << 20;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Observer {
    /// Who led a term of a group.
    leaders: BTreeMap<(GroupId, u64), NodeId>,
    /// Applied entries, by what they are.
    entries: BTreeMap<(GroupId, LogIndex), u64>,
    /// How far a life of a node was compared.
    compared: BTreeMap<(usize, u64, GroupId), LogIndex>,
}

impl Observer {
    /// Looks once.
    pub fn look(&mut self, world: &World) {
        for handle in world.up() {
            for (group, status) in handle.host.replicas() {
                let term = status.leadership.term;
                if status.leadership.role == Role::Leader {
                    self.leads(world, group, term, handle.node);
                }
                let Some(applied) = status.applied.map(|position| position.index) else {
                    continue;
                };
                let key = (handle.number, handle.lives, group);
                let from = self.compared.get(&key).map_or(LogIndex(0), |last| last.next());
                if from > applied {
                    if from > applied.next() {
                        world.violation(&format!(
                            "node {} took back what it applied of group {group}: {applied}",
                            handle.number
                        ));
                    }
                    continue;
                }
                // What was purged is in blocks, and was compared when it was applied.
                let read = handle.log.read(group, from..applied.next(), READ_BYTES);
                let Ok(records) = read else { continue };
                let last = records.last().map(|(index, _)| *index);
                for (index, record) in records {
                    let hash = XxHash3_64::oneshot(&record);
                    self.applied(world, handle.number, (group, index), hash);
                }
                if let Some(last) = last {
                    self.compared.insert(key, last);
                }
            }
        }
    }

    fn leads(&mut self, world: &World, group: GroupId, term: u64, node: NodeId) {
        let is_new_group = !self.leaders.keys().any(|(other, _)| *other == group);
        match self.leaders.get(&(group, term)) {
            Some(known) if *known != node => {
                world.violation(&format!("REP-1: {known} and {node} led term {term} of {group}"));
            }
            Some(_) => {}
            None => {
                self.leaders.insert((group, term), node);
                world.note(&format!("{node} leads group {group} in term {term}"));
                if !is_new_group {
                    world.count(|counters| counters.leader_changes += 1);
                }
            }
        }
    }

    fn applied(&mut self, world: &World, number: usize, place: (GroupId, LogIndex), hash: u64) {
        let known = *self.entries.entry(place).or_insert(hash);
        world.count(|counters| counters.entries_compared += 1);
        if known != hash {
            let (group, index) = place;
            world.violation(&format!(
                "REP-2: node {number} applied another entry at {index} of group {group}"
            ));
        }
    }

    /// The last index of each group that anybody applied.
    pub fn applied_anywhere(&self) -> BTreeMap<GroupId, LogIndex> {
        let mut last = BTreeMap::new();
        for (group, index) in self.entries.keys() {
            last.insert(*group, *index);
        }
        last
    }
}
