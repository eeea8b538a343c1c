//! The manifest of a snapshot: what a receiver needs besides the files that it names.
//!
//! `docs/formats/snapshot-v1.md` describes the bytes. They come from another node, so everything
//! about them is checked.

use std::borrow::Cow;
use std::fmt;

use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_bytes, put_varint};

use super::limits::BLOCKS_MAX;
use super::manifest::StateRow;

const VERSION: u8 = 1;

/// Bytes of a manifest that a receiver reads. What is remembered of requests is most of it, and
/// below 3 MiB.
const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// What a sender calls a block. Two senders do not give one name to different contents: the
/// checksum covers the checksums of the block's sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockName {
    /// Its number at the sender.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// The checksum of its directory.
    pub checksum: u32,
}

impl BlockName {
    const BYTES: usize = 20;

    /// The name as bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let bytes = [
            &self.number.to_be_bytes()[..],
            &self.bytes.to_be_bytes()[..],
            &self.checksum.to_be_bytes()[..],
        ];
        for (place, byte) in out.iter_mut().zip(bytes.concat()) {
            *place = byte;
        }
        out
    }

    /// The name in these bytes, if they are one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (length, checksum) = rest.split_first_chunk()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            bytes: u64::from_be_bytes(*length),
            checksum: u32::from_be_bytes(checksum.try_into().ok()?),
        })
    }
}

impl fmt::Display for BlockName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}-{:x}-{:08x}", self.number, self.bytes, self.checksum)
    }
}

/// A manifest, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest<'a> {
    pub(super) state: StateRow,
    /// A [`super::manifest::WindowChunk`] as it is stored: it is most of the manifest, and wanted
    /// only by who installs it.
    pub(super) window: Cow<'a, [u8]>,
    pub(super) blocks: Vec<BlockName>,
}

impl<'a> Manifest<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_bytes(&mut out, &self.state.encode());
        put_bytes(&mut out, &self.window);
        put_varint(&mut out, self.blocks.len() as u64);
        for name in &self.blocks {
            out.extend_from_slice(&name.to_bytes());
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, ColumnError> {
        let wrong = ColumnError::new("not the manifest of a snapshot");
        let (content, checksum) = bytes.split_last_chunk().ok_or(wrong)?;
        if bytes.len() > MANIFEST_BYTES_MAX
            || crc32fast::hash(content) != u32::from_le_bytes(*checksum)
        {
            return Err(wrong);
        }
        let mut cursor = Cursor::new(content);
        if cursor.byte()? != VERSION {
            return Err(wrong);
        }
        let state = StateRow::decode(cursor.bytes()?)?;
        let window = Cow::Borrowed(cursor.bytes()?);
        let count = cursor.count(BLOCKS_MAX)?;
        let mut blocks = Vec::new();
        for _ in 0..count {
            let name: [u8; BlockName::BYTES] = cursor.array()?;
            blocks.push(BlockName::from_bytes(&name).ok_or(wrong)?);
        }
        Ok(Self { state, window, blocks })
    }
}

#[cfg(test)]
mod tests {
    use model::{BatchId, Timestamp};

    use super::*;
    use crate::log::LogIndex;
    use crate::shard::manifest::WindowChunk;

    #[test]
    fn a_manifest_comes_back_and_every_flipped_byte_is_found() {
        let window = WindowChunk {
            batch_ids: vec![(LogIndex(3), BatchId([1; 16]))],
            ..WindowChunk::default()
        };
        let manifest = Manifest {
            state: StateRow { cut: 77, stamp: Timestamp(9), next_block: 4, ..StateRow::default() },
            window: Cow::Owned(window.encode()),
            blocks: vec![
                BlockName { number: 2, bytes: 5_000, checksum: 77 },
                BlockName { number: u64::MAX, bytes: 1 << 40, checksum: u32::MAX },
            ],
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(Manifest::decode(&damaged).is_err(), "byte {place}");
            assert!(Manifest::decode(&bytes[..place]).is_err(), "cut at {place}");
        }
        for name in manifest.blocks {
            assert_eq!(BlockName::from_bytes(&name.to_bytes()), Some(name));
            assert_eq!(BlockName::from_bytes(&name.to_bytes()[1..]), None);
        }
    }
}
