//! Logs are purged; who lacks what is gone gets a snapshot.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cluster::raft::{Change, Machine as _, Role};
use cluster::transport::Link;
use storage::log::LogIndex;

use crate::group::{Group, node};

async fn purged(group: &Group, writes: u32) {
    for number in 0..writes {
        group.write(&format!("key-{number}"), "a value of some length").await;
    }
    for member in &group.members {
        member.machine.seal();
        let upto = member.replica().purge(LogIndex(u64::MAX)).await.unwrap();
        assert_eq!(upto, member.machine.cut());
    }
    group
        .until("the logs are purged", |group| {
            group.members.iter().all(|member| {
                let status = member.replica().status();
                status.purged == status.snapshot && status.purged.is_some()
            })
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_learner_without_the_log_gets_a_snapshot() {
    let mut group = Group::start(41, 3).await;
    purged(&group, 40).await;
    group.add(4).await;
    let fourth = group.members[3].place();
    group.change(Change::AddLearner(fourth)).await;
    let map = group.settled().await;
    assert_eq!(map.len(), 41);
    assert_eq!(group.members[3].machine.installs(), 1);
    let made: Vec<u32> = group.members.iter().map(|member| member.machine.made()).collect();
    assert_eq!(made.iter().filter(|made| **made > 0).count(), 1, "by who offered it: {made:?}");
    // What it got, and what it applied since, survives a restart of its own.
    group.write("more", "1").await;
    group.kill(3).await;
    group.revive(3).await;
    assert_eq!(group.settled().await.len(), 42);
    assert_eq!(group.members[3].machine.installs(), 0, "its own snapshot was enough");
}

/// Consensus asks for the position first; the snapshot is made when it is offered.
#[tokio::test(start_paused = true)]
async fn a_cut_that_moves_on_before_the_offer_is_offered_as_what_it_is() {
    let mut group = Group::start(44, 3).await;
    purged(&group, 40).await;
    group.write("behind the cut", "1").await;
    group.settled().await;
    let cut = group.members[0].machine.cut();
    group.members.iter().for_each(|member| member.machine.move_on());
    group.add(4).await;
    let fourth = group.members[3].place();
    group.change(Change::AddLearner(fourth)).await;
    assert_eq!(group.settled().await.len(), 42);
    let machine = &group.members[3].machine;
    assert!(machine.installs() == 1 && machine.cut() > cut, "{:?} after {cut:?}", machine.cut());
}

/// What consensus does not see ends a replica as what it sees: others lead, and offer.
#[tokio::test(start_paused = true)]
async fn storage_of_which_no_snapshot_can_be_made_has_failed() {
    let mut group = Group::start(45, 3).await;
    purged(&group, 40).await;
    let leader = group.leader().await;
    group.members[leader].machine.fail_to_read();
    group.add(4).await;
    let fourth = group.members[3].place();
    group.change(Change::AddLearner(fourth)).await;
    let has_failed = |group: &Group| group.members[leader].failures.load(Ordering::SeqCst) == 1;
    group.until("the failure was told", has_failed).await;
    let machine = &group.members[3].machine;
    group.until("another one offers its snapshot", |_| machine.installs() == 1).await;
    assert_eq!(group.members[leader].replica().status().leadership.role, Role::Down);
}

/// A shard with a damaged block gives no snapshots. Its core, told of none, fell over a log whose
/// beginning was purged, again and again (simulated seed 32).
#[tokio::test(start_paused = true)]
async fn a_member_that_hands_on_no_snapshot_starts_again() {
    let mut group = Group::start(47, 3).await;
    purged(&group, 40).await;
    group.members[1].machine.withhold();
    group.kill(1).await;
    group.revive(1).await;
    group.write("more", "1").await;
    assert_eq!(group.settled().await.len(), 42);
    // It can still lead; whoever needs a snapshot gets it from another.
    group.members[1].machine.seal();
    group.kill(1).await;
    group.revive(1).await;
    group.write("still more", "1").await;
    assert_eq!(group.settled().await.len(), 43);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_goes_on_where_a_broken_link_left_it() {
    let mut group = Group::start(42, 3).await;
    purged(&group, 200).await;
    group.add(4).await;
    let (fourth, at) = (group.members[3].place(), node(4));
    // A slow link that loses messages: the transfer takes several attempts.
    let bad = Link {
        drop: 0.05,
        delay: (Duration::from_millis(1), Duration::from_millis(30)).map(),
        ..Link::default()
    };
    for number in 1..=3 {
        group.network.set_link(node(number), at, bad);
        group.network.set_link(at, node(number), bad);
    }
    group.change(Change::AddLearner(fourth)).await;
    group.until("the snapshot is in", |group| group.members[3].machine.installs() > 0).await;
    group.network.heal();
    assert_eq!(group.settled().await.len(), 201);
}

#[tokio::test(start_paused = true)]
async fn all_restart_from_purged_logs() {
    let mut group = Group::start(43, 3).await;
    purged(&group, 20).await;
    group.write("more", "1").await;
    let made = |group: &Group| group.members.iter().map(|it| it.machine.made()).sum::<u32>();
    assert_eq!(made(&group), 0, "a seal and a purge need no more than the position");
    for at in 0..3 {
        group.kill(at).await;
    }
    for at in 0..3 {
        group.revive(at).await;
    }
    assert_eq!(group.settled().await.len(), 22);
    assert_eq!(made(&group), 0, "nor does a start");
    for member in &group.members {
        assert!(member.replica().status().purged.is_some());
    }
}

/// Two of tokio's durations as the model's.
trait Map {
    fn map(self) -> (model::Duration, model::Duration);
}

impl Map for (Duration, Duration) {
    fn map(self) -> (model::Duration, model::Duration) {
        let nanos =
            |duration: Duration| model::Duration(u64::try_from(duration.as_nanos()).unwrap());
        (nanos(self.0), nanos(self.1))
    }
}
