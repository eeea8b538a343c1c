//! The plan, driven: the leader of the meta group gathers facts, asks the planner, has the steps
//! done, and begins again.
//!
//! Nothing is remembered in between but since when something is wrong: alarms, for people, and
//! shards without a leader, for an epoch that waits for them. A leader that does not know yet that
//! it is none does no harm: its commands are not accepted, and steps on groups are conditional.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use model::time::Monotonic;
use model::{NodeId, Timestamp};
use storage::log::GroupId;

use super::alarms;
use super::clocks::{median, reached_by_majority};
use super::facts::{Gathered, facts};
use super::handle::{Shared, std};
use super::limits::{META_DEADLINE, PLAN_PERIOD, REPORT_DEADLINE, WORK_DEADLINE};
use super::messages::{LeaderWork, MetaReply, MetaRequest, Work};
use crate::identity::{META_GROUP, ReplicaId};
use crate::meta::{MetaCommand, MetaState};
use crate::plan::{Alarm, At, Facts, Step, plan};

impl Shared {
    /// Drives the plan for as long as it runs.
    pub(super) async fn drive_plan(self: Arc<Self>) {
        let mut period = tokio::time::interval(std(PLAN_PERIOD));
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut leaderless = BTreeMap::new();
        loop {
            period.tick().await;
            let leads = self.replicas.get(META_GROUP).is_some_and(|hosted| hosted.leads());
            if !leads {
                self.forget_alarms();
                leaderless.clear();
                continue;
            }
            let state = self.meta.state();
            if state.cluster().is_none() {
                self.found().await;
                continue;
            }
            let mut facts = self.gather(&state).await;
            note_leaderless(&mut leaderless, &state, &facts, self.now());
            facts.leaderless.clone_from(&leaderless);
            let plan = plan(&state, &facts, self.now());
            self.note_alarms(&plan.alarms);
            join_all(plan.steps.into_iter().map(|step| self.execute(step))).await;
        }
    }

    fn note_alarms(&self, alarms: &[Alarm]) {
        let mut book = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let news = book.observe(alarms, self.now());
        alarms::tell(&news, &book);
    }

    /// Whoever leads now keeps the book.
    fn forget_alarms(&self) {
        let mut book = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        if book.clear() {
            alarms::count_standing(&book);
        }
    }

    /// Proposes the plan that the cluster was founded with.
    async fn found(&self) {
        let Some(founding) = self.membership.lock().await.founding.clone() else { return };
        let command = MetaCommand::Found { founding, at: self.clock.wall() };
        if let Err(error) = self.propose_meta(&command, META_DEADLINE).await {
            tracing::warn!(%error, "the cluster is not founded yet");
        }
    }

    /// Asks every member how it is.
    pub(super) async fn gather(&self, state: &MetaState) -> Facts {
        let asked = state.present().map(|(node, _)| async move {
            if node == self.node {
                return (node, Some(self.report()));
            }
            let asked = self.ask_meta(node, &MetaRequest::Report, REPORT_DEADLINE).await;
            self.note_reach(node, asked.is_ok());
            match asked {
                Ok(MetaReply::Report(report)) => (node, Some(*report)),
                _ => (node, None),
            }
        });
        let mut reports: BTreeMap<NodeId, _> = join_all(asked).await.into_iter().collect();
        // Who was removed from a group says nothing of it: alone, it may take itself for a leader
        // of one that has its number now.
        for report in reports.values_mut().flatten() {
            let groups = &mut report.groups;
            groups.retain(|it| !state.is_buried(GroupId(it.group), ReplicaId(it.leader)));
        }
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gathered = Gathered { meta_leader: self.node, reports, unreachable };
        let gossip = self.gossip.get().map(|members| Arc::clone(&members.borrow()));
        facts(&gathered, gossip.as_deref(), self.now())
    }

