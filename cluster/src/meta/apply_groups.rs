//! Commands about the replicas of groups.

use std::collections::BTreeSet;

use model::NodeId;
use storage::log::{GroupId, LogIndex};

use super::apply::{Done, changed, check_revision};
use super::limits::{REPLICAS_MAX, TOMBSTONES_MAX};
use super::{Addition, Applied, Group, MetaState, Refusal, Replica, Role, Tombstone};
use crate::identity::ReplicaId;

impl MetaState {
    pub(super) fn change_replicas(
        &mut self,
        index: LogIndex,
        id: GroupId,
        expected: LogIndex,
        remove: &[ReplicaId],
        add: &[Addition],
    ) -> Done {
        let group = self.group_of(id)?;
        check_revision(expected, group.revision)?;
        if !group.is_formed {
            return Err(Refusal::NotFormed { group: id });
        }
        self.check_removals(group, remove)?;
        self.check_additions(id, add)?;
        let is_removed = |replica: &Replica| remove.contains(&replica.id);
        let kept = group.replicas.iter().filter(|replica| !is_removed(replica));
        let roles = || kept.clone().map(|r| r.role).chain(add.iter().map(|a| a.role));
        if !roles().any(|role| role == Role::Voter) {
            return Err(Refusal::Malformed { what: "a group without a voter" });
        }
        if roles().count() > REPLICAS_MAX {
            return Err(Refusal::TooMany { what: "replicas of a group", max: REPLICAS_MAX });
        }
        // Nothing is refused from here on.
        let replicas: Vec<ReplicaId> = add.iter().map(|_| self.next_replica()).collect();
        let added = replicas.iter().zip(add);
        let added = added.map(|(id, new)| Replica { id: *id, node: new.node, role: new.role });
        let mut buried = Vec::new();
        if let Some(group) = self.groups.get_mut(&id) {
            buried = group.replicas.extract_if(.., |replica| is_removed(replica)).collect();
            group.replicas.extend(added);
            group.revision = index;
        }
        for replica in buried {
            let tombstone = Tombstone { group: id, node: replica.node, is_confirmed: false };
            self.tombstones.insert(replica.id, tombstone);
        }
        Ok(Applied { revision: index, replicas })
    }

    fn check_removals(&self, group: &Group, remove: &[ReplicaId]) -> Result<(), Refusal> {
        let distinct: BTreeSet<&ReplicaId> = remove.iter().collect();
        if distinct.len() != remove.len() {
            return Err(Refusal::Malformed { what: "a replica is removed twice" });
        }
        if let Some(stranger) = remove.iter().find(|id| group.replica(**id).is_none()) {
            return Err(Refusal::UnknownReplica { replica: *stranger });
        }
        if self.tombstones.len() + remove.len() > TOMBSTONES_MAX {
            return Err(Refusal::TooMany { what: "removed replicas", max: TOMBSTONES_MAX });
        }
        Ok(())
    }

    fn check_additions(&self, group: GroupId, add: &[Addition]) -> Result<(), Refusal> {
        let distinct: BTreeSet<NodeId> = add.iter().map(|addition| addition.node).collect();
        if distinct.len() != add.len() {
            return Err(Refusal::Malformed { what: "two replicas on one node" });
        }
        for node in distinct {
            self.node_of(node)?;
            if !self.may_hold(group, node) {
                let what = "it is leaving, or something of the group is on its disk";
                return Err(Refusal::NodeUnfit { node, what });
            }
        }
        Ok(())
    }

    pub(super) fn group_formed(
        &mut self,
        index: LogIndex,
        id: GroupId,
        expected: LogIndex,
    ) -> Done {
        let group = self.groups.get_mut(&id).ok_or(Refusal::UnknownGroup { group: id })?;
        if group.is_formed {
            return Ok(changed(group.revision));
        }
        check_revision(expected, group.revision)?;
        group.is_formed = true;
        group.revision = index;
        Ok(changed(index))
    }

    pub(super) fn confirm_gone(&mut self, index: LogIndex, replica: ReplicaId) -> Done {
        let tombstone =
            self.tombstones.get_mut(&replica).ok_or(Refusal::UnknownReplica { replica })?;
        tombstone.is_confirmed = true;
        Ok(changed(index))
    }

    pub(super) fn forget_replica(&mut self, index: LogIndex, replica: ReplicaId) -> Done {
        match self.tombstones.get(&replica) {
            None => Err(Refusal::UnknownReplica { replica }),
            Some(tombstone) if !tombstone.is_confirmed => Err(Refusal::NotConfirmed { replica }),
            Some(_) => {
                self.tombstones.remove(&replica);
                Ok(changed(index))
            }
        }
    }

    pub(super) fn group_of(&self, id: GroupId) -> Result<&Group, Refusal> {
        self.groups.get(&id).ok_or(Refusal::UnknownGroup { group: id })
    }

    /// A replica id that never was.
    pub(super) fn next_replica(&mut self) -> ReplicaId {
        self.last_replica = self.last_replica.saturating_add(1);
        ReplicaId(self.last_replica)
    }
}
