//! What is acknowledged stays, what is missing is said, and who returns catches up.

use futures_util::future::join_all;
use model::admin::{ClusterStatus, NodeState, NodeStatus, ReplicaState};
use model::testing::Generator;
use model::{ClusterAdmin as _, NodeId, Span, StoreError};

use crate::world::{Shape, THREE, World, node};

fn leader_of_first(status: &ClusterStatus) -> NodeId {
    status.shards[0].leader.unwrap()
}

fn number_of(id: NodeId) -> usize {
    (0..9).find(|number| node(*number) == id).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_its_leader() {
    for seed in 40..43 {
        let world = World::start(seed, THREE).await;
        world.settled(0, 3).await;
        let leader = number_of(leader_of_first(&world.store(0).status().await));
        let others: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
        let through = others[0];
        let requests: Vec<Vec<Span>> =
            (0..60).map(|request| Generator::new(seed * 1_000 + request).spans(20)).collect();
        let writing = requests.iter().enumerate().map(|(place, spans)| {
            let world = &world;
            async move {
                let pause = std::time::Duration::from_millis(20 * place as u64);
                tokio::time::sleep(pause).await;
                if place == 20 {
                    world.isolate(leader);
                }
                world.write(through, spans).await
            }
        });
        let outcomes = join_all(writing).await;
        let acked = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(acked, requests.len(), "writes ride through an election: {outcomes:?}");
        for through in others {
            for spans in &requests {
                world.require(through, spans).await;
            }
        }
        // The one that was cut off shows what it has, and says that it may be old.
        let (_, end) = world.count(leader).await.unwrap();
        assert!(!end.completeness.stale.is_empty());
        world.network.heal();
        world.settled(leader, 3).await;
        for spans in &requests {
            world.require(leader, spans).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_away_catches_up() {
    let mut world = World::start(50, THREE).await;
    let before = Generator::new(50).spans(100);
    world.write(2, &before).await.unwrap();
    world.kill(2).await;
    let meanwhile = Generator::new(51).spans(100);
    world.write(0, &meanwhile).await.unwrap();
    world.revive(2).await;
    world.ready().await;
    world.settled(2, 3).await;
    for spans in [&before, &meanwhile] {
        world.require(2, spans).await;
    }
    // Its own replicas hold all of it: without the others it shows as much.
    let (all, end) = world.count(0).await.unwrap();
    assert!(end.completeness.is_complete());
    world.isolate(2);
    let (own, end) = world.count(2).await.unwrap();
    assert_eq!((own, end.completeness.stale.len()), (all, 4));
}

#[tokio::test(start_paused = true)]
async fn one_dead_node_of_three_costs_nothing() {
    let mut world = World::start(60, THREE).await;
    let before = Generator::new(60).spans(100);
    world.write(0, &before).await.unwrap();
    world.kill(1).await;
    let after = Generator::new(61).spans(100);
    world.write(2, &after).await.unwrap();
    for through in [0, 2] {
        world.require(through, &before).await;
        world.require(through, &after).await;
        let (_, end) = world.count(through).await.unwrap();
        assert!(end.completeness.is_complete(), "{:?}", end.completeness);
    }
    let nodes: Vec<NodeStatus> = world.store(0).status().await.nodes;
    assert_eq!(nodes.iter().filter(|node| node.version.is_empty()).count(), 1);
}

/// Waits until a node's view of the cluster is as wanted.
pub(crate) async fn until_seen(
    world: &World,
    through: usize,
    what: &str,
    is_so: impl Fn(&ClusterStatus) -> bool,
) -> ClusterStatus {
    for _ in 0..600 {
        let status = world.store(through).status().await;
        if is_so(&status) {
            return status;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("{what} was never seen: {:?}", world.store(through).status().await);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_down_is_shown_with_its_replicas_and_is_an_alarm() {
    let is_present = |state: &ReplicaState| matches!(state, ReplicaState::Present { .. });
    let is_well = |status: &ClusterStatus| {
        let mut replicas = status.shards.iter().flat_map(|shard| &shard.replicas);
        status.alarms.is_empty()
            && status.nodes.iter().all(|node| node.state == NodeState::Ready)
            && replicas.all(|replica| is_present(&replica.state))
    };
    let mut world = World::start(65, THREE).await;
    world.settled(0, 3).await;
    let well = until_seen(&world, 0, "a cluster that is well", is_well).await;
    for (number, node) in well.nodes.iter().enumerate() {
        assert_eq!(node.ui, Some(format!("http://node-{number}/")));
    }
    world.kill(1).await;
    let hurt = until_seen(&world, 2, "four alarms", |status| status.alarms.len() == 4).await;
    let down = hurt.nodes.iter().find(|it| it.id == node(1)).unwrap();
    assert!(matches!(down.state, NodeState::Down { lasts, .. } if lasts.0 > 0), "{down:?}");
    assert_eq!((down.ui.as_ref(), down.name.as_str()), (None, "node-1"));
    for (number, shard) in hurt.shards.iter().enumerate() {
        assert_eq!(shard.replicas.len(), 3);
        for replica in &shard.replicas {
            let is_there = replica.node != node(1);
            assert_eq!(is_present(&replica.state), is_there, "{replica:?}");
            assert_eq!(replica.state == ReplicaState::Unreachable, !is_there, "{replica:?}");
        }
        let mut of_shard = hurt.alarms.iter().filter(|alarm| alarm.shard == Some(shard.id));
        let alarm = of_shard.next().unwrap();
        let text = format!("shard {number} has 2 of 3 replicas that answer");
        assert_eq!((alarm.kind.as_str(), &alarm.text), ("under-replicated", &text));
    }
    // They stand, and are not told anew.
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let later = world.store(0).status().await;
    let stands = |alarm: &model::admin::AlarmStatus| alarm.stands >= model::Duration::from_secs(20);
    assert!(later.alarms.len() == 4 && later.alarms.iter().all(stands), "{:?}", later.alarms);
    world.revive(1).await;
    until_seen(&world, 0, "a cluster that is well again", is_well).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_is_spared_only_if_it_is_gone_and_the_others_have_all_of_it() {
    let mut world = World::start(66, THREE).await;
    world.settled(0, 3).await;
    let refused = world.ask_to_be_spared("node-2").await.unwrap_err();
    assert!(refused.contains("answers"), "{refused}");
    let refused = world.ask_to_be_spared("node-7").await.unwrap_err();
    assert!(refused.contains("0 members have this name"), "{refused}");
    world.kill(2).await;
    let mut told = world.ask_to_be_spared("node-2").await;
    // What it led has to find another leader first.
    for _ in 0..60 {
        if told.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        told = world.ask_to_be_spared("node-2").await;
    }
    assert_eq!(told, Ok(()));
    world.kill(1).await;
    let refused = world.ask_to_be_spared("node-2").await.unwrap_err();
    assert!(refused.contains("two other voters"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_has_one_copy_is_not_done_without() {
    let mut world = World::start(67, Shape { replication_factor: 1, ..THREE }).await;
    world.settled(0, 1).await;
    world.kill(2).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let refused = world.ask_to_be_spared("node-2").await.unwrap_err();
    assert!(refused.contains("two other voters"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn two_dead_nodes_of_three_are_said() {
    let mut world = World::start(70, THREE).await;
    let before = Generator::new(70).spans(100);
    world.write(0, &before).await.unwrap();
    world.settled(0, 3).await;
    let (all, _) = world.count(0).await.unwrap();
    world.kill(1).await;
    world.kill(2).await;
    let (left, end) = world.count(0).await.unwrap();
    assert_eq!((left, end.completeness.stale.len(), end.completeness.missing.len()), (all, 4, 0));
    let refused = world.write(0, &Generator::new(71).spans(10)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert!(refused.is_retryable() && refused.retry_after_ms().is_some());
    // When a majority is back, everything is as before.
    world.revive(1).await;
    world.settled(0, 2).await;
    world.write(1, &Generator::new(72).spans(10)).await.unwrap();
    world.require(1, &before).await;
}

#[tokio::test(start_paused = true)]
async fn shards_without_any_replica_are_missing() {
    let mut world = World::start(80, Shape { replication_factor: 1, ..THREE }).await;
    let spans = Generator::new(80).spans(200);
    world.write(0, &spans).await.unwrap();
    let (all, end) = world.count(1).await.unwrap();
    assert!(end.completeness.is_complete());
    let status = world.store(0).status().await;
    let lost = status.shards.iter().filter(|s| s.leader == Some(node(2))).count();
    world.kill(2).await;
    let (left, end) = world.count(0).await.unwrap();
    assert_eq!(end.completeness.missing.len(), lost);
    assert!(left < all && end.completeness.stale.is_empty());
    world.revive(2).await;
    world.ready().await;
    world.require(1, &spans).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_drains_gives_away_what_it_leads() {
    let world = World::start(90, THREE).await;
    world.settled(0, 3).await;
    let leader = number_of(leader_of_first(&world.store(0).status().await));
    world.store(leader).drain().await;
    let through = (leader + 1) % 3;
    let status = world.store(through).status().await;
    assert!(status.shards.iter().all(|s| s.leader.is_some_and(|id| id != node(leader))));
    let spans = Generator::new(90).spans(50);
    world.write(through, &spans).await.unwrap();
    world.require(through, &spans).await;
}

/// Paused time: what is measured is how long they wait for each other, not how fast they are.
#[tokio::test(start_paused = true)]
async fn nodes_that_stop_together_do_not_wait_for_each_other() {
    let world = World::start(91, THREE).await;
    world.settled(0, 3).await;
    let began = tokio::time::Instant::now();
    futures_util::future::join_all((0..3).map(|at| world.store(at).drain())).await;
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}

/// What a disk cannot tell, others can: a replica whose log lost what it acknowledged does not vote
/// again under its id (DUR-3).
#[tokio::test(start_paused = true)]
async fn a_log_that_lost_its_end_is_given_up() {
    let mut world = World::start(31, THREE).await;
    let spans = Generator::new(31).spans(400);
    for spans in spans.chunks(20) {
        world.write(0, spans).await.unwrap();
    }
    world.settled(0, 3).await;
    let before = world.replica_ids(2);
    world.kill(2).await;
    world.cut_log(2, 1);
    world.revive(2).await;
    world.ready().await;
    world.settled(0, 3).await;
    let after = world.replica_ids(2);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (group, id) in &after {
        assert_ne!(before.get(group), Some(id), "group {group}");
    }
    // Without the others it has everything, from them.
    world.require(2, &spans).await;
}

/// A log that holds all that was acknowledged stays, whoever is silent.
#[tokio::test(start_paused = true)]
async fn a_log_that_lost_nothing_stays() {
    let mut world = World::start(32, THREE).await;
    world.write(0, &Generator::new(32).spans(200)).await.unwrap();
    world.settled(0, 3).await;
    let before = world.replica_ids(2);
    world.kill(2).await;
    world.kill(1).await;
    world.revive(2).await;
    world.until("its replicas run", || world.replica_ids(2).len() == before.len()).await;
    assert_eq!(world.replica_ids(2), before);
}

#[tokio::test(start_paused = true)]
async fn no_shard_waits_for_the_leader_of_another() {
    for seed in 70..73 {
        let world = World::start(seed, THREE).await;
        world.settled(0, 3).await;
        let spans = Generator::new(seed).spans(100);
        world.write(0, &spans).await.unwrap();
        let (all, ..) = world.count(0).await.unwrap();
        let leader = number_of(leader_of_first(&world.store(0).status().await));
        world.isolate(leader);
        let (hits, end, steps) = world.count_in_steps((leader + 1) % 3).await.unwrap();
        assert_eq!(hits, all, "seed {seed}");
        assert!(end.completeness.missing.is_empty());
        let (first, last) = (steps.first().unwrap().0, steps.last().unwrap().0);
        // The shards of the others are told at once; its own wait until it has a successor.
        let told_at_once = model::Duration::from_millis(100).0;
        assert!(first < told_at_once && last > 3 * told_at_once, "seed {seed}: {steps:?}");
    }
}
