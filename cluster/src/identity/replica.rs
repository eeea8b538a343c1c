//! Ids of replicas, and which Raft group is which shard's.

use std::fmt;

use model::ShardId;
use storage::log::GroupId;

/// One copy of a group, for as long as it lives: Raft's node id inside the group.
///
/// Invariant (REP-3): handed out by the meta group from one counter for all groups, and never used
/// again. A copy that returns after damage or removal is another replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReplicaId(pub u64);

impl fmt::Display for ReplicaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "r{}", self.0)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The group that holds the cluster's own state.
pub const META_GROUP: GroupId = GroupId(0);

/// The group of a shard: the numbers after the meta group's.
pub fn group_of_shard(shard: ShardId) -> GroupId {
    GroupId(u64::from(shard.0) + 1)
}

/// The shard of a group; none for the meta group and for numbers that no shard can have.
pub fn shard_of_group(group: GroupId) -> Option<ShardId> {
    let number = group.0.checked_sub(1)?;
    u32::try_from(number).ok().map(ShardId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_shards_are_one_to_one() {
        assert_eq!(shard_of_group(META_GROUP), None);
        for shard in [0, 1, 77, u32::MAX] {
            assert_eq!(shard_of_group(group_of_shard(ShardId(shard))), Some(ShardId(shard)));
        }
        assert_eq!(shard_of_group(GroupId(u64::from(u32::MAX) + 2)), None);
        assert_eq!(shard_of_group(GroupId(u64::MAX)), None);
    }
}
