//! What a node keeps of its part in a cluster: promises, membership, replicas, the map.
//!
//! All of it lies in the node's small store, under keys that begin with `host/`. Invariant: what is
//! told to anybody was flushed before; only the map is a copy that may be older.
//!
//! ```text
//!   host/life      how often the node was started
//!   host/data      the promise to a plan, or the cluster that the node belongs to
//!   host/replicas  the replicas on its disk
//!   host/burned    replicas that were here and must never be again
//!   host/disowned  there while another process may have spoken as this node
//!   host/sampling  the digest of the sampling strategies that the node offered last
//!   host/meta      the cluster's own state at the cut of the replica of the meta group
//!   host/map       the newest state of the cluster that the node saw
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use storage::kv::{Family, Kv, KvError, WriteBatch};
use storage::log::GroupId;

use super::error::HostError;
use crate::identity::{ClusterId, ReplicaId};
use crate::meta::{Founding, MetaState};
use crate::plan::DataState;
use crate::transport::Incarnation;

const LIFE: &[u8] = b"host/life";
const DATA: &[u8] = b"host/data";
const REPLICAS: &[u8] = b"host/replicas";
const BURNED: &[u8] = b"host/burned";
/// There is a value while what the log says may not be all that was said in the node's name.
const DISOWNED: &[u8] = b"host/disowned";
const SAMPLING: &[u8] = b"host/sampling";
const META: &[u8] = b"host/meta";
const MAP: &[u8] = b"host/map";

/// The form of the values.
const FORMAT: u8 = 1;

/// What a node's data is, by number.
mod kind {
    pub(super) const PROMISED: u8 = 1;
    pub(super) const MEMBER: u8 = 2;
}

/// Counts another start of the node, durably, and names it. To be called once a process, before
/// anything is sent; `nonce` is random.
pub fn begin_life(kv: &dyn Kv, nonce: u64) -> Result<Incarnation, HostError> {
    let malformed = HostError::Malformed { what: "the count of starts" };
    let last = match kv.get(Family::Meta, LIFE)? {
        Some(bytes) => u64::from_be_bytes(bytes.as_slice().try_into().map_err(|_| malformed)?),
        None => 0,
    };
    let start = last.saturating_add(1);
    put(kv, LIFE, &start.to_be_bytes())?;
    Ok(Incarnation { start, nonce })
}

/// What lies on the node's disk about its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) data: DataState,
    /// The plan that the node helped to found its cluster with: whichever of the meta group's
    /// voters leads first proposes it.
    pub(crate) founding: Option<Founding>,
}

/// A node's small store, seen from its part in a cluster. Calls block on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    kv: Arc<dyn Kv>,
}

impl Durable {
    pub(crate) fn new(kv: Arc<dyn Kv>) -> Self {
        Self { kv }
    }

    pub(crate) fn membership(&self) -> Result<Membership, HostError> {
        let Some(bytes) = self.kv.get(Family::Meta, DATA)? else {
            return Ok(Membership { data: DataState::Empty, founding: None });
        };
        decode_membership(&bytes).ok_or(HostError::Malformed { what: "the node's membership" })
    }

    pub(crate) fn set_membership(&self, membership: &Membership) -> Result<(), KvError> {
        let mut value = vec![FORMAT];
        match &membership.data {
            DataState::Empty => return Ok(()),
            DataState::Promised(plan) => {
                value.push(kind::PROMISED);
                value.extend_from_slice(&plan.encode());
            }
            DataState::Member(cluster) => {
                value.push(kind::MEMBER);
                value.extend_from_slice(&cluster.0);
                value.extend(membership.founding.iter().flat_map(Founding::encode));
            }
        }
        put(self.kv.as_ref(), DATA, &value)
    }

    pub(crate) fn replicas(&self) -> Result<BTreeMap<GroupId, ReplicaId>, HostError> {
        let malformed = || HostError::Malformed { what: "the list of replicas" };
        let Some(bytes) = self.kv.get(Family::Meta, REPLICAS)? else {
            return Ok(BTreeMap::new());
        };
        let (format, list) = bytes.split_first().ok_or_else(malformed)?;
        let (pairs, rest) = list.as_chunks::<16>();
        if *format != FORMAT || !rest.is_empty() {
            return Err(malformed());
        }
        let pair = |pair: &[u8; 16]| {
            let number = u128::from_be_bytes(*pair);
            let half = |half: u128| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default();
            (GroupId(half(number >> 64)), ReplicaId(half(number)))
        };
        Ok(pairs.iter().map(pair).collect())
    }

    pub(crate) fn set_replicas(
        &self,
        replicas: &BTreeMap<GroupId, ReplicaId>,
    ) -> Result<(), KvError> {
        put(self.kv.as_ref(), REPLICAS, &encode_replicas(replicas))
    }

    /// Replicas that were given up: their ids never come back to this disk.
    pub(crate) fn burned(&self) -> Result<BTreeSet<ReplicaId>, HostError> {
        let malformed = || HostError::Malformed { what: "the list of burned replicas" };
        let Some(bytes) = self.kv.get(Family::Meta, BURNED)? else { return Ok(BTreeSet::new()) };
        let (format, list) = bytes.split_first().ok_or_else(malformed)?;
        let (ids, rest) = list.as_chunks::<8>();
        if *format != FORMAT || !rest.is_empty() {
            return Err(malformed());
        }
        Ok(ids.iter().map(|id| ReplicaId(u64::from_be_bytes(*id))).collect())
    }

    /// Whether a process with this directory learned that another one ran as this node.
    pub(crate) fn is_disowned(&self) -> Result<bool, KvError> {
        Ok(self.kv.get(Family::Meta, DISOWNED)?.is_some())
    }

