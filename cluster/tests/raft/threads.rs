//! A group as in production: logs and machines work on threads of their own, and queues fill up.

use cluster::raft::{Blocking, Outcome, ProposeError};
use futures_util::future::join_all;

use crate::group::Group;

/// Bytes of a large value: a dozen of them are more than a log's queue holds.
const LARGE: usize = 3 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_entries_fill_the_queues_and_get_through() {
    let mut group = Group::start_with(51, 3, Blocking::Threads).await;
    group.write("first", "1").await;
    let value = "x".repeat(LARGE);
    let leader = group.leader().await;
    let keys: Vec<String> = (0..12).map(|number| format!("k{number}")).collect();
    let outcomes = join_all(keys.iter().map(|key| group.write_to(leader, key, &value))).await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Ok(Outcome::Applied(_)))));
    let too_many = outcomes.iter().any(|it| matches!(it, Err(ProposeError::Busy { .. })));
    assert!(too_many, "36 MiB were accepted at once: {outcomes:?}");
    for key in &keys {
        group.write(key, &value).await;
    }
    // One that was away reads what it missed from the others' disks.
    let away = (group.leader().await + 1) % 3;
    group.kill(away).await;
    for number in 0..100 {
        group.write(&format!("small-{number}"), "v").await;
    }
    group.revive(away).await;
    let leader = group.leader().await;
    group.members[leader].log.arm();
    drop(group.write_to(leader, "panic", "v").await);
    assert_eq!(group.read(away, "k11").await.map(|value| value.len()), Some(LARGE));
    let map = group.settled().await;
    assert!(map.len() >= 114, "{}", map.len());
    for member in &group.members {
        member.replica().shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_entries_are_applied_where_they_are_met() {
    let group = Group::start_with(52, 3, Blocking::Threads).await;
    for (key, value, begins_with) in
        [("long", "v", "apply-"), ("brief", &*"x".repeat(LARGE), "apply-"), ("brief", "v", "tokio")]
    {
        group.write(key, value).await;
        for at in 0..group.members.len() {
            assert_eq!(group.read(at, key).await.as_deref(), Some(value));
            let threads = group.members[at].machine.threads();
            let is_right = threads.iter().all(|name| name.starts_with(begins_with));
            assert!(is_right && !threads.is_empty(), "{key}: {threads:?}");
        }
    }
    for member in &group.members {
        member.replica().shutdown().await;
    }
}
