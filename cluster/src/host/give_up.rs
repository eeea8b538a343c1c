//! A node whose log is not what was said in its name gives up its replicas, so that new ones take
//! their place: the log is damaged, or another process ran as this node and spoke from another log.
//!
//! What a replica acknowledged stands in the log; one whose log is damaged must not vote again
//! under its id (DUR-3, REP-3). The ids are remembered as *burned* for ever and the list is
//! emptied, in one flushed write. The node stays a member; the plan finds that it holds nothing,
//! and gives it new replicas that fetch what the others have.
//!
//! Only where others have the data: every group on the list has three voters at least, also one of
//! which it is not known here yet that it is formed. Else the damage is for people to decide on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use storage::kv::Kv;
use storage::log::{GroupId, LogEngine};
use storage::mutant::{self, Mutant};
use storage::shard::BlockStore;

use super::durable::Durable;
use super::error::HostError;
use crate::identity::{ReplicaId, shard_of_group};
use crate::meta::MetaState;
use crate::plan::DataState;
use crate::raft;

/// Voters that a group needs for one of them to be given up: the others are a majority.
const VOTERS_MIN: usize = 3;

/// Gives up every replica of the node, if others have what they held; says whether it did. To be
/// called before anything is started, and again after a crash in the middle of it. Afterwards the
/// log may be replaced by an empty one.
pub fn give_up_replicas(kv: &Arc<dyn Kv>, blocks: &BlockStore) -> Result<bool, HostError> {
    let durable = Durable::new(Arc::clone(kv));
    let is_member = matches!(durable.membership()?.data, DataState::Member(_));
    let Some(map) = durable.map()?.filter(|_| is_member) else { return Ok(false) };
    let list = durable.replicas()?;
    if !others_have(&map, &list) {
        return Ok(false);
    }
    let burned: BTreeSet<_> = durable.burned()?.into_iter().chain(list.values().copied()).collect();
    if mutant::is(Mutant::ReplicaReused) {
        durable.burn(&BTreeSet::new(), &list)?;
    } else {
        durable.burn(&burned, &BTreeMap::new())?;
    }
    durable.forget_meta()?;
    for shard in map.groups().keys().filter_map(|group| shard_of_group(*group)) {
        blocks.forget(shard)?;
    }
    Ok(true)
}

/// Whether others have what these replicas held: for one to be given up the others of its group
/// must be a majority.
pub(super) fn others_have(map: &MetaState, list: &BTreeMap<GroupId, ReplicaId>) -> bool {
    let others_have_it = |group| {
        let intent = map.groups().get(group);
        intent.is_some_and(|intent| intent.voters().count() >= VOTERS_MIN)
    };
    list.keys().all(others_have_it)
}

/// Whether another process ran as this node, and acknowledged what this log does not have.
pub fn was_disowned(kv: &Arc<dyn Kv>) -> Result<bool, HostError> {
    Ok(Durable::new(Arc::clone(kv)).is_disowned()?)
}

/// Whether replicas lie on this node.
pub fn holds_replicas(kv: &Arc<dyn Kv>) -> Result<bool, HostError> {
    Ok(!Durable::new(Arc::clone(kv)).replicas()?.is_empty())
}

/// Notes that what followed from it is done: the node's replicas were given up.
pub fn forget_disowned(kv: &Arc<dyn Kv>) -> Result<(), HostError> {
    Ok(Durable::new(Arc::clone(kv)).set_disowned(false)?)
}

