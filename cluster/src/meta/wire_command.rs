//! Commands and plans to and from their messages.

use std::collections::BTreeMap;

use model::{Duration, NodeId, Tenant, Timestamp};
use storage::log::{GroupId, LogIndex};

use super::wire::{
    WireAddition, WireAge, WireCommand, WireFounder, WireFounding, WirePlacement, WireRecord,
};
use super::{
    Addition, CodecError, EpochId, Founder, Founding, MetaCommand, NodeRecord, RetentionClass, Role,
};
use crate::identity::{ClusterId, ReplicaId};

/// The numbers of the kinds, for ever.
mod kind {
    pub(super) const FOUND: u32 = 1;
    pub(super) const PUT_NODE: u32 = 2;
    pub(super) const REMOVE_NODE: u32 = 3;
    pub(super) const REPLACE_NODE: u32 = 4;
    pub(super) const NODE_GONE: u32 = 5;
    pub(super) const CHANGE_REPLICAS: u32 = 6;
    pub(super) const GROUP_FORMED: u32 = 7;
    pub(super) const CONFIRM_GONE: u32 = 8;
    pub(super) const FORGET_REPLICA: u32 = 9;
    pub(super) const SET_REPLICATION_FACTOR: u32 = 10;
    pub(super) const ADD_SHARDS: u32 = 11;
    pub(super) const START_FENCE: u32 = 12;
    pub(super) const ACTIVATE_EPOCH: u32 = 13;
    pub(super) const PUT_TENANT: u32 = 14;
    pub(super) const DROP_TENANT: u32 = 15;
    pub(super) const SET_RETENTION: u32 = 16;
    pub(super) const SET_SAMPLING: u32 = 17;
    pub(super) const RAISE_VERSION: u32 = 18;
    pub(super) const RECOVER: u32 = 19;
    pub(super) const ABANDON_EPOCH: u32 = 20;
}

impl From<&MetaCommand> for WireCommand {
    fn from(command: &MetaCommand) -> Self {
        let mut wire = Self { min_version: command.min_version(), ..Self::default() };
        match command {
            MetaCommand::Found { founding, at } => {
                wire.kind = kind::FOUND;
                wire.founding = Some(founding.into());
                wire.at_ns = at.0;
            }
            MetaCommand::PutNode { node, record, at } => {
                wire.kind = kind::PUT_NODE;
                wire.node = node.0.to_vec();
                wire.record = Some(record.into());
                wire.at_ns = at.0;
            }
            MetaCommand::RemoveNode { node } => {
                wire.kind = kind::REMOVE_NODE;
                wire.node = node.0.to_vec();
            }
            MetaCommand::ReplaceNode { old, expected, new } => {
                wire.kind = kind::REPLACE_NODE;
                wire.node = old.0.to_vec();
                wire.expected = expected.0;
                wire.successor = new.0.to_vec();
            }
            MetaCommand::NodeGone { node } => {
                wire.kind = kind::NODE_GONE;
                wire.node = node.0.to_vec();
            }
            MetaCommand::ChangeReplicas { group, expected, remove, add } => {
                wire.kind = kind::CHANGE_REPLICAS;
                wire.group = group.0;
                wire.expected = expected.0;
                wire.replicas = remove.iter().map(|replica| replica.0).collect();
                wire.additions = add.iter().map(WireAddition::from).collect();
            }
            MetaCommand::GroupFormed { group, expected } => {
                wire.kind = kind::GROUP_FORMED;
                wire.group = group.0;
                wire.expected = expected.0;
            }
            MetaCommand::ConfirmGone { replica } => {
                wire.kind = kind::CONFIRM_GONE;
                wire.replicas = vec![replica.0];
            }
            MetaCommand::ForgetReplica { replica } => {
                wire.kind = kind::FORGET_REPLICA;
                wire.replicas = vec![replica.0];
            }
            MetaCommand::SetReplicationFactor { factor } => {
                wire.kind = kind::SET_REPLICATION_FACTOR;
                wire.number = *factor;
            }
            MetaCommand::AddShards { expected, placement } => {
                wire.kind = kind::ADD_SHARDS;
                wire.number = expected.0;
                wire.placement = placement.iter().map(|nodes| nodes.as_slice().into()).collect();
            }
            MetaCommand::StartFence { epoch, at } => {
                wire.kind = kind::START_FENCE;
                wire.number = epoch.0;
                wire.at_ns = at.0;
            }
            MetaCommand::ActivateEpoch { epoch, at } => {
                wire.kind = kind::ACTIVATE_EPOCH;
                wire.number = epoch.0;
                wire.at_ns = at.0;
            }
            MetaCommand::AbandonEpoch { epoch } => {
                wire.kind = kind::ABANDON_EPOCH;
                wire.number = epoch.0;
            }
            MetaCommand::PutTenant { tenant } => {
                wire.kind = kind::PUT_TENANT;
                tenant.as_str().clone_into(&mut wire.tenant);
            }
            MetaCommand::DropTenant { tenant } => {
                wire.kind = kind::DROP_TENANT;
                tenant.as_str().clone_into(&mut wire.tenant);
            }
            MetaCommand::SetRetention { expected, ages, disk_bytes_max } => {
                wire.kind = kind::SET_RETENTION;
                wire.expected = expected.0;
                wire.ages = wire_ages(ages);
                wire.disk_bytes_max = *disk_bytes_max;
            }
            MetaCommand::SetSampling { expected, content } => {
                wire.kind = kind::SET_SAMPLING;
                wire.expected = expected.0;
                wire.content.clone_from(content);
            }
            MetaCommand::RaiseVersion { to } => {
                wire.kind = kind::RAISE_VERSION;
                wire.number = *to;
            }
            MetaCommand::Recover { cluster, survivor, held } => {
                wire.kind = kind::RECOVER;
                wire.content = cluster.0.to_vec();
                wire.node = survivor.0.to_vec();
                wire.groups = held.keys().map(|group| group.0).collect();
                wire.replicas = held.values().map(|replica| replica.0).collect();
            }
        }
        wire
    }
}

