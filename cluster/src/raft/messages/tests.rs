//! Messages come back, and nothing that comes in does harm.

use openraft::EntryPayload;
use openraft::vote::{RaftLeaderId as _, RaftVote as _};
use proptest::prelude::*;

use super::*;
use crate::raft::types::{Command, Entry, LeaderId, LogId, StoredMembership};

fn route() -> Route {
    Route { group: GroupId(9), from: ReplicaId(1), to: ReplicaId(2) }
}

fn id(index: u64) -> LogId {
    LogId::new(LeaderId::new(3, 1), index)
}

fn vote(committed: bool) -> Vote {
    Vote::from_leader_id(LeaderId::new(3, 1), committed)
}

fn command(index: u64, bytes: &'static [u8]) -> Entry {
    let payload = EntryPayload::Normal(Command::new(Bytes::from_static(bytes)));
    Entry { log_id: id(index), payload }
}

fn requests() -> Vec<Request> {
    let ballot =
        VoteRequest { vote: vote(false), last_log_id: Some(id(7)), leadership_transfer: true };
    let meta =
        SnapshotMeta { last_log_id: Some(id(7)), last_membership: StoredMembership::default() };
    vec![
        Request::Vote(ballot.clone()),
        Request::PreVote(ballot),
        Request::Append(AppendEntriesRequest {
            vote: vote(true),
            prev_log_id: Some(id(7)),
            entries: vec![command(8, b"a"), command(9, b"")],
            leader_commit: None,
        }),
        Request::Transfer(TransferLeaderRequest::new(vote(true), 5, Some(id(1)))),
        Request::Offer(Offer { vote: vote(true), meta, manifest: Bytes::from_static(b"m") }),
        Request::Fetch(Fetch {
            file: FileName(Bytes::from_static(b"block")),
            offset: 1 << 40,
            length: 77,
        }),
        Request::Doubt(FileName(Bytes::from_static(b"block"))),
    ]
}

fn answers() -> Vec<Answer> {
    vec![
        Answer::Voted(VoteResponse { vote: vote(false), vote_granted: true, last_log_id: None }),
        Answer::Appended(Ok(Some(id(4)))),
        Answer::Appended(Err(StreamAppendError::Conflict(id(4)))),
        Answer::Appended(Err(StreamAppendError::HigherVote(vote(true)))),
        Answer::Transferred(Ok(())),
        Answer::Transferred(Err(TransferLeaderError::VoteChanged {
            expected: vote(true),
            actual: vote(false),
        })),
        Answer::Transferred(Err(TransferLeaderError::LogNotFlushed {
            expected: Some(id(1)),
            actual: None,
        })),
        Answer::Offered(Offered::Working { bytes_fetched: 5 }),
        Answer::Offered(Offered::Done { vote: vote(true) }),
        Answer::Stretch(Bytes::from_static(b"bytes")),
        Answer::Judged { is_sound: false },
        Answer::Refused { reason: "no".into() },
    ]
}

#[test]
fn messages_come_back() {
    for request in requests() {
        let bytes = encode_request(route(), &request).unwrap();
        let (found, decoded) = decode_request(bytes.clone()).unwrap();
        assert_eq!(found, route());
        assert_eq!(format!("{decoded:?}"), format!("{request:?}"));
        assert_eq!(encode_request(route(), &decoded).unwrap(), bytes);
        decode_answer(bytes).unwrap_err();
    }
    for answer in answers() {
        let bytes = encode_answer(route(), &answer).unwrap();
        let (found, decoded) = decode_answer(bytes.clone()).unwrap();
        assert_eq!(found, route());
        assert_eq!(format!("{decoded:?}"), format!("{answer:?}"));
        assert_eq!(encode_answer(route(), &decoded).unwrap(), bytes);
        decode_request(bytes).unwrap_err();
    }
}

#[test]
fn entries_that_skip_an_index_are_refused() {
    let append = AppendEntriesRequest {
        vote: vote(true),
        prev_log_id: Some(id(7)),
        entries: vec![command(9, b"a")],
        leader_commit: None,
    };
    let bytes = encode_request(route(), &Request::Append(append)).unwrap();
    assert!(matches!(decode_request(bytes), Err(DecodeError::Malformed { .. })));
}

proptest! {
    #[test]
    fn a_flipped_bit_is_found(choice in any::<prop::sample::Index>(), place in 0_usize..400) {
        let requests = requests();
        let bytes = encode_request(route(), choice.get(&requests)).unwrap();
        let mut bytes = bytes.to_vec();
        let place = place % (bytes.len() * 8);
        bytes[place / 8] ^= 1 << (place % 8);
        prop_assert!(decode_request(bytes.into()).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_harm(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..240), kind in 0_u8..80,
    ) {
        if bytes.len() >= HEADER_BYTES {
            bytes[..4].copy_from_slice(&[FORMAT, kind, 0, 0]);
            let sum = checksum(&bytes).unwrap();
            bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        }
        let bytes = Bytes::from(bytes);
        let _ = decode_request(bytes.clone());
        let _ = decode_answer(bytes);
    }
}
