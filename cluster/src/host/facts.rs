//! From what nodes report to what the planner looks at. Pure.

use std::collections::{BTreeMap, BTreeSet};

use model::time::Monotonic;
use model::{Duration, NodeId};
use storage::log::GroupId;

use super::limits::DISK_LOW_BYTES;
use super::messages::{GroupReport, ProgressReport, Report};
use crate::gossip::{MemberState, Members};
use crate::identity::ReplicaId;
use crate::meta::EpochId;
use crate::plan::{
    Configuration, ConfigurationId, DiskMark, Facts, Gossip, GroupFacts, Held, NodeFacts, Progress,
};

/// What the meta group's leader has gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) meta_leader: NodeId,
    /// Members, with their reports if they answered.
    pub(crate) reports: BTreeMap<NodeId, Option<Report>>,
    /// Members that the meta group's leader cannot reach, and since when.
    pub(crate) unreachable: BTreeMap<NodeId, Monotonic>,
}

/// The facts. Without gossip, whom the leader cannot reach counts as down.
pub(crate) fn facts(gathered: &Gathered, gossip: Option<&Members>, now: Monotonic) -> Facts {
    let reports = || gathered.reports.iter().filter_map(|(n, report)| Some((*n, report.as_ref()?)));
    let mut unreachable: BTreeMap<NodeId, BTreeMap<NodeId, Monotonic>> = BTreeMap::new();
    for (node, since) in &gathered.unreachable {
        unreachable.entry(*node).or_default().insert(gathered.meta_leader, *since);
    }
    for (observer, report) in reports().filter(|(node, _)| *node != gathered.meta_leader) {
        for (node, nanos) in &report.unreachable {
            let since = Monotonic(now.0.saturating_sub(*nanos));
            unreachable.entry(NodeId(*node)).or_default().insert(observer, since);
        }
    }
    let nodes = gathered.reports.iter().map(|(node, report)| {
        let unreachable_from = unreachable.remove(node).unwrap_or_default();
        let seen = unreachable_from.get(&gathered.meta_leader).copied();
        let facts = NodeFacts {
            gossip: opinion(gossip, *node, seen),
            unreachable_from,
            disk: disk(report.as_ref()),
            is_draining: report.as_ref().is_some_and(|report| report.is_draining),
            held: report.as_ref().map(held),
        };
        (*node, facts)
    });
    let nodes = nodes.collect();
    let mut groups: BTreeMap<GroupId, (u64, GroupFacts)> = BTreeMap::new();
    for group in reports().flat_map(|(_, report)| &report.groups) {
        let known = groups.entry(GroupId(group.group)).or_default();
        // Of two that say they lead, the one of the later term does.
        if known.0 < group.term || known.1.leader.is_none() {
            *known = (group.term, group_facts(group));
        }
    }
    Facts {
        meta_leader: gathered.meta_leader,
        nodes,
        groups: groups.into_iter().map(|(id, (_, facts))| (id, facts)).collect(),
        leaderless: BTreeMap::new(),
        transfers_under_way: 0,
    }
}

fn opinion(gossip: Option<&Members>, node: NodeId, seen: Option<Monotonic>) -> Gossip {
    let from_reach = seen.map_or(Gossip::Up, |since| Gossip::Down { since });
    let Some(member) = gossip.and_then(|members| members.get(node)) else { return from_reach };
    match member.state {
        MemberState::Up | MemberState::Suspect => Gossip::Up,
        MemberState::Down => Gossip::Down { since: member.since },
    }
}

fn disk(report: Option<&Report>) -> DiskMark {
    match report.map_or(u64::MAX, |report| report.disk_free_bytes) {
        free if free < DISK_LOW_BYTES / 4 => DiskMark::VeryLow,
        free if free < DISK_LOW_BYTES => DiskMark::Low,
        _ => DiskMark::Ample,
    }
}

fn held(report: &Report) -> BTreeMap<GroupId, Held> {
    let held = |(group, replica, is_damaged): &(u64, u64, bool)| {
        (GroupId(*group), Held { replica: ReplicaId(*replica), is_damaged: *is_damaged })
    };
    report.held.iter().map(held).collect()
}

fn group_facts(report: &GroupReport) -> GroupFacts {
    let set = |ids: &[u64]| ids.iter().copied().map(ReplicaId).collect::<BTreeSet<_>>();
    let (term, index) = report.configuration;
    let progress = |progress: &ProgressReport| {
        let ProgressReport { replica, lag_bytes, lag_nanos, silent_nanos, has_last } = *progress;
        let (lag, silent_for) = (Duration(lag_nanos), Duration(silent_nanos));
        (ReplicaId(replica), Progress { lag_bytes, lag, silent_for, has_last })
    };
    GroupFacts {
        leader: Some(ReplicaId(report.leader)),
        configuration: Configuration {
            id: ConfigurationId { term, index },
            is_committed: report.is_committed,
            voters: set(&report.voters),
            outgoing: set(&report.outgoing),
            learners: set(&report.learners),
        },
        progress: report.progress.iter().map(progress).collect(),
        fenced: EpochId(report.fenced).max(EpochId::FIRST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: NodeId = NodeId([1; 16]);
    const OTHER: NodeId = NodeId([2; 16]);
    const GONE: NodeId = NodeId([3; 16]);

    #[test]
    fn who_sees_whom_is_told_on_the_leaders_clock() {
        let other = Report { unreachable: vec![(GONE.0, 40)], ..Report::default() };
        let gathered = Gathered {
            meta_leader: LEADER,
            reports: BTreeMap::from([
                (LEADER, Some(Report::default())),
                (OTHER, Some(other)),
                (GONE, None),
            ]),
            unreachable: BTreeMap::from([(GONE, Monotonic(70))]),
        };
        let facts = facts(&gathered, None, Monotonic(100));
        let gone = &facts.nodes[&GONE];
        assert_eq!(gone.gossip, Gossip::Down { since: Monotonic(70) });
        let seen = BTreeMap::from([(LEADER, Monotonic(70)), (OTHER, Monotonic(60))]);
        assert_eq!((&gone.unreachable_from, &gone.held), (&seen, &None));
        assert_eq!(facts.nodes[&OTHER].gossip, Gossip::Up);
    }

    #[test]
    fn of_two_leaders_the_later_counts() {
        let leads = |term, leader| {
            let group = GroupReport { group: 4, term, leader, ..GroupReport::default() };
            Some(Report { groups: vec![group], ..Report::default() })
        };
        let gathered = Gathered {
            meta_leader: LEADER,
            reports: BTreeMap::from([(LEADER, leads(7, 10)), (OTHER, leads(6, 11))]),
            ..Gathered::default()
        };
        let facts = facts(&gathered, None, Monotonic(0));
        assert_eq!(facts.groups[&GroupId(4)].leader, Some(ReplicaId(10)));
    }
}