/// Whether the log has lost its end: some replica has more in its blocks, or in its copy of the
/// cluster's state, than the log knows of. A log that was cut off where nothing of it was in blocks
/// looks like one that never went further.
pub fn log_is_short(
    kv: &Arc<dyn Kv>,
    blocks: &BlockStore,
    log: &Arc<dyn LogEngine>,
) -> Result<bool, HostError> {
    let durable = Durable::new(Arc::clone(kv));
    for group in durable.replicas()?.into_keys() {
        let cut = match shard_of_group(group) {
            Some(shard) => blocks.seal_cut(shard)?,
            None => durable.meta()?.map(|state| state.applied()),
        };
        let fits = match cut {
            // What follows the cut must be there from its first entry on.
            Some(cut) => {
                let first = log.bounds(group).first;
                raft::reaches(log, group, cut) && first.is_none_or(|first| first <= cut.next())
            }
            None => log.bounds(group).purged.is_none(),
        };
        if !fits && !mutant::is(Mutant::ShortLogTaken) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use model::{NodeId, Timestamp};
    use storage::env::FaultEnv;
    use storage::kv::MemoryKv;
    use storage::log::{GroupId, LogIndex};

    use super::*;
    use crate::host::durable::Membership;
    use crate::identity::{ClusterId, META_GROUP, ReplicaId};
    use crate::meta::{Founder, Founding, MetaCommand, MetaOutcome, MetaState, NodeRecord};

    /// A cluster of these nodes whose two shards have a replica on each.
    pub(crate) fn formed(ids: &[NodeId]) -> MetaState {
        let founder = |node: &NodeId| Founder {
            node: *node,
            record: NodeRecord {
                name: node.to_string(),
                addresses: vec!["here:1".into()],
                zone: String::new(),
                version: 1,
            },
        };
        let founding = Founding {
            cluster_id: ClusterId([7; 16]),
            cluster_version: 1,
            replication_factor: u32::try_from(ids.len()).unwrap(),
            nodes: ids.iter().map(founder).collect(),
            // An odd number of them.
            meta_voters: ids.iter().copied().take((ids.len() - 1) / 2 * 2 + 1).collect(),
            shards: vec![ids.to_vec(), ids.to_vec()],
        };
        let mut state = MetaState::default();
        let mut next = 1;
        let mut apply = |state: &mut MetaState, command: MetaCommand| {
            let outcome = state.apply(LogIndex(next), &command);
            assert!(matches!(outcome, MetaOutcome::Applied(_)), "{outcome:?}");
            next += 1;
        };
        apply(&mut state, MetaCommand::Found { founding, at: Timestamp(5) });
        let groups: Vec<_> = state.groups().iter().map(|(id, it)| (*id, it.revision)).collect();
        for (group, expected) in groups {
            apply(&mut state, MetaCommand::GroupFormed { group, expected });
        }
        state
    }

    fn rig(nodes: u8) -> (Arc<dyn Kv>, BlockStore, Durable) {
        let kv: Arc<dyn Kv> = Arc::new(MemoryKv::new());
        let env = Arc::new(FaultEnv::new(1));
        let blocks = BlockStore::new(env, Arc::clone(&kv), Path::new("/blocks"));
        let durable = Durable::new(Arc::clone(&kv));
        let ids: Vec<NodeId> = (1..=nodes).map(|number| NodeId([number; 16])).collect();
        let state = formed(&ids);
        durable.set_map(&state).unwrap();
        let list: BTreeMap<GroupId, ReplicaId> = state
            .groups()
            .iter()
            .filter_map(|(group, intent)| {
                let own = intent.replicas.iter().find(|replica| replica.node == ids[0])?;
                Some((*group, own.id))
            })
            .collect();
        durable.set_replicas(&list).unwrap();
        (kv, blocks, durable)
    }

    fn join(durable: &Durable) {
        let data = DataState::Member(ClusterId([7; 16]));
        durable.set_membership(&Membership { data, founding: None }).unwrap();
    }

    #[test]
    fn what_others_have_is_given_up_for_good() {
        let (kv, blocks, durable) = rig(3);
        assert!(!give_up_replicas(&kv, &blocks).unwrap(), "it is no member");
        join(&durable);
        let before = durable.replicas().unwrap();
        assert!(before.contains_key(&META_GROUP) && before.len() == 3);
        assert!(give_up_replicas(&kv, &blocks).unwrap());
        assert_eq!(durable.replicas().unwrap(), BTreeMap::new());
        let burned: BTreeSet<ReplicaId> = before.into_values().collect();
        assert_eq!(durable.burned().unwrap(), burned);
        assert!(give_up_replicas(&kv, &blocks).unwrap(), "once more, after a crash");
        assert_eq!(durable.burned().unwrap(), burned);
    }

    #[test]
    fn that_another_ran_as_this_node_is_remembered_until_it_was_dealt_with() {
        let (kv, _, durable) = rig(3);
        assert!(!was_disowned(&kv).unwrap());
        durable.set_disowned(true).unwrap();
        assert!(was_disowned(&kv).unwrap() && holds_replicas(&kv).unwrap());
        durable.set_replicas(&BTreeMap::new()).unwrap();
        assert!(!holds_replicas(&kv).unwrap());
        forget_disowned(&kv).unwrap();
        assert!(!was_disowned(&kv).unwrap());
    }

    #[test]
    fn what_nobody_else_has_stays() {
        let (kv, blocks, durable) = rig(1);
        join(&durable);
        let before = durable.replicas().unwrap();
        assert!(!give_up_replicas(&kv, &blocks).unwrap());
        assert_eq!(durable.replicas().unwrap(), before);
    }
}
