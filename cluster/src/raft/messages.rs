//! What replicas of a group say to each other, to the byte.
//!
//! ```text
//!  offset  bytes
//!       0      1  format, 1
//!       1      1  kind
//!       2      2  zero
//!       4      4  CRC-32 of everything but these four bytes
//!       8      8  group
//!      16      8  replica id of the sender
//!      24      8  replica id of the receiver
//!      32         body, by kind
//! ```
//!
//! The receiver's id is what keeps a message for a replica that was here once from reaching the
//! one that is here now. An entry travels as the record that both logs hold, so nobody frames it
//! anew. Decoding shares the message's memory, is bounded, and never panics.

use bytes::{BufMut, Bytes, BytesMut};
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use storage::log::GroupId;

use super::codec::{DecodeError, Reader, put_length, put_log_id, put_optional_log_id, put_vote};
use super::limits::{
    APPEND_ENTRIES_MAX, FILE_NAME_BYTES_MAX, MANIFEST_BYTES_MAX, STRETCH_BYTES_MAX,
};
use super::machine::FileName;
use super::membership::{put_stored_membership, take_stored_membership};
use super::record;
use super::types::{Consensus, SnapshotMeta, Vote};
use crate::identity::ReplicaId;
use crate::transport::FRAME_BYTES_MAX;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 32;
const CHECKSUM: std::ops::Range<usize> = 4..8;
/// Bytes of a refusal's reason that are sent.
const REASON_BYTES_MAX: usize = 512;

/// Stable: the numbers are on the wire.
mod kind {
    pub(super) const VOTE: u8 = 1;
    pub(super) const PRE_VOTE: u8 = 2;
    pub(super) const APPEND: u8 = 3;
    pub(super) const TRANSFER: u8 = 4;
    pub(super) const OFFER: u8 = 5;
    pub(super) const FETCH: u8 = 6;
    pub(super) const DOUBT: u8 = 7;
    pub(super) const VOTED: u8 = 65;
    pub(super) const APPENDED: u8 = 66;
    pub(super) const TRANSFERRED: u8 = 67;
    pub(super) const OFFERED: u8 = 68;
    pub(super) const STRETCH: u8 = 69;
    pub(super) const REFUSED: u8 = 70;
    pub(super) const JUDGED: u8 = 71;
}

/// Between whom a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) group: GroupId,
    pub(crate) from: ReplicaId,
    pub(crate) to: ReplicaId,
}

impl Route {
    /// The way back.
    pub(crate) fn back(self) -> Self {
        Self { group: self.group, from: self.to, to: self.from }
    }
}

/// A snapshot that a leader offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) manifest: Bytes,
}

/// A stretch of a file that a receiver asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) file: FileName,
    pub(crate) offset: u64,
    pub(crate) length: usize,
}

/// What a replica asks of another.
#[derive(Debug)]
pub(crate) enum Request {
    Vote(VoteRequest<Consensus>),
    PreVote(VoteRequest<Consensus>),
    Append(AppendEntriesRequest<Consensus>),
    Transfer(TransferLeaderRequest<Consensus>),
    Offer(Offer),
    Fetch(Fetch),
    /// What came of this file is damaged: is it sound there?
    Doubt(FileName),
}

/// How far a receiver is with an offered snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It is fetching files, or installing them.
    Working { bytes_fetched: u64 },
    /// It is done, or rejects the leader; its vote tells.
    Done { vote: Vote },
}

/// What it answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Voted(VoteResponse<Consensus>),
    Appended(StreamAppendResult<Consensus>),
    Transferred(TransferLeaderResponse<Consensus>),
    Offered(Offered),
    Stretch(Bytes),
    Judged { is_sound: bool },
    Refused { reason: String },
}

