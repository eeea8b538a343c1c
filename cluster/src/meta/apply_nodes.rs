//! Commands about nodes: founding, joining, leaving, taking another's place.

use model::{NodeId, Timestamp};
use storage::log::LogIndex;

use super::apply::{Done, changed, check_revision};
use super::limits::{NODES_MAX, NODES_REMOVED_MAX};
use super::{
    Epoch, EpochId, EpochState, Founding, Group, MetaState, Node, NodeRecord, Refusal, Replica,
    Role, Standing,
};

impl MetaState {
    pub(super) fn found(&mut self, index: LogIndex, founding: &Founding, at: Timestamp) -> Done {
        match self.cluster {
            // Every voter proposes it, since any of them may be the one whose proposal survives.
            Some(cluster) if cluster == founding.cluster_id => return Ok(changed(index)),
            Some(cluster) => return Err(Refusal::OtherCluster { cluster }),
            None => founding.check()?,
        }
        self.cluster = Some(founding.cluster_id);
        self.cluster_version = founding.cluster_version;
        self.settings.replication_factor = founding.replication_factor;
        self.settings.revision = index;
        for founder in &founding.nodes {
            self.nodes.insert(founder.node, joined(index, founder.record.clone(), at));
        }
        for (group, id, node) in founding.members() {
            let group = self.groups.entry(group).or_insert_with(|| Group {
                epoch: EpochId::FIRST,
                is_formed: false,
                replicas: Vec::new(),
                revision: index,
            });
            group.replicas.push(Replica { id, node, role: Role::Voter });
            self.last_replica = self.last_replica.max(id.0);
        }
        let shard_count = u32::try_from(founding.shards.len()).unwrap_or(u32::MAX);
        let (id, state) = (EpochId::FIRST, EpochState::Active);
        let (fenced_at, activated_at) = (Timestamp(0), Timestamp(0));
        self.epochs.push(Epoch { id, shard_count, state, fenced_at, activated_at });
        Ok(changed(index))
    }

    pub(super) fn put_node(
        &mut self,
        index: LogIndex,
        id: NodeId,
        record: &NodeRecord,
        at: Timestamp,
    ) -> Done {
        if !record.is_well_formed() {
            return Err(Refusal::Malformed { what: "the node's record is out of bounds" });
        }
        let (version, needed) = (record.version, self.cluster_version);
        if version < needed {
            return Err(Refusal::NodeTooOld { node: id, version });
        }
        let present = self.present().count();
        match self.nodes.get_mut(&id) {
            Some(node) if node.is_removed() => return Err(Refusal::RemovedNode { node: id }),
            Some(node) if node.record == *record => return Ok(changed(node.revision)),
            Some(node) => {
                node.record = record.clone();
                node.revision = index;
            }
            None if present >= NODES_MAX => {
                return Err(Refusal::TooMany { what: "nodes", max: NODES_MAX });
            }
            None => {
                self.nodes.insert(id, joined(index, record.clone(), at));
            }
        }
        Ok(changed(index))
    }

    pub(super) fn remove_node(&mut self, index: LogIndex, id: NodeId) -> Done {
        let node = self.node_of(id)?;
        if !node.is_member() {
            return Ok(changed(node.revision));
        }
        self.check_spare()?;
        self.set_standing(index, id, Standing::Leaving { successor: None });
        Ok(changed(index))
    }

    pub(super) fn replace_node(
        &mut self,
        index: LogIndex,
        old: NodeId,
        expected: LogIndex,
        new: NodeId,
    ) -> Done {
        let (former, successor) = (self.node_of(old)?, self.node_of(new)?);
        check_revision(expected, former.revision)?;
        if !former.is_member() || !successor.is_member() {
            return Err(Refusal::NodeUnfit { node: old, what: "one of the two is leaving" });
        }
        // Joining later includes being another node than the old one.
        if former.record.name != successor.record.name
            || (successor.joined, new) <= (former.joined, old)
        {
            let what = "the successor has another name, or joined earlier";
            return Err(Refusal::NodeUnfit { node: new, what });
        }
        self.check_spare()?;
        self.set_standing(index, old, Standing::Leaving { successor: Some(new) });
        Ok(changed(index))
    }

    pub(super) fn node_gone(&mut self, index: LogIndex, id: NodeId) -> Done {
        let node = self.node_of(id)?;
        if node.is_member() {
            return Err(Refusal::NodeUnfit { node: id, what: "it is not leaving" });
        }
        if self.replicas_on(id).next().is_some() {
            return Err(Refusal::NodeUnfit { node: id, what: "it is meant to hold replicas" });
        }
        let unconfirmed = |tombstone: &&super::Tombstone| !tombstone.is_confirmed;
        let mut left = self.tombstones.values().filter(|tombstone| tombstone.node == id);
        if left.any(|tombstone| unconfirmed(&tombstone)) {
            return Err(Refusal::NodeUnfit { node: id, what: "a configuration may have it" });
        }
        // Nobody will hear of what is on its disk: removed for ever, it counts nowhere.
        self.tombstones.retain(|_, tombstone| tombstone.node != id);
        self.set_standing(index, id, Standing::Removed);
        self.forget_oldest_removed();
        Ok(changed(index))
    }

    /// The node, unless it was removed or never joined.
    pub(super) fn node_of(&self, id: NodeId) -> Result<&Node, Refusal> {
        match self.nodes.get(&id) {
            None => Err(Refusal::UnknownNode { node: id }),
            Some(node) if node.is_removed() => Err(Refusal::RemovedNode { node: id }),
            Some(node) => Ok(node),
        }
    }

    /// Refuses if one member fewer could not hold the copies.
    fn check_spare(&self) -> Result<(), Refusal> {
        let nodes = self.members().count().saturating_sub(1);
        let factor = self.settings.replication_factor;
        if nodes < usize::try_from(factor).unwrap_or(usize::MAX) {
            return Err(Refusal::TooFewNodes { nodes, factor });
        }
        Ok(())
    }

    fn set_standing(&mut self, index: LogIndex, id: NodeId, standing: Standing) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.standing = standing;
            node.revision = index;
        }
    }

    fn forget_oldest_removed(&mut self) {
        let removed = || self.nodes.iter().filter(|(_, node)| node.is_removed());
        if removed().count() > NODES_REMOVED_MAX {
            let oldest = removed().min_by_key(|(id, node)| (node.joined, **id)).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.nodes.remove(&oldest);
            }
        }
    }
}

fn joined(index: LogIndex, record: NodeRecord, at: Timestamp) -> Node {
    Node { record, standing: Standing::Member, joined_at: at, joined: index, revision: index }
}
