//! Looks at all nodes again and again, from outside, and compares what must be equal.
//!
//! - REP-1: a term of a group has one leader, in one of its lives: a node that was started again is
//!   elected anew;
//! - REP-2: where two replicas applied an entry, it is the same entry;
//! - what a replica applied in one life, it does not take back;
//! - DUR-1: what some replica applied, no more voters lack than a minority has;
//! - DUR-3: what a replica acknowledged to its leader it has, and the term it did so in it knows.

use std::collections::{BTreeMap, BTreeSet};

use cluster::identity::ReplicaId;
use cluster::raft::{LogPosition, ReplicaStatus, Role};
use model::NodeId;
use storage::log::{GroupId, LogEngine as _, LogIndex};
use twox_hash::XxHash3_64;

use super::world::{Handle, World};

/// Bytes of entries that are read at a time.
const READ_BYTES: usize = 4 << 20;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Observer {
    /// Who led a term of a group.
    leaders: BTreeMap<(GroupId, u64), BTreeMap<ReplicaId, Reign>>,
    /// How often everything was looked at.
    looks: u64,
    /// Configurations of groups, by the entries that say so.
    configurations: BTreeSet<(GroupId, LogPosition)>,
    /// Applied entries, by what they are.
    entries: BTreeMap<(GroupId, LogIndex), u64>,
    /// The last index of each group that anybody applied.
    last_applied: BTreeMap<GroupId, LogIndex>,
    /// How far a replica was compared in a life of its node. One that is made anew has another id.
    compared: BTreeMap<(usize, u64, GroupId, Option<ReplicaId>), LogIndex>,
    /// How far a replica had come, in which life of its node.
    reached: BTreeMap<ReplicaId, (u64, LogIndex)>,
    /// What replicas acknowledged to a leader.
    acknowledged: BTreeMap<ReplicaId, Acknowledged>,
    /// Up to which loss of its disk a node has made up for what it lost of a group.
    made_up: BTreeMap<(usize, GroupId), u64>,
}

/// When a replica was first seen to lead a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reign {
    /// In which life of its node.
    lives: u64,
    look: u64,
}

/// What a replica acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Acknowledged {
    term: u64,
    index: LogIndex,
}

/// A node and its replicas at a moment.
type Seen = (Handle, Vec<(GroupId, ReplicaStatus)>);

/// The replica of a group on a node, if the node knows of one.
fn replica_on(status: &ReplicaStatus, node: NodeId) -> Option<ReplicaId> {
    let mut members = status.configuration.members.iter();
    // Of two on one node the later one is meant: the other is leaving.
    members.rfind(|(_, other)| **other == node).map(|(replica, _)| *replica)
}

/// Whether all replicas of a group go by the same members, and that is committed.
fn is_settled(seen: &[Seen], group: GroupId) -> bool {
    let all = || seen.iter().flat_map(|(_, replicas)| replicas).filter(|it| it.0 == group);
    let first = all().next().map(|(_, status)| &status.configuration);
    first.is_some_and(|first| first.is_committed)
        && all().all(|(_, status)| Some(&status.configuration) == first)
}

impl Observer {
    /// Looks once.
    pub fn look(&mut self, world: &World) {
        self.looks += 1;
        let up = world.up().into_iter();
        let seen: Vec<Seen> = up
            .map(|handle| {
                let replicas = handle.host.replicas();
                (handle, replicas)
            })
            .collect();
        for (handle, replicas) in &seen {
            for (group, status) in replicas {
                let term = status.leadership.term;
                if status.leadership.role == Role::Leader {
                    self.leads(world, *group, term, handle);
                }
                if let Some(id) = status.configuration.id {
                    self.is_configured(world, *group, id);
                }
                self.has_jumped(world, handle, *group, status);
                self.compare(world, handle, *group, status);
            }
        }
        self.count_holders(world, &seen);
        self.keep_their_word(world, &seen);
    }

    /// Holds what was applied since the last look against what others applied.
    fn compare(&mut self, world: &World, handle: &Handle, group: GroupId, status: &ReplicaStatus) {
        let Some(applied) = status.applied.map(|position| position.index) else { return };
        let replica = handle.host.replica_ids().get(&group).copied();
        let key = (handle.number, handle.lives, group, replica);
        let from = self.compared.get(&key).map_or(LogIndex(0), |last| last.next());
        if from > applied {
            if from > applied.next() {
                world.violation(&format!(
                    "node {} took back what it applied of group {group}: {applied}",
                    handle.number
                ));
            }
            return;
        }
        // What was purged is in blocks, and was compared when it was applied.
        let read = handle.log.read(group, from..applied.next(), READ_BYTES);
        let Ok(records) = read else { return };
        let last = records.last().map(|(index, _)| *index);
        for (index, record) in records {
            let hash = XxHash3_64::oneshot(&record);
            self.applied(world, handle.number, (group, index), hash);
        }
        if let Some(last) = last {
            self.compared.insert(key, last);
        }
    }

