//! The encoding: round trips, bytes that never change, and what is refused.

use std::collections::BTreeMap;

use model::{Duration, Tenant, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use prost::Message;
use storage::log::{GroupId, LogIndex};

use super::*;
use crate::identity::{ClusterId, ReplicaId};

fn nodes() -> impl Strategy<Value = NodeId> {
    // Few, so that commands meet in the same nodes.
    (0..7_u8).prop_map(node)
}

fn replicas() -> impl Strategy<Value = ReplicaId> {
    (0..24_u64).prop_map(ReplicaId)
}

fn groups() -> impl Strategy<Value = GroupId> {
    (0..6_u64).prop_map(GroupId)
}

fn indexes() -> impl Strategy<Value = LogIndex> {
    prop_oneof![0..40_u64, any::<u64>()].prop_map(LogIndex)
}

fn records() -> impl Strategy<Value = NodeRecord> {
    let fields = ("[a-c]{0,2}", vec("[a-z]{1,8}:[0-9]{4}", 0..3), "[xy]?", 0..3_u32);
    fields.prop_map(|(name, addresses, zone, version)| NodeRecord {
        name,
        addresses,
        zone,
        version,
    })
}

fn additions() -> impl Strategy<Value = Addition> {
    let role = prop_oneof![Just(Role::Voter), Just(Role::Learner)];
    (nodes(), role).prop_map(|(node, role)| Addition { node, role })
}

fn ages() -> impl Strategy<Value = BTreeMap<RetentionClass, Duration>> {
    let class = any::<u8>().prop_map(RetentionClass);
    btree_map(class, any::<u64>().prop_map(Duration), 0..4)
}

fn commands() -> impl Strategy<Value = MetaCommand> {
    let tenants = || "[a-z]{1,4}".prop_map(|name| Tenant::new(&name).unwrap());
    let epochs = || (0..4_u32).prop_map(EpochId);
    prop_oneof![
        any::<u64>().prop_map(|at| MetaCommand::Found { founding: founding(), at: Timestamp(at) }),
        (nodes(), records(), any::<u64>()).prop_map(|(node, record, at)| {
            MetaCommand::PutNode { node, record, at: Timestamp(at) }
        }),
        nodes().prop_map(|node| MetaCommand::RemoveNode { node }),
        (nodes(), indexes(), nodes()).prop_map(|(old, expected, new)| MetaCommand::ReplaceNode {
            old,
            expected,
            new
        }),
        nodes().prop_map(|node| MetaCommand::NodeGone { node }),
        (groups(), indexes(), vec(replicas(), 0..3), vec(additions(), 0..3)).prop_map(
            |(group, expected, remove, add)| MetaCommand::ChangeReplicas {
                group,
                expected,
                remove,
                add
            }
        ),
        (groups(), indexes())
            .prop_map(|(group, expected)| MetaCommand::GroupFormed { group, expected }),
        replicas().prop_map(|replica| MetaCommand::ConfirmGone { replica }),
        replicas().prop_map(|replica| MetaCommand::ForgetReplica { replica }),
        (0..9_u32).prop_map(|factor| MetaCommand::SetReplicationFactor { factor }),
        (epochs(), vec(vec(nodes(), 0..4), 0..3))
            .prop_map(|(expected, placement)| MetaCommand::AddShards { expected, placement }),
        (epochs(), any::<u64>())
            .prop_map(|(epoch, at)| MetaCommand::StartFence { epoch, at: Timestamp(at) }),
        (epochs(), any::<u64>())
            .prop_map(|(epoch, at)| MetaCommand::ActivateEpoch { epoch, at: Timestamp(at) }),
        epochs().prop_map(|epoch| MetaCommand::AbandonEpoch { epoch }),
        tenants().prop_map(|tenant| MetaCommand::PutTenant { tenant }),
        tenants().prop_map(|tenant| MetaCommand::DropTenant { tenant }),
        (indexes(), ages(), any::<Option<u64>>()).prop_map(|(expected, ages, disk_bytes_max)| {
            MetaCommand::SetRetention { expected, ages, disk_bytes_max }
        }),
        (indexes(), vec(any::<u8>(), 0..9))
            .prop_map(|(expected, content)| MetaCommand::SetSampling { expected, content }),
        (0..3_u32).prop_map(|to| MetaCommand::RaiseVersion { to }),
        (any::<[u8; 16]>(), nodes(), btree_map(groups(), replicas(), 0..4)).prop_map(
            |(cluster, survivor, held)| MetaCommand::Recover {
                cluster: ClusterId(cluster),
                survivor,
                held
            }
        ),
    ]
}

/// Makes a command fit the state where a guess hardly would: conditions on revisions.
fn aim(log: &Log, command: MetaCommand) -> MetaCommand {
    let revision = |group: &GroupId| log.state.groups().get(group).map(|g| g.revision);
    match command {
        MetaCommand::ChangeReplicas { group, expected, remove, add } => {
            let expected = revision(&group).unwrap_or(expected);
            MetaCommand::ChangeReplicas { group, expected, remove, add }
        }
        MetaCommand::GroupFormed { group, expected } => {
            let expected = revision(&group).unwrap_or(expected);
            MetaCommand::GroupFormed { group, expected }
        }
        MetaCommand::SetRetention { ages, disk_bytes_max, .. } => {
            let expected = log.state.retention().revision;
            MetaCommand::SetRetention { expected, ages, disk_bytes_max }
        }
        other => other,
    }
}

fn invariants(state: &MetaState) {
    let mut ids = Vec::new();
    for (id, group) in state.groups() {
        assert!(group.voters().next().is_some(), "group {id} has no voter");
        for replica in &group.replicas {
            ids.push(replica.id);
            assert!(!state.tombstones().contains_key(&replica.id));
            assert!(!state.nodes()[&replica.node].is_removed(), "a removed node holds {id}");
        }
        let mut nodes: Vec<_> = group.replicas.iter().map(|replica| replica.node).collect();
        let held = state.tombstones().values().filter(|tombstone| tombstone.group == *id);
        nodes.extend(held.map(|tombstone| tombstone.node));
        let count = nodes.len();
        nodes.sort_unstable();
        nodes.dedup();
        assert_eq!(nodes.len(), count, "two replicas of group {id} on one node");
    }
    ids.extend(state.tombstones().keys());
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "a replica id was handed out twice");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_come_back_as_they_were(command in commands()) {
        let bytes = command.encode();
        prop_assert_eq!(MetaCommand::decode(&bytes), Ok(command));
    }

    #[test]
    fn apply_is_total_and_replicas_are_equal(script in vec(commands(), 0..60)) {
        let mut log = Log::formed();
        let mut follower = log.state.clone();
        let mut highest = 0;
        for command in script {
            let command = aim(&log, command);
            let index = LogIndex(log.next);
            let outcome = log.apply(&command);
            // The other replica has the command from its log, and its state from a snapshot.
            let same = MetaCommand::decode(&command.encode()).unwrap();
            prop_assert_eq!(follower.apply(index, &same), outcome);
            prop_assert!(log.state.last_replica >= highest);
            highest = log.state.last_replica;
            invariants(&log.state);
        }
        let snapshot = log.state.encode();
        // A version above the program's own can only come about in a test.
        if log.state.cluster_version() <= CLUSTER_VERSION {
            prop_assert_eq!(&MetaState::decode(&snapshot).unwrap(), &log.state);
        }
        prop_assert_eq!(follower.encode(), snapshot);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        let _ = MetaCommand::decode(&bytes);
        let _ = Founding::decode(&bytes);
        let _ = MetaState::decode(&bytes);
        let mut framed = vec![FORMAT];
        framed.extend_from_slice(&bytes);
        if let Ok(command) = MetaCommand::decode(&framed) {
            prop_assert_eq!(command.encode(), framed);
        }
    }

    #[test]
    fn flipped_bits_never_pass_unnoticed_in_a_snapshot(place in 0..400_usize, bit in 0..8_u32) {
        let mut bytes = Log::formed().state.encode();
        let place = place % bytes.len();
        bytes[place] ^= 1_u8 << bit;
        prop_assert!(MetaState::decode(&bytes).is_err());
    }
}

