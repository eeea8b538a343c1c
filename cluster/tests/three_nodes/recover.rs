//! The majority is gone for good: one disk goes on.

use cluster::identity::ClusterId;
use model::testing::Generator;
use model::{ClusterAdmin as _, ShardId};

use crate::faults::until_seen;
use crate::world::{Shape, THREE, World, node};

const NEW: ClusterId = ClusterId([0xEE; 16]);

#[tokio::test(start_paused = true)]
async fn one_disk_goes_on_and_new_nodes_join_it() {
    let mut world = World::start(140, THREE).await;
    let sealed = Generator::new(140).spans(300);
    world.write(2, &sealed).await.unwrap();
    world.settled(0, 3).await;
    world.seal(0);
    let in_log = Generator::new(141).spans(300);
    world.write(1, &in_log).await.unwrap();
    world.settled(0, 3).await;
    for number in 0..3 {
        world.kill(number).await;
    }

    let survey = world.recovery(0).unwrap().survey().unwrap();
    let mut others: Vec<_> = survey.others.iter().map(|(_, name)| name.as_str()).collect();
    others.sort_unstable();
    assert_eq!((survey.node, others), (node(0), vec!["node-1", "node-2"]));
    assert_eq!(survey.shards.len(), 4);
    for (shard, surveyed) in &survey.shards {
        let surveyed = surveyed.unwrap();
        assert!(surveyed.is_voter && surveyed.last.is_some(), "{shard}: {surveyed:?}");
        assert!(surveyed.newest.is_some(), "{shard}: {surveyed:?}");
    }
    // Looking changes nothing.
    assert_eq!(world.recovery(0).unwrap().survey().unwrap(), survey);

    // It was broken off, and is done again.
    world.recovery(0).unwrap().accept_loss(ClusterId([0xDD; 16])).unwrap();
    world.recovery(0).unwrap().accept_loss(NEW).unwrap();
    world.revive(0).await;
    world.settled(0, 1).await;
    assert_eq!(world.host(0).cluster(), Some(NEW));
    let status = world.store(0).status().await;
    assert_eq!(status.nodes.len(), 1, "{status:?}");
    let more = Generator::new(142).spans(100);
    world.write(0, &more).await.unwrap();
    for spans in [&sealed, &in_log, &more] {
        world.require(0, spans).await;
    }

    // Empty nodes join, and get replicas of everything.
    let (first, second) = (world.add().await, world.add().await);
    world.settled(0, 3).await;
    let status = world.store(first).status().await;
    assert_eq!(status.nodes.len(), 3, "{status:?}");
    // Not only learners: one of the three may go.
    until_seen(&world, 0, "voters on all three", |status| status.alarms.is_empty()).await;
    world.kill(0).await;
    world.settled(second, 2).await;
    for spans in [&sealed, &in_log, &more] {
        world.require(second, spans).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_without_a_replica_begins_empty_and_a_learner_can_go_on() {
    let shape = Shape { nodes: 4, shards: 6, ..THREE };
    let mut world = World::start(150, shape).await;
    let spans = Generator::new(150).spans(400);
    world.write(0, &spans).await.unwrap();
    world.settled(0, 3).await;
    let status = world.store(0).status().await;
    let is_voter_of_meta =
        |number: &usize| world.replica_ids(*number).contains_key(&cluster::identity::META_GROUP);
    let survivor = (0..4).find(is_voter_of_meta).unwrap();
    let stranger = (0..4).find(|number| !is_voter_of_meta(number)).unwrap();
    let here: Vec<ShardId> = status
        .shards
        .iter()
        .filter(|shard| shard.replicas.iter().any(|it| it.node == node(survivor)))
        .map(|shard| shard.id)
        .collect();
    for number in 0..4 {
        world.kill(number).await;
    }
    let refused = world.recovery(stranger).unwrap_err().to_string();
    assert!(refused.contains("no replica of the cluster's own state"), "{refused}");
    let survey = world.recovery(survivor).unwrap().survey().unwrap();
    let held = survey.shards.iter().filter(|(_, surveyed)| surveyed.is_some());
    assert_eq!(held.map(|(shard, _)| *shard).collect::<Vec<_>>(), here);
    assert!(here.len() < 6, "{here:?}");
    world.recovery(survivor).unwrap().accept_loss(NEW).unwrap();
    world.revive(survivor).await;
    world.settled(survivor, 1).await;
    // What lies in shards that were here is there, and all of them take spans.
    let (found, end) = world.count(survivor).await.unwrap();
    assert!(end.completeness.is_complete() && found > 0, "{:?}", end.completeness);
    let more = Generator::new(151).spans(400);
    world.write(survivor, &more).await.unwrap();
    world.require(survivor, &more).await;
}
