//! Each rule of the bootstrap, by itself.

use std::net::SocketAddr;

use super::node;
use crate::identity::ClusterId;
use crate::meta::{Founding, NodeRecord};
use crate::plan::bootstrap::{
    Answer, BootstrapConfig, Consideration, DataState, Decision, Declined, Hello, Myself,
    RefusedStart, Told, Waiting, consider, decide,
};
use crate::transport::Incarnation;

const FRESH: ClusterId = ClusterId([0xF1; 16]);
const OTHER: ClusterId = ClusterId([0x0E; 16]);
const THIRD: ClusterId = ClusterId([0x3D; 16]);

pub(super) fn config(expected_nodes: usize) -> BootstrapConfig {
    let replication_factor = u32::try_from(expected_nodes.min(3)).unwrap();
    BootstrapConfig { expected_nodes, join_only: false, replication_factor, shard_count: 2 }
}

pub(super) fn me(number: u8) -> Myself {
    let record = NodeRecord {
        name: format!("n{number}"),
        addresses: Vec::new(),
        zone: String::new(),
        version: 1,
    };
    let incarnation = Incarnation { start: 1, nonce: u64::from(number) };
    Myself { node: node(number), incarnation, record }
}

pub(super) fn hello(number: u8, told: Told) -> Hello {
    let Myself { node, incarnation, record } = me(number);
    Hello { node, incarnation, record, told }
}

fn at(address: &str, hello: Option<Hello>) -> Answer {
    Answer { seed: "seed".to_owned(), address: address.parse().unwrap(), hello }
}

/// The address of a node that has one.
fn address(number: u8) -> SocketAddr {
    format!("10.0.0.{number}:7947").parse().unwrap()
}

fn says(number: u8, told: Told) -> Answer {
    at(&address(number).to_string(), Some(hello(number, told)))
}

fn silent(number: u8) -> Answer {
    at(&address(number).to_string(), None)
}

fn step(number: u8, expected: usize, data: &DataState, answers: &[Answer]) -> Decision {
    decide(&me(number), config(expected), data, answers, FRESH)
}