    pub(crate) fn set_disowned(&self, is_disowned: bool) -> Result<(), KvError> {
        if is_disowned {
            return put(self.kv.as_ref(), DISOWNED, &[FORMAT]);
        }
        let mut batch = WriteBatch::default();
        batch.delete(Family::Meta, DISOWNED);
        self.kv.write(batch)?;
        self.kv.flush()
    }

    /// The digest of the sampling strategies that the node offered last.
    pub(crate) fn sampling_offer(&self) -> Result<Option<u128>, KvError> {
        let bytes = self.kv.get(Family::Meta, SAMPLING)?;
        // What cannot be read was never offered: then it is offered once more.
        Ok(bytes.and_then(|bytes| match bytes.split_first() {
            Some((&FORMAT, digest)) => digest.try_into().ok().map(u128::from_be_bytes),
            _ => None,
        }))
    }

    pub(crate) fn set_sampling_offer(&self, digest: u128) -> Result<(), KvError> {
        let mut value = vec![FORMAT];
        value.extend_from_slice(&digest.to_be_bytes());
        put(self.kv.as_ref(), SAMPLING, &value)
    }

    /// Changes the list of replicas and that of burned ones together.
    pub(crate) fn burn(
        &self,
        burned: &BTreeSet<ReplicaId>,
        replicas: &BTreeMap<GroupId, ReplicaId>,
    ) -> Result<(), KvError> {
        let mut value = vec![FORMAT];
        value.extend(burned.iter().flat_map(|replica| replica.0.to_be_bytes()));
        let mut batch = WriteBatch::default();
        batch.put(Family::Meta, BURNED, &value);
        batch.put(Family::Meta, REPLICAS, &encode_replicas(replicas));
        self.kv.write(batch)?;
        self.kv.flush()
    }

    /// The state at the cut of the replica of the meta group.
    pub(crate) fn meta(&self) -> Result<Option<MetaState>, HostError> {
        self.state(META, "the cluster's own state")
    }

    pub(crate) fn set_meta(&self, state: &[u8]) -> Result<(), KvError> {
        put(self.kv.as_ref(), META, state)
    }

    pub(crate) fn forget_meta(&self) -> Result<(), KvError> {
        let mut batch = WriteBatch::default();
        batch.delete(Family::Meta, META);
        self.kv.write(batch)?;
        self.kv.flush()
    }

    pub(crate) fn map(&self) -> Result<Option<MetaState>, HostError> {
        self.state(MAP, "the map of the cluster")
    }

    pub(crate) fn set_map(&self, state: &MetaState) -> Result<(), KvError> {
        put(self.kv.as_ref(), MAP, &state.encode())
    }

    fn state(&self, key: &[u8], what: &'static str) -> Result<Option<MetaState>, HostError> {
        let bytes = self.kv.get(Family::Meta, key)?;
        let decode = |bytes: Vec<u8>| {
            MetaState::decode(&bytes).map_err(|error| {
                tracing::error!(what, %error, "the node's store cannot be read");
                HostError::Malformed { what }
            })
        };
        bytes.map(decode).transpose()
    }
}

fn encode_replicas(replicas: &BTreeMap<GroupId, ReplicaId>) -> Vec<u8> {
    let mut value = vec![FORMAT];
    for (group, replica) in replicas {
        value.extend_from_slice(&group.0.to_be_bytes());
        value.extend_from_slice(&replica.0.to_be_bytes());
    }
    value
}

fn put(kv: &dyn Kv, key: &[u8], value: &[u8]) -> Result<(), KvError> {
    let mut batch = WriteBatch::default();
    batch.put(Family::Meta, key, value);
    kv.write(batch)?;
    kv.flush()
}

fn decode_membership(bytes: &[u8]) -> Option<Membership> {
    let ([format, kind], rest) = bytes.split_first_chunk::<2>()?;
    match (*format, *kind) {
        (FORMAT, kind::PROMISED) => {
            let plan = Founding::decode(rest).ok()?;
            Some(Membership { data: DataState::Promised(plan), founding: None })
        }
        (FORMAT, kind::MEMBER) => {
            let (cluster, plan) = rest.split_first_chunk::<16>()?;
            let founding = match plan {
                [] => None,
                plan => Some(Founding::decode(plan).ok()?),
            };
            let data = DataState::Member(ClusterId(*cluster));
            Some(Membership { data, founding })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use storage::kv::MemoryKv;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let kv: Arc<dyn Kv> = Arc::new(MemoryKv::new());
        let durable = Durable::new(Arc::clone(&kv));
        assert_eq!(durable.membership().unwrap().data, DataState::Empty);
        let member = Membership { data: DataState::Member(ClusterId([7; 16])), founding: None };
        durable.set_membership(&member).unwrap();
        assert_eq!(durable.membership().unwrap(), member);
        let replicas =
            BTreeMap::from([(GroupId(0), ReplicaId(3)), (GroupId(u64::MAX), ReplicaId(1))]);
        durable.set_replicas(&replicas).unwrap();
        assert_eq!(durable.replicas().unwrap(), replicas);
        assert_eq!(durable.sampling_offer().unwrap(), None);
        durable.set_sampling_offer(u128::MAX - 1).unwrap();
        assert_eq!(durable.sampling_offer().unwrap(), Some(u128::MAX - 1));
        assert_eq!(begin_life(kv.as_ref(), 5).unwrap().start, 1);
        assert_eq!(begin_life(kv.as_ref(), 6).unwrap(), Incarnation { start: 2, nonce: 6 });
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        for bytes in [&[][..], &[1], &[1, 1], &[1, 2, 0], &[9, 9, 9], &[1, 2, 0, 0, 0, 0, 0, 0]] {
            assert!(decode_membership(bytes).is_none());
        }
    }
}
