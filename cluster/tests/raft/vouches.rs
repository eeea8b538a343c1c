//! Barriers from vouches cover what was acknowledged before they were asked for, whoever is heard,
//! and whenever, while leaders are cut off, replicas restart and voters change.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::raft::{Blocking, Change, Outcome, Replica};
use cluster::vouch::{self, Vouch};
use model::NodeId;
use model::testing::Random;
use storage::log::LogIndex;

use crate::group::{Group, node};

const MEMBERS: usize = 5;

/// What every replica says at one moment.
fn vouches(group: &Group) -> Vec<Vouch> {
    let running = group.members.iter().filter_map(|member| member.replica.as_ref());
    running.filter_map(Replica::vouch).collect()
}

#[tokio::test(start_paused = true)]
async fn a_deposed_leader_makes_no_barrier() {
    let group = Group::start(61, 3).await;
    group.write("before", "1").await;
    let old = group.leader().await;
    let others: Vec<_> = (0..3).filter(|at| *at != old).collect();
    let nodes: Vec<_> = others.iter().map(|at| node(group.members[*at].number)).collect();
    group.network.partition(&[node(group.members[old].number)], &nodes);
    group
        .until("the others have a leader", |group| {
            others.iter().any(|at| group.members[*at].leads())
        })
        .await;
    assert!(group.members[old].leads(), "it knows of nothing");
    let of = |at: usize| group.members[at].replica().vouch().unwrap();
    for other in &others {
        let heard = [of(old), of(*other)];
        let new = group.members[*other].leads();
        assert!(new || vouch::barrier(&heard).is_none(), "{heard:?}");
    }
    let new = others.iter().copied().find(|at| group.members[*at].leads()).unwrap();
    let written = group.write_to(new, "after", "2").await;
    assert!(matches!(written, Ok(Outcome::Applied(_))), "{written:?}");
    let applied = group.members[new].replica().applied();
    assert_eq!(vouch::barrier(&others.iter().map(|at| of(*at)).collect::<Vec<_>>()), applied);
    assert_eq!(vouch::barrier(&vouches(&group)), applied);
}

/// Whoever saw a write and asks again through another replica must see it again, although nobody
/// has acknowledged it yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_barrier_covers_what_a_follower_shows_before_its_leader() {
    let mut group = Group::start_with(62, 3, Blocking::Threads).await;
    group.write("before", "1").await;
    // On a machine that is short of processor time the leader may be deposed in between.
    let mut was_led_throughout = false;
    while !was_led_throughout {
        let leader = group.leader().await;
        let applied = |group: &Group, at: usize| group.members[at].replica().applied();
        let follower = (leader + 1) % 3;
        group.members[leader].machine.hold(true);
        let asking = async {
            group
                .until("a follower has applied what its leader has not", |group| {
                    applied(group, follower) > applied(group, leader)
                })
                .await;
            let asked = (applied(&group, follower), vouches(&group));
            group.members[leader].machine.hold(false);
            asked
        };
        let (written, (shown, heard)) = tokio::join!(group.write_to(leader, "k", "v"), asking);
        let barrier = vouch::barrier(&heard);
        assert!(barrier.is_none() || barrier >= shown, "{barrier:?} < {shown:?}: {heard:?}");
        was_led_throughout = barrier.is_some() && matches!(written, Ok(Outcome::Applied(_)));
    }
    for at in 0..3 {
        group.kill(at).await;
    }
}

/// A moment: what was acknowledged up to then, and what replicas said.
struct Moment {
    acked: Option<LogIndex>,
    vouches: Vec<Vouch>,
}

#[tokio::test(start_paused = true)]
async fn barriers_cover_what_was_acknowledged() {
    let mut found = 0;
    for seed in 0..12 {
        found += history(seed).await;
    }
    assert!(found > 2_000, "only {found} barriers were found: this says little");
}

/// Lives through faults; returns how many barriers were found, all of them good.
async fn history(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut group = Group::start(seed, 5).await;
    for at in 3..MEMBERS {
        let place = group.members[at].place();
        group.change(Change::AddLearner(place)).await;
    }
    let mut acked = None;
    let mut moments: Vec<Moment> = Vec::new();
    for _ in 0..40 {
        disturb(&mut group, &mut random).await;
        let pause = random.below(600);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        for at in 0..MEMBERS {
            if !group.members[at].leads() {
                continue;
            }
            let writing = group.write_to(at, "k", "v");
            let written = tokio::time::timeout(Duration::from_millis(300), writing).await;
            if matches!(written, Ok(Ok(Outcome::Applied(_)))) {
                acked = acked.max(group.members[at].replica().applied());
            }
        }
        moments.push(Moment { acked, vouches: vouches(&group) });
    }
    let mut found = 0;
    for _ in 0..2_000 {
        // A read begins at one moment and hears each replica then or later, if at all.
        let began = random.index(moments.len());
        let mut heard: Vec<Vouch> = Vec::new();
        for replica in 1..=MEMBERS as u64 {
            let later = (moments.len() - began).min(4);
            let at = &moments[began + random.index(later)].vouches;
            let vouch = at.iter().find(|vouch| vouch.replica.0 == replica);
            heard.extend(vouch.filter(|_| random.below(4) > 0).cloned());
        }
        if let Some(barrier) = vouch::barrier(&heard) {
            let acked = moments[began].acked;
            assert!(Some(barrier) >= acked, "seed {seed}: {barrier:?} < {acked:?}: {heard:?}");
            found += 1;
        }
    }
    group.network.heal();
    group.settled().await;
    let all = vouch::barrier(&vouches(&group));
    assert!(all.is_some(), "seed {seed}: a group at rest has a barrier");
    found
}

/// Does something to the group, or nothing.
async fn disturb(group: &mut Group, random: &mut Random) {
    match random.below(8) {
        0 | 1 => {
            let leads = |at: &usize| group.members[*at].leads();
            let leader = (0..MEMBERS).find(leads).unwrap_or(0);
            cut_off(group, leader, random);
        }
        2 => cut_off(group, random.index(MEMBERS), random),
        3 => {
            let at = random.index(MEMBERS);
            group.kill(at).await;
            group.revive(at).await;
        }
        4 => {
            group.network.heal();
            let mut voters = BTreeSet::new();
            while voters.len() < 3 {
                voters.insert(group.members[random.index(MEMBERS)].place().replica);
            }
            // It may be cut short by what comes next.
            let changing = group.change(Change::SetVoters(voters));
            let within = Duration::from_millis(random.below(2_000));
            let _ = tokio::time::timeout(within, changing).await;
        }
        5 => group.network.heal(),
        _ => {}
    }
}

/// Cuts a member, and perhaps another one with it, off the rest.
fn cut_off(group: &Group, at: usize, random: &mut Random) {
    let with = random.index(MEMBERS);
    let is_away = |other: usize| other == at || other == with;
    let nodes = |away: bool| -> Vec<NodeId> {
        let members = (0..MEMBERS).filter(|other| is_away(*other) == away);
        members.map(|other| node(group.members[other].number)).collect()
    };
    group.network.partition(&nodes(true), &nodes(false));
}
