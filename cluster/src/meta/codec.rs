//! Commands, plans and snapshots as bytes: what stands around the messages, and what is refused.
//!
//! Invariant: what is decoded encodes to the same bytes. So a field that this program does not know
//! is noticed rather than dropped, and two replicas' snapshots of one state are equal.

use prost::Message;

use super::limits::{COMMAND_BYTES_MAX, SNAPSHOT_BYTES_MAX};
use super::wire::{WireCommand, WireFounding, WireState};
use super::{CLUSTER_VERSION, Founding, MetaCommand, MetaState};

/// The first byte of a command or plan, and the fifth of a snapshot.
pub const FORMAT: u8 = 1;

const SNAPSHOT_MAGIC: [u8; 4] = *b"SkuM";

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A later program wrote it.
    #[error("written for cluster version {needed}, this program knows {known}")]
    Later {
        /// The version needed.
        needed: u32,
        /// The newest version known.
        known: u32,
    },
    /// The form around the message is a later one.
    #[error("format {format}, this program reads {FORMAT}")]
    LaterFormat {
        /// The format found.
        format: u8,
    },
    /// Larger than anything this program writes.
    #[error("{bytes} bytes where {max} are allowed")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The checksum is another.
    #[error("the checksum does not match")]
    Checksum,
    /// Not what was written.
    #[error("malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// It holds something this program does not know, in a version that it should know.
    #[error("it holds fields that no known version has")]
    UnknownFields,
}

impl MetaCommand {
    /// The command as an entry of the meta group's log, and as a message to its leader.
    pub fn encode(&self) -> Vec<u8> {
        framed(&WireCommand::from(self))
    }

    /// The command in `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let wire: WireCommand = unframed(bytes)?;
        if wire.min_version > CLUSTER_VERSION {
            return Err(CodecError::Later { needed: wire.min_version, known: CLUSTER_VERSION });
        }
        let command = Self::try_from(wire)?;
        if command.encode() == bytes { Ok(command) } else { Err(CodecError::UnknownFields) }
    }
}

impl Founding {
    /// The plan as it is promised on disk and sent between founders.
    pub fn encode(&self) -> Vec<u8> {
        framed(&WireFounding::from(self))
    }

    /// The plan in `bytes`. It may still not be one to start from: see [`Self::check`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let wire: WireFounding = unframed(bytes)?;
        if wire.cluster_version > CLUSTER_VERSION {
            let needed = wire.cluster_version;
            return Err(CodecError::Later { needed, known: CLUSTER_VERSION });
        }
        let founding = Self::try_from(wire)?;
        if founding.encode() == bytes { Ok(founding) } else { Err(CodecError::UnknownFields) }
    }
}

impl MetaState {
    /// The whole state: magic, format, CRC-32 of the message, the message.
    pub fn encode(&self) -> Vec<u8> {
        let message = WireState::from(self).encode_to_vec();
        let mut bytes = Vec::with_capacity(message.len() + SNAPSHOT_HEADER_BYTES);
        bytes.extend_from_slice(&SNAPSHOT_MAGIC);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&crc32fast::hash(&message).to_le_bytes());
        bytes.extend_from_slice(&message);
        bytes
    }

    /// The state in `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        check_length(bytes, SNAPSHOT_BYTES_MAX)?;
        let short = CodecError::Malformed { what: "no header" };
        let rest = bytes.strip_prefix(&SNAPSHOT_MAGIC).ok_or(short)?;
        let (format, rest) = rest.split_first().ok_or(short)?;
        if *format != FORMAT {
            return Err(CodecError::LaterFormat { format: *format });
        }
        let (checksum, message) = rest.split_first_chunk().ok_or(short)?;
        if crc32fast::hash(message) != u32::from_le_bytes(*checksum) {
            return Err(CodecError::Checksum);
        }
        let wire = WireState::decode(message).map_err(|_| NOT_A_MESSAGE)?;
        if wire.cluster_version > CLUSTER_VERSION {
            let needed = wire.cluster_version;
            return Err(CodecError::Later { needed, known: CLUSTER_VERSION });
        }
        let state = Self::try_from(wire)?;
        if state.encode() == bytes { Ok(state) } else { Err(CodecError::UnknownFields) }
    }
}

const SNAPSHOT_HEADER_BYTES: usize = 4 + 1 + 4;

const NOT_A_MESSAGE: CodecError = CodecError::Malformed { what: "not a message" };

fn framed(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.encoded_len() + 1);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes
}

fn unframed<M: Message + Default>(bytes: &[u8]) -> Result<M, CodecError> {
    check_length(bytes, COMMAND_BYTES_MAX)?;
    match bytes.split_first() {
        None => Err(CodecError::Malformed { what: "empty" }),
        Some((&FORMAT, message)) => M::decode(message).map_err(|_| NOT_A_MESSAGE),
        Some((format, _)) => Err(CodecError::LaterFormat { format: *format }),
    }
}

fn check_length(bytes: &[u8], max: usize) -> Result<(), CodecError> {
    let length = bytes.len();
    if length > max { Err(CodecError::TooLong { bytes: length, max }) } else { Ok(()) }
}
