//! Looks at all nodes again and again, from outside, and compares what must be equal.
//!
//! - REP-1: a term of a group has one leader;
//! - REP-2: where two replicas applied an entry, it is the same entry;
//! - what a replica applied in one life, it does not take back;
//! - DUR-1: what some replica applied, no more nodes lack than a minority has.

use std::collections::{BTreeMap, BTreeSet};

use cluster::raft::{LogPosition, Role};
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
    /// Configurations of groups, by the entries that say so.
    configurations: BTreeSet<(GroupId, LogPosition)>,
    /// Applied entries, by what they are.
    entries: BTreeMap<(GroupId, LogIndex), u64>,
    /// The last index of each group that anybody applied.
    last_applied: BTreeMap<GroupId, LogIndex>,
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
                if let Some(id) = status.configuration.id {
                    self.is_configured(world, group, id);
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
        self.count_holders(world);
    }

    /// Every applied entry was once synced by a majority of the voters; whoever of these runs has
    /// it. Groups whose members change are left out: who counts is then another question.
    fn count_holders(&mut self, world: &World) {
        let up = world.up();
        let nodes = world.shape().nodes;
        let minority = (nodes - 1) / 2;
        for (group, index) in self.applied_anywhere() {
            let mut lacking = Vec::new();
            let mut is_usual = true;
            for handle in &up {
                let replicas = handle.host.replicas();
                let status = replicas.iter().find(|(other, _)| *other == group).map(|it| &it.1);
                let voters = status.map(|status| &status.configuration.voters);
                is_usual &= voters.is_some_and(|sets| {
                    sets.len() == 1 && sets.iter().all(|set| set.len() == nodes)
                });
                let bounds = handle.log.bounds(group);
                if bounds.last.max(bounds.purged) < Some(index) {
                    lacking.push(handle.number);
                }
            }
            if is_usual && lacking.len() > minority {
                world.violation(&format!(
                    "DUR-1: nodes {lacking:?} lack entry {index} of group {group}, applied by some"
                ));
            }
        }
    }

    fn is_configured(&mut self, world: &World, group: GroupId, id: LogPosition) {
        let is_first = !self.configurations.iter().any(|(other, _)| *other == group);
        if self.configurations.insert((group, id)) && !is_first {
            world.note(&format!("group {group} has another configuration: {id}"));
            world.count(|counters| counters.membership_changes += 1);
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
        let last = self.last_applied.entry(place.0).or_insert(place.1);
        *last = place.1.max(*last);
        world.count(|counters| counters.entries_compared += 1);
        if known != hash {
            let (group, index) = place;
            world.violation(&format!(
                "REP-2: node {number} applied another entry at {index} of group {group}"
            ));
        }
    }

    /// The last index of each group that anybody applied.
    fn applied_anywhere(&self) -> BTreeMap<GroupId, LogIndex> {
        self.last_applied.clone()
    }
}