impl TryFrom<WireCommand> for MetaCommand {
    type Error = CodecError;

    fn try_from(wire: WireCommand) -> Result<Self, CodecError> {
        let expected = LogIndex(wire.expected);
        let group = GroupId(wire.group);
        let epoch = EpochId(wire.number);
        let at = Timestamp(wire.at_ns);
        Ok(match wire.kind {
            kind::FOUND => Self::Found { founding: wire.founding.required()?.try_into()?, at },
            kind::PUT_NODE => {
                let record = wire.record.required()?.into();
                Self::PutNode { node: node(&wire.node)?, record, at }
            }
            kind::REMOVE_NODE => Self::RemoveNode { node: node(&wire.node)? },
            kind::REPLACE_NODE => {
                let (old, new) = (node(&wire.node)?, node(&wire.successor)?);
                Self::ReplaceNode { old, expected, new }
            }
            kind::NODE_GONE => Self::NodeGone { node: node(&wire.node)? },
            kind::CHANGE_REPLICAS => {
                let remove = wire.replicas.into_iter().map(ReplicaId).collect();
                let add = wire.additions.iter().map(Addition::try_from).collect::<Result<_, _>>();
                Self::ChangeReplicas { group, expected, remove, add: add? }
            }
            kind::GROUP_FORMED => Self::GroupFormed { group, expected },
            kind::CONFIRM_GONE => Self::ConfirmGone { replica: only(&wire.replicas)? },
            kind::FORGET_REPLICA => Self::ForgetReplica { replica: only(&wire.replicas)? },
            kind::SET_REPLICATION_FACTOR => Self::SetReplicationFactor { factor: wire.number },
            kind::ADD_SHARDS => {
                let placement = placements(&wire.placement)?;
                Self::AddShards { expected: epoch, placement }
            }
            kind::START_FENCE => Self::StartFence { epoch, at },
            kind::ACTIVATE_EPOCH => Self::ActivateEpoch { epoch, at },
            kind::ABANDON_EPOCH => Self::AbandonEpoch { epoch },
            kind::PUT_TENANT => Self::PutTenant { tenant: tenant(&wire.tenant)? },
            kind::DROP_TENANT => Self::DropTenant { tenant: tenant(&wire.tenant)? },
            kind::SET_RETENTION => {
                let ages = ages(&wire.ages)?;
                Self::SetRetention { expected, ages, disk_bytes_max: wire.disk_bytes_max }
            }
            kind::SET_SAMPLING => Self::SetSampling { expected, content: wire.content },
            kind::RAISE_VERSION => Self::RaiseVersion { to: wire.number },
            kind::RECOVER => Self::Recover {
                cluster: cluster(&wire.content)?,
                survivor: node(&wire.node)?,
                held: held(&wire.groups, &wire.replicas)?,
            },
            _ => return Err(CodecError::Malformed { what: "no kind of command" }),
        })
    }
}

impl From<&Founding> for WireFounding {
    fn from(founding: &Founding) -> Self {
        let founder = |founder: &Founder| WireFounder {
            node: founder.node.0.to_vec(),
            record: Some((&founder.record).into()),
        };
        Self {
            cluster_id: founding.cluster_id.0.to_vec(),
            cluster_version: founding.cluster_version,
            replication_factor: founding.replication_factor,
            nodes: founding.nodes.iter().map(founder).collect(),
            meta_voters: founding.meta_voters.iter().map(|node| node.0.to_vec()).collect(),
            shards: founding.shards.iter().map(|nodes| nodes.as_slice().into()).collect(),
        }
    }
}

