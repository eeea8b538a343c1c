//! What happened in the cluster, for people who come when it is over.
//!
//! Every second a node looks at what it knows (who belongs to the cluster, who answers, who leads,
//! where replicas are meant to be) and notes what is different from its last look. Each keeps its
//! own list, in memory; who is asked gathers those of all. So a node that was started anew has lost
//! nothing that another one saw, and what several saw is told once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::admin::EventStatus;
use model::{NodeId, ShardId, Timestamp};
use storage::log::{GroupId, LogIndex};

use super::limits::{EVENTS_KEPT_MAX, EVENTS_TOLD_MAX, SAME_EVENT_WITHIN};
use crate::identity::shard_of_group;
use crate::meta::EpochId;
use crate::plan::AlarmSubject;

/// What a node knows at a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// The nodes that belong to the cluster, with their labels.
    pub(crate) names: BTreeMap<NodeId, String>,
    /// Those that this node cannot reach.
    pub(crate) silent: BTreeSet<NodeId>,
    /// By group with a replica here: who leads it, and in which term.
    pub(crate) leaders: BTreeMap<GroupId, (u64, NodeId)>,
    /// By shard that is in use: the nodes that are meant to have a replica.
    pub(crate) places: BTreeMap<ShardId, BTreeSet<NodeId>>,
    /// The shards of which the replica here has all that is committed.
    pub(crate) whole: BTreeSet<ShardId>,
    /// The ring epoch that new spans are routed by.
    pub(crate) epoch: Option<EpochId>,
    /// The command that put the sampling strategies in force.
    pub(crate) sampling: LogIndex,
    /// What somebody should know, if it is this node that watches over the cluster.
    pub(crate) alarms: Option<BTreeMap<AlarmSubject, String>>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    /// What kind of thing, in a word that scripts may rely on.
    pub(crate) kind: &'static str,
    /// The same for people.
    pub(crate) text: String,
    pub(crate) shard: Option<ShardId>,
    pub(crate) node: Option<NodeId>,
    /// The term, of an election: that of one term is one, whenever it was seen.
    pub(crate) term: Option<u64>,
}

/// What a node saw happen.
#[derive(Debug, Default)]
pub(crate) struct EventBook {
    last: Option<Look>,
    /// Shards whose replicas here are not whole yet.
    awaited: BTreeSet<ShardId>,
    /// The latest last.
    events: VecDeque<Event>,
}

impl EventBook {
    /// Notes what is different; the first look is that of a node that has started.
    pub(crate) fn observe(&mut self, own: NodeId, mut look: Look, at: Timestamp) {
        // While a group elects nobody knows who leads it, and who led is what the next one follows;
        // a replica that has just come may know less than the one before it.
        for (group, leader) in self.last.iter().flat_map(|last| &last.leaders) {
            let known = look.leaders.entry(*group).or_insert(*leader);
            *known = (*known).max(*leader);
        }
        let mut news = News { names: &look.names, at, events: Vec::new() };
        match &self.last {
            None => {
                let name = news.name(own);
                news.add("started", format!("Node {name} started."), None, Some(own));
            }
            Some(last) => {
                news.nodes(last, &look);
                news.cluster(last, &look);
                // The first shards come with the cluster, and are no news.
                let shards = look.places.iter().filter(|_| !last.places.is_empty());
                for (shard, places) in shards {
                    let was = last.places.get(shard);
                    let is_new_here =
                        places.contains(&own) && was.is_some_and(|was| !was.contains(&own));
                    if is_new_here {
                        self.awaited.insert(*shard);
                    }
                    news.places(*shard, was, places);
                }
                news.leaders(last, &look);
                news.alarms(last, &look);
            }
        }
        let whole = self.awaited.extract_if(.., |shard| look.whole.contains(shard));
        for shard in whole {
            let text = format!("{} has its replica of shard {shard}.", news.name(own));
            news.add("replica-whole", text, Some(shard), Some(own));
        }
        let News { events, .. } = news;
        self.events.extend(events);
        let excess = self.events.len().saturating_sub(EVENTS_KEPT_MAX);
        self.events.drain(..excess);
        self.last = Some(look);
    }

    /// What it saw, the latest last.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }
}

/// What one look brings.
struct News<'a> {
    names: &'a BTreeMap<NodeId, String>,
    at: Timestamp,
    events: Vec<Event>,
}

