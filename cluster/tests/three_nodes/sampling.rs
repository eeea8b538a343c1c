//! Sampling strategies: what one node finds, all nodes hold, whoever is restarted.

use cluster::host::SamplingOffer;
use cluster::meta::limits::SAMPLING_BYTES_MAX;

use crate::world::{THREE, World};

/// Waits until every node that runs holds this content; its revision.
async fn until_all_hold(world: &World, numbers: &[usize], content: &[u8]) -> u64 {
    let states: Vec<_> = numbers.iter().map(|it| world.host(*it).watch_state()).collect();
    let holds = || states.iter().all(|state| state.borrow().sampling().content == content);
    world.until("all nodes hold the strategies", holds).await;
    states[0].borrow().sampling().revision.0
}

#[tokio::test(start_paused = true)]
async fn strategies_of_one_node_are_all_nodes_and_survive_them() {
    let mut world = World::start(61, THREE).await;
    let all = [0, 1, 2];
    // As large as they may be.
    let first = vec![b'a'; SAMPLING_BYTES_MAX];
    assert_eq!(world.host(0).offer_sampling(&first, false).await.unwrap(), SamplingOffer::Accepted);
    let revision = until_all_hold(&world, &all, &first).await;
    assert_eq!(world.host(2).offer_sampling(&first, false).await.unwrap(), SamplingOffer::InForce);
    for bad in [vec![b'a'; SAMPLING_BYTES_MAX + 1], Vec::new()] {
        let refused = world.host(1).offer_sampling(&bad, false).await.unwrap_err();
        assert!(matches!(refused, cluster::Error::Refused { .. }), "{refused}");
    }
    let second = b"second".to_vec();
    assert_eq!(
        world.host(1).offer_sampling(&second, false).await.unwrap(),
        SamplingOffer::Accepted
    );
    assert!(until_all_hold(&world, &all, &second).await > revision);
    let overtaken = SamplingOffer::Overtaken;
    assert_eq!(world.host(0).offer_sampling(&first, false).await.unwrap(), overtaken);

    for number in all {
        world.kill(number).await;
    }
    for number in all {
        world.revive(number).await;
    }
    world.ready().await;
    until_all_hold(&world, &all, &second).await;
    // What a node offered in a former life does not come back by a start.
    assert_eq!(world.host(0).offer_sampling(&first, false).await.unwrap(), overtaken);
    assert_eq!(world.host(0).offer_sampling(&first, true).await.unwrap(), SamplingOffer::Accepted);
    until_all_hold(&world, &all, &first).await;
    let newcomer = world.add().await;
    until_all_hold(&world, &[newcomer], &first).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_at_the_same_time_all_nodes_take_the_same() {
    for seed in 62..66 {
        let world = World::start(seed, THREE).await;
        let (one, other) = (world.host(0), world.host(2));
        let offers = tokio::join!(
            one.offer_sampling(b"one", false),
            other.offer_sampling(b"other", false),
            world.host(1).offer_sampling(b"third", false),
        );
        let offers = [offers.0.unwrap(), offers.1.unwrap(), offers.2.unwrap()];
        assert_eq!(offers, [SamplingOffer::Accepted; 3], "each had its turn");
        let last = |number: usize| world.host(number).watch_state().borrow().sampling().clone();
        let newest = (0..3).map(last).max_by_key(|sampling| sampling.revision).unwrap();
        until_all_hold(&world, &[0, 1, 2], &newest.content).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_nothing_is_taken_and_the_former_stay() {
    let mut world = World::start(67, THREE).await;
    world.host(0).offer_sampling(b"before", false).await.unwrap();
    until_all_hold(&world, &[0, 1, 2], b"before").await;
    world.kill(1).await;
    world.kill(2).await;
    let failed = world.host(0).offer_sampling(b"after", false).await.unwrap_err();
    assert!(matches!(failed, cluster::Error::Unknown { .. }), "{failed}");
    until_all_hold(&world, &[0], b"before").await;
    world.revive(1).await;
    world.revive(2).await;
    world.ready().await;
    // Offered again, as whoever failed does; the first attempt may have been taken after all.
    world.host(0).offer_sampling(b"after", false).await.unwrap();
    until_all_hold(&world, &[0, 1, 2], b"after").await;
}
