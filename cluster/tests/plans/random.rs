//! Random fates: whatever happens, no step does what none may (the world checks), and once the
//! faults end, the cluster becomes what it is meant to be.

use std::collections::BTreeMap;

use cluster::identity::META_GROUP;
use cluster::meta::{EpochState, MetaCommand};
use cluster::plan::{Configuration, DiskMark, add_shards, meta_voter_count};
use model::time::Monotonic;
use model::{Duration, NodeId};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::render;
use crate::world::{World, record};

fn node(number: u8) -> NodeId {
    NodeId([number + 1; 16])
}

fn act(world: &mut World, kind: u8, choice: u8, seconds: u16) {
    let number = choice % 8;
    let id = node(number);
    let is_known = world.machines.contains_key(&id);
    match kind % 21 {
        0 | 1 => {
            // A removed node may knock again; every third one comes with another's name.
            let name = if choice.is_multiple_of(3) { "a".to_owned() } else { format!("n{number}") };
            let zone = if choice.is_multiple_of(2) { "x" } else { "y" };
            let _ = world.join(id, record(&name, zone));
        }
        2..=4 if is_known => world.down(id, None),
        5..=6 if is_known => world.up(id),
        7 => world.now = Monotonic(world.now.plus(Duration::from_secs(seconds.into())).0),
        8 => drop(world.propose(&MetaCommand::RemoveNode { node: id })),
        9 => {
            let factor = u32::from(choice % 5);
            drop(world.propose(&MetaCommand::SetReplicationFactor { factor }));
        }
        10 if world.state.epochs().len() < 3 => {
            let added = add_shards(&world.state, &world.facts(), world.now, 2);
            drop(added.and_then(|command| world.propose(&command)));
        }
        11 if is_known => world.machine(id).disk = DiskMark::Low,
        12 if is_known => world.machine(id).is_draining = true,
        13 => damage(world, id),
        14 => world.catch_up(),
        15 => world.stops_halfway = true,
        _ => {
            let plan = world.plan();
            for step in plan.steps.iter().skip(usize::from(choice % 2)) {
                let _ = world.perform(step);
            }
        }
    }
}

/// A damaged log, as long as every group keeps a majority that is sound: without one, no planner
/// can help.
fn damage(world: &mut World, id: NodeId) {
    let is_sound = |group, replica| {
        let holder = world.holder(group, replica).filter(|holder| *holder != id);
        holder.is_some_and(|holder| !world.machines[&holder].held[&group].is_damaged)
    };
    let survives = world.rafts.iter().all(|(group, raft)| {
        let Configuration { voters, outgoing, .. } = &raft.configuration;
        let sound = voters.iter().filter(|replica| is_sound(*group, **replica)).count();
        // Where a removal is under way, those to stay may all be on this node.
        let meant = world.state.groups()[group].voters().map(|replica| &replica.id);
        outgoing.is_empty() && sound > voters.len() / 2 && meant.eq(voters)
    });
    if survives && world.rafts.len() == world.state.groups().len() {
        if let Some(machine) = world.machines.get_mut(&id) {
            machine.held.values_mut().for_each(|held| held.is_damaged = true);
        }
        world.elect();
    }
}

/// Everything is up, with room; time passes; plans are performed until there are none.
fn calm_down(world: &mut World) {
    for id in world.machines.keys().copied().collect::<Vec<_>>() {
        world.up(id);
        world.machine(id).disk = DiskMark::Ample;
    }
    for _ in 0..400 {
        world.now = Monotonic(world.now.plus(Duration::from_secs(60)).0);
        world.catch_up();
        let plan = world.plan();
        if plan.steps.is_empty() {
            return;
        }
        for step in &plan.steps {
            let _ = world.perform(step);
        }
    }
    panic!("plans without end: {}\n{}", render::plan(world, &world.plan()), render::map(world));
}

fn check(world: &World) {
    let picture = render::map(world);
    let members = world.state.members().count();
    let factor = usize::try_from(world.state.settings().replication_factor).unwrap();
    let mut loads: BTreeMap<NodeId, usize> =
        world.state.members().map(|(node, _)| (node, 0)).collect();
    for (id, meant) in world.state.groups() {
        let fact = &world.rafts[id].configuration;
        let wanted: Vec<_> = meant.voters().map(|replica| replica.id).collect();
        assert_eq!(fact.voters.iter().copied().collect::<Vec<_>>(), wanted, "{id}\n{picture}");
        assert!(fact.learners.is_empty() && fact.outgoing.is_empty(), "{picture}");
        let count = if *id == META_GROUP { meta_voter_count(members) } else { factor };
        assert_eq!(wanted.len(), count, "group {id}\n{picture}");
        for replica in &meant.replicas {
            assert!(
                world.is_up(*id, replica.id),
                "{replica:?} of {id} {:?}\n{picture}",
                world.machines
            );
            if *id != META_GROUP {
                *loads.get_mut(&replica.node).expect(&picture) += 1;
            }
        }
    }
    assert_eq!(world.state.leaving().count(), 0, "{picture}");
    assert!(world.state.tombstones().is_empty(), "{picture}");
    assert!(world.state.epochs().iter().all(|epoch| epoch.state == EpochState::Active));
    let replicas: usize = loads.values().sum();
    let cap = replicas.div_ceil(loads.len()) + 1;
    assert!(loads.values().all(|load| *load <= cap), "{loads:?}\n{picture}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 300, ..ProptestConfig::default()
    })]

    #[test]
    fn faults_end_and_the_cluster_becomes_what_it_is_meant_to_be(
        founders in 1..5_u8,
        fates in vec((any::<u8>(), any::<u8>(), 0..1_500_u16), 0..120),
    ) {
        let nodes: Vec<_> =
            (0..founders).map(|number| (node(number), record(&format!("n{number}"), ""))).collect();
        let mut world = World::found(&nodes, u32::from(founders.min(3)), 3);
        for (kind, choice, seconds) in fates {
            act(&mut world, kind, choice, seconds);
        }
        calm_down(&mut world);
        check(&world);
    }
}
