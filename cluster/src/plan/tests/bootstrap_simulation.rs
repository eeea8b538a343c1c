//! Many nodes, a bad network and bad luck: at most one cluster ever, and one in the end.
//!
//! Nodes ask each other one at a time and decide on answers of any age; requests for promises are
//! lost, delayed, repeated and overtaken; processes stop between any two of their steps, and what
//! they had not synced is gone. A schedule is a list of numbers, so that a failing one shrinks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::bootstrap::{config, hello, me};
use super::node;
use crate::identity::ClusterId;
use crate::meta::Founding;
use crate::plan::bootstrap::{
    Answer, BootstrapConfig, Consideration, DataState, Decision, Told, consider, decide,
};

/// One node: what is on its disk, and what its process has in mind.
#[derive(Debug)]
struct Process {
    number: u8,
    disk: DataState,
    /// The last answer of each address, however old.
    answers: BTreeMap<u8, Option<Told>>,
    /// Addresses that its seeds resolve to.
    seeds: Vec<u8>,
}

/// The network: requests for a promise, on their way for as long as it pleases.
#[derive(Debug)]
struct World {
    nodes: BTreeMap<u8, Process>,
    config: BootstrapConfig,
    requests: Vec<(u8, Founding)>,
    drawn: u8,
    /// Every cluster that somebody became a member of by founding it.
    founded: BTreeSet<ClusterId>,
    /// The lists that meta groups were initialized with.
    lists: BTreeSet<Vec<u8>>,
}

impl World {
    /// `count` nodes, of which each sees all but those in `blind`.
    fn new(count: u8, expected: usize, blind: &BTreeMap<u8, BTreeSet<u8>>) -> Self {
        let process = |number: u8| {
            let sees =
                |other: &u8| !blind.get(&number).is_some_and(|hidden| hidden.contains(other));
            let seeds = (1..=count).filter(sees).collect();
            let disk = DataState::Empty;
            (number, Process { number, disk, answers: BTreeMap::new(), seeds })
        };
        Self {
            nodes: (1..=count).map(process).collect(),
            config: config(expected),
            requests: Vec::new(),
            drawn: 0,
            founded: BTreeSet::new(),
            lists: BTreeSet::new(),
        }
    }

    /// Node `from` asks node `to`, whose answer arrives or does not.
    fn ask(&mut self, from: u8, to: u8, arrives: bool) {
        let told = self.nodes[&to].disk.told();
        let process = self.nodes.get_mut(&from).unwrap();
        if process.seeds.contains(&to) {
            process.answers.insert(to, arrives.then_some(told));
        }
    }

    /// Node `number` decides on what it has heard, and stops before it acts if it is told to.
    fn decide(&mut self, number: u8, stops: bool) {
        self.drawn = self.drawn.wrapping_add(1);
        let fresh = ClusterId([self.drawn; 16]);
        let process = &self.nodes[&number];
        let answer = |seed: &u8| Answer {
            seed: "seed".to_owned(),
            address: format!("10.0.0.{seed}:7947").parse().unwrap(),
            // Who was never asked is as good as silent.
            hello: process.answers.get(seed).copied().flatten().map(|told| hello(*seed, told)),
        };
        let answers: Vec<Answer> = process.seeds.iter().map(answer).collect();
        let decision = decide(&me(number), self.config, &process.disk, &answers, fresh);
        if stops {
            return self.restart(number);
        }
        match decision {
            Decision::Promise(plan) => self.write(number, DataState::Promised(plan)),
            Decision::CollectPromises { plan, from } => {
                for (to, _) in from {
                    self.requests.push((to.0[0], plan.clone()));
                }
            }
            Decision::Initialize(plan) => {
                let list = plan.meta_members().iter().map(|(_, node)| node.0[0]).collect();
                self.lists.insert(list);
                self.founded.insert(plan.cluster_id);
                self.write(number, DataState::Member(plan.cluster_id));
            }
            Decision::Join { cluster, .. } => self.write(number, DataState::Member(cluster)),
            Decision::AskAgain(_) | Decision::Wait(_) | Decision::Resume(_) => {}
            Decision::Refuse(refused) => panic!("{refused}"),
        }
    }