impl News<'_> {
    fn name(&self, node: NodeId) -> String {
        self.names.get(&node).cloned().unwrap_or_else(|| node.to_string())
    }

    fn add(
        &mut self,
        kind: &'static str,
        text: String,
        shard: Option<ShardId>,
        node: Option<NodeId>,
    ) {
        self.events.push(Event { at: self.at, kind, text, shard, node, term: None });
    }

    fn nodes(&mut self, last: &Look, look: &Look) {
        for (node, name) in &look.names {
            if !last.names.contains_key(node) {
                self.add("joined", format!("Node {name} joined."), None, Some(*node));
            }
        }
        for (node, name) in &last.names {
            if !look.names.contains_key(node) {
                self.add("left", format!("Node {name} left."), None, Some(*node));
            }
        }
        for node in look.silent.difference(&last.silent) {
            let text = format!("Node {} stopped answering.", self.name(*node));
            self.add("silent", text, None, Some(*node));
        }
        for node in last.silent.difference(&look.silent) {
            // One that left is not heard of for that.
            if look.names.contains_key(node) {
                let text = format!("Node {} answers again.", self.name(*node));
                self.add("heard", text, None, Some(*node));
            }
        }
    }

    fn cluster(&mut self, last: &Look, look: &Look) {
        if let Some(epoch) = look.epoch.filter(|_| last.epoch != look.epoch) {
            let text = format!("New spans are routed by epoch {} of the ring.", epoch.0);
            self.add("routed", text, None, None);
        }
        if last.sampling != look.sampling {
            self.add("sampling", "Other sampling strategies are in force.".into(), None, None);
        }
    }

    fn places(
        &mut self,
        shard: ShardId,
        was: Option<&BTreeSet<NodeId>>,
        places: &BTreeSet<NodeId>,
    ) {
        let Some(was) = was else {
            let text = format!("Shard {shard} is in use.");
            self.add("shard", text, Some(shard), None);
            return;
        };
        for node in places.difference(was) {
            let text = format!("{} gets a replica of shard {shard}.", self.name(*node));
            self.add("replica-placed", text, Some(shard), Some(*node));
        }
        for node in was.difference(places) {
            let text = format!("{} gives up its replica of shard {shard}.", self.name(*node));
            self.add("replica-removed", text, Some(shard), Some(*node));
        }
    }

    fn leaders(&mut self, last: &Look, look: &Look) {
        for (group, (term, leader)) in &look.leaders {
            // Who is first heard of may have led for long.
            if last.leaders.get(group).is_none_or(|(known, _)| known >= term) {
                continue;
            }
            let (shard, name) = (shard_of_group(*group), self.name(*leader));
            let text = match shard {
                Some(shard) => format!("Shard {shard} is led by {name}."),
                None => format!("{name} watches over the cluster."),
            };
            let (at, node, term) = (self.at, Some(*leader), Some(*term));
            self.events.push(Event { at, kind: "leader", text, shard, node, term });
        }
    }

    fn alarms(&mut self, last: &Look, look: &Look) {
        // Who did not watch before cannot say what began or ended.
        let (Some(last), Some(look)) = (&last.alarms, &look.alarms) else { return };
        for (subject, text) in look {
            if !last.contains_key(subject) {
                let shard = subject.group().and_then(shard_of_group);
                self.add("alarm", format!("Alarm: {text}."), shard, None);
            }
        }
        for (subject, text) in last {
            if !look.contains_key(subject) {
                let shard = subject.group().and_then(shard_of_group);
                self.add("alarm-over", format!("Over: {text}."), shard, None);
            }
        }
    }
}

