//! Going on with what one disk holds, when the majority of a cluster's own group is lost for good.

use std::collections::{BTreeMap, BTreeSet};

use model::NodeId;
use storage::log::{GroupId, LogIndex};

use super::apply::Done;
use super::{Applied, MetaState, Refusal, Replica, Role, Standing};
use crate::identity::{ClusterId, META_GROUP, ReplicaId};

impl MetaState {
    /// Every group has one voter afterwards, on the survivor: the replica on its disk, whatever
    /// became of it before, or else a new one, which begins empty.
    pub(super) fn recover(
        &mut self,
        index: LogIndex,
        cluster: ClusterId,
        survivor: NodeId,
        held: &BTreeMap<GroupId, ReplicaId>,
    ) -> Done {
        self.node_of(survivor)?;
        let distinct: BTreeSet<&ReplicaId> = held.values().collect();
        let was_handed_out = |replica: &ReplicaId| (1..=self.last_replica).contains(&replica.0);
        if !held.contains_key(&META_GROUP)
            || distinct.len() != held.len()
            || !held.values().all(was_handed_out)
        {
            return Err(Refusal::Malformed { what: "what the survivor holds" });
        }
        self.cluster = Some(cluster);
        self.nodes.retain(|node, _| *node == survivor);
        for node in self.nodes.values_mut() {
            node.standing = Standing::Member;
            node.revision = index;
        }
        self.tombstones.clear();
        let mut handed_out = Vec::new();
        for (id, group) in &mut self.groups {
            let replica = held.get(id).copied().unwrap_or_else(|| {
                self.last_replica = self.last_replica.saturating_add(1);
                handed_out.push(ReplicaId(self.last_replica));
                ReplicaId(self.last_replica)
            });
            group.replicas = vec![Replica { id: replica, node: survivor, role: Role::Voter }];
            group.is_formed = held.contains_key(id);
            group.revision = index;
        }
        Ok(Applied { revision: index, replicas: handed_out })
    }
}
