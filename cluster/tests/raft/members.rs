//! Members come and go.

use std::collections::BTreeSet;

use cluster::raft::{Change, ChangeError};

use crate::group::{GROUP, Group};

#[tokio::test(start_paused = true)]
async fn a_learner_catches_up_and_votes() {
    let mut group = Group::start(21, 3).await;
    for number in 0..30 {
        group.write(&format!("k{number}"), "v").await;
    }
    group.add(4).await;
    let fourth = group.members[3].place();
    group.change(Change::AddLearner(fourth)).await;
    group
        .until("the learner has caught up", |group| {
            group.members[3].machine.map() == group.members[0].machine.map()
        })
        .await;
    let one = group.leader().await;
    let leaving = group.members[(one + 1) % 3].place().replica;
    let voters: BTreeSet<_> = (0..4)
        .map(|at| group.members[at].place().replica)
        .filter(|replica| *replica != leaving)
        .collect();
    group.change(Change::SetVoters(voters.clone())).await;
    group.change(Change::Remove(BTreeSet::from([leaving]))).await;
    let leader = group.leader().await;
    let configuration = group.members[leader].replica().status().configuration;
    assert_eq!(configuration.voters, [voters]);
    assert_eq!(configuration.members.len(), 3);
    let gone = group.members.iter().position(|member| member.place().replica == leaving).unwrap();
    group.kill(gone).await;
    for member in &group.members {
        member.router.bury(GROUP, leaving);
    }
    assert_eq!(group.settled().await.len(), 31);
    // The one that was removed runs again, against all agreement, and is not listened to.
    let term = group.members[leader].replica().status().leadership.term;
    group.revive(gone).await;
    group.members[gone].replica().campaign().await;
    group.write("after", "1").await;
    let now = group.members[group.leader().await].replica().status().leadership.term;
    assert_eq!(now, term);
}

#[tokio::test(start_paused = true)]
async fn a_change_for_another_membership_is_stale() {
    let mut group = Group::start(22, 3).await;
    group.write("k", "v").await;
    let replica = group.members[group.leader().await].replica();
    let expected = replica.status().configuration.id;
    group.add(4).await;
    let fourth = group.members[3].place();
    group.change(Change::AddLearner(fourth)).await;
    let replica = group.members[group.leader().await].replica();
    let removal = Change::Remove(BTreeSet::from([fourth.replica]));
    let stale = replica.change_membership_if(expected, removal).await;
    assert_eq!(stale, Err(ChangeError::Stale));
}
