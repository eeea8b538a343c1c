//! What a node knows of itself: written once, when its directory is new, and read at every start.
//!
//! The ids are random and come from the caller: nothing here makes chance. They are plain bytes,
//! because storage knows no nodes; it keeps what names one.

use crate::Error;
use crate::keys;
use crate::kv::{Family, Kv, WriteBatch};

/// The version of everything on this node's disk that is written now.
pub const FORMAT_VERSION: u32 = 1;

/// What a node knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeMeta {
    /// The cluster that the node belongs to.
    pub cluster_id: [u8; 16],
    /// The node.
    pub node_id: [u8; 16],
    /// Shards of the first ring epoch.
    pub shard_count: u32,
    /// The version of what is on the node's disk.
    pub format_version: u32,
}

/// Why a node's identity cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The stored value is not what was written.
    #[error("the stored identity makes no sense")]
    Malformed,
    /// A later version of Skua wrote the directory.
    #[error("the directory has format {version}, this program reads {version_max}")]
    Format {
        /// The version found.
        version: u32,
        /// The newest version that can be read.
        version_max: u32,
    },
}

impl MetaError {
    /// True if bytes on the disk are not what was written.
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Malformed)
    }
}

impl NodeMeta {
    /// What is stored; or, if nothing is, `fresh`, stored and flushed before it is reported.
    pub fn load_or_create(kv: &dyn Kv, fresh: impl FnOnce() -> Self) -> Result<Self, Error> {
        if let Some(stored) = Self::load(kv)? {
            return Ok(stored);
        }
        let meta = fresh();
        let mut batch = WriteBatch::default();
        batch.put(Family::Meta, keys::NODE, &meta.encode());
        kv.write(batch)?;
        kv.flush()?;
        Ok(meta)
    }

    /// What is stored, if anything is.
    pub fn load(kv: &dyn Kv) -> Result<Option<Self>, Error> {
        let stored = kv.get(Family::Meta, keys::NODE)?;
        Ok(stored.map(|bytes| Self::decode(&bytes)).transpose()?)
    }

    /// Format version, cluster, node, shards, CRC-32 of what is before it; little-endian.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENCODED_BYTES);
        bytes.extend_from_slice(&self.format_version.to_le_bytes());
        bytes.extend_from_slice(&self.cluster_id);
        bytes.extend_from_slice(&self.node_id);
        bytes.extend_from_slice(&self.shard_count.to_le_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        let (version, rest) = bytes.split_first_chunk().ok_or(MetaError::Malformed)?;
        let format_version = u32::from_le_bytes(*version);
        if format_version > FORMAT_VERSION {
            let (version, version_max) = (format_version, FORMAT_VERSION);
            return Err(MetaError::Format { version, version_max });
        }
        let (content, checksum) = bytes.split_last_chunk().ok_or(MetaError::Malformed)?;
        let parts = rest.split_first_chunk().and_then(|(cluster_id, rest)| {
            let (node_id, rest) = rest.split_first_chunk()?;
            Some((*cluster_id, *node_id, u32::from_le_bytes(*rest.first_chunk()?)))
        });
        let (cluster_id, node_id, shard_count) = parts.ok_or(MetaError::Malformed)?;
        let is_sound = bytes.len() == ENCODED_BYTES
            && crc32fast::hash(content) == u32::from_le_bytes(*checksum);
        let meta = Self { cluster_id, node_id, shard_count, format_version };
        if is_sound { Ok(meta) } else { Err(MetaError::Malformed) }
    }
}

const ENCODED_BYTES: usize = 4 + 16 + 16 + 4 + 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{MemoryKv, RocksKv};

    fn meta(byte: u8) -> NodeMeta {
        NodeMeta {
            cluster_id: [byte; 16],
            node_id: [byte + 1; 16],
            shard_count: 2,
            format_version: FORMAT_VERSION,
        }
    }

    #[test]
    fn the_first_identity_stays() {
        let directory = tempfile::tempdir().unwrap();
        let create = |byte| {
            let kv = RocksKv::open(directory.path(), |_| {}).unwrap();
            NodeMeta::load_or_create(&kv, || meta(byte)).unwrap()
        };
        assert_eq!(create(1), meta(1));
        assert_eq!(create(5), meta(1), "after the store was closed without a flush of its own");
    }

    #[test]
    fn damage_and_later_formats_are_told_apart() {
        let kv = MemoryKv::new();
        let store = |bytes: &[u8]| {
            let mut batch = WriteBatch::default();
            batch.put(Family::Meta, keys::NODE, bytes);
            kv.write(batch).unwrap();
            NodeMeta::load(&kv)
        };
        let sound = meta(3).encode();
        assert_eq!(store(&sound).unwrap(), Some(meta(3)));
        for place in 4..sound.len() {
            let mut damaged = sound.clone();
            damaged[place] ^= 1;
            assert!(store(&damaged).unwrap_err().is_corruption(), "byte {place}");
        }
        for length in 0..sound.len() {
            assert!(store(&sound[..length]).unwrap_err().is_corruption());
        }
        let later = NodeMeta { format_version: FORMAT_VERSION + 1, ..meta(3) }.encode();
        let error = store(&later).unwrap_err();
        assert!(matches!(error, Error::Meta(MetaError::Format { .. })));
    }
}
