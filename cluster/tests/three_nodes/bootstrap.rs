//! Nodes that know only addresses become one cluster, and another one joins.

use std::sync::atomic::{AtomicUsize, Ordering};

use cluster::meta::MetaCommand;
use model::ClusterAdmin as _;
use model::testing::Generator;

use crate::world::{Shape, THREE, World, node};

#[tokio::test(start_paused = true)]
async fn three_nodes_found_one_cluster() {
    for seed in 1..=3 {
        let world = World::start(seed, THREE).await;
        let cluster = world.host(0).cluster();
        assert!(cluster.is_some());
        assert!((0..3).all(|number| world.host(number).cluster() == cluster));
        world.settled(1, 3).await;
        let status = world.store(2).status().await;
        assert_eq!((status.nodes.len(), status.shards.len()), (3, 4));
        assert!(status.shards.iter().all(|shard| shard.replicas.len() == 3));
        let leads =
            |number| status.shards.iter().filter(|s| s.leader == Some(node(number))).count();
        assert_eq!((0..3).map(leads).sum::<usize>(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_alone_is_a_cluster_of_one() {
    let shape = Shape { nodes: 1, replication_factor: 1, shards: 2, ..THREE };
    let mut world = World::start(4, shape).await;
    let spans = Generator::new(4).spans(100);
    world.write(0, &spans).await.unwrap();
    world.require(0, &spans).await;
    world.kill(0).await;
    world.revive(0).await;
    world.require(0, &spans).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_joins_and_takes_its_share_when_another_leaves() {
    let mut world = World::start(5, THREE).await;
    let spans = Generator::new(5).spans(200);
    world.write(0, &spans).await.unwrap();
    let newcomer = world.add().await;
    world.require(newcomer, &spans).await;
    world.host(0).propose(MetaCommand::RemoveNode { node: node(1) }).await.unwrap();
    let polls = AtomicUsize::new(0);
    let state = world.host(0).watch_state();
    world
        .until("the node that leaves holds nothing", || {
            polls.fetch_add(1, Ordering::Relaxed);
            let state = state.borrow();
            state.nodes().get(&node(1)).is_some_and(cluster::meta::Node::is_removed)
        })
        .await;
    world.kill(1).await;
    world.settled(newcomer, 3).await;
    for through in [0, 2, newcomer] {
        world.require(through, &spans).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_all_come_back_at_other_addresses_find_each_other() {
    let mut world = World::start(6, THREE).await;
    let spans = Generator::new(6).spans(200);
    world.write(0, &spans).await.unwrap();
    for number in 0..3 {
        world.kill(number).await;
        world.relocate(number);
    }
    // Two are a majority; the third may stay away, where the map says that it is.
    world.revive_all(&[0, 1]).await;
    world.ready().await;
    world.require(0, &spans).await;
    world.require(1, &spans).await;
    world.revive(2).await;
    world.settled(2, 3).await;
    world.require(2, &spans).await;
}

#[tokio::test(start_paused = true)]
async fn gossip_finds_members_that_moved_where_no_seed_leads_to_them() {
    let mut world = World::start(7, THREE).await;
    let spans = Generator::new(7).spans(200);
    world.write(0, &spans).await.unwrap();
    world.has_seeds = false;
    for number in 0..3 {
        world.kill(number).await;
        world.relocate(number);
    }
    world.revive_all(&[0, 1, 2]).await;
    // One that hears of the others is enough: it calls them, and so they learn where it is.
    world.gossip(1, &[0, 2]);
    world.ready().await;
    for through in 0..3 {
        world.settled(through, 3).await;
        world.require(through, &spans).await;
    }
}
