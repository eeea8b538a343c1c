//! Cores die, processes end, storage fails.

use std::sync::atomic::Ordering;

use cluster::raft::{ProposeError, Role};

use crate::group::Group;

#[tokio::test(start_paused = true)]
async fn a_core_that_panicked_is_rebuilt() {
    let group = Group::start(31, 3).await;
    for round in 0..5 {
        for number in 0..10 {
            group.write(&format!("r{round}-{number}"), "v").await;
        }
        let leader = group.leader().await;
        group.members[leader].log.arm();
        let unknown = group.write_to(leader, &format!("r{round}-x"), "v").await;
        assert!(matches!(unknown, Err(ProposeError::Unknown { .. })), "{unknown:?}");
        group.write(&format!("r{round}-after"), "v").await;
        group
            .until("the one that died runs again", |group| {
                group.members[leader].replica().status().leadership.role != Role::Down
            })
            .await;
    }
    let map = group.settled().await;
    for round in 0..5 {
        assert!(map.contains_key(&format!("r{round}-9")));
        assert!(map.contains_key(&format!("r{round}-after")));
    }
    for member in &group.members {
        // What was applied stays applied: nothing is applied a second time by a successor.
        assert_eq!(member.machine.applications_max(), 1);
        assert_eq!(member.failures.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn all_restart_from_their_logs() {
    let mut group = Group::start(32, 3).await;
    for number in 0..20 {
        group.write(&format!("k{number}"), "v").await;
    }
    group.members[1].machine.seal();
    for number in 20..40 {
        group.write(&format!("k{number}"), "v").await;
    }
    for at in 0..3 {
        group.kill(at).await;
    }
    for at in 0..3 {
        group.revive(at).await;
    }
    assert_eq!(group.settled().await.len(), 41);
}

#[tokio::test(start_paused = true)]
async fn failed_storage_is_told_and_not_rebuilt() {
    let group = Group::start(33, 3).await;
    group.write("before", "1").await;
    let leader = group.leader().await;
    group.members[leader].log.fail();
    group.write_to(leader, "lost", "1").await.unwrap_err();
    group
        .until("the failure was told", |group| {
            group.members[leader].failures.load(Ordering::SeqCst) == 1
        })
        .await;
    group
        .until("the others have a leader", |group| {
            (0..3).any(|at| at != leader && group.members[at].leads())
        })
        .await;
    let failed = group.members[leader].replica();
    assert_eq!(failed.status().leadership.role, Role::Down);
    let refused = group.write_to(leader, "after", "1").await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: None }));
}