/// What nodes saw, the latest first, each thing once: as the first of them saw it.
pub(crate) fn gathered(mut told: Vec<(EventStatus, Option<u64>)>) -> Vec<EventStatus> {
    told.sort_by_key(|(event, _)| event.at);
    let mut known: BTreeMap<(Option<u64>, String, String), Timestamp> = BTreeMap::new();
    let mut once = Vec::new();
    for (event, term) in told {
        let same = (term, event.kind.clone(), event.text.clone());
        let is_same = |at: &Timestamp| term.is_some() || event.at.since(*at) <= SAME_EVENT_WITHIN;
        if !known.get(&same).is_some_and(is_same) {
            known.insert(same, event.at);
            once.push(event);
        }
    }
    once.into_iter().rev().take(EVENTS_TOLD_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{META_GROUP, group_of_shard};

    const A: NodeId = NodeId([1; 16]);
    const B: NodeId = NodeId([2; 16]);

    fn look() -> Look {
        Look {
            names: [(A, "a".into()), (B, "b".into())].into(),
            leaders: [(group_of_shard(ShardId(3)), (5, A))].into(),
            places: [(ShardId(3), [A, B].into())].into(),
            whole: [ShardId(3)].into(),
            epoch: Some(EpochId(1)),
            ..Look::default()
        }
    }

    /// What a node notes of one look after another.
    fn seen(looks: impl IntoIterator<Item = Look>) -> Vec<String> {
        let mut book = EventBook::default();
        for (second, look) in (1..).zip(looks) {
            book.observe(A, look, Timestamp(second));
        }
        book.events().map(|event| format!("{} {}", event.at.0, event.text)).collect()
    }

    #[test]
    fn what_is_different_is_noted_and_what_stays_is_not() {
        assert_eq!(seen([look(), look(), look()]), ["1 Node a started."]);
        let silent = Look { silent: [B].into(), ..look() };
        let led = Look {
            leaders: [(group_of_shard(ShardId(3)), (6, B)), (META_GROUP, (1, A))].into(),
            ..look()
        };
        let grown = Look { epoch: Some(EpochId(2)), sampling: LogIndex(9), ..led.clone() };
        assert_eq!(
            seen([look(), silent.clone(), led.clone(), grown]),
            [
                "1 Node a started.",
                "2 Node b stopped answering.",
                "3 Node b answers again.",
                "3 Shard 3 is led by b.",
                "4 New spans are routed by epoch 2 of the ring.",
                "4 Other sampling strategies are in force.",
            ]
        );
        // One that left is not heard again, and a leader of a term that is known is no news.
        let mut alone = look();
        alone.names.remove(&B);
        alone.leaders.insert(group_of_shard(ShardId(3)), (4, B));
        assert_eq!(
            seen([look(), silent, alone, look()])[2..],
            ["3 Node b left.", "4 Node b joined."]
        );
        let electing = Look { leaders: BTreeMap::new(), ..look() };
        let mut elected = led;
        elected.leaders.insert(META_GROUP, (2, B));
        assert_eq!(
            seen([look(), electing.clone(), electing, elected])[1..],
            ["4 Shard 3 is led by b."],
            "who watches over the cluster was not known before"
        );
    }

    #[test]
    fn a_replica_is_told_of_as_it_is_placed_and_as_it_is_whole() {
        let place = |places: &[NodeId], whole: bool| Look {
            places: [(ShardId(3), places.iter().copied().collect())].into(),
            whole: whole.then_some(ShardId(3)).into_iter().collect(),
            ..look()
        };
        let looks =
            [place(&[B], false), place(&[A, B], false), place(&[A, B], true), place(&[A], true)];
        assert_eq!(
            seen(looks),
            [
                "1 Node a started.",
                "2 a gets a replica of shard 3.",
                "3 a has its replica of shard 3.",
                "4 b gives up its replica of shard 3.",
            ]
        );
        // Being started anew with what it had is nothing to tell.
        assert_eq!(seen([place(&[A, B], false), place(&[A, B], true)]).len(), 1);
        let without = Look { places: BTreeMap::new(), ..look() };
        assert_eq!(seen([without, look()]).len(), 1, "the first come with the cluster");
        let mut more = look();
        more.places.insert(ShardId(4), [A, B].into());
        assert_eq!(seen([look(), more])[1..], ["2 Shard 4 is in use."]);
    }

    #[test]
    fn only_who_watches_knows_when_an_alarm_begins_and_ends() {
        let subject = AlarmSubject::Voters(group_of_shard(ShardId(3)));
        let quiet = Look { alarms: Some(BTreeMap::new()), ..look() };
        let alarm = Look { alarms: Some([(subject, "shard 3 is thin".into())].into()), ..look() };
        let told = seen([look(), alarm.clone(), quiet.clone(), alarm, look(), quiet]);
        assert_eq!(told[1..], ["3 Over: shard 3 is thin.", "4 Alarm: shard 3 is thin."]);
    }

    #[test]
    fn the_book_is_bounded_and_keeps_the_latest() {
        let flap = (0..2 * EVENTS_KEPT_MAX).map(|at| Look {
            silent: if at % 2 == 0 { BTreeSet::new() } else { [B].into() },
            ..look()
        });
        let seen = seen(flap);
        assert_eq!(seen.len(), EVENTS_KEPT_MAX);
        assert_eq!(
            seen.last().unwrap(),
            &format!("{} Node b stopped answering.", 2 * EVENTS_KEPT_MAX)
        );
    }

    #[test]
    fn what_several_nodes_saw_is_told_once() {
        let second = 1_000_000_000;
        let event = |at: u64, text: &str, term: Option<u64>| {
            let (kind, text) = ("x".to_owned(), text.to_owned());
            (EventStatus { at: Timestamp(at * second), kind, text, shard: None, node: None }, term)
        };
        let told = vec![
            event(9, "led by a", Some(2)),
            event(100, "led by a", Some(2)),
            event(101, "led by a", Some(4)),
            event(20, "b is silent", None),
            event(21, "b is silent", None),
            event(90, "b is silent", None),
            event(22, "b is heard", None),
        ];
        let told = gathered(told);
        let told: Vec<_> =
            told.iter().map(|event| (event.at.0 / second, event.text.as_str())).collect();
        assert_eq!(
            told,
            [
                (101, "led by a"),
                (90, "b is silent"),
                (22, "b is heard"),
                (20, "b is silent"),
                (9, "led by a"),
            ]
        );
    }
}
