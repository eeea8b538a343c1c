//! What each command does and refuses.

use std::collections::BTreeMap;

use model::{Duration, ShardId, Tenant, Timestamp};
use storage::log::{GroupId, LogIndex};

use super::*;
use crate::identity::{META_GROUP, ReplicaId, group_of_shard};
use crate::meta::limits::{REPLICATION_FACTOR_MAX, SAMPLING_BYTES_MAX};

const SHARD: ShardId = ShardId(0);

fn revision(log: &Log, group: GroupId) -> LogIndex {
    log.state.groups()[&group].revision
}

fn voter(number: u8) -> Addition {
    Addition { node: node(number), role: Role::Voter }
}

#[test]
fn founding_gives_every_replica_an_id_of_its_own() {
    let log = Log::founded();
    let ids: Vec<u64> = log
        .state
        .groups()
        .values()
        .flat_map(|group| group.replicas.iter().map(|replica| replica.id.0))
        .collect();
    assert_eq!(ids, (1..=9).collect::<Vec<_>>());
    let members = founding().meta_members();
    let meta: Vec<_> = log.state.groups()[&META_GROUP].replicas.clone();
    let meta: Vec<_> = meta.iter().map(|replica| (replica.id, replica.node)).collect();
    assert_eq!(members, meta, "what the voters initialized with");
}

#[test]
fn rule_7_2_a_cluster_is_founded_once() {
    let mut log = Log::founded();
    let again = MetaCommand::Found { founding: founding(), at: Timestamp(7) };
    let before = log.state.clone();
    log.done(again);
    assert_eq!(log.state.nodes(), before.nodes());
    let other = Founding { cluster_id: ClusterId([9; 16]), ..founding() };
    let refusal = log.refused(&MetaCommand::Found { founding: other, at: Timestamp(7) });
    assert_eq!(refusal, Refusal::OtherCluster { cluster: CLUSTER });
}

#[test]
fn nothing_happens_before_the_founding_and_nothing_twice() {
    let mut log = Log { state: MetaState::default(), next: 1 };
    assert_eq!(log.refused(&MetaCommand::RaiseVersion { to: 1 }), Refusal::NotFounded);
    let mut log = Log::founded();
    log.next = 1;
    assert_eq!(log.refused(&MetaCommand::RaiseVersion { to: 1 }), Refusal::Repeated);
}

#[test]
fn malformed_foundings_are_refused() {
    let nodes = [1, 2, 3].map(node).to_vec();
    let wrong = [
        Founding { nodes: Vec::new(), ..founding() },
        Founding { replication_factor: 0, ..founding() },
        Founding { replication_factor: 2, ..founding() },
        Founding { replication_factor: REPLICATION_FACTOR_MAX + 1, ..founding() },
        Founding { cluster_version: 2, ..founding() },
        Founding { cluster_version: 0, ..founding() },
        Founding { meta_voters: nodes[..2].to_vec(), ..founding() },
        Founding { meta_voters: vec![node(9)], ..founding() },
        Founding { meta_voters: Vec::new(), ..founding() },
        Founding { shards: Vec::new(), ..founding() },
        Founding { shards: vec![vec![node(1), node(1), node(2)]], ..founding() },
        Founding { shards: vec![vec![node(1), node(2), node(4)]], ..founding() },
    ];
    for founding in wrong {
        assert!(founding.check().is_err(), "{founding:?}");
        let mut log = Log { state: MetaState::default(), next: 1 };
        log.refused(&MetaCommand::Found { founding, at: Timestamp(0) });
    }
}

#[test]
fn rule_7_1_replica_ids_are_never_used_again() {
    let mut log = Log::formed();
    log.join(4, "n4");
    let group = group_of_shard(SHARD);
    let mut seen: Vec<ReplicaId> = Vec::new();
    for (from, to) in [(1, 4), (4, 1), (1, 4)] {
        let replica = log.state.groups()[&group].replica_on(node(from)).unwrap().id;
        let expected = revision(&log, group);
        let (remove, add) = (vec![replica], vec![voter(to)]);
        let change = MetaCommand::ChangeReplicas { group, expected, remove, add };
        seen.extend(log.done(change).replicas);
        assert!(log.state.tombstones().contains_key(&replica));
        assert!(!log.state.is_buried(group, replica), "its vote may be needed to remove it");
        log.done(MetaCommand::ConfirmGone { replica });
        assert!(log.state.is_buried(group, replica));
        log.done(MetaCommand::ForgetReplica { replica });
        assert!(log.state.is_buried(group, replica), "out for ever, forgotten or not");
    }
    assert_eq!(seen, [10, 11, 12].map(ReplicaId));
}

