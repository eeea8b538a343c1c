//! The entry of a shard's log: what the leader proposes, every replica appends and apply reads.
//!
//! ```text
//!  offset  bytes
//!       0      4  magic "SkuE"
//!       4      1  format version
//!       5      1  kind
//!       6      2  zero
//!       8      4  CRC-32 of everything but these four bytes
//!      12      4  ring epoch by which the content was routed
//!      16      8  stamp: nanoseconds since the epoch, given by the leader
//!      24         body, by kind
//! ```
//!
//! The body of a data entry is a count, the length of each batch and the batches as their
//! coordinators encoded them: nobody decodes them on the way. Tenants and batch ids are not
//! repeated here, because each batch begins with its own and two truths could differ. To the byte:
//! `docs/formats/entry-v1.md`.
//!
//! Decoding shares the entry's memory, allocates nothing that the bytes do not hold, and never
//! panics. What consensus adds around an entry (terms, memberships) is not known here.

use bytes::{BufMut, Bytes, BytesMut};
use model::{Tenant, Timestamp};

use crate::shard::limits::{ENTRY_BATCHES_MAX, ENTRY_BYTES_MAX};

/// The first bytes of every entry.
const MAGIC: [u8; 4] = *b"SkuE";
/// The version this code writes; it reads this one and those before.
const VERSION: u8 = 1;
/// Bytes before the body.
const HEADER_BYTES: usize = 24;
/// Where the checksum stands; it covers what is before and behind it.
const CHECKSUM: std::ops::Range<usize> = 8..12;

/// What an entry does. Stable: these numbers are on disk. Those without code yet are reserved, so
/// that they never mean anything else.
mod kind {
    /// Batches are added.
    pub(super) const DATA: u8 = 1;
    /// Buckets of a retention class up to one are dropped.
    pub(super) const DROP: u8 = 2;
    /// All data of a tenant goes.
    pub(super) const PURGE: u8 = 3;
    // 4 is reserved, for keeping a trace beyond its retention.
    /// Batches routed by an older ring epoch than this entry's are refused from here on.
    pub(super) const FENCE: u8 = 5;
    /// Replicas compare their contents at this index.
    pub(super) const MARK: u8 = 6;
}

/// An entry, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the leader received it, as the leader says.
    pub stamp: Timestamp,
    /// The ring epoch by which the content was routed to this shard.
    pub ring_epoch: u32,
    /// What it does.
    pub body: Body,
}

/// What an entry does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Adds these batches, in their order.
    Data(Vec<BatchSlice>),
    /// Removes all data of a tenant that came before.
    Purge(Tenant),
    /// Removes all buckets of a retention class up to and including one.
    Drop {
        /// The class.
        class: u8,
        /// The last bucket that goes.
        bucket: u64,
    },
    /// Changes nothing: replicas compare what they have here.
    Mark,
    /// Refuses, from here on, batches that were routed by an older ring epoch than the entry's.
    Fence,
}

/// A batch within an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSlice {
    /// Where it begins in the entry.
    pub offset: u32,
    /// Its bytes, sharing the entry's memory.
    pub bytes: Bytes,
}

/// Why bytes are not an entry, or batches cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The first bytes are not those of an entry.
    #[error("not an entry of a shard")]
    NotAnEntry,
    /// A later version of Skua wrote it.
    #[error("entry version {version} is newer than this program")]
    Version {
        /// The version found.
        version: u8,
    },
    /// An entry of a kind that this version does not apply.
    #[error("entry of kind {kind}, which this program does not apply")]
    Kind {
        /// The kind's number.
        kind: u8,
    },
    /// The bytes do not have their checksum.
    #[error("the entry's checksum does not match")]
    Checksum,
    /// The checksum is right, yet the body makes no sense.
    #[error("the entry makes no sense: {reason}")]
    Malformed {
        /// What does not add up.
        reason: &'static str,
    },
    /// More than an entry may carry was to be encoded.
    #[error("{what}: {given}, at most {most} fit an entry")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// How much there is.
        given: usize,
        /// The bound.
        most: usize,
    },
}

impl EntryError {
    /// True if the bytes are not what was written.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::NotAnEntry | Self::Checksum | Self::Malformed { .. } => true,
            Self::Version { .. } | Self::Kind { .. } | Self::TooLarge { .. } => false,
        }
    }
}

/// Whether an entry adds spans, by its first bytes alone; nothing of it is verified.
pub fn is_data(entry: &[u8]) -> bool {
    entry.get(5) == Some(&kind::DATA)
}

/// How many bytes [`encode_data`] makes of batches of these lengths.
pub fn data_entry_bytes(batch_lengths: impl IntoIterator<Item = usize>) -> usize {
    let add = |sum: usize, length: usize| sum.saturating_add(4).saturating_add(length);
    batch_lengths.into_iter().fold(HEADER_BYTES + 4, add)
}

