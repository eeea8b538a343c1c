//! Simulated clusters: the simulator itself, and the seeds and plans that once found something.
#![cfg(test)]

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
