//! The contract of a store of traces, kept through any node of a cluster.

use std::sync::Arc;

use model::testing::conformance::{self, Options};

use crate::world::{Shape, THREE, World};

async fn conforms(seed: u64, shape: Shape) {
    let world = World::start(seed, shape).await;
    for number in 0..shape.nodes {
        let options = Options {
            clock: Arc::clone(&world.clock) as _,
            traces: 20,
            queries: 30,
            ..Options::new(seed + number as u64)
        };
        if let Err(failure) = conformance::run(world.store(number), &options).await {
            panic!("through node {number}: {failure}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_node_of_three_conforms() {
    conforms(20, THREE).await;
}

/// Most shards are elsewhere, so most answers come over the network.
#[tokio::test(start_paused = true)]
async fn any_node_of_three_conforms_without_copies() {
    conforms(30, Shape { replication_factor: 1, ..THREE }).await;
}