/// The entry that adds these batches. Each is copied once.
pub fn encode_data(
    stamp: Timestamp,
    ring_epoch: u32,
    batches: &[Bytes],
) -> Result<Bytes, EntryError> {
    let count = batches.len();
    if count == 0 || count > ENTRY_BATCHES_MAX {
        return Err(EntryError::TooLarge {
            what: "batches",
            given: count,
            most: ENTRY_BATCHES_MAX,
        });
    }
    let length = data_entry_bytes(batches.iter().map(Bytes::len));
    if length > ENTRY_BYTES_MAX {
        return Err(EntryError::TooLarge { what: "bytes", given: length, most: ENTRY_BYTES_MAX });
    }
    let mut entry = begin(kind::DATA, stamp, ring_epoch, length);
    entry.put_u32_le(narrow(count));
    for batch in batches {
        entry.put_u32_le(narrow(batch.len()));
    }
    for batch in batches {
        entry.extend_from_slice(batch);
    }
    Ok(finish(entry))
}

/// The entry that removes all data of a tenant.
pub fn encode_purge(stamp: Timestamp, ring_epoch: u32, tenant: &Tenant) -> Bytes {
    let name = tenant.as_str().as_bytes();
    let mut entry = begin(kind::PURGE, stamp, ring_epoch, HEADER_BYTES + name.len());
    entry.extend_from_slice(name);
    finish(entry)
}

/// The entry that removes the buckets of a retention class up to and including one.
pub fn encode_drop(stamp: Timestamp, ring_epoch: u32, class: u8, bucket: u64) -> Bytes {
    let mut entry = begin(kind::DROP, stamp, ring_epoch, HEADER_BYTES + 9);
    entry.put_u8(class);
    entry.put_u64_le(bucket);
    finish(entry)
}

/// The entry at which replicas compare what they have.
pub fn encode_mark(stamp: Timestamp, ring_epoch: u32) -> Bytes {
    finish(begin(kind::MARK, stamp, ring_epoch, HEADER_BYTES))
}

/// The entry that refuses, from there on, batches that were routed by an epoch before `ring_epoch`.
pub fn encode_fence(stamp: Timestamp, ring_epoch: u32) -> Bytes {
    finish(begin(kind::FENCE, stamp, ring_epoch, HEADER_BYTES))
}

/// Reads an entry, sharing its memory. The batches inside are not looked at.
pub fn decode(entry: &Bytes) -> Result<Entry, EntryError> {
    let (header, body) = entry.split_first_chunk::<HEADER_BYTES>().ok_or(EntryError::NotAnEntry)?;
    let [m0, m1, m2, m3, version, kind, _, _, c0, c1, c2, c3, e0, e1, e2, e3, stamp @ ..] = *header;
    if [m0, m1, m2, m3] != MAGIC || version == 0 {
        return Err(EntryError::NotAnEntry);
    }
    if version > VERSION {
        return Err(EntryError::Version { version });
    }
    if checksum(entry) != Some(u32::from_le_bytes([c0, c1, c2, c3])) {
        return Err(EntryError::Checksum);
    }
    let body = match kind {
        kind::DATA => Body::Data(decode_batches(entry, body)?),
        kind::PURGE => Body::Purge(decode_tenant(body)?),
        kind::DROP => decode_drop(body)?,
        kind::MARK if body.is_empty() => Body::Mark,
        kind::FENCE if body.is_empty() => Body::Fence,
        kind::MARK | kind::FENCE => {
            return Err(EntryError::Malformed { reason: "a mark or a fence has no body" });
        }
        kind => return Err(EntryError::Kind { kind }),
    };
    let ring_epoch = u32::from_le_bytes([e0, e1, e2, e3]);
    Ok(Entry { stamp: Timestamp(u64::from_le_bytes(stamp)), ring_epoch, body })
}

fn decode_batches(entry: &Bytes, body: &[u8]) -> Result<Vec<BatchSlice>, EntryError> {
    let malformed = |reason| EntryError::Malformed { reason };
    let (count, rest) = take_u32(body).ok_or(malformed("no count of batches"))?;
    let count = count as usize;
    if count == 0 || count > ENTRY_BATCHES_MAX {
        return Err(malformed("no batches, or too many"));
    }
    let mut lengths = rest;
    let mut offset = HEADER_BYTES + 4 + 4 * count;
    let mut batches = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, rest) = take_u32(lengths).ok_or(malformed("a batch's length is missing"))?;
        lengths = rest;
        let end = offset.saturating_add(length as usize);
        if end > entry.len() {
            return Err(malformed("a batch ends behind the entry"));
        }
        batches.push(BatchSlice { offset: narrow(offset), bytes: entry.slice(offset..end) });
        offset = end;
    }
    if offset == entry.len() { Ok(batches) } else { Err(malformed("bytes behind the batches")) }
}

fn decode_tenant(body: &[u8]) -> Result<Tenant, EntryError> {
    let name = std::str::from_utf8(body).ok();
    let tenant = name.and_then(|name| Tenant::stored(name).ok());
    tenant.ok_or(EntryError::Malformed { reason: "not a tenant's name" })
}

