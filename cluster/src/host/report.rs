//! What a node says of itself: to the planner, and to whoever asks for the state of the cluster.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use bytes::Bytes;
use model::Duration;
use storage::log::{GroupId, LogIndex};

use super::handle::Shared;
use super::messages::{GroupReport, ProgressReport, Report};
use super::replicas::Hosted;
use crate::identity::ReplicaId;
use crate::raft::{ReplicaStatus, Role};
use crate::transport::{CallError, Reply};
use crate::wire::{ReplicaFacts, ReplicaRole, StatusReply, StatusRequest};

impl Shared {
    /// What this node knows of itself, and of what it leads.
    pub(super) fn report(&self) -> Report {
        let (env, directory) = &self.disk;
        let now = self.now();
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut report = Report {
            version: self.version.clone(),
            is_draining: self.is_draining(),
            disk_used_bytes: self.data_bytes(),
            disk_free_bytes: env.free_bytes(directory).unwrap_or(u64::MAX),
            unreachable: unreachable.iter().map(|(n, since)| (n.0, now.since(*since).0)).collect(),
            ..Report::default()
        };
        // Those that have not started yet are here too: a node that starts slowly has lost nothing.
        let is_damaged = |group| {
            let shard = self.replicas.get(group).and_then(|hosted| hosted.shard.clone());
            shard.is_some_and(|shard| shard.has_damage())
        };
        let listed = self.replicas.listed().into_iter();
        let held = listed.map(|(group, replica)| (group.0, replica.0, is_damaged(group)));
        report.held = held.collect();
        // One that was given up is damaged for good: a group that waits for it would never form.
        let (state, burned) = (self.state(), self.replicas.burned());
        report.held.extend(state.replicas_on(self.node).filter_map(|(group, replica)| {
            burned.contains(&replica.id).then_some((group.0, replica.id.0, true))
        }));
        for (group, hosted) in self.replicas.all() {
            if hosted.leads() {
                report.groups.extend(group_report(group, &hosted));
            }
        }
        report
    }

    /// What the log and the blocks of this node take.
    fn data_bytes(&self) -> u64 {
        let all = self.replicas.all().into_iter();
        let shards = all.filter_map(|(_, hosted)| hosted.shard.clone());
        let blocks: u64 = shards.map(|shard| shard.block_bytes()).sum();
        self.log.stats().segment_bytes.saturating_add(blocks)
    }

    /// Answers who asks for the facts about this node's replicas.
    pub(super) fn answer_status(&self, request: Bytes) -> Reply {
        let refused =
            |error: crate::wire::WireError| CallError::Refused { reason: error.to_string() };
        // Digests need marks in the log, which nobody writes yet.
        StatusRequest::decode(request).map_err(refused)?;
        StatusReply { replicas: self.replica_facts() }.encode().map_err(refused)
    }

    /// The facts about this node's replicas of shards.
    pub(super) fn replica_facts(&self) -> Vec<ReplicaFacts> {
        let facts = |(_, hosted): (GroupId, std::sync::Arc<Hosted>)| {
            let shard = hosted.shard.as_ref()?;
            let (stats, status) = (shard.stats(), hosted.replica.status());
            let or_none = |index: Option<LogIndex>| index.unwrap_or(LogIndex(0));
            Some(ReplicaFacts {
                shard: shard.id(),
                replica: hosted.replica.id(),
                role: match status.leadership.role {
                    Role::Leader => ReplicaRole::Leader,
                    Role::Follower => ReplicaRole::Follower,
                    Role::Candidate => ReplicaRole::Candidate,
                    Role::Learner | Role::Down => ReplicaRole::Learner,
                },
                term: status.leadership.term,
                applied: or_none(stats.applied),
                last: or_none(status.last),
                seal_cut: or_none(stats.seal_cut),
                spans: stats.spans,
                bytes: stats.bytes,
                digest: None,
            })
        };
        self.replicas.all().into_iter().filter_map(facts).collect()
    }
}

/// What a leader knows of its group; none if it has no configuration.
fn group_report(group: GroupId, hosted: &Hosted) -> Option<GroupReport> {
    let status: ReplicaStatus = hosted.replica.status();
    if status.leadership.role != Role::Leader {
        return None;
    }
    let configuration = &status.configuration;
    let id = configuration.id?;
    let sets = &configuration.voters;
    let numbers = |set: &std::collections::BTreeSet<ReplicaId>| set.iter().map(|r| r.0).collect();
    let votes = |replica: &ReplicaId| sets.iter().any(|set| set.contains(replica));
    let learners: BTreeMap<_, _> =
        configuration.members.iter().filter(|(replica, _)| !votes(replica)).collect();
    let progress = status.followers.iter().map(|(replica, follower)| {
        let lag = follower.lag;
        ProgressReport {
            replica: replica.0,
            lag_bytes: lag.map_or(u64::MAX, |lag| lag.bytes),
            lag_nanos: lag.map_or(u64::MAX, |lag| lag.age.0),
            silent_nanos: follower.silent_for.unwrap_or(Duration(u64::MAX)).0,
            has_last: follower.matching == status.last,
        }
    });
    Some(GroupReport {
        group: group.0,
        term: status.leadership.term,
        leader: hosted.replica.id().0,
        configuration: (id.term, id.index.0),
        is_committed: configuration.is_committed,
        // The incoming half of a joint configuration is the last one.
        voters: sets.last().map(numbers).unwrap_or_default(),
        outgoing: if sets.len() > 1 { sets.first().map(numbers) } else { None }.unwrap_or_default(),
        learners: learners.keys().map(|replica| replica.0).collect(),
        progress: progress.collect(),
        fenced: hosted.shard.as_ref().map_or(0, |shard| shard.fenced()),
    })
}