#[test]
fn rule_7_1_a_tombstone_stays_until_the_leader_confirmed() {
    let mut log = Log::formed();
    log.join(4, "n4");
    let group = group_of_shard(SHARD);
    let replica = log.state.groups()[&group].replica_on(node(2)).unwrap().id;
    let expected = revision(&log, group);
    let (remove, add) = (vec![replica], vec![voter(4)]);
    log.done(MetaCommand::ChangeReplicas { group, expected, remove, add });
    let forget = MetaCommand::ForgetReplica { replica };
    assert_eq!(log.refused(&forget), Refusal::NotConfirmed { replica });
    // The node's log may still hold the old replica: no second one beside it.
    let expected = revision(&log, group);
    let add = vec![voter(2)];
    let back = MetaCommand::ChangeReplicas { group, expected, remove: Vec::new(), add };
    assert!(matches!(log.refused(&back), Refusal::NodeUnfit { .. }));
    log.done(MetaCommand::ConfirmGone { replica });
    log.done(forget.clone());
    assert_eq!(log.refused(&forget), Refusal::UnknownReplica { replica });
    log.done(back);
}

#[test]
fn rule_7_3_a_stale_step_changes_nothing() {
    let mut log = Log::formed();
    log.join(4, "n4");
    let group = group_of_shard(SHARD);
    let replicas = log.state.groups()[&group].replicas.clone();
    let expected = revision(&log, group);
    let swap = |replica: &Replica| MetaCommand::ChangeReplicas {
        group,
        expected,
        remove: vec![replica.id],
        add: Vec::new(),
    };
    log.done(swap(&replicas[0]));
    let refusal = log.refused(&swap(&replicas[1]));
    assert!(refusal.is_stale(), "{refusal}");
    assert_eq!(refusal, Refusal::Stale { expected, found: revision(&log, group) });
}

#[test]
fn rule_7_3_an_unformed_group_keeps_its_first_list() {
    let mut log = Log::founded();
    let group = group_of_shard(SHARD);
    let expected = revision(&log, group);
    let remove = vec![log.state.groups()[&group].replicas[0].id];
    let change = MetaCommand::ChangeReplicas { group, expected, remove, add: Vec::new() };
    assert_eq!(log.refused(&change), Refusal::NotFormed { group });
}

#[test]
fn senseless_changes_of_replicas_are_refused() {
    let mut log = Log::formed();
    let group = group_of_shard(SHARD);
    let all: Vec<ReplicaId> = log.state.groups()[&group].replicas.iter().map(|r| r.id).collect();
    let expected = revision(&log, group);
    let change = |remove: &[ReplicaId], add: &[Addition]| MetaCommand::ChangeReplicas {
        group,
        expected,
        remove: remove.to_vec(),
        add: add.to_vec(),
    };
    let learner = Addition { node: node(1), role: Role::Learner };
    for wrong in [
        change(&all, &[]),
        change(&[all[0], all[0]], &[]),
        change(&[ReplicaId(99)], &[]),
        change(&[], &[voter(1)]),
        change(&[], &[voter(9)]),
        change(&all[..1], &[learner]),
        change(&[], &[voter(9), voter(9)]),
        MetaCommand::ChangeReplicas {
            group: GroupId(77),
            expected,
            remove: Vec::new(),
            add: Vec::new(),
        },
    ] {
        log.refused(&wrong);
    }
}

#[test]
fn rule_7_5_removing_a_node_is_refused_when_the_factor_cannot_be_met() {
    let mut log = Log::formed();
    let remove = MetaCommand::RemoveNode { node: node(3) };
    assert_eq!(log.refused(&remove), Refusal::TooFewNodes { nodes: 2, factor: 3 });
    log.join(4, "n4");
    log.done(remove.clone());
    log.done(remove);
    // One is leaving already: it does not count.
    let refusal = log.refused(&MetaCommand::RemoveNode { node: node(2) });
    assert_eq!(refusal, Refusal::TooFewNodes { nodes: 2, factor: 3 });
}

