//! The few values of a group that the log keeps beside its entries: votes and positions.
//!
//! Each stands in a slot of its own and begins with a format byte, so that a later version can
//! tell. They are in the log's one stream, hence ordered with the entries around them.

use bytes::{BufMut, Bytes, BytesMut};
use storage::log::{GroupId, LogEngine, StateSlot};

use super::codec::{DecodeError, Reader, put_log_id, put_optional_log_id, put_vote};
use super::membership::{put_stored_membership, take_stored_membership};
use super::types::{LogId, StoredMembership, Vote};

/// The vote.
pub(crate) const VOTE: StateSlot = StateSlot(0);
/// The last entry known to be committed, or one before it.
pub(crate) const COMMITTED: StateSlot = StateSlot(1);
/// The last entry that was purged.
pub(crate) const PURGED: StateSlot = StateSlot(2);
/// Where the machine stood at a cut of its own.
pub(crate) const POSITION: StateSlot = StateSlot(3);
/// Where the machine will stand when the snapshot is in that is being installed.
pub(crate) const INSTALLING: StateSlot = StateSlot(4);

const FORMAT: u8 = 1;

/// Where a machine stands: the last entry that counts for it, and the membership there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) log_id: LogId,
    pub(crate) membership: StoredMembership,
}

pub(crate) fn encode_vote(vote: &Vote) -> Bytes {
    let mut buffer = begin();
    put_vote(&mut buffer, vote);
    buffer.freeze()
}

pub(crate) fn decode_vote(bytes: Bytes) -> Result<Vote, DecodeError> {
    decode(bytes, Reader::vote)
}

pub(crate) fn encode_log_id(id: Option<&LogId>) -> Bytes {
    let mut buffer = begin();
    put_optional_log_id(&mut buffer, id);
    buffer.freeze()
}

pub(crate) fn decode_log_id(bytes: Bytes) -> Result<Option<LogId>, DecodeError> {
    decode(bytes, Reader::optional_log_id)
}

pub(crate) fn encode_position(position: &Position) -> Result<Bytes, DecodeError> {
    let mut buffer = begin();
    put_log_id(&mut buffer, &position.log_id);
    put_stored_membership(&mut buffer, &position.membership)?;
    Ok(buffer.freeze())
}

pub(crate) fn decode_position(bytes: Bytes) -> Result<Position, DecodeError> {
    decode(bytes, |reader| {
        Ok(Position { log_id: reader.log_id()?, membership: take_stored_membership(reader)? })
    })
}

/// The value of a slot, decoded, if there is one.
pub(crate) fn load<T>(
    log: &dyn LogEngine,
    group: GroupId,
    slot: StateSlot,
    decode: fn(Bytes) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    log.state(group, slot).map(decode).transpose()
}

fn begin() -> BytesMut {
    let mut buffer = BytesMut::with_capacity(64);
    buffer.put_u8(FORMAT);
    buffer
}

fn decode<T>(
    bytes: Bytes,
    fields: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != FORMAT {
        return Err(DecodeError::Version { version });
    }
    let value = fields(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use openraft::vote::{RaftLeaderId as _, RaftVote as _};
    use proptest::prelude::*;

    use super::*;
    use crate::raft::limits::MEMBERS_MAX;
    use crate::raft::types::{Host, LeaderId, Membership};

    #[test]
    fn the_largest_position_fits_its_slot() {
        let nodes: std::collections::BTreeMap<u64, Host> =
            (0..MEMBERS_MAX as u64).map(|n| (n, Host::default())).collect();
        let membership = Membership::new(vec![nodes.keys().copied().collect(); 2], nodes).unwrap();
        let log_id = LogId::new(LeaderId::new(u64::MAX, u64::MAX), u64::MAX);
        let membership = StoredMembership::new(Some(log_id), membership);
        let position = Position { log_id, membership };
        let bytes = encode_position(&position).unwrap();
        assert!(bytes.len() <= storage::limits::LOG_STATE_BYTES_MAX, "{}", bytes.len());
        assert_eq!(decode_position(bytes).unwrap(), position);
    }

    proptest! {
        #[test]
        fn votes_and_log_ids_come_back(
            term in any::<u64>(), node in any::<u64>(),
            index in any::<u64>(), flag in any::<bool>(),
        ) {
            let leader = LeaderId::new(term, node);
            let vote = Vote::from_leader_id(leader, flag);
            prop_assert_eq!(decode_vote(encode_vote(&vote)).unwrap(), vote);
            let id = flag.then(|| LogId::new(leader, index));
            prop_assert_eq!(decode_log_id(encode_log_id(id.as_ref())).unwrap(), id);
        }

        #[test]
        fn any_bytes_are_read_without_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            for first in [None, Some(1)] {
                let mut bytes = bytes.clone();
                if let (Some(first), Some(place)) = (first, bytes.first_mut()) {
                    *place = first;
                }
                let bytes = Bytes::from(bytes);
                let _ = decode_vote(bytes.clone());
                let _ = decode_log_id(bytes.clone());
                let _ = decode_position(bytes);
            }
        }
    }
}
