//! The frame: a header of 44 bytes and a payload. Pure: takes bytes, says what it needs.
//!
//! A frame's header checksum covers the place where the frame lies (segment and offset), so bytes
//! that were written elsewhere, or that a payload carries, never pass for a frame here. The header
//! has a checksum of its own, so that looking for frames behind a damaged place costs nothing per
//! byte of payload.

use super::{Damage, GroupId, LogIndex, SegmentNumber};
use crate::limits::{LOG_ENTRY_BYTES_MAX, LOG_HEADER_BYTES_MAX};

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 44;

const MAGIC: [u8; 4] = *b"SkL1";
/// Header bytes that the header's checksum covers, besides the place.
const CHECKED_BYTES: usize = 40;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// The first frame of a segment and only that.
    Segment,
    /// An entry that follows its predecessor.
    Entry,
    /// A state value.
    State,
    /// Entries from `index` on are gone.
    Truncate,
    /// Entries up to and including `index` are gone.
    Purge,
    /// A group is gone.
    RemoveGroup,
    /// Segments that hold nothing live; their files may be missing from now on.
    Drop,
    /// Nothing but the confirmation of what came before.
    Close,
    /// An entry carried over from an older segment, at the place it has in its group.
    Moved,
}

impl FrameKind {
    fn code(self) -> u8 {
        match self {
            Self::Segment => 1,
            Self::Entry => 2,
            Self::State => 3,
            Self::Truncate => 4,
            Self::Purge => 5,
            Self::RemoveGroup => 6,
            Self::Drop => 7,
            Self::Close => 8,
            Self::Moved => 9,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Segment,
            2 => Self::Entry,
            3 => Self::State,
            4 => Self::Truncate,
            5 => Self::Purge,
            6 => Self::RemoveGroup,
            7 => Self::Drop,
            8 => Self::Close,
            9 => Self::Moved,
            _ => return None,
        })
    }

    fn payload_bytes_max(self) -> usize {
        match self {
            Self::Segment => LOG_HEADER_BYTES_MAX,
            _ => LOG_ENTRY_BYTES_MAX,
        }
    }
}

/// A frame, borrowed from whoever owns its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) slot: u8,
    pub(crate) group: GroupId,
    pub(crate) index: LogIndex,
    /// Everything in this segment before this offset was synced before this frame was written.
    pub(crate) confirmed: u64,
    pub(crate) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame of no group.
    pub(crate) fn of_log(kind: FrameKind, confirmed: u64, payload: &'a [u8]) -> Self {
        Self { kind, slot: 0, group: GroupId(0), index: LogIndex(0), confirmed, payload }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        frame_bytes(self.payload.len())
    }
}

/// Bytes of a frame with a payload of this length.
pub(crate) fn frame_bytes(payload_bytes: usize) -> u64 {
    (FRAME_HEADER_BYTES + payload_bytes) as u64
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
}

/// Writes a frame behind what the buffer holds.
pub(crate) fn encode(frame: &Frame<'_>, place: Place, out: &mut Vec<u8>) {
    let payload_bytes = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
    assert!(
        frame.payload.len() <= frame.kind.payload_bytes_max(),
        "a frame that no reader accepts must never be written"
    );
    assert!(frame.confirmed <= place.offset, "a frame confirms only what lies before it");
    let mut head = Vec::with_capacity(CHECKED_BYTES);
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&[frame.kind.code(), frame.slot, 0, 0]);
    head.extend_from_slice(&payload_bytes.to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(frame.payload).to_le_bytes());
    head.extend_from_slice(&frame.group.0.to_le_bytes());
    head.extend_from_slice(&frame.index.0.to_le_bytes());
    head.extend_from_slice(&frame.confirmed.to_le_bytes());
    let checksum = header_checksum(&head, place);
    out.extend_from_slice(&head);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(frame.payload);
}

fn header_checksum(head: &[u8], place: Place) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(&place.segment.0.to_le_bytes());
    hasher.update(&place.offset.to_le_bytes());
    hasher.finalize()
}

/// What some bytes are.
#[derive(Debug)]
pub(crate) enum Decoded<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// Possibly a frame, once there are more bytes.
    Incomplete,
    /// Not a frame, however many bytes follow.
    Invalid(Damage),
}

/// Reads the frame that begins with these bytes and lies at this place.
pub(crate) fn decode(bytes: &[u8], place: Place) -> Decoded<'_> {
    let head = match Head::decode(bytes, place) {
        Ok(Some(head)) => head,
        Ok(None) => return Decoded::Incomplete,
        Err(damage) => return Decoded::Invalid(damage),
    };
    let end = FRAME_HEADER_BYTES + head.payload_bytes;
    let Some(payload) = bytes.get(FRAME_HEADER_BYTES..end) else {
        return Decoded::Incomplete;
    };
    if crc32fast::hash(payload) != head.payload_checksum {
        return Decoded::Invalid(Damage::PayloadChecksum);
    }
    let Head { kind, slot, group, index, confirmed, .. } = head;
    Decoded::Frame(Frame { kind, slot, group, index, confirmed, payload })
}

/// The size of the frame that begins with these bytes, if they are enough to tell.
pub(crate) fn frame_bytes_of(bytes: &[u8], place: Place) -> Result<Option<usize>, Damage> {
    Ok(Head::decode(bytes, place)?.map(|head| FRAME_HEADER_BYTES + head.payload_bytes))
}

