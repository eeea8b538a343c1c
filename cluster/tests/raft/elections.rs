//! Leaders come and go; what was acknowledged stays.

use cluster::raft::{Outcome, ProposeError, TransferError};

use crate::group::{Group, node};

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_and_comes_back_as_a_follower() {
    let mut group = Group::start(11, 3).await;
    group.write("before", "1").await;
    let old = group.leader().await;
    let began = tokio::time::Instant::now();
    group.kill(old).await;
    group.write("during", "2").await;
    let gap = began.elapsed();
    assert!(gap < std::time::Duration::from_secs(3), "{gap:?}");
    assert_ne!(group.leader().await, old);
    group.revive(old).await;
    let map = group.settled().await;
    assert_eq!((map["before"].as_str(), map["during"].as_str()), ("1", "2"));
    assert_ne!(group.leader().await, old, "the one that returned disturbed the leader");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_acknowledges_nothing() {
    let group = Group::start(12, 3).await;
    group.write("before", "1").await;
    let old = group.leader().await;
    let others: Vec<_> = (0..3).filter(|at| *at != old).collect();
    let nodes: Vec<_> = others.iter().map(|at| node(group.members[*at].number)).collect();
    group.network.partition(&[node(group.members[old].number)], &nodes);

    let lost = group.members[old].replica().propose(bytes::Bytes::from_static(b"lost=1"));
    let mut lost = Box::pin(lost);
    assert!(futures_util::poll!(&mut lost).is_pending());
    group
        .until("the others have a leader", |group| {
            others.iter().any(|at| group.members[*at].leads())
        })
        .await;
    let new = others.iter().copied().find(|at| group.members[*at].leads()).unwrap();
    let written = group.write_to(new, "after", "2").await;
    assert!(matches!(written, Ok(Outcome::Applied(_))), "{written:?}");
    let barrier = group.members[old].replica().read_barrier();
    let barrier = tokio::time::timeout(std::time::Duration::from_secs(5), barrier).await;
    assert!(!matches!(barrier, Ok(Ok(_))), "a leader without a majority let a read pass");

    group.network.heal();
    let map = group.settled().await;
    assert_eq!((map["before"].as_str(), map["after"].as_str()), ("1", "2"));
    match lost.await {
        Ok(_) => assert_eq!(map["lost"], "1"),
        Err(ProposeError::Unknown { .. } | ProposeError::NoQuorum) => {}
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_was_cut_off_does_not_depose_the_leader() {
    let group = Group::start(13, 3).await;
    let leader = group.leader().await;
    let term = group.members[leader].replica().status().leadership.term;
    let away = node(group.members[(leader + 1) % 3].number);
    let rest = [leader, (leader + 2) % 3].map(|at| node(group.members[at].number));
    group.network.partition(&[away], &rest);
    for number in 0..50 {
        group.write(&format!("k{number}"), "v").await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    group.network.heal();
    assert_eq!(group.settled().await.len(), 51);
    assert_eq!(group.leader().await, leader);
    assert_eq!(group.members[leader].replica().status().leadership.term, term);
}

#[tokio::test(start_paused = true)]
async fn leadership_is_handed_over_on_request() {
    let group = Group::start(14, 3).await;
    group.write("before", "1").await;
    let old = group.leader().await;
    let to = (old + 1) % 3;
    let target = group.members[to].place().replica;
    loop {
        // It is ready within a heartbeat.
        match group.members[old].replica().transfer_leader(target).await {
            Ok(()) => break,
            Err(TransferError::NotReady { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(group.leader().await, to);
    group.write("after", "2").await;
    assert_eq!(group.settled().await.len(), 3);
    let from_follower = group.members[old].replica().transfer_leader(target).await;
    assert!(matches!(from_follower, Err(TransferError::NotLeader { .. })));
    let itself = group.members[to].replica().transfer_leader(target).await;
    assert_eq!(itself, Err(TransferError::NotEligible { to: target }));
}