fn decode_drop(body: &[u8]) -> Result<Body, EntryError> {
    let malformed = EntryError::Malformed { reason: "not a class and a bucket" };
    let (class, bucket) = body.split_first().ok_or(malformed.clone())?;
    let bucket = bucket.try_into().map(u64::from_le_bytes).map_err(|_| malformed)?;
    Ok(Body::Drop { class: *class, bucket })
}

fn begin(kind: u8, stamp: Timestamp, ring_epoch: u32, length: usize) -> BytesMut {
    let mut entry = BytesMut::with_capacity(length);
    entry.extend_from_slice(&MAGIC);
    entry.extend_from_slice(&[VERSION, kind, 0, 0]);
    entry.put_u32_le(0);
    entry.put_u32_le(ring_epoch);
    entry.put_u64_le(stamp.0);
    entry
}

fn finish(mut entry: BytesMut) -> Bytes {
    let checksum = checksum(&entry);
    if let (Some(checksum), Some(place)) = (checksum, entry.get_mut(CHECKSUM)) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    entry.freeze()
}

/// The checksum of all bytes but those of the checksum.
fn checksum(entry: &[u8]) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(entry.get(..CHECKSUM.start)?);
    hasher.update(entry.get(CHECKSUM.end..)?);
    Some(hasher.finalize())
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (taken, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*taken), rest))
}

/// Lengths within an entry fit 32 bits, because the entry does.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batches() -> Vec<Bytes> {
        vec![Bytes::from_static(b"first"), Bytes::new(), Bytes::from_static(b"third")]
    }

    #[test]
    fn entries_come_back_and_share_memory() {
        let entry = encode_data(Timestamp(77), 3, &batches()).unwrap();
        assert_eq!(entry.len(), data_entry_bytes(batches().iter().map(Bytes::len)));
        let decoded = decode(&entry).unwrap();
        assert_eq!((decoded.stamp, decoded.ring_epoch), (Timestamp(77), 3));
        let Body::Data(slices) = decoded.body else { panic!("not data") };
        for (slice, batch) in slices.iter().zip(batches()) {
            assert_eq!(slice.bytes, batch);
            assert_eq!(entry[slice.offset as usize..][..batch.len()], batch);
        }
        let tenant = Tenant::new("acme").unwrap();
        let purge = decode(&encode_purge(Timestamp(1), 0, &tenant)).unwrap();
        assert_eq!(purge.body, Body::Purge(tenant));
        let drop = decode(&encode_drop(Timestamp(1), 0, 2, 0x0102_0304)).unwrap();
        assert_eq!(drop.body, Body::Drop { class: 2, bucket: 0x0102_0304 });
        let fence = decode(&encode_fence(Timestamp(1), 7)).unwrap();
        assert_eq!((fence.body, fence.ring_epoch), (Body::Fence, 7));
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let entry = encode_data(Timestamp(0x0102), 5, &[Bytes::from_static(b"ab")]).unwrap();
        let (head, rest) = entry.split_at(8);
        assert_eq!(head, b"SkuE\x01\x01\0\0");
        assert_eq!(rest[4..], *b"\x05\0\0\0\x02\x01\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0ab");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |batches: &[Bytes]| encode_data(Timestamp(0), 0, batches).unwrap_err();
        assert!(matches!(refused(&[]), EntryError::TooLarge { .. }));
        let many = vec![Bytes::new(); ENTRY_BATCHES_MAX + 1];
        assert!(matches!(refused(&many), EntryError::TooLarge { .. }));
        let large = Bytes::from(vec![0; ENTRY_BYTES_MAX]);
        assert!(matches!(refused(&[large]), EntryError::TooLarge { .. }));
    }

    #[test]
    fn later_versions_and_reserved_kinds_are_told_apart_from_damage() {
        let rewritten = |place: usize, byte: u8| {
            let mut bytes = encode_data(Timestamp(9), 1, &batches()).unwrap().to_vec();
            bytes[place] = byte;
            let sum = checksum(&bytes).unwrap();
            bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
            decode(&bytes.into()).unwrap_err()
        };
        assert_eq!(rewritten(4, 9), EntryError::Version { version: 9 });
        assert_eq!(rewritten(5, 4), EntryError::Kind { kind: 4 });
        assert!(rewritten(5, kind::FENCE).is_corruption());
        assert_eq!(rewritten(5, 200), EntryError::Kind { kind: 200 });
        assert!(rewritten(24, 200).is_corruption());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_found(place in 0_usize..100, bit in 0_u8..8) {
            let mut bytes = encode_data(Timestamp(9), 1, &batches()).unwrap().to_vec();
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            prop_assert!(decode(&bytes.into()).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = bytes;
            let _ = decode(&bytes.clone().into());
            if bytes.len() >= HEADER_BYTES {
                bytes[..8].copy_from_slice(b"SkuE\x01\x01\0\0");
                let sum = checksum(&bytes).unwrap();
                bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
                let _ = decode(&bytes.into());
            }
        }
    }
}
