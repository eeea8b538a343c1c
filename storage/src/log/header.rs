//! The payload of a segment's first frame: everything that older segments may no longer be asked
//! for. Pure.
//!
//! It names the segments that hold live entries and how far each of them is to be read, and every
//! group's purge mark, live range and state. With it, any segment without live entries can go.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::extent::{Extent, Live};
use super::frame::Cursor;
use super::{Damage, GroupId, LogIndex, SegmentNumber, StateSlot};

/// The newest layout, which is what is written.
pub(crate) const FORMAT_VERSION: u32 = 1;

const FLAG_PURGED: u8 = 1;
const FLAG_LIVE: u8 = 2;

/// A segment's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) segment: SegmentNumber,
    /// The file was synced up to here before it got its name: damage below is never a torn tail.
    pub(crate) sealed_bytes: u64,
    /// Older segments with live entries, and the offset at which each of them ends.
    pub(crate) segments: BTreeMap<SegmentNumber, u64>,
    pub(crate) groups: BTreeMap<GroupId, GroupHeader>,
}

/// What a segment's header says about a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) extent: Extent,
    pub(crate) slots: BTreeMap<StateSlot, Bytes>,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.segment.0.to_le_bytes());
        out.extend_from_slice(&self.sealed_bytes.to_le_bytes());
        put_count(&mut out, self.segments.len());
        for (segment, end) in &self.segments {
            out.extend_from_slice(&segment.0.to_le_bytes());
            out.extend_from_slice(&end.to_le_bytes());
        }
        put_count(&mut out, self.groups.len());
        for (group, header) in &self.groups {
            header.encode(*group, &mut out);
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Damage> {
        let mut cursor = Cursor(payload);
        let version = cursor.u32().ok_or(Damage::Payload)?;
        if version != FORMAT_VERSION {
            return Err(Damage::Version { version });
        }
        Self::decode_body(&mut cursor).filter(|_| cursor.is_empty()).ok_or(Damage::Payload)
    }

    fn decode_body(cursor: &mut Cursor<'_>) -> Option<Self> {
        let segment = SegmentNumber(cursor.u64()?);
        let sealed_bytes = cursor.u64()?;
        // Counts reserve nothing: each turn of a loop consumes bytes or ends.
        let mut segments = BTreeMap::new();
        for _ in 0..cursor.u32()? {
            segments.insert(SegmentNumber(cursor.u64()?), cursor.u64()?);
        }
        if segments.last_key_value().is_some_and(|(last, _)| *last >= segment) {
            return None;
        }
        let mut groups = BTreeMap::new();
        for _ in 0..cursor.u32()? {
            let group = GroupId(cursor.u64()?);
            groups.insert(group, GroupHeader::decode(cursor)?);
        }
        Some(Self { segment, sealed_bytes, segments, groups })
    }
}

impl GroupHeader {
    fn encode(&self, group: GroupId, out: &mut Vec<u8>) {
        let Extent { purged, live } = self.extent;
        let purged_flag = if purged.is_some() { FLAG_PURGED } else { 0 };
        let live_flag = if live.is_some() { FLAG_LIVE } else { 0 };
        let zero = LogIndex(0);
        let range = live.unwrap_or(Live { first: zero, last: zero });
        out.extend_from_slice(&group.0.to_le_bytes());
        out.push(purged_flag | live_flag);
        out.extend_from_slice(&purged.unwrap_or(zero).0.to_le_bytes());
        out.extend_from_slice(&range.first.0.to_le_bytes());
        out.extend_from_slice(&range.last.0.to_le_bytes());
        put_count(out, self.slots.len());
        for (slot, value) in &self.slots {
            out.push(slot.0);
            put_count(out, value.len());
            out.extend_from_slice(value);
        }
    }

    fn decode(cursor: &mut Cursor<'_>) -> Option<Self> {
        let flags = cursor.u8()?;
        if flags & !(FLAG_PURGED | FLAG_LIVE) != 0 {
            return None;
        }
        let purged = LogIndex(cursor.u64()?);
        let live = Live { first: LogIndex(cursor.u64()?), last: LogIndex(cursor.u64()?) };
        let purged = (flags & FLAG_PURGED != 0).then_some(purged);
        let live = (flags & FLAG_LIVE != 0).then_some(live);
        if live.is_some_and(|live| live.first > live.last || Some(live.first) <= purged) {
            return None;
        }
        let mut slots = BTreeMap::new();
        for _ in 0..cursor.u32()? {
            let slot = StateSlot(cursor.u8()?);
            let length = usize::try_from(cursor.u32()?).ok()?;
            slots.insert(slot, Bytes::copy_from_slice(cursor.bytes(length)?));
        }
        Some(Self { extent: Extent { purged, live }, slots })
    }
}

/// Counts and lengths are bounded far below 32 bits by `limits`.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// The payload of a frame that announces deletions.
pub(crate) fn encode_drops(segments: &[SegmentNumber]) -> Vec<u8> {
    segments.iter().flat_map(|segment| segment.0.to_le_bytes()).collect()
}

/// The reverse of [`encode_drops`].
pub(crate) fn decode_drops(payload: &[u8]) -> Result<Vec<SegmentNumber>, Damage> {
    let (chunks, rest) = payload.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Damage::Payload);
    }
    Ok(chunks.iter().map(|chunk| SegmentNumber(u64::from_le_bytes(*chunk))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        let slots = [(StateSlot(0), Bytes::from_static(b"vote")), (StateSlot(5), Bytes::new())];
        let full = GroupHeader {
            extent: Extent {
                purged: Some(LogIndex(4)),
                live: Some(Live { first: LogIndex(5), last: LogIndex(9) }),
            },
            slots: slots.into(),
        };
        SegmentHeader {
            segment: SegmentNumber(12),
            sealed_bytes: 345,
            segments: [(SegmentNumber(3), 100), (SegmentNumber(11), 7)].into(),
            groups: [(GroupId(1), full), (GroupId(2), GroupHeader::default())].into(),
        }
    }

    #[test]
    fn a_header_reads_back() {
        assert_eq!(SegmentHeader::decode(&sample().encode()), Ok(sample()));
        let drops = [SegmentNumber(1), SegmentNumber(u64::MAX)];
        assert_eq!(decode_drops(&encode_drops(&drops)), Ok(drops.to_vec()));
        assert_eq!(decode_drops(b"123"), Err(Damage::Payload));
    }

    #[test]
    fn a_cut_or_longer_header_is_malformed() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert!(SegmentHeader::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(SegmentHeader::decode(&longer), Err(Damage::Payload));
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = sample().encode();
        bytes[0] = 2;
        assert_eq!(SegmentHeader::decode(&bytes), Err(Damage::Version { version: 2 }));
    }
}
