//! Simulated clusters: the simulator itself, and the seeds and plans that once found something.
#![cfg(test)]

use chaos_tests::sim::disk::Kind;
use chaos_tests::sim::{Fault, Options, Outcome, Plan, Shape, Weather, run, run_plan};
use storage::env::Crash;

fn require(outcome: &Outcome) {
    if let Some(violation) = &outcome.violation {
        for line in outcome.lines.iter().rev().take(60).rev() {
            println!("{line}");
        }
        panic!("seed {}: {violation}", outcome.seed);
    }
}

fn plan(faults: Vec<(u64, Fault)>, millis: u64) -> Plan {
    let loses_a_disk = faults.iter().any(|(_, fault)| fault.loses_a_disk());
    Plan { faults, millis, loses_a_disk }
}

#[test]
fn a_node_alone_is_killed_and_starts_again() {
    let shape = Shape { nodes: 1, replication_factor: 1, shards: 2 };
    let options = Options { shape, weather: Weather::FAIR, ..Options::default() };
    let lost = |crash| Fault::PowerLoss { node: 0, after: 3, crash, millis: 500 };
    let faults = vec![(2_000, lost(Crash::Lost)), (6_000, lost(Crash::Torn))];
    let outcome = run_plan(1, &options, &plan(faults, 10_000));
    println!("{:?}", outcome.counters);
    require(&outcome);
    assert!(outcome.counters.acked > 20);
}

#[test]
fn three_nodes_in_fair_weather() {
    let options = Options { weather: Weather::FAIR, millis: 10_000, ..Options::default() };
    let outcome = run(2, &options);
    println!("{:?}", outcome.counters);
    require(&outcome);
    assert!(outcome.counters.acked > 40);
}

/// A node answers before its replicas run, if its disk is slow. It was taken for one that had lost
/// them: they were taken out of their groups, and deleted.
#[test]
fn a_node_that_starts_slowly_has_lost_nothing() {
    let options = Options { weather: Weather::FAIR, ..Options::default() };
    let lost = Fault::PowerLoss { node: 2, after: 3, crash: Crash::Torn, millis: 1_000 };
    let faults = vec![(3_000, lost), (4_000, Fault::Stall { node: 2, millis: 5_000 })];
    let outcome = run_plan(11, &options, &plan(faults, 14_000));
    require(&outcome);
    assert_eq!(outcome.counters.membership_changes, 0, "nobody had left");
}

/// A replica had sealed entries that a majority had and its own disk had not: after a power cut its
/// blocks were ahead of its log, and the node did not start again.
#[test]
fn blocks_are_not_ahead_of_the_log() {
    require(&run(43, &Options::default()));
}

/// A log loses its last bytes while its node is down and all others are well. Nobody can tell from
/// the log alone; the leader fills it again, or, where blocks know of more, the node begins anew.
#[test]
fn a_log_that_lost_its_end_is_made_whole_by_others() {
    for seed in 1..=4 {
        let options = Options { weather: Weather::FAIR, ..Options::default() };
        let cut = |node| Fault::CutLog { node, millis: 400 };
        let faults = vec![(4_000, cut(0)), (14_000, cut(1)), (24_000, cut(2))];
        let outcome = run_plan(seed, &options, &plan(faults, 34_000));
        require(&outcome);
    }
}

#[test]
fn a_bit_that_flips_in_a_log_costs_a_replica_and_no_span() {
    for seed in 1..=3 {
        let options = Options { weather: Weather::FAIR, ..Options::default() };
        let flip = |node| Fault::BitFlip { node, kind: Kind::Log, millis: 400 };
        let outcome = run_plan(seed, &options, &plan(vec![(8_000, flip(1))], 20_000));
        require(&outcome);
    }
}

/// All of the log is gone, and nothing else. What blocks and the copy of the map know says so
/// before anything is started, with nobody else asked.
#[test]
fn a_node_whose_log_is_gone_gets_new_replicas() {
    let options = Options { weather: Weather::FAIR, ..Options::default() };
    let gone = Fault::LogLost { node: 1, millis: 400 };
    let outcome = run_plan(3, &options, &plan(vec![(8_000, gone)], 20_000));
    require(&outcome);
    assert_eq!(outcome.counters.logs_set_aside, 1);
}

/// A partition lasts for a node that was down when it began, too.
#[test]
fn a_cut_is_there_for_who_comes_back_into_it() {
    let options = Options { weather: Weather::FAIR, ..Options::default() };
    let down = Fault::Kill { node: 1, millis: 1_000 };
    let cut = Fault::Isolation { node: 1, millis: 7_000 };
    let outcome = run_plan(4, &options, &plan(vec![(6_000, down), (6_500, cut)], 14_000));
    require(&outcome);
    let at = |what: &str| {
        let line = outcome.lines.iter().rev().find(|line| line.contains(what)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let (began, returned) = (at("FAULT Isolation"), at("node 1 is in the cluster"));
    assert!(returned > began + 6_000, "{began} {returned}");
}

#[test]
fn a_node_joins_and_another_is_removed() {
    let options = Options { weather: Weather::FAIR, ..Options::default() };
    let faults = vec![(3_000, Fault::NodeAdded), (8_000, Fault::NodeRemoved { node: 0 })];
    let outcome = run_plan(5, &options, &plan(faults, 30_000));
    require(&outcome);
    assert!(outcome.counters.membership_changes > 0, "{:?}", outcome.counters);
}

/// Each clock in turn is a year ahead: nothing is past its retention by a majority's clocks.
#[cfg(feature = "mutants")]
#[test]
fn a_clock_that_is_a_year_ahead_drops_nothing() {
    let hunt = chaos_tests::sim::mutants::hunt(storage::mutant::Mutant::FastClockDrops);
    require(&hunt.run(1).unwrap());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 10..12 {
        let options = Options { millis: 20_000, ..Options::default() };
        let (one, other) = (run(seed, &options), run(seed, &options));
        for (one, other) in one.lines.iter().zip(&other.lines) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(one, other, "seed {seed}");
        require(&one);
    }
}
