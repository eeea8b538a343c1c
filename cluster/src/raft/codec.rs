//! Reading and writing the fields that records, state values and messages are made of.
//!
//! All numbers are little-endian. A reader takes nothing that is not there, allocates nothing
//! that the bytes do not hold, and shares their memory.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::NodeId;
use openraft::vote::RaftLeaderId as _;
use openraft::vote::RaftVote as _;

use super::types::{LeaderId, LogId, Vote};

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes follow that belong to nothing.
    #[error("bytes follow the end")]
    Trailing,
    /// A later version wrote them.
    #[error("format {version} is not known")]
    Version {
        /// The format they say they have.
        version: u8,
    },
    /// They are of a kind that is not known, or not expected here.
    #[error("kind {kind} is not known here")]
    Kind {
        /// The kind's number.
        kind: u8,
    },
    /// The checksum does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// A count or a length is beyond its bound.
    #[error("too many or too long: {what}")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
    },
    /// The fields contradict each other.
    #[error("it makes no sense: {what}")]
    Malformed {
        /// What does not add up.
        what: &'static str,
    },
}

/// Takes fields off the front of bytes.
#[derive(Debug)]
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        if self.rest.len() < count {
            return Err(DecodeError::Truncated);
        }
        Ok(self.rest.split_to(count))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.rest.try_get_u8().map_err(|_| DecodeError::Truncated)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.rest.try_get_u16_le().map_err(|_| DecodeError::Truncated)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.rest.try_get_u32_le().map_err(|_| DecodeError::Truncated)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.rest.try_get_u64_le().map_err(|_| DecodeError::Truncated)
    }

    /// A length, checked against its bound.
    pub(crate) fn length(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        let length = self.u32()? as usize;
        if length > max { Err(DecodeError::TooLarge { what }) } else { Ok(length) }
    }

    pub(crate) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Malformed { what: "a flag is neither 0 nor 1" }),
        }
    }

    pub(crate) fn node(&mut self) -> Result<NodeId, DecodeError> {
        let bytes = self.bytes(NodeId::LENGTH)?;
        NodeId::from_slice(&bytes).ok_or(DecodeError::Truncated)
    }

    pub(crate) fn log_id(&mut self) -> Result<LogId, DecodeError> {
        let leader = LeaderId::new(self.u64()?, self.u64()?);
        Ok(LogId::new(leader, self.u64()?))
    }

    pub(crate) fn optional_log_id(&mut self) -> Result<Option<LogId>, DecodeError> {
        Ok(if self.flag()? { Some(self.log_id()?) } else { None })
    }

    pub(crate) fn vote(&mut self) -> Result<Vote, DecodeError> {
        let committed = self.flag()?;
        let leader = LeaderId::new(self.u64()?, self.u64()?);
        Ok(Vote::from_leader_id(leader, committed))
    }

    /// What is left.
    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

pub(crate) fn put_log_id(buffer: &mut BytesMut, id: &LogId) {
    buffer.put_u64_le(id.leader_id.term);
    buffer.put_u64_le(id.leader_id.node_id);
    buffer.put_u64_le(id.index);
}

pub(crate) fn put_optional_log_id(buffer: &mut BytesMut, id: Option<&LogId>) {
    buffer.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        put_log_id(buffer, id);
    }
}

pub(crate) fn put_vote(buffer: &mut BytesMut, vote: &Vote) {
    buffer.put_u8(u8::from(vote.committed));
    buffer.put_u64_le(vote.leader_id.term);
    buffer.put_u64_le(vote.leader_id.node_id);
}

/// Lengths are checked against bounds far below this before they are written.
pub(crate) fn put_length(buffer: &mut BytesMut, length: usize) {
    buffer.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
}