/// Says whether any frame header among these bytes, which begin at this place, confirms more than
/// the first `damaged_at` bytes of the segment. Headers alone decide: their payloads may be torn.
pub(crate) fn confirms_beyond(bytes: &[u8], place: Place, damaged_at: u64) -> bool {
    let mut rest = bytes;
    let mut offset = place.offset;
    while rest.len() >= FRAME_HEADER_BYTES {
        if rest.starts_with(&MAGIC)
            && let Ok(Some(head)) = Head::decode(rest, Place { offset, ..place })
            && head.confirmed > damaged_at
        {
            return true;
        }
        // To the next byte that could begin a frame.
        let tail = rest.get(1..).unwrap_or_default();
        let skip = tail.iter().position(|byte| *byte == MAGIC[0]).unwrap_or(tail.len());
        rest = tail.get(skip..).unwrap_or_default();
        offset = offset.saturating_add(1 + skip as u64);
    }
    false
}

/// A frame's header, checked.
struct Head {
    kind: FrameKind,
    slot: u8,
    payload_bytes: usize,
    payload_checksum: u32,
    group: GroupId,
    index: LogIndex,
    confirmed: u64,
}

impl Head {
    /// None if there are too few bytes to tell.
    fn decode(bytes: &[u8], place: Place) -> Result<Option<Self>, Damage> {
        // A wrong beginning is told from few bytes, so that a tail of zeros reads as one.
        if !bytes.iter().zip(&MAGIC).all(|(given, expected)| given == expected) {
            return Err(Damage::Magic);
        }
        let Some(checked) = bytes.get(..CHECKED_BYTES) else { return Ok(None) };
        let mut cursor = Cursor(bytes);
        let Some(fields) = Self::fields(&mut cursor) else { return Ok(None) };
        let (kind, slot, reserved, head) = fields;
        let Some(checksum) = cursor.u32() else { return Ok(None) };
        if checksum != header_checksum(checked, place) {
            return Err(Damage::HeaderChecksum);
        }
        let kind = FrameKind::from_code(kind).ok_or(Damage::Kind)?;
        if reserved != [0, 0] {
            return Err(Damage::Kind);
        }
        if head.payload_bytes > kind.payload_bytes_max() {
            return Err(Damage::Length);
        }
        if head.confirmed > place.offset {
            return Err(Damage::Confirmation);
        }
        Ok(Some(Self { kind, slot, ..head }))
    }

    fn fields(cursor: &mut Cursor<'_>) -> Option<(u8, u8, [u8; 2], Self)> {
        let _magic: [u8; 4] = cursor.array()?;
        let [kind, slot, reserved @ ..] = cursor.array::<4>()?;
        let head = Self {
            kind: FrameKind::Close,
            slot,
            payload_bytes: usize::try_from(cursor.u32()?).unwrap_or(usize::MAX),
            payload_checksum: cursor.u32()?,
            group: GroupId(cursor.u64()?),
            index: LogIndex(cursor.u64()?),
            confirmed: cursor.u64()?,
        };
        Some((kind, slot, reserved, head))
    }
}

/// Reads little-endian numbers off the front of bytes, or says there are none left.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { segment: SegmentNumber(3), offset: 1000 };

    fn sample() -> Frame<'static> {
        Frame {
            kind: FrameKind::Entry,
            slot: 0,
            group: GroupId(7),
            index: LogIndex(42),
            confirmed: 900,
            payload: b"payload",
        }
    }

    fn encoded() -> Vec<u8> {
        let mut out = Vec::new();
        encode(&sample(), PLACE, &mut out);
        out
    }

    #[test]
    fn a_frame_reads_back() {
        let bytes = encoded();
        assert_eq!(bytes.len() as u64, sample().size_bytes());
        assert!(matches!(decode(&bytes, PLACE), Decoded::Frame(frame) if frame == sample()));
    }

    #[test]
    fn the_layout_is_fixed() {
        let expected = [
            // magic
            0x53, 0x6b, 0x4c, 0x31, // kind, slot, reserved
            0x02, 0x00, 0x00, 0x00, // payload bytes
            0x07, 0x00, 0x00, 0x00, // payload checksum
            0x15, 0x6a, 0x2c, 0x42, // group
            0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // index
            0x2a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // confirmed
            0x84, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // header checksum
            0xb2, 0x04, 0x65, 0xa0, // payload
            0x70, 0x61, 0x79, 0x6c, 0x6f, 0x61, 0x64,
        ];
        assert_eq!(encoded(), expected);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for position in 0..encoded().len() * 8 {
            let mut bytes = encoded();
            bytes[position / 8] ^= 1 << (position % 8);
            assert!(matches!(decode(&bytes, PLACE), Decoded::Invalid(_)), "bit {position}");
        }
    }

    #[test]
    fn a_frame_of_another_place_is_none() {
        let bytes = encoded();
        for place in [Place { segment: SegmentNumber(4), ..PLACE }, Place { offset: 1001, ..PLACE }]
        {
            assert!(matches!(decode(&bytes, place), Decoded::Invalid(Damage::HeaderChecksum)));
        }
    }

    #[test]
    fn a_cut_frame_asks_for_more() {
        let bytes = encoded();
        for end in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..end], PLACE), Decoded::Incomplete), "cut at {end}");
            let size = frame_bytes_of(&bytes[..end], PLACE);
            assert_eq!(size, Ok((end >= FRAME_HEADER_BYTES).then_some(bytes.len())));
        }
    }

    #[test]
    fn a_confirmation_is_found_behind_damage() {
        let mut bytes = vec![b'S'; 13];
        let start = Place { offset: PLACE.offset - 13, ..PLACE };
        bytes.extend(encoded());
        assert!(confirms_beyond(&bytes, start, 899));
        assert!(!confirms_beyond(&bytes, start, 900));
        assert!(!confirms_beyond(&bytes[..13 + 43], start, 899));
    }
}