/// The bytes of a request.
pub(crate) fn encode_request(route: Route, request: &Request) -> Result<Bytes, DecodeError> {
    let message = match request {
        Request::Vote(vote) => encode_vote(kind::VOTE, route, vote),
        Request::PreVote(vote) => encode_vote(kind::PRE_VOTE, route, vote),
        Request::Append(append) => encode_append(route, append)?,
        Request::Transfer(transfer) => {
            let mut message = begin(kind::TRANSFER, route, 64);
            put_vote(&mut message, transfer.from_leader());
            message.put_u64_le(*transfer.to_node_id());
            put_optional_log_id(&mut message, transfer.last_log_id());
            message
        }
        Request::Offer(offer) => {
            if offer.manifest.len() > MANIFEST_BYTES_MAX {
                return Err(DecodeError::TooLarge { what: "the manifest" });
            }
            let mut message = begin(kind::OFFER, route, 1024 + offer.manifest.len());
            put_vote(&mut message, &offer.vote);
            put_optional_log_id(&mut message, offer.meta.last_log_id.as_ref());
            put_stored_membership(&mut message, &offer.meta.last_membership)?;
            message.put_slice(&offer.manifest);
            message
        }
        Request::Fetch(fetch) => {
            let name = &fetch.file.0;
            if name.len() > FILE_NAME_BYTES_MAX || fetch.length > STRETCH_BYTES_MAX {
                return Err(DecodeError::TooLarge { what: "the stretch or its name" });
            }
            let mut message = begin(kind::FETCH, route, 16 + name.len());
            message.put_u64_le(fetch.offset);
            put_length(&mut message, fetch.length);
            message.put_slice(name);
            message
        }
        Request::Doubt(file) => {
            if file.0.len() > FILE_NAME_BYTES_MAX {
                return Err(DecodeError::TooLarge { what: "a file's name" });
            }
            let mut message = begin(kind::DOUBT, route, file.0.len());
            message.put_slice(&file.0);
            message
        }
    };
    finish(message)
}

/// The request in a message.
pub(crate) fn decode_request(message: Bytes) -> Result<(Route, Request), DecodeError> {
    let (kind, route, mut reader) = open(message)?;
    let request = match kind {
        kind::VOTE => Request::Vote(take_vote_request(&mut reader)?),
        kind::PRE_VOTE => Request::PreVote(take_vote_request(&mut reader)?),
        kind::APPEND => Request::Append(take_append(&mut reader)?),
        kind::TRANSFER => {
            let (vote, to) = (reader.vote()?, reader.u64()?);
            let last = reader.optional_log_id()?;
            Request::Transfer(TransferLeaderRequest::new(vote, to, last))
        }
        kind::OFFER => {
            let vote = reader.vote()?;
            let last_log_id = reader.optional_log_id()?;
            let last_membership = take_stored_membership(&mut reader)?;
            let manifest = reader.rest();
            if manifest.len() > MANIFEST_BYTES_MAX {
                return Err(DecodeError::TooLarge { what: "the manifest" });
            }
            let meta = SnapshotMeta { last_log_id, last_membership };
            return Ok((route, Request::Offer(Offer { vote, meta, manifest })));
        }
        kind::FETCH => {
            let offset = reader.u64()?;
            let length = reader.length(STRETCH_BYTES_MAX, "the stretch")?;
            let name = reader.rest();
            if name.len() > FILE_NAME_BYTES_MAX {
                return Err(DecodeError::TooLarge { what: "a file's name" });
            }
            let file = FileName(name);
            return Ok((route, Request::Fetch(Fetch { file, offset, length })));
        }
        kind::DOUBT => {
            let name = reader.rest();
            if name.len() > FILE_NAME_BYTES_MAX {
                return Err(DecodeError::TooLarge { what: "a file's name" });
            }
            return Ok((route, Request::Doubt(FileName(name))));
        }
        kind => return Err(DecodeError::Kind { kind }),
    };
    reader.finish()?;
    Ok((route, request))
}

