//! The record of a log: an entry as consensus sees it, around bytes that it leaves alone.
//!
//! ```text
//!  offset  bytes
//!       0      1  format, 1
//!       1      1  kind: 1 blank, 2 command, 3 membership
//!       2      6  zero
//!       8      8  term
//!      16      8  replica id of the leader that proposed it
//!      24      8  index
//!      32         body: nothing, the command's bytes, or a membership
//! ```
//!
//! The command stands at a fixed offset and unchanged, so the state machine finds it without
//! copying ([`unwrap`]), and a follower appends the very bytes that came off the wire. There is no
//! checksum here: frames of the log and messages between nodes have theirs. To the byte:
//! `docs/formats/raft-record-v1.md`.

use bytes::{BufMut, Bytes, BytesMut};
use openraft::EntryPayload;

use super::codec::{DecodeError, Reader};
use super::membership::{put_membership, take_membership};
use super::types::{Command, Entry, LogId};

/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 32;
/// The format that this code writes and reads.
const FORMAT: u8 = 1;

/// What a record is. Stable: the numbers are on disk.
mod kind {
    pub(super) const BLANK: u8 = 1;
    pub(super) const COMMAND: u8 = 2;
    pub(super) const MEMBERSHIP: u8 = 3;
}

/// The command inside a record, sharing its memory; nothing if the record is not a command.
pub fn unwrap(record: &Bytes) -> Option<Bytes> {
    match record.get(..2)? {
        [FORMAT, kind::COMMAND] if record.len() >= HEADER_BYTES => {
            Some(record.slice(HEADER_BYTES..))
        }
        _ => None,
    }
}

/// The record of an entry. Copies the command unless the record exists already.
pub(crate) fn encode(entry: &Entry) -> Result<Bytes, DecodeError> {
    match &entry.payload {
        EntryPayload::Blank => Ok(begin(kind::BLANK, &entry.log_id, 0).freeze()),
        EntryPayload::Normal(command) => {
            let mut record = begin(kind::COMMAND, &entry.log_id, command.payload.len());
            let known = command.record.as_ref();
            if let Some(known) = known.filter(|known| known.starts_with(&record)) {
                return Ok(known.clone());
            }
            record.put_slice(&command.payload);
            Ok(record.freeze())
        }
        EntryPayload::Membership(membership) => {
            let mut record = begin(kind::MEMBERSHIP, &entry.log_id, 0);
            put_membership(&mut record, membership)?;
            Ok(record.freeze())
        }
    }
}

/// The entry of a record, sharing its memory.
pub(crate) fn decode(record: &Bytes) -> Result<Entry, DecodeError> {
    let mut reader = Reader::new(record.clone());
    let (kind, log_id) = take_header(&mut reader)?;
    let payload = match kind {
        kind::BLANK => {
            reader.finish()?;
            EntryPayload::Blank
        }
        kind::COMMAND => {
            let payload = reader.rest();
            EntryPayload::Normal(Command { payload, record: Some(record.clone()), counted: None })
        }
        kind::MEMBERSHIP => {
            let membership = take_membership(&mut reader)?;
            reader.finish()?;
            EntryPayload::Membership(membership)
        }
        kind => return Err(DecodeError::Kind { kind }),
    };
    Ok(Entry { log_id, payload })
}

/// The log id of a record, without looking at its body.
pub(crate) fn log_id(record: &Bytes) -> Result<LogId, DecodeError> {
    Ok(take_header(&mut Reader::new(record.clone()))?.1)
}

fn begin(kind: u8, log_id: &LogId, body_bytes: usize) -> BytesMut {
    let mut record = BytesMut::with_capacity(HEADER_BYTES + body_bytes);
    record.put_slice(&[FORMAT, kind, 0, 0, 0, 0, 0, 0]);
    super::codec::put_log_id(&mut record, log_id);
    record
}