#[test]
fn a_node_is_gone_when_nothing_of_it_is_left_and_never_returns() {
    let mut log = Log::formed();
    log.join(4, "n4");
    log.done(MetaCommand::RemoveNode { node: node(3) });
    let gone = MetaCommand::NodeGone { node: node(3) };
    assert!(matches!(log.refused(&gone), Refusal::NodeUnfit { .. }));
    let groups: Vec<GroupId> = log.state.groups().keys().copied().collect();
    let mut buried = Vec::new();
    for group in groups {
        let replica = log.state.groups()[&group].replica_on(node(3)).unwrap().id;
        let expected = revision(&log, group);
        let (remove, add) = (vec![replica], vec![voter(4)]);
        log.done(MetaCommand::ChangeReplicas { group, expected, remove, add });
        buried.push(replica);
    }
    assert!(matches!(log.refused(&gone), Refusal::NodeUnfit { .. }), "not confirmed yet");
    for replica in buried {
        log.done(MetaCommand::ConfirmGone { replica });
    }
    log.done(gone);
    assert!(log.state.tombstones().is_empty());
    let back = MetaCommand::PutNode { node: node(3), record: record("n3"), at: Timestamp(0) };
    assert_eq!(log.refused(&back), Refusal::RemovedNode { node: node(3) });
}

#[test]
fn rule_7_5_only_a_later_node_of_the_same_name_takes_a_place() {
    let mut log = Log::formed();
    log.join(4, "n3");
    log.join(5, "n5");
    let expected = log.state.nodes()[&node(3)].revision;
    let replace = |old, new| MetaCommand::ReplaceNode { old: node(old), expected, new: node(new) };
    assert!(matches!(log.refused(&replace(3, 5)), Refusal::NodeUnfit { .. }), "another name");
    let expected = log.state.nodes()[&node(4)].revision;
    let backwards = MetaCommand::ReplaceNode { old: node(4), expected, new: node(3) };
    assert!(matches!(log.refused(&backwards), Refusal::NodeUnfit { .. }), "it joined earlier");
    // The old node speaks up: what was planned on its silence is stale.
    let mut moved = record("n3");
    moved.addresses = vec!["elsewhere:7947".to_owned()];
    let mut awake = log.clone();
    awake.done(MetaCommand::PutNode { node: node(3), record: moved, at: Timestamp(1) });
    assert!(awake.refused(&replace(3, 4)).is_stale());
    log.done(replace(3, 4));
    let standing = log.state.nodes()[&node(3)].standing;
    assert_eq!(standing, Standing::Leaving { successor: Some(node(4)) });
}

#[test]
fn rule_7_4_an_epoch_goes_from_preparing_to_fencing_to_active() {
    let mut log = Log::formed();
    let placement = vec![[1, 2, 3].map(node).to_vec()];
    let add = MetaCommand::AddShards { expected: EpochId(1), placement };
    log.done(add.clone());
    assert_eq!(log.refused(&add), Refusal::EpochState { epoch: EpochId(1) });
    assert_eq!(log.state.active_epoch().unwrap().shard_count, 2, "not routed by yet");
    let (epoch, at) = (EpochId(2), Timestamp(77));
    let group = group_of_shard(ShardId(2));
    assert_eq!(log.refused(&MetaCommand::StartFence { epoch, at }), Refusal::NotFormed { group });
    let expected = revision(&log, group);
    log.done(MetaCommand::GroupFormed { group, expected });
    let later = Timestamp(99);
    let activate = MetaCommand::ActivateEpoch { epoch, at: later };
    assert_eq!(log.refused(&activate), Refusal::EpochState { epoch });
    log.done(MetaCommand::StartFence { epoch, at });
    assert_eq!(log.state.active_epoch().unwrap().shard_count, 2, "not routed by yet");
    log.done(activate);
    assert_eq!(log.state.active_epoch().unwrap().shard_count, 3);
    assert_eq!(log.state.epochs().len(), 2, "the first one lives on");
    let active = log.state.active_epoch().unwrap();
    assert_eq!((active.fenced_at, active.activated_at), (at, later));
    let copy = MetaState::decode(&log.state.encode()).unwrap();
    assert_eq!(copy, log.state, "its times too");
}