/// The bytes of an answer.
pub(crate) fn encode_answer(route: Route, answer: &Answer) -> Result<Bytes, DecodeError> {
    let message = match answer {
        Answer::Voted(voted) => {
            let mut message = begin(kind::VOTED, route, 64);
            put_vote(&mut message, &voted.vote);
            message.put_u8(u8::from(voted.vote_granted));
            put_optional_log_id(&mut message, voted.last_log_id.as_ref());
            message
        }
        Answer::Appended(result) => {
            let mut message = begin(kind::APPENDED, route, 64);
            match result {
                Ok(matching) => {
                    message.put_u8(0);
                    put_optional_log_id(&mut message, matching.as_ref());
                }
                Err(StreamAppendError::Conflict(at)) => {
                    message.put_u8(1);
                    put_log_id(&mut message, at);
                }
                Err(StreamAppendError::HigherVote(vote)) => {
                    message.put_u8(2);
                    put_vote(&mut message, vote);
                }
            }
            message
        }
        Answer::Transferred(result) => {
            let mut message = begin(kind::TRANSFERRED, route, 64);
            match result {
                Ok(()) => message.put_u8(0),
                Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                    message.put_u8(1);
                    put_vote(&mut message, expected);
                    put_vote(&mut message, actual);
                }
                Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                    message.put_u8(2);
                    put_optional_log_id(&mut message, expected.as_ref());
                    put_optional_log_id(&mut message, actual.as_ref());
                }
            }
            message
        }
        Answer::Offered(offered) => {
            let mut message = begin(kind::OFFERED, route, 32);
            match offered {
                Offered::Working { bytes_fetched } => {
                    message.put_u8(0);
                    message.put_u64_le(*bytes_fetched);
                }
                Offered::Done { vote } => {
                    message.put_u8(1);
                    put_vote(&mut message, vote);
                }
            }
            message
        }
        Answer::Stretch(bytes) => {
            let mut message = begin(kind::STRETCH, route, bytes.len());
            message.put_slice(bytes);
            message
        }
        Answer::Judged { is_sound } => {
            let mut message = begin(kind::JUDGED, route, 1);
            message.put_u8(u8::from(*is_sound));
            message
        }
        Answer::Refused { reason } => {
            let reason = reason.as_bytes();
            let reason = reason.get(..REASON_BYTES_MAX).unwrap_or(reason);
            let mut message = begin(kind::REFUSED, route, reason.len());
            message.put_slice(reason);
            message
        }
    };
    finish(message)
}

/// The answer in a message.
pub(crate) fn decode_answer(message: Bytes) -> Result<(Route, Answer), DecodeError> {
    let (kind, route, mut reader) = open(message)?;
    let answer = match kind {
        kind::VOTED => {
            let (vote, vote_granted) = (reader.vote()?, reader.flag()?);
            let last_log_id = reader.optional_log_id()?;
            Answer::Voted(VoteResponse { vote, vote_granted, last_log_id })
        }
        kind::APPENDED => Answer::Appended(match reader.u8()? {
            0 => Ok(reader.optional_log_id()?),
            1 => Err(StreamAppendError::Conflict(reader.log_id()?)),
            2 => Err(StreamAppendError::HigherVote(reader.vote()?)),
            kind => return Err(DecodeError::Kind { kind }),
        }),
        kind::TRANSFERRED => Answer::Transferred(match reader.u8()? {
            0 => Ok(()),
            1 => {
                let (expected, actual) = (reader.vote()?, reader.vote()?);
                Err(TransferLeaderError::VoteChanged { expected, actual })
            }
            2 => {
                let (expected, actual) = (reader.optional_log_id()?, reader.optional_log_id()?);
                Err(TransferLeaderError::LogNotFlushed { expected, actual })
            }
            kind => return Err(DecodeError::Kind { kind }),
        }),
        kind::OFFERED => Answer::Offered(match reader.u8()? {
            0 => Offered::Working { bytes_fetched: reader.u64()? },
            1 => Offered::Done { vote: reader.vote()? },
            kind => return Err(DecodeError::Kind { kind }),
        }),
        kind::STRETCH => {
            let bytes = reader.rest();
            if bytes.len() > STRETCH_BYTES_MAX {
                return Err(DecodeError::TooLarge { what: "the stretch" });
            }
            return Ok((route, Answer::Stretch(bytes)));
        }
        kind::JUDGED => Answer::Judged { is_sound: reader.flag()? },
        kind::REFUSED => {
            let reason = String::from_utf8_lossy(&reader.rest()).into_owned();
            return Ok((route, Answer::Refused { reason }));
        }
        kind => return Err(DecodeError::Kind { kind }),
    };
    reader.finish()?;
    Ok((route, answer))
}

fn encode_vote(kind: u8, route: Route, request: &VoteRequest<Consensus>) -> BytesMut {
    let mut message = begin(kind, route, 64);
    put_vote(&mut message, &request.vote);
    put_optional_log_id(&mut message, request.last_log_id.as_ref());
    message.put_u8(u8::from(request.leadership_transfer));
    message
}