fn take_header(reader: &mut Reader) -> Result<(u8, LogId), DecodeError> {
    let version = reader.u8()?;
    if version != FORMAT {
        return Err(DecodeError::Version { version });
    }
    let kind = reader.u8()?;
    if reader.bytes(6)?.iter().any(|&byte| byte != 0) {
        return Err(DecodeError::Malformed { what: "reserved bytes are not zero" });
    }
    Ok((kind, reader.log_id()?))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use model::NodeId;
    use openraft::vote::RaftLeaderId as _;
    use proptest::prelude::*;

    use super::*;
    use crate::raft::types::{Host, LeaderId, Membership};

    fn id(term: u64, leader: u64, index: u64) -> LogId {
        LogId::new(LeaderId::new(term, leader), index)
    }

    fn membership(seed: u64, members: u64) -> Membership {
        let host = |replica: u64| Host { node: NodeId([replica.to_le_bytes()[0]; 16]) };
        let nodes: BTreeMap<u64, Host> = (0..members).map(|n| (seed + n, host(seed ^ n))).collect();
        let old: BTreeSet<u64> = nodes.keys().copied().take(3).collect();
        let new: BTreeSet<u64> = nodes.keys().copied().skip(1).take(4).collect();
        let configs = if new.is_empty() { vec![old] } else { vec![old, new] };
        Membership::new(configs, nodes).unwrap()
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let payload = EntryPayload::Normal(Command::new(Bytes::from_static(b"ab")));
        let record = encode(&Entry { log_id: id(2, 3, 4), payload }).unwrap();
        assert_eq!(record[..8], [1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(record[8..16], 2_u64.to_le_bytes());
        assert_eq!(record[16..24], 3_u64.to_le_bytes());
        assert_eq!(record[24..32], 4_u64.to_le_bytes());
        assert_eq!(record[32..], *b"ab");

        let nodes = BTreeMap::from([(7, Host { node: NodeId([9; 16]) })]);
        let membership = Membership::new(vec![BTreeSet::from([7])], nodes).unwrap();
        let payload = EntryPayload::Membership(membership);
        let record = encode(&Entry { log_id: id(2, 3, 4), payload }).unwrap();
        assert_eq!(record[1], 3);
        assert_eq!(record[32..34], [1, 1]);
        assert_eq!(record[34..42], 7_u64.to_le_bytes());
        assert_eq!(record[42..58], [9; 16]);
        assert_eq!(record[58..], [1]);
    }

    #[test]
    fn the_command_is_found_without_copying() {
        let payload = EntryPayload::Normal(Command::new(Bytes::from_static(b"payload")));
        let record = encode(&Entry { log_id: id(1, 1, 1), payload }).unwrap();
        let found = unwrap(&record).unwrap();
        assert_eq!(found, Bytes::from_static(b"payload"));
        assert_eq!(found.as_ptr(), record[HEADER_BYTES..].as_ptr());
        let blank = encode(&Entry { log_id: id(1, 1, 1), payload: EntryPayload::Blank }).unwrap();
        assert_eq!(unwrap(&blank), None);
        assert_eq!(unwrap(&record.slice(..HEADER_BYTES - 1)), None);
    }

    #[test]
    fn a_record_is_reused_only_for_its_own_place() {
        let payload = EntryPayload::Normal(Command::new(Bytes::from_static(b"payload")));
        let record = encode(&Entry { log_id: id(1, 1, 1), payload }).unwrap();
        let mut entry = decode(&record).unwrap();
        assert_eq!(encode(&entry).unwrap().as_ptr(), record.as_ptr());
        entry.log_id = id(2, 1, 1);
        let moved = encode(&entry).unwrap();
        assert_ne!(moved.as_ptr(), record.as_ptr());
        assert_eq!(log_id(&moved).unwrap(), id(2, 1, 1));
    }

    #[test]
    fn too_many_members_are_refused() {
        let nodes: BTreeMap<u64, Host> = (0..40).map(|n| (n, Host::default())).collect();
        let large = Membership::new(vec![BTreeSet::from([1])], nodes).unwrap();
        let payload = EntryPayload::Membership(large);
        let refused = encode(&Entry { log_id: id(1, 1, 1), payload }).unwrap_err();
        assert_eq!(refused, DecodeError::TooLarge { what: "members" });
    }

    proptest! {
        #[test]
        fn entries_come_back(
            term in any::<u64>(), leader in any::<u64>(), index in any::<u64>(),
            body in proptest::collection::vec(any::<u8>(), 0..64),
            members in 1_u64..20, choice in 0..3,
        ) {
            let payload = match choice {
                0 => EntryPayload::Blank,
                1 => EntryPayload::Normal(Command::new(body.into())),
                _ => EntryPayload::Membership(membership(leader >> 8, members)),
            };
            let entry = Entry { log_id: id(term, leader, index), payload };
            let decoded = decode(&encode(&entry).unwrap()).unwrap();
            prop_assert_eq!(decoded, entry);
        }

        #[test]
        fn any_bytes_are_read_without_harm(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in 0_u8..5, whole in any::<bool>(),
        ) {
            if whole && bytes.len() > 8 {
                bytes[..8].copy_from_slice(&[1, kind, 0, 0, 0, 0, 0, 0]);
            }
            let record = Bytes::from(bytes);
            let _ = unwrap(&record);
            if let Ok(entry) = decode(&record) {
                prop_assert_eq!(encode(&entry).unwrap(), record);
            }
        }
    }
}
