//! The plan that a cluster starts from: agreed on before there is anything to agree with.

use std::collections::BTreeSet;

use model::NodeId;
use storage::log::GroupId;

use super::limits::{META_VOTERS_MAX, NODES_MAX, REPLICATION_FACTOR_MAX, SHARDS_ADDED_MAX};
use super::{CLUSTER_VERSION, NodeRecord};
use crate::identity::{ClusterId, META_GROUP, ReplicaId, group_of_shard};

/// A node that a cluster is founded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founder {
    /// Its id.
    pub node: NodeId,
    /// What it said of itself.
    pub record: NodeRecord,
}

/// Everything a new cluster starts from. Two plans with one cluster id are one plan: the id is
/// drawn anew for each.
///
/// Placement is part of it, rather than computed from it, so that builds which place differently
/// still agree on what was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// The cluster to be.
    pub cluster_id: ClusterId,
    /// The cluster version to start with: what the oldest founder knows.
    pub cluster_version: u32,
    /// Voters each shard is meant to have.
    pub replication_factor: u32,
    /// The nodes, by id.
    pub nodes: Vec<Founder>,
    /// Where the meta group's voters lie.
    pub meta_voters: Vec<NodeId>,
    /// Where the voters of each shard lie, by shard.
    pub shards: Vec<Vec<NodeId>>,
}

/// Why a plan cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plan of the cluster is malformed: {what}")]
pub struct MalformedFounding {
    /// What is wrong with it.
    pub what: &'static str,
}

impl Founding {
    /// The node that planned it: the one with the smallest id.
    pub fn planner(&self) -> Option<NodeId> {
        self.nodes.first().map(|founder| founder.node)
    }

    /// Whether a node is one of the founders.
    pub fn has(&self, node: NodeId) -> bool {
        self.nodes.iter().any(|founder| founder.node == node)
    }

    /// The list that every voter of the meta group initializes with.
    pub fn meta_members(&self) -> Vec<(ReplicaId, NodeId)> {
        self.members()
            .filter(|(group, ..)| *group == META_GROUP)
            .map(|(_, id, n)| (id, n))
            .collect()
    }

    /// Every replica of every group, with ids in the order of groups: the meta group's first.
    pub(crate) fn members(&self) -> impl Iterator<Item = (GroupId, ReplicaId, NodeId)> {
        let meta = self.meta_voters.iter().map(|node| (META_GROUP, *node));
        let shards = (0..).zip(&self.shards).flat_map(|(shard, nodes)| {
            let group = group_of_shard(model::ShardId(shard));
            nodes.iter().map(move |node| (group, *node))
        });
        (1..).zip(meta.chain(shards)).map(|(id, (group, node))| (group, ReplicaId(id), node))
    }

    /// Whether the plan is one that a cluster can start from.
    pub fn check(&self) -> Result<(), MalformedFounding> {
        let malformed = |what| Err(MalformedFounding { what });
        let is_ascending = self.nodes.windows(2).all(|pair| match pair {
            [first, second] => first.node < second.node,
            _ => true,
        });
        if self.nodes.is_empty() || self.nodes.len() > NODES_MAX || !is_ascending {
            return malformed("the nodes are not a bounded list, ascending by id");
        }
        if !self.nodes.iter().all(|founder| founder.record.is_well_formed()) {
            return malformed("a node's record is out of bounds");
        }
        let oldest = self.nodes.iter().map(|founder| founder.record.version).min();
        let version = self.cluster_version;
        if version == 0 || version > CLUSTER_VERSION || Some(version) > oldest {
            return malformed("a node does not know the cluster version");
        }
        let factor = usize::try_from(self.replication_factor).unwrap_or(usize::MAX);
        if factor == 0 || self.replication_factor > REPLICATION_FACTOR_MAX {
            return malformed("the replication factor is out of bounds");
        }
        let is_spread = |nodes: &[NodeId]| {
            let distinct: BTreeSet<&NodeId> = nodes.iter().collect();
            distinct.len() == nodes.len() && nodes.iter().all(|node| self.has(*node))
        };
        let voters = self.meta_voters.len();
        if voters.is_multiple_of(2) || voters > META_VOTERS_MAX || !is_spread(&self.meta_voters) {
            return malformed("the meta group's voters are not an odd number of the nodes");
        }
        if self.shards.is_empty() || self.shards.len() > SHARDS_ADDED_MAX {
            return malformed("the number of shards is out of bounds");
        }
        if !self.shards.iter().all(|nodes| nodes.len() == factor && is_spread(nodes)) {
            return malformed("a shard does not lie on as many of the nodes as it should");
        }
        Ok(())
    }
}