fn take_vote_request(reader: &mut Reader) -> Result<VoteRequest<Consensus>, DecodeError> {
    let (vote, last_log_id) = (reader.vote()?, reader.optional_log_id()?);
    let leadership_transfer = reader.flag()?;
    Ok(VoteRequest { vote, last_log_id, leadership_transfer })
}

fn encode_append(
    route: Route,
    append: &AppendEntriesRequest<Consensus>,
) -> Result<BytesMut, DecodeError> {
    let records: Vec<Bytes> =
        append.entries.iter().map(record::encode).collect::<Result<_, _>>()?;
    let bytes: usize = records.iter().map(|record| 4 + record.len()).sum();
    let mut message = begin(kind::APPEND, route, 96 + bytes);
    put_vote(&mut message, &append.vote);
    put_optional_log_id(&mut message, append.prev_log_id.as_ref());
    put_optional_log_id(&mut message, append.leader_commit.as_ref());
    let Some(count) =
        u16::try_from(records.len()).ok().filter(|&count| u64::from(count) <= APPEND_ENTRIES_MAX)
    else {
        return Err(DecodeError::TooLarge { what: "entries" });
    };
    message.put_u16_le(count);
    for record in records {
        put_length(&mut message, record.len());
        message.put_slice(&record);
    }
    Ok(message)
}

fn take_append(reader: &mut Reader) -> Result<AppendEntriesRequest<Consensus>, DecodeError> {
    let (vote, prev_log_id) = (reader.vote()?, reader.optional_log_id()?);
    let leader_commit = reader.optional_log_id()?;
    let count = reader.u16()?;
    if u64::from(count) > APPEND_ENTRIES_MAX {
        return Err(DecodeError::TooLarge { what: "entries" });
    }
    let mut next = prev_log_id.map_or(0, |id| id.index.saturating_add(1));
    let mut entries = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let length = reader.length(storage::limits::LOG_ENTRY_BYTES_MAX, "a record")?;
        let entry = record::decode(&reader.bytes(length)?)?;
        if entry.log_id.index != next {
            return Err(DecodeError::Malformed { what: "entries do not follow each other" });
        }
        next = next.saturating_add(1);
        entries.push(entry);
    }
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

fn begin(kind: u8, route: Route, body_bytes: usize) -> BytesMut {
    let mut message = BytesMut::with_capacity(HEADER_BYTES + body_bytes);
    message.put_slice(&[FORMAT, kind, 0, 0, 0, 0, 0, 0]);
    message.put_u64_le(route.group.0);
    message.put_u64_le(route.from.0);
    message.put_u64_le(route.to.0);
    message
}

fn finish(mut message: BytesMut) -> Result<Bytes, DecodeError> {
    if message.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLarge { what: "the message" });
    }
    let checksum = checksum(&message).ok_or(DecodeError::Truncated)?;
    let place = message.get_mut(CHECKSUM).ok_or(DecodeError::Truncated)?;
    place.copy_from_slice(&checksum.to_le_bytes());
    Ok(message.freeze())
}

fn open(message: Bytes) -> Result<(u8, Route, Reader), DecodeError> {
    let found = checksum(&message).ok_or(DecodeError::Truncated)?;
    let mut reader = Reader::new(message);
    let (version, kind) = (reader.u8()?, reader.u8()?);
    if version != FORMAT {
        return Err(DecodeError::Version { version });
    }
    let reserved = reader.u16()?;
    if reader.u32()? != found {
        return Err(DecodeError::Checksum);
    }
    if reserved != 0 {
        return Err(DecodeError::Malformed { what: "reserved bytes are not zero" });
    }
    let group = GroupId(reader.u64()?);
    let route = Route { group, from: ReplicaId(reader.u64()?), to: ReplicaId(reader.u64()?) };
    Ok((kind, route, reader))
}

/// The checksum of all bytes but those of the checksum.
fn checksum(message: &[u8]) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(message.get(..CHECKSUM.start)?);
    hasher.update(message.get(CHECKSUM.end..)?);
    Some(hasher.finalize())
}

#[cfg(test)]
mod tests;