    /// Has a step done. What fails is planned again if it is still wanted.
    async fn execute(self: &Arc<Self>, step: Step) {
        tracing::debug!(?step, "a step of the plan");
        let outcome = match &step {
            Step::Propose(command) => {
                if let MetaCommand::AbandonEpoch { epoch } = command {
                    tracing::warn!(%epoch, "adding shards is given up: a shard has no leader");
                }
                self.propose(command).await
            }
            Step::CreateGroup { group, members, on } => {
                let members: Vec<_> = members.iter().map(|(r, node)| (r.0, node.0)).collect();
                let created = on.iter().map(|node| {
                    let own = members.iter().find(|(_, other)| *other == node.0);
                    let replica = own.map_or(0, |(replica, _)| *replica);
                    let members = members.clone();
                    self.order(*node, Work::Create { group: group.0, replica, members })
                });
                join_all(created).await.into_iter().collect()
            }
            Step::AddLearner { at, replica, node } => {
                let (group, replica) = (at.group.0, replica.0);
                let create = Work::Create { group, replica, members: Vec::new() };
                match self.order(*node, create).await {
                    Ok(()) => self.lead(at, LeaderWork::AddLearner { replica, node: node.0 }).await,
                    Err(error) => Err(error),
                }
            }
            Step::ChangeVoters { at, voters } => {
                let voters = voters.iter().map(|replica| replica.0).collect();
                self.lead(at, LeaderWork::SetVoters(voters)).await
            }
            Step::RemoveLearner { at, replica } => {
                self.lead(at, LeaderWork::RemoveLearner(replica.0)).await
            }
            Step::TransferLeader { at, to, .. } => self.lead(at, LeaderWork::Transfer(to.0)).await,
            Step::ConfirmGone { at, replica } => {
                match self.lead(at, LeaderWork::ConfirmGone(replica.0)).await {
                    Ok(()) => self.propose(&MetaCommand::ConfirmGone { replica: *replica }).await,
                    Err(error) => Err(error),
                }
            }
            Step::DeleteReplica { group, replica, node } => {
                let work = Work::Delete { group: group.0, replica: replica.0 };
                self.order(*node, work).await
            }
            Step::StartFence { epoch } => {
                let at = self.members_median();
                self.propose(&MetaCommand::StartFence { epoch: *epoch, at }).await
            }
            Step::ActivateEpoch { epoch } => {
                let at = self.members_median();
                self.propose(&MetaCommand::ActivateEpoch { epoch: *epoch, at }).await
            }
            Step::Fence { at, epoch } => self.lead(at, LeaderWork::Fence(epoch.0)).await,
        };
        if let Err(reason) = outcome {
            tracing::info!(?step, reason, "a step of the plan was not done");
        }
    }

    /// What the median of the members' clocks shows, as far as they are known.
    fn members_median(&self) -> Timestamp {
        median(&self.members_walls()).unwrap_or_else(|| self.clock.wall())
    }

    /// The time that every clock of some majority of the members has reached, if so many are known.
    pub(super) fn members_time(&self) -> Option<Timestamp> {
        reached_by_majority(&self.members_walls(), self.state().present().count())
    }

    fn members_walls(&self) -> Vec<Timestamp> {
        let state = self.state();
        let members = state.present().map(|(node, _)| node);
        self.peer_clocks.walls(members, (self.node, self.clock.wall()), self.now())
    }

    async fn propose(&self, command: &MetaCommand) -> Result<(), String> {
        let proposed = self.propose_meta(command, META_DEADLINE).await;
        proposed.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn lead(self: &Arc<Self>, at: &At, work: LeaderWork) -> Result<(), String> {
        let expected = (at.expected.term, at.expected.index);
        self.order(at.node, Work::Lead { group: at.group.0, expected, work }).await
    }

    /// Has a node do something.
    async fn order(self: &Arc<Self>, node: NodeId, work: Work) -> Result<(), String> {
        let reply = if node == self.node {
            self.work(work).await
        } else {
            let request = MetaRequest::Work(work);
            let asked = self.ask_meta(node, &request, WORK_DEADLINE).await;
            asked.map_err(|error| error.to_string())?
        };
        match reply {
            MetaReply::Done => Ok(()),
            MetaReply::Refused(reason) | MetaReply::Failed(reason) => Err(reason),
            MetaReply::NotLeader { .. } => Err("the node does not lead the group".into()),
            _ => Err("the answer is not one to this question".into()),
        }
    }
}

/// Keeps since when shards are without a leader, as far as is known.
fn note_leaderless(
    leaderless: &mut BTreeMap<GroupId, Monotonic>,
    state: &MetaState,
    facts: &Facts,
    now: Monotonic,
) {
    let is_led = |id: &GroupId| facts.groups.get(id).is_some_and(|facts| facts.leader.is_some());
    leaderless.retain(|id, _| state.groups().contains_key(id) && !is_led(id));
    for id in state.groups().keys().filter(|id| !is_led(id)) {
        leaderless.entry(*id).or_insert(now);
    }
}