#[test]
fn rule_7_4_an_epoch_that_is_not_routed_by_can_be_abandoned() {
    let (epoch, group) = (EpochId(2), group_of_shard(ShardId(2)));
    let abandon = MetaCommand::AbandonEpoch { epoch };
    let add = |expected| {
        let placement = vec![[1, 2, 3].map(node).to_vec()];
        MetaCommand::AddShards { expected: EpochId(expected), placement }
    };
    let first = MetaCommand::AbandonEpoch { epoch: EpochId(1) };
    assert!(Log::formed().refused(&first).is_stale(), "there is none before it");
    for is_fencing in [false, true] {
        let mut log = Log::formed();
        log.done(add(1));
        let replicas = log.state.groups()[&group].replicas.clone();
        if is_fencing {
            let expected = revision(&log, group);
            log.done(MetaCommand::GroupFormed { group, expected });
            log.done(MetaCommand::StartFence { epoch, at: Timestamp(7) });
        }
        log.done(abandon.clone());
        let active = log.state.active_epoch().unwrap();
        assert_eq!((active.id, active.shard_count), (epoch, 2), "fenced shards take its batches");
        assert!(!log.state.groups().contains_key(&group));
        assert!(replicas.iter().all(|it| log.state.is_buried(group, it.id)), "and speak no more");
        assert!(log.refused(&abandon).is_stale());
        assert!(log.refused(&MetaCommand::ActivateEpoch { epoch, at: Timestamp(8) }).is_stale());
        // What is left of its shards has to go before their numbers are used again.
        assert!(matches!(log.refused(&add(2)), Refusal::NodeUnfit { .. }));
        for replica in replicas {
            log.done(MetaCommand::ForgetReplica { replica: replica.id });
        }
        log.done(add(2));
        assert_eq!(log.state.epochs().last().unwrap().shard_count, 3);
    }
    let mut log = Log::formed();
    log.done(add(1));
    let expected = revision(&log, group);
    log.done(MetaCommand::GroupFormed { group, expected });
    log.done(MetaCommand::StartFence { epoch, at: Timestamp(7) });
    log.done(MetaCommand::ActivateEpoch { epoch, at: Timestamp(8) });
    assert!(log.refused(&abandon).is_stale(), "spans may lie in its shards");
}

#[test]
fn the_factor_stays_within_the_nodes() {
    let mut log = Log::formed();
    for wrong in [0, 4, REPLICATION_FACTOR_MAX + 1, u32::MAX] {
        log.refused(&MetaCommand::SetReplicationFactor { factor: wrong });
    }
    log.done(MetaCommand::SetReplicationFactor { factor: 1 });
    assert_eq!(log.state.settings().replication_factor, 1);
}

#[test]
fn rule_7_8_the_version_rises_when_every_node_knows_it() {
    let mut log = Log::formed();
    for number in [1, 2] {
        let record = NodeRecord { version: 2, ..record(&format!("n{number}")) };
        log.done(MetaCommand::PutNode { node: node(number), record, at: Timestamp(0) });
    }
    let raise = MetaCommand::RaiseVersion { to: 2 };
    assert_eq!(log.refused(&raise), Refusal::NodeTooOld { node: node(3), version: 1 });
    let newer = NodeRecord { version: 2, ..record("n3") };
    log.done(MetaCommand::PutNode { node: node(3), record: newer, at: Timestamp(0) });
    log.refused(&MetaCommand::RaiseVersion { to: 3 });
    log.done(raise);
    assert_eq!(log.state.cluster_version(), 2);
    let older = MetaCommand::PutNode { node: node(4), record: record("n4"), at: Timestamp(0) };
    assert_eq!(log.refused(&older), Refusal::NodeTooOld { node: node(4), version: 1 });
}

#[test]
fn settings_are_changed_on_what_was_seen() {
    let mut log = Log::formed();
    let ages = BTreeMap::from([(RetentionClass(0), Duration::from_secs(60))]);
    let set = |expected, ages: &BTreeMap<_, _>, disk| MetaCommand::SetRetention {
        expected,
        ages: ages.clone(),
        disk_bytes_max: disk,
    };
    log.done(set(LogIndex(0), &ages, Some(1)));
    assert!(log.refused(&set(LogIndex(0), &ages, None)).is_stale());
    let now = log.state.retention().revision;
    log.refused(&set(now, &BTreeMap::from([(RetentionClass(0), Duration(0))]), None));
    log.refused(&set(now, &ages, Some(0)));
    log.done(set(now, &ages, None));
    let sample = |expected, content| MetaCommand::SetSampling { expected, content };
    log.done(sample(LogIndex(0), vec![1]));
    assert!(log.refused(&sample(LogIndex(0), vec![2])).is_stale());
    let now = log.state.sampling().revision;
    log.refused(&sample(now, vec![0; SAMPLING_BYTES_MAX + 1]));
    // Who comes last, knowing what is there, is in force, also for those who get a snapshot.
    log.done(sample(now, vec![3; SAMPLING_BYTES_MAX]));
    assert!(log.state.sampling().revision > now);
    let copy = MetaState::decode(&log.state.encode()).unwrap();
    assert_eq!((&copy, copy.sampling().content.len()), (&log.state, SAMPLING_BYTES_MAX));
    let tenant = Tenant::new("acme").unwrap();
    log.done(MetaCommand::PutTenant { tenant: tenant.clone() });
    assert!(log.state.tenants().contains_key(&tenant));
    log.done(MetaCommand::DropTenant { tenant });
    assert!(log.state.tenants().is_empty());
}