impl TryFrom<WireFounding> for Founding {
    type Error = CodecError;

    fn try_from(wire: WireFounding) -> Result<Self, CodecError> {
        let founder = |founder: WireFounder| {
            let record = founder.record.required()?.into();
            Ok(Founder { node: node(&founder.node)?, record })
        };
        Ok(Self {
            cluster_id: cluster(&wire.cluster_id)?,
            cluster_version: wire.cluster_version,
            replication_factor: wire.replication_factor,
            nodes: wire.nodes.into_iter().map(founder).collect::<Result<_, CodecError>>()?,
            meta_voters: wire.meta_voters.iter().map(|id| node(id)).collect::<Result<_, _>>()?,
            shards: placements(&wire.shards)?,
        })
    }
}

impl From<&NodeRecord> for WireRecord {
    fn from(record: &NodeRecord) -> Self {
        let NodeRecord { name, addresses, zone, version } = record.clone();
        Self { name, addresses, zone, version }
    }
}

impl From<WireRecord> for NodeRecord {
    fn from(wire: WireRecord) -> Self {
        let WireRecord { name, addresses, zone, version } = wire;
        Self { name, addresses, zone, version }
    }
}

impl From<&[NodeId]> for WirePlacement {
    fn from(nodes: &[NodeId]) -> Self {
        Self { nodes: nodes.iter().map(|node| node.0.to_vec()).collect() }
    }
}

impl From<&Addition> for WireAddition {
    fn from(addition: &Addition) -> Self {
        Self { node: addition.node.0.to_vec(), role: role_number(addition.role) }
    }
}

impl TryFrom<&WireAddition> for Addition {
    type Error = CodecError;

    fn try_from(wire: &WireAddition) -> Result<Self, CodecError> {
        Ok(Self { node: node(&wire.node)?, role: role(wire.role)? })
    }
}

/// A message that must be there.
pub(super) trait Required<T> {
    fn required(self) -> Result<T, CodecError>;
}

impl<T> Required<T> for Option<T> {
    fn required(self) -> Result<T, CodecError> {
        self.ok_or(CodecError::Malformed { what: "a field is missing" })
    }
}

pub(super) fn node(bytes: &[u8]) -> Result<NodeId, CodecError> {
    NodeId::from_slice(bytes).ok_or(CodecError::Malformed { what: "not a node id" })
}

pub(super) fn cluster(bytes: &[u8]) -> Result<ClusterId, CodecError> {
    ClusterId::from_slice(bytes).ok_or(CodecError::Malformed { what: "not a cluster id" })
}

pub(super) fn tenant(name: &str) -> Result<Tenant, CodecError> {
    Tenant::stored(name).map_err(|_| CodecError::Malformed { what: "not a tenant" })
}

pub(super) fn role_number(role: Role) -> u32 {
    match role {
        Role::Voter => 1,
        Role::Learner => 2,
    }
}

pub(super) fn role(number: u32) -> Result<Role, CodecError> {
    match number {
        1 => Ok(Role::Voter),
        2 => Ok(Role::Learner),
        _ => Err(CodecError::Malformed { what: "no role" }),
    }
}

pub(super) fn wire_ages(ages: &BTreeMap<RetentionClass, Duration>) -> Vec<WireAge> {
    ages.iter().map(|(class, age)| WireAge { class: class.0.into(), age_ns: age.0 }).collect()
}

pub(super) fn ages(wire: &[WireAge]) -> Result<BTreeMap<RetentionClass, Duration>, CodecError> {
    let no_class = |_| CodecError::Malformed { what: "no retention class" };
    let age = |age: &WireAge| {
        let class = u8::try_from(age.class).map_err(no_class)?;
        Ok((RetentionClass(class), Duration(age.age_ns)))
    };
    wire.iter().map(age).collect()
}

fn placements(wire: &[WirePlacement]) -> Result<Vec<Vec<NodeId>>, CodecError> {
    wire.iter().map(|shard| shard.nodes.iter().map(|id| node(id)).collect()).collect()
}

fn held(groups: &[u64], replicas: &[u64]) -> Result<BTreeMap<GroupId, ReplicaId>, CodecError> {
    if groups.len() != replicas.len() {
        return Err(CodecError::Malformed { what: "not a replica for each group" });
    }
    let pairs = groups.iter().zip(replicas);
    Ok(pairs.map(|(group, replica)| (GroupId(*group), ReplicaId(*replica))).collect())
}

fn only(replicas: &[u64]) -> Result<ReplicaId, CodecError> {
    match replicas {
        [replica] => Ok(ReplicaId(*replica)),
        _ => Err(CodecError::Malformed { what: "not one replica" }),
    }
}