    /// A replica whose log begins behind what it had come to has received a snapshot.
    fn has_jumped(
        &mut self,
        world: &World,
        handle: &Handle,
        group: GroupId,
        status: &ReplicaStatus,
    ) {
        let Some(replica) = replica_on(status, handle.node) else { return };
        let bounds = handle.log.bounds(group);
        let reached = bounds.last.max(bounds.purged).unwrap_or(LogIndex(0));
        let before = self.reached.insert(replica, (handle.lives, reached));
        let before = before.unwrap_or((handle.lives, LogIndex(0)));
        if before.0 == handle.lives && bounds.purged > Some(before.1) {
            world.note(&format!("node {} received a snapshot of group {group}", handle.number));
            world.count(|counters| counters.snapshots += 1);
        }
    }

    /// Every applied entry was once synced by a majority of the voters; whoever of these runs has
    /// it. Groups whose members change are left out: who counts is then another question.
    fn count_holders(&mut self, world: &World, seen: &[Seen]) {
        for (group, index) in self.last_applied.clone() {
            let status_on = |replicas: &[(GroupId, ReplicaStatus)]| {
                replicas.iter().find(|(other, _)| *other == group).map(|it| it.1.clone())
            };
            let statuses: Vec<(&Handle, ReplicaStatus)> = seen
                .iter()
                .filter_map(|(handle, replicas)| Some((handle, status_on(replicas)?)))
                .collect();
            let Some((_, first)) = statuses.first() else { continue };
            let configuration = first.configuration.clone();
            let is_settled = configuration.is_committed
                && statuses.iter().all(|(_, status)| status.configuration == configuration);
            let [voters] = configuration.voters.as_slice() else { continue };
            if !is_settled {
                continue;
            }
            let mut lacking = Vec::new();
            for (handle, _) in &statuses {
                let place = (handle.number, group);
                let bounds = handle.log.bounds(group);
                let votes = configuration
                    .members
                    .iter()
                    .any(|(replica, node)| *node == handle.node && voters.contains(replica));
                if bounds.last.max(bounds.purged) >= Some(index) {
                    self.made_up.insert(place, handle.forgiven);
                } else if votes && !self.is_excused(handle, group) {
                    lacking.push(handle.number);
                }
            }
            if lacking.len() > voters.len().saturating_sub(1) / 2 {
                world.violation(&format!(
                    "DUR-1: nodes {lacking:?} lack entry {index} of group {group}, applied by some"
                ));
            }
        }
    }

    /// Whether the node's disk lost something that the node has not been given again.
    fn is_excused(&self, handle: &Handle, group: GroupId) -> bool {
        let made_up = self.made_up.get(&(handle.number, group)).copied().unwrap_or_default();
        made_up < handle.forgiven
    }

    /// Remembers what replicas acknowledged to their leaders, and looks whether they have it.
    fn keep_their_word(&mut self, world: &World, seen: &[Seen]) {
        for (_, replicas) in seen {
            for (_, status) in replicas {
                let term = status.leadership.term;
                if status.leadership.role != Role::Leader {
                    continue;
                }
                for (replica, follower) in &status.followers {
                    let Some(index) = follower.matching else { continue };
                    let now = Acknowledged { term, index };
                    let known = self.acknowledged.entry(*replica).or_insert(now);
                    *known = now.max(*known);
                }
            }
        }
        for (handle, replicas) in seen {
            for (group, status) in replicas {
                // A replica that was made anew knows who was there before it, until it catches up.
                if !is_settled(seen, *group) {
                    continue;
                }
                let Some(replica) = replica_on(status, handle.node) else { continue };
                let Some(known) = self.acknowledged.get(&replica).copied() else { continue };
                if self.is_excused(handle, *group) {
                    // Others do not know of the loss: what they go by now is what counts.
                    self.acknowledged.remove(&replica);
                    continue;
                }
                let bounds = handle.log.bounds(*group);
                let has = bounds.last.max(bounds.purged);
                let term = status.leadership.term;
                // A later leader may have had what it lacked itself taken away.
                let has_lost = term == known.term && has < Some(known.index);
                let has_forgotten = term > 0 && term < known.term;
                if status.leadership.role != Role::Down && (has_lost || has_forgotten) {
                    world.violation(&format!(
                        "DUR-3: replica {replica} of group {group} acknowledged {} in term {}, \
                         and has {has:?} in term {term}",
                        known.index, known.term
                    ));
                }
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

    /// A node leads. openraft lets a candidate with a greater id take over within a term, so that
    /// two of one term do not block each other; a smaller one is never elected after it.
    fn leads(&mut self, world: &World, group: GroupId, term: u64, handle: &Handle) {
        let Some(replica) = handle.host.replica_ids().get(&group).copied() else { return };
        let is_new_group = !self.leaders.keys().any(|(other, _)| *other == group);
        let (node, reign) = (handle.node, Reign { lives: handle.lives, look: self.looks });
        let reigns = self.leaders.entry((group, term)).or_default();
        if let Some(known) = reigns.get(&replica) {
            if known.lives != reign.lives {
                let what =
                    format!("REP-1: {node} leads term {term} of {group} without an election");
                world.violation(&what);
            }
            return;
        }
        let greatest = reigns.iter().next_back().filter(|(other, _)| **other > replica);
        if let Some((other, _)) = greatest.filter(|(_, known)| known.look < reign.look) {
            let what = format!("REP-1: {replica} leads term {term} of {group} after {other}");
            world.violation(&what);
        }
        reigns.insert(replica, reign);
        world.note(&format!("{node} leads group {group} in term {term}"));
        if !is_new_group {
            world.count(|counters| counters.leader_changes += 1);
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
}
