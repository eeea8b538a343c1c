//! What a node has to tell people: where its pages are, what happened and, from the meta group's
//! leader, alarms.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use model::admin::{AlarmStatus, NodeFigures, ProcessStatus};
use model::{Duration, NodeId, ShardId};

use super::events::Look;
use super::handle::Shared;
use super::limits::{ALARMS_TOLD_MAX, REPORT_DEADLINE};
use super::messages::{AlarmList, AlarmMessage, EventMessage, MetaReply, MetaRequest, Notice};
use crate::identity::{META_GROUP, shard_of_group};
use crate::raft::Role;
use crate::upkeep::frozen_alarm;

/// The kind of the alarm that nobody watches over the cluster.
const NO_META_LEADER: &str = "no-meta-leader";

impl Shared {
    /// What this node has to tell.
    pub(super) fn notice(&self) -> Notice {
        let hosted = self.replicas.get(META_GROUP);
        let leadership = hosted.map(|hosted| *hosted.replica.leadership().borrow());
        let leads = leadership.filter(|leadership| leadership.role == Role::Leader);
        let alarms = leads.map(|leadership| {
            let now = self.now();
            let standing = self.alarms.lock().unwrap_or_else(PoisonError::into_inner).standing();
            let message = |standing: super::alarms::Standing| {
                let subject = standing.alarm.subject();
                AlarmMessage {
                    kind: subject.kind().to_owned(),
                    text: standing.alarm.to_string(),
                    shard: subject.group().and_then(shard_of_group).map(|shard| shard.0),
                    stands_nanos: now.since(standing.since).0,
                }
            };
            let frozen = self.frozen.left().map(|left| {
                let AlarmStatus { kind, text, .. } = frozen_alarm(left);
                AlarmMessage { kind, text, shard: None, stands_nanos: 0 }
            });
            let standing = standing.into_iter().map(message);
            let alarms = frozen.into_iter().chain(standing).take(ALARMS_TOLD_MAX).collect();
            AlarmList { term: leadership.term, alarms }
        });
        Notice { ui: self.ui.clone(), alarms }
    }

    /// Notes what has happened since the last time.
    pub(super) fn note_events(&self) {
        let look = self.look();
        let at = self.clock.wall();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.observe(self.node, look, at);
    }

    /// What this node knows of the cluster now.
    fn look(&self) -> Look {
        let state = self.state();
        let hosted = self.replicas.all();
        let mut look = Look {
            names: state.present().map(|(node, told)| (node, told.record.name.clone())).collect(),
            epoch: state.active_epoch().map(|epoch| epoch.id),
            sampling: state.sampling().revision,
            ..Look::default()
        };
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        look.silent = unreachable.keys().copied().collect();
        drop(unreachable);
        for (group, hosted) in &hosted {
            let leadership = *hosted.replica.leadership().borrow();
            if let Some(leader) = leadership.leader {
                look.leaders.insert(*group, (leadership.term, leader.node));
            }
            let status = hosted.replica.status();
            let is_whole = status.committed.is_some() && status.applied >= status.committed;
            look.whole.extend(shard_of_group(*group).filter(|_| is_whole));
            if *group == META_GROUP && leadership.role == Role::Leader {
                let alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner).standing();
                let alarms = alarms.into_iter().map(|standing| standing.alarm);
                look.alarms =
                    Some(alarms.map(|alarm| (alarm.subject(), alarm.to_string())).collect());
            }
        }
        for (group, intent) in state.groups().iter().filter(|(_, intent)| intent.is_formed) {
            let nodes = intent.replicas.iter().map(|replica| replica.node).collect();
            look.places.extend(shard_of_group(*group).map(|shard| (shard, nodes)));
        }
        look
    }

    /// What this node saw happen, for others.
    pub(super) fn event_messages(&self) -> Vec<EventMessage> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.events().map(EventMessage::from).collect()
    }

    /// What a node saw happen; nothing if it does not answer, or does not know the question.
    pub(super) async fn ask_events(&self, node: NodeId) -> Vec<EventMessage> {
        if node == self.node {
            return self.event_messages();
        }
        match self.ask_meta(node, &MetaRequest::Events, REPORT_DEADLINE).await {
            Ok(MetaReply::Events(events)) => events,
            _ => Vec::new(),
        }
    }

    /// What a node has to tell; nothing if it does not answer, or does not know the question yet.
    pub(super) async fn ask_notice(&self, node: NodeId) -> Notice {
        if node == self.node {
            return self.notice();
        }
        match self.ask_meta(node, &MetaRequest::Notice, REPORT_DEADLINE).await {
            Ok(MetaReply::Notice(notice)) => notice,
            _ => Notice::default(),
        }
    }

    /// What a node's process takes; nothing if it does not answer, or does not know the question.
    pub(super) async fn ask_process(&self, node: NodeId) -> Option<ProcessStatus> {
        if node == self.node {
            return (self.process)();
        }
        match self.ask_meta(node, &MetaRequest::Process, REPORT_DEADLINE).await {
            Ok(MetaReply::Process(process)) => process.map(Into::into),
            _ => None,
        }
    }

    /// What another node does and keeps; nothing if it does not answer, or does not know the
    /// question.
    pub(super) async fn ask_figures(&self, node: NodeId) -> Option<NodeFigures> {
        match self.ask_meta(node, &MetaRequest::Figures, REPORT_DEADLINE).await {
            Ok(MetaReply::Figures(figures)) => Some(figures.into()),
            _ => None,
        }
    }
}

/// What stands, from what all nodes tell.
pub(super) fn alarms(told: &BTreeMap<NodeId, Notice>) -> Vec<AlarmStatus> {
    let lists = told.values().filter_map(|notice| notice.alarms.as_ref());
    let Some(list) = lists.max_by_key(|list| list.term) else {
        return vec![AlarmStatus {
            kind: NO_META_LEADER.to_owned(),
            text: "no node that answers leads the cluster's own group: nothing is moved or \
                   repaired, and other alarms are not known"
                .to_owned(),
            shard: None,
            stands: Duration(0),
        }];
    };
    let status = |alarm: &AlarmMessage| AlarmStatus {
        kind: alarm.kind.clone(),
        text: alarm.text.clone(),
        shard: alarm.shard.map(ShardId),
        stands: Duration(alarm.stands_nanos),
    };
    list.alarms.iter().take(ALARMS_TOLD_MAX).map(status).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(term: u64, text: &str) -> Notice {
        let alarm = AlarmMessage {
            kind: "under-replicated".into(),
            text: text.into(),
            shard: Some(3),
            stands_nanos: 7,
        };
        Notice { ui: String::new(), alarms: Some(AlarmList { term, alarms: vec![alarm] }) }
    }

    #[test]
    fn the_latest_leader_is_believed_and_no_leader_is_an_alarm() {
        let node = |number| NodeId([number; 16]);
        let mut told = BTreeMap::from([(node(1), Notice::default())]);
        let kinds = |told: &_| alarms(told).into_iter().map(|it| it.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&told), ["no-meta-leader"]);
        told.insert(node(2), leader(6, "new"));
        told.insert(node(3), leader(5, "old"));
        let found = alarms(&told);
        assert_eq!((found[0].text.as_str(), found[0].shard), ("new", Some(ShardId(3))));
        assert_eq!((found.len(), found[0].stands), (1, Duration(7)));
    }
}