    /// A request arrives; it may arrive again.
    fn deliver(&mut self, place: usize, again: bool) {
        if self.requests.is_empty() {
            return;
        }
        let place = place % self.requests.len();
        let (to, plan) =
            if again { self.requests[place].clone() } else { self.requests.swap_remove(place) };
        let disk = &self.nodes[&to].disk;
        if consider(&me(to), self.config, disk, &plan) == Consideration::Promise {
            self.write(to, DataState::Promised(plan));
        }
    }

    fn write(&mut self, number: u8, disk: DataState) {
        self.nodes.get_mut(&number).unwrap().disk = disk;
        assert!(self.founded.len() <= 1, "two clusters: {:?}", self.founded);
        assert!(self.lists.len() <= 1, "two lists: {:?}", self.lists);
    }

    fn restart(&mut self, number: u8) {
        self.nodes.get_mut(&number).unwrap().answers.clear();
    }

    /// One action of a schedule: two numbers say which and on whom.
    fn act(&mut self, action: u8, choice: u16) {
        let count = u16::try_from(self.nodes.len()).unwrap();
        let pick = |number: u16| u8::try_from(number % count).unwrap() + 1;
        let (first, second) = (pick(choice), pick(choice / count));
        match action % 16 {
            0..=6 => self.ask(first, second, true),
            7 => self.ask(first, second, false),
            8..=11 => self.decide(first, false),
            12 => self.decide(first, true),
            13 => self.deliver(usize::from(choice), true),
            14 => self.deliver(usize::from(choice), false),
            _ => self.restart(first),
        }
    }

    /// The faults end: everybody hears everybody, and requests arrive.
    fn calm_down(&mut self) {
        for _ in 0..10 {
            for from in self.nodes.keys().copied().collect::<Vec<_>>() {
                for to in self.nodes.keys().copied().collect::<Vec<_>>() {
                    self.ask(from, to, true);
                }
                self.decide(from, false);
                while !self.requests.is_empty() {
                    self.deliver(0, false);
                }
            }
        }
    }
}

fn schedules() -> impl Strategy<Value = Vec<(u8, u16)>> {
    vec((any::<u8>(), any::<u16>()), 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 400, ..ProptestConfig::default()
    })]

    #[test]
    fn rule_7_2_exactly_n_nodes_found_one_cluster(count in 1..6_u8, schedule in schedules()) {
        let mut world = World::new(count, count.into(), &BTreeMap::new());
        for (action, choice) in schedule {
            world.act(action, choice);
        }
        world.calm_down();
        prop_assert_eq!(world.founded.len(), 1);
        let cluster = *world.founded.first().unwrap();
        for process in world.nodes.values() {
            prop_assert_eq!(&process.disk, &DataState::Member(cluster), "node {}", process.number);
        }
    }

    /// More nodes than expected, some of which do not know of each other: perhaps no cluster, never
    /// two.
    #[test]
    fn rule_7_2_too_many_nodes_found_at_most_one_cluster(
        blind in proptest::collection::btree_map(
            1..6_u8, proptest::collection::btree_set(1..6_u8, 0..3), 0..6
        ),
        schedule in schedules(),
    ) {
        // Any two sets of three among five share a node.
        let mut world = World::new(5, 3, &blind);
        for (action, choice) in schedule {
            world.act(action, choice);
        }
        world.calm_down();
        prop_assert!(world.founded.len() <= 1);
    }
}

#[test]
fn the_simulation_reaches_foundings_and_conflicts() {
    // Nodes 4 and 5 are hidden from 1 to 3: those found a cluster, and the others join it.
    let hidden = BTreeSet::from([4, 5]);
    let blind = (1..=3).map(|number| (number, hidden.clone())).collect();
    let mut world = World::new(5, 3, &blind);
    world.calm_down();
    assert_eq!(world.founded.len(), 1);
    assert!(world.nodes.values().all(|p| matches!(p.disk, DataState::Member(_))));
    assert_eq!(world.lists, BTreeSet::from([vec![1, 2, 3]]));
    assert_eq!(node(1), me(1).node);
}