/// The plan that node 1 draws for nodes 1 to 3.
fn plan() -> Founding {
    let answers = [says(1, Told::Empty), says(2, Told::Empty), says(3, Told::Empty)];
    match step(1, 3, &DataState::Empty, &answers) {
        Decision::Promise(plan) => plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule_7_2_the_smallest_id_plans_when_all_are_there_and_empty() {
    let plan = plan();
    assert_eq!(plan.cluster_id, FRESH);
    assert_eq!(plan.check(), Ok(()));
    assert_eq!(plan.nodes.iter().map(|f| f.node).collect::<Vec<_>>(), [1, 2, 3].map(node));
    assert_eq!(plan.meta_voters, [1, 2, 3].map(node));
    assert_eq!(plan.shards.len(), 2);
    let answers = [says(1, Told::Empty), says(2, Told::Empty), says(3, Told::Empty)];
    let decision = step(2, 3, &DataState::Empty, &answers);
    assert_eq!(decision, Decision::AskAgain(Waiting::Planner { planner: node(1) }));
}

#[test]
fn rule_7_2_one_node_alone_is_a_cluster_of_one() {
    let Decision::Promise(plan) = step(1, 1, &DataState::Empty, &[]) else { panic!() };
    let promised = DataState::Promised(plan.clone());
    assert_eq!(step(1, 1, &promised, &[]), Decision::Initialize(plan));
}

#[test]
fn rule_7_2_no_plan_unless_exactly_n_answer() {
    let two = [says(1, Told::Empty), says(2, Told::Empty)];
    let waiting = Waiting::Nodes { answered: 2, silent: 0, expected: 3 };
    assert_eq!(step(1, 3, &DataState::Empty, &two), Decision::Wait(waiting));
    let four = [1, 2, 3, 4].map(|number| says(number, Told::Empty));
    let waiting = Waiting::TooMany { answered: 4, silent: 0, expected: 3 };
    assert_eq!(step(1, 3, &DataState::Empty, &four), Decision::Wait(waiting));
}

#[test]
fn rule_7_2_a_silent_address_counts_as_one() {
    let mut answers = [1, 2, 3].map(|number| says(number, Told::Empty)).to_vec();
    answers.push(silent(4));
    let waiting = Waiting::TooMany { answered: 3, silent: 1, expected: 3 };
    assert_eq!(step(1, 3, &DataState::Empty, &answers), Decision::Wait(waiting));
    let two = [says(1, Told::Empty), says(2, Told::Empty), silent(3)];
    let waiting = Waiting::Nodes { answered: 2, silent: 1, expected: 3 };
    assert_eq!(step(1, 3, &DataState::Empty, &two), Decision::Wait(waiting));
    // The same silent address under two seeds is one address.
    answers.pop();
    answers.remove(2);
    let again = Answer { seed: "other".to_owned(), ..silent(3) };
    let decision = step(1, 3, &DataState::Empty, &[answers, vec![silent(3), again]].concat());
    let waiting = Waiting::Nodes { answered: 2, silent: 1, expected: 3 };
    assert_eq!(decision, Decision::Wait(waiting));
}

#[test]
fn rule_7_2_addresses_of_one_node_count_once() {
    let empty = |number| Some(hello(number, Told::Empty));
    // A dual-stack service name, all nodes on both families.
    let both = [
        at("10.0.0.1:7947", empty(1)),
        at("10.0.0.2:7947", empty(2)),
        at("[fd00::1]:7947", empty(1)),
        at("[fd00::2]:7947", empty(2)),
    ];
    assert!(matches!(step(1, 2, &DataState::Empty, &both), Decision::Promise(_)));
    // The nodes listen on one family alone.
    let one = [
        at("10.0.0.1:7947", empty(1)),
        at("10.0.0.2:7947", empty(2)),
        at("[fd00::1]:7947", None),
        at("[fd00::2]:7947", None),
    ];
    assert!(matches!(step(1, 2, &DataState::Empty, &one), Decision::Promise(_)));
    let localhost = [at("127.0.0.1:7947", empty(1)), at("[::1]:7947", None)];
    assert!(matches!(step(1, 1, &DataState::Empty, &localhost), Decision::Promise(_)));
    // A third silent address of the other family is somebody else.
    let third = [one.to_vec(), vec![at("[fd00::3]:7947", None)]].concat();
    let waiting = Waiting::TooMany { answered: 2, silent: 1, expected: 2 };
    assert_eq!(step(1, 2, &DataState::Empty, &third), Decision::Wait(waiting));
}

#[test]
fn rule_7_2_an_empty_node_joins_whoever_has_a_cluster() {
    let answers = [says(1, Told::Empty), says(2, Told::Empty), says(3, Told::Member(OTHER))];
    let (via, address) = (node(3), address(3));
    let join = Decision::Join { cluster: OTHER, via, address };
    assert_eq!(step(1, 3, &DataState::Empty, &answers), join);
    let only = BootstrapConfig { join_only: true, ..config(3) };
    assert_eq!(decide(&me(1), only, &DataState::Empty, &answers, FRESH), join);
}

#[test]
fn rule_7_2_two_clusters_are_refused_by_name() {
    let answers = [says(2, Told::Member(OTHER)), says(3, Told::Member(THIRD))];
    let refused = RefusedStart::TwoClusters {
        first: OTHER,
        first_node: node(2),
        second: THIRD,
        second_node: node(3),
    };
    assert_eq!(step(1, 3, &DataState::Empty, &answers), Decision::Refuse(refused));
    let text = refused.to_string();
    assert!(text.contains(&OTHER.to_string()) && text.contains(&THIRD.to_string()), "{text}");
}

#[test]
fn rule_7_2_join_only_never_founds() {
    let only = BootstrapConfig { join_only: true, ..config(1) };
    let decision = decide(&me(1), only, &DataState::Empty, &[], FRESH);
    assert_eq!(decision, Decision::Wait(Waiting::NoCluster));
    let only = BootstrapConfig { join_only: true, ..config(3) };
    let considered = consider(&me(2), only, &DataState::Empty, &plan());
    assert!(matches!(considered, Consideration::Decline(Declined::Unfit { .. })));
}

#[test]
fn rule_7_2_a_node_that_has_promised_is_not_empty() {
    let answers = [says(1, Told::Empty), says(2, Told::Promised(OTHER)), says(3, Told::Empty)];
    let decision = step(1, 3, &DataState::Empty, &answers);
    assert_eq!(decision, Decision::AskAgain(Waiting::Founding { cluster: OTHER }));
}

#[test]
fn rule_7_2_a_promise_is_given_once() {
    let (plan, mut other) = (plan(), plan());
    other.cluster_id = OTHER;
    let ask = |data: &DataState, plan: &Founding| consider(&me(2), config(3), data, plan);
    assert_eq!(ask(&DataState::Empty, &plan), Consideration::Promise);
    let promised = DataState::Promised(plan.clone());
    assert_eq!(ask(&promised, &plan), Consideration::Promised);
    let declined = Declined::Promised { cluster: FRESH };
    assert_eq!(ask(&promised, &other), Consideration::Decline(declined));
    let member = DataState::Member(OTHER);
    assert_eq!(ask(&member, &other), Consideration::Promised);
    let declined = Declined::Member { cluster: OTHER };
    assert_eq!(ask(&member, &plan), Consideration::Decline(declined));
    // Not for a stranger, nor for one that expects another number.
    let decline = |considered| matches!(considered, Consideration::Decline(_));
    assert!(decline(consider(&me(4), config(3), &DataState::Empty, &plan)));
    assert!(decline(consider(&me(2), config(4), &DataState::Empty, &plan)));
    let malformed = Founding { shards: Vec::new(), ..plan };
    assert!(decline(ask(&DataState::Empty, &malformed)));
}

#[test]
fn rule_7_2_nobody_initializes_before_all_have_promised() {
    let plan = plan();
    let promised = DataState::Promised(plan.clone());
    let of = |two, three| [says(1, Told::Promised(FRESH)), says(2, two), says(3, three)];
    let answers = of(Told::Promised(FRESH), Told::Empty);
    let collect = |from: &[u8]| Decision::CollectPromises {
        plan: plan.clone(),
        from: from.iter().map(|number| (node(*number), address(*number))).collect(),
    };
    assert_eq!(step(1, 3, &promised, &answers), collect(&[3]));
    // Any founder collects, so the planner may be gone.
    assert_eq!(step(2, 3, &promised, &[says(3, Told::Empty), silent(1)]), collect(&[3]));
    let waiting = Waiting::Promises { cluster: FRESH, missing: vec![node(3)] };
    let answers = [says(2, Told::Promised(FRESH)), silent(3)];
    assert_eq!(step(1, 3, &promised, &answers), Decision::AskAgain(waiting));
    let all = of(Told::Promised(FRESH), Told::Promised(FRESH));
    for number in 1..=3 {
        assert_eq!(step(number, 3, &promised, &all), Decision::Initialize(plan.clone()));
    }
}

#[test]
fn rule_7_2_a_member_of_the_plan_proves_all_promises() {
    let promised = DataState::Promised(plan());
    let answers = [says(2, Told::Member(FRESH)), silent(3)];
    assert_eq!(step(1, 3, &promised, &answers), Decision::Initialize(plan()));
}

#[test]
fn rule_7_2_a_promised_node_joins_elsewhere_only_when_its_plan_is_lost() {
    let promised = DataState::Promised(plan());
    let stranger = says(9, Told::Member(OTHER));
    let answers = [says(2, Told::Empty), stranger.clone()];
    let waiting = Waiting::PromisedElsewhere { promised: FRESH, node: node(9), cluster: OTHER };
    assert_eq!(step(1, 3, &promised, &answers), Decision::Wait(waiting));
    for lost in [Told::Member(OTHER), Told::Promised(THIRD)] {
        let decision = step(1, 3, &promised, &[says(2, lost), stranger.clone()]);
        assert!(matches!(decision, Decision::Join { cluster: OTHER, .. }), "{decision:?}");
    }
}

#[test]
fn rule_7_1_two_processes_under_one_id_stop_the_founding() {
    let mut copy = hello(2, Told::Empty);
    copy.incarnation.nonce = 77;
    let answers = [says(1, Told::Empty), says(2, Told::Empty), at("10.0.0.9:7947", Some(copy))];
    let clash = Decision::Wait(Waiting::Clash { node: node(2) });
    assert_eq!(step(1, 2, &DataState::Empty, &answers), clash);
    let mut mine = hello(1, Told::Empty);
    mine.incarnation.nonce = 77;
    let clash = Decision::Wait(Waiting::Clash { node: node(1) });
    let answers = [at("10.0.0.9:7947", Some(mine))];
    assert_eq!(step(1, 1, &DataState::Empty, &answers), clash);
}

#[test]
fn a_member_resumes_and_settings_that_found_nothing_are_refused() {
    let answers = [says(2, Told::Member(THIRD))];
    let decision = step(1, 3, &DataState::Member(OTHER), &answers);
    assert_eq!(decision, Decision::Resume(OTHER));
    for wrong in [
        BootstrapConfig { replication_factor: 2, ..config(1) },
        BootstrapConfig { shard_count: 0, ..config(1) },
        BootstrapConfig { shard_count: u32::MAX, ..config(1) },
    ] {
        let decision = decide(&me(1), wrong, &DataState::Empty, &[], FRESH);
        assert!(matches!(decision, Decision::Refuse(RefusedStart::Settings { .. })));
    }
}
