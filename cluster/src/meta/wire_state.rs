//! The whole state to and from its message.

use model::Timestamp;
use storage::log::{GroupId, LogIndex};

use super::wire::{
    WireEpoch, WireGroup, WireNode, WireReplica, WireState, WireTenant, WireTombstone,
};
use super::wire_command::{Required, ages, cluster, node, role, role_number, tenant, wire_ages};
use super::{
    CodecError, Epoch, EpochId, EpochState, Group, MetaState, Node, Replica, Retention, Sampling,
    Settings, Standing, Tombstone,
};
use crate::identity::ReplicaId;

impl From<&MetaState> for WireState {
    fn from(state: &MetaState) -> Self {
        let tenants = state.tenants.iter();
        Self {
            applied: state.applied.0,
            cluster_id: state.cluster.map(|id| id.0.to_vec()).unwrap_or_default(),
            cluster_version: state.cluster_version,
            replication_factor: state.settings.replication_factor,
            settings_revision: state.settings.revision.0,
            nodes: state.nodes.iter().map(|(id, node)| wire_node(id.0, node)).collect(),
            last_replica: state.last_replica,
            groups: state.groups.iter().map(|(id, group)| wire_group(*id, group)).collect(),
            tombstones: state.tombstones.iter().map(|(id, t)| wire_tombstone(*id, t)).collect(),
            epochs: state.epochs.iter().map(wire_epoch).collect(),
            tenants: tenants
                .map(|(name, since)| WireTenant { name: name.as_str().into(), since: since.0 })
                .collect(),
            ages: wire_ages(&state.retention.ages),
            disk_bytes_max: state.retention.disk_bytes_max,
            retention_revision: state.retention.revision.0,
            sampling: state.sampling.content.clone(),
            sampling_revision: state.sampling.revision.0,
        }
    }
}

impl TryFrom<WireState> for MetaState {
    type Error = CodecError;

    fn try_from(wire: WireState) -> Result<Self, CodecError> {
        let tenant = |wire: WireTenant| Ok((tenant(&wire.name)?, LogIndex(wire.since)));
        let cluster_id = Some(wire.cluster_id.as_slice()).filter(|bytes| !bytes.is_empty());
        Ok(Self {
            applied: LogIndex(wire.applied),
            cluster: cluster_id.map(cluster).transpose()?,
            cluster_version: wire.cluster_version,
            settings: Settings {
                replication_factor: wire.replication_factor,
                revision: LogIndex(wire.settings_revision),
            },
            nodes: all(wire.nodes, |wire| Ok((node(&wire.node)?, node_of(wire)?)))?,
            last_replica: wire.last_replica,
            groups: all(wire.groups, |wire| Ok((GroupId(wire.group), group_of(&wire)?)))?,
            tombstones: all(wire.tombstones, |wire| {
                Ok((ReplicaId(wire.replica), tombstone_of(&wire)?))
            })?,
            epochs: all(wire.epochs, |wire| epoch_of(&wire))?,
            tenants: all(wire.tenants, tenant)?,
            retention: Retention {
                ages: ages(&wire.ages)?,
                disk_bytes_max: wire.disk_bytes_max,
                revision: LogIndex(wire.retention_revision),
            },
            sampling: Sampling {
                content: wire.sampling,
                revision: LogIndex(wire.sampling_revision),
            },
        })
    }
}

fn all<W, T, C: FromIterator<T>>(
    wire: Vec<W>,
    read: impl Fn(W) -> Result<T, CodecError>,
) -> Result<C, CodecError> {
    wire.into_iter().map(read).collect()
}

fn wire_node(id: [u8; 16], node: &Node) -> WireNode {
    let (standing, successor) = match node.standing {
        Standing::Member => (1, None),
        Standing::Leaving { successor } => (2, successor),
        Standing::Removed => (3, None),
    };
    WireNode {
        node: id.to_vec(),
        record: Some((&node.record).into()),
        standing,
        successor: successor.map(|id| id.0.to_vec()).unwrap_or_default(),
        joined_at_ns: node.joined_at.0,
        joined: node.joined.0,
        revision: node.revision.0,
    }
}

fn node_of(wire: WireNode) -> Result<Node, CodecError> {
    let successor = Some(wire.successor.as_slice()).filter(|bytes| !bytes.is_empty());
    let standing = match wire.standing {
        1 => Standing::Member,
        2 => Standing::Leaving { successor: successor.map(node).transpose()? },
        3 => Standing::Removed,
        _ => return Err(CodecError::Malformed { what: "no standing of a node" }),
    };
    Ok(Node {
        record: wire.record.required()?.into(),
        standing,
        joined_at: Timestamp(wire.joined_at_ns),
        joined: LogIndex(wire.joined),
        revision: LogIndex(wire.revision),
    })
}

fn wire_group(id: GroupId, group: &Group) -> WireGroup {
    let replica = |replica: &Replica| WireReplica {
        id: replica.id.0,
        node: replica.node.0.to_vec(),
        role: role_number(replica.role),
    };
    WireGroup {
        group: id.0,
        epoch: group.epoch.0,
        is_formed: group.is_formed,
        replicas: group.replicas.iter().map(replica).collect(),
        revision: group.revision.0,
    }
}

fn group_of(wire: &WireGroup) -> Result<Group, CodecError> {
    let replica = |wire: &WireReplica| {
        Ok(Replica { id: ReplicaId(wire.id), node: node(&wire.node)?, role: role(wire.role)? })
    };
    Ok(Group {
        epoch: EpochId(wire.epoch),
        is_formed: wire.is_formed,
        replicas: wire.replicas.iter().map(replica).collect::<Result<_, CodecError>>()?,
        revision: LogIndex(wire.revision),
    })
}

fn wire_tombstone(id: ReplicaId, tombstone: &Tombstone) -> WireTombstone {
    WireTombstone {
        replica: id.0,
        group: tombstone.group.0,
        node: tombstone.node.0.to_vec(),
        is_confirmed: tombstone.is_confirmed,
    }
}

fn tombstone_of(wire: &WireTombstone) -> Result<Tombstone, CodecError> {
    Ok(Tombstone {
        group: GroupId(wire.group),
        node: node(&wire.node)?,
        is_confirmed: wire.is_confirmed,
    })
}

fn wire_epoch(epoch: &Epoch) -> WireEpoch {
    let state = match epoch.state {
        EpochState::Preparing => 1,
        EpochState::Fencing => 2,
        EpochState::Active => 3,
    };
    WireEpoch {
        id: epoch.id.0,
        shard_count: epoch.shard_count,
        state,
        fenced_at_ns: epoch.fenced_at.0,
        activated_at_ns: epoch.activated_at.0,
    }
}

fn epoch_of(wire: &WireEpoch) -> Result<Epoch, CodecError> {
    let state = match wire.state {
        1 => EpochState::Preparing,
        2 => EpochState::Fencing,
        3 => EpochState::Active,
        _ => return Err(CodecError::Malformed { what: "no state of an epoch" }),
    };
    Ok(Epoch {
        id: EpochId(wire.id),
        shard_count: wire.shard_count,
        state,
        fenced_at: Timestamp(wire.fenced_at_ns),
        activated_at: Timestamp(wire.activated_at_ns),
    })
}