#[test]
fn the_empty_state_comes_back_too() {
    let state = MetaState::default();
    assert_eq!(MetaState::decode(&state.encode()), Ok(state));
}

#[test]
fn plans_come_back_as_they_were() {
    let bytes = founding().encode();
    assert_eq!(Founding::decode(&bytes), Ok(founding()));
    assert!(matches!(Founding::decode(&[]), Err(CodecError::Malformed { .. })));
    assert_eq!(Founding::decode(&[9]), Err(CodecError::LaterFormat { format: 9 }));
}

#[test]
fn rule_7_8_later_kinds_fields_and_versions_are_refused() {
    let command = MetaCommand::RemoveNode { node: node(1) };
    let bytes = command.encode();
    // Field 1 is the version that brought the command.
    let mut later = bytes.clone();
    assert_eq!(later[1..3], [8, 1]);
    later[2] = 2;
    assert_eq!(MetaCommand::decode(&later), Err(CodecError::Later { needed: 2, known: 1 }));
    // Field 2 is the kind.
    let mut unknown = bytes.clone();
    assert_eq!(unknown[3..5], [16, 3]);
    unknown[4] = 99;
    assert!(matches!(MetaCommand::decode(&unknown), Err(CodecError::Malformed { .. })));
    // A field that no known version has, here number 100.
    let mut wider = bytes.clone();
    wider.extend_from_slice(&[0xa0, 0x06, 1]);
    assert_eq!(MetaCommand::decode(&wider), Err(CodecError::UnknownFields));
    let mut state = Log::formed().state;
    state.cluster_version = 2;
    let refused = MetaState::decode(&state.encode());
    assert_eq!(refused, Err(CodecError::Later { needed: 2, known: 1 }));
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let bytes = vec![FORMAT; limits::COMMAND_BYTES_MAX + 1];
    assert!(matches!(MetaCommand::decode(&bytes), Err(CodecError::TooLong { .. })));
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Golden: entries of old logs are read for ever.
#[test]
fn the_bytes_of_commands_never_change() {
    let one = "01".repeat(16);
    let two = "02".repeat(16);
    let cases = [
        (MetaCommand::RemoveNode { node: node(1) }, format!("01080110031a10{one}")),
        (
            MetaCommand::PutNode {
                node: node(1),
                record: NodeRecord { zone: "z".to_owned(), ..record("a") },
                at: Timestamp(300),
            },
            format!("01080110021a10{one}2a100a0161120661 3a3739343 71a017a200130ac02")
                .replace(' ', ""),
        ),
        (
            MetaCommand::ReplaceNode { old: node(1), expected: LogIndex(7), new: node(2) },
            format!("01080110041a10{one}2210{two}4007"),
        ),
        (
            MetaCommand::ChangeReplicas {
                group: GroupId(3),
                expected: LogIndex(8),
                remove: vec![ReplicaId(4), ReplicaId(5)],
                add: vec![Addition { node: node(2), role: Role::Voter }],
            },
            format!("0108011006380340084a02040552140a10{two}1001"),
        ),
        (MetaCommand::ConfirmGone { replica: ReplicaId(200) }, "01080110084a02c801".to_owned()),
        (
            MetaCommand::AddShards { expected: EpochId(1), placement: vec![vec![node(1)]] },
            format!("010801100b580162120a10{one}"),
        ),
        (
            MetaCommand::PutTenant { tenant: Tenant::new("t").unwrap() },
            "010801100e6a0174".to_owned(),
        ),
        (
            MetaCommand::SetRetention {
                expected: LogIndex(0),
                ages: BTreeMap::from([(RetentionClass(1), Duration(2))]),
                disk_bytes_max: Some(0),
            },
            "010801101072040801100278 00".replace(' ', ""),
        ),
    ];
    for (command, golden) in cases {
        assert_eq!(hex(&command.encode()), golden, "{command:?}");
    }
}

/// Golden: a snapshot of version 1, whole.
#[test]
fn the_bytes_of_a_snapshot_never_change() {
    let founding = Founding {
        nodes: vec![Founder { node: node(1), record: record("a") }],
        meta_voters: vec![node(1)],
        replication_factor: 1,
        shards: vec![vec![node(1)]],
        ..founding()
    };
    let mut state = MetaState::default();
    state.apply(LogIndex(1), &MetaCommand::Found { founding, at: Timestamp(5) });
    let one = "01".repeat(16);
    let cluster = "c1".repeat(16);
    let node =
        format!("0a10{one}120d0a0161120661 3a373934372001180128053001 3801").replace(' ', "");
    let replica = |id: u8| format!("08{id:02x}1210{one}1801");
    let meta = format!("100122 16{}2801", replica(1)).replace(' ', "");
    let shard = format!("0801100122 16{}2801", replica(2)).replace(' ', "");
    let message =
        format!("08011210{cluster}1801200128013229{node}3802421c{meta}421e{shard}5206080110011803");
    let bytes = state.encode();
    assert_eq!(hex(&bytes[9..]), message);
    assert_eq!(hex(&bytes[..5]), "536b754d01");
    assert_eq!(wire::WireState::decode(&bytes[9..]).unwrap().epochs.len(), 1);
}
